// Which of the compiled instruction sets runs.
#pragma once

#include <string_view>

namespace ebb::cpu {

// "avx512", "avx2", "portable" (or another name of Highway's on other processors): what EBB_SIMD
// says, else the best that the processor has. Chosen on the first call; a value that is unknown or
// that the processor lacks is an Error.
std::string_view simd_target();

}  // namespace ebb::cpu
