#include <ebb/tensor/precision.h>

#include <atomic>

namespace ebb {

namespace {
std::atomic<Precision> current{Precision::float32};
}

Precision precision() { return current; }
void set_precision(Precision precision) { current = precision; }

}  // namespace ebb
