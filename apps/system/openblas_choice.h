// OpenBLAS's start, mended for this program alone.
//
// It asks for memory before main, and where `ulimit -v` leaves it none it asks again for ever: this
// program ends with an Error instead, below 512 MB of addresses.
#pragma once

namespace ebb::apps {

// OpenBLAS knows processors by model number and gives those it does not know the kernels of 2004,
// which are three times too slow. It has chosen when main begins, so this starts the program again
// with OPENBLAS_CORETYPE set to what the processor's features say. Returns where the choice is a
// good one, the user has made it, or that cannot be done.
void mend_openblas_choice(char** argv);

}  // namespace ebb::apps
