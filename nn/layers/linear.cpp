#include <ebb/autograd/ops.h>
#include <ebb/nn/layers/init.h>
#include <ebb/nn/layers/linear.h>

namespace ebb {

Linear::Linear(const Options& options, Generator& generator) {
  const auto [in, out, with_bias] = options;
  check(in > 0 && out > 0, "Linear: sizes {} to {}; both must be positive", in, out);
  weight = default_weight({out, in}, generator);
  bias = default_bias(out, weight.shape(), with_bias, generator);
}

Variable Linear::operator()(const Variable& x) const { return linear(x, weight, bias); }

}  // namespace ebb
