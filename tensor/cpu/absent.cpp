// Linked where the CPU's kernels are not (EBB_MINIMAL): the reference device's stand in for them,
// on one thread.
#include <ebb/tensor/backend/backend.h>
#include <ebb/tensor/threads.h>

namespace ebb {

const Kernels& cpu::kernels() { return reference::kernels(); }
const Kernels& test_device::kernels() { return reference::kernels(); }
test_device::Copies test_device::copies() { return {}; }

int thread_count() { return 1; }
void set_thread_count(int) {}

bool exact_convolutions() { return true; }
void set_exact_convolutions(bool) {}

}  // namespace ebb
