#include <ebb/nn/layers/sequential.h>

namespace ebb {

Variable Dropout::operator()(const Variable& x, Generator& generator) const {
  check(p >= 0 && p < 1, "Dropout: p {}; it must be in [0, 1)", p);
  if (!training || p == 0) return x;
  return dropout(x, generator.bernoulli(1 - p, x.shape(), x.dtype()), p);
}

}  // namespace ebb
