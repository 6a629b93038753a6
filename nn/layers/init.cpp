#include <ebb/nn/layers/init.h>

#include <cmath>

namespace ebb {

namespace {

double fan_in_of(const Shape& weight) {
  double fan_in = static_cast<double>(weight[1]);
  for (std::int64_t d = 2; d < weight.rank(); ++d) fan_in *= static_cast<double>(weight[d]);
  return fan_in;
}

Variable uniform_parameter(const Shape& shape, double bound, Generator& generator) {
  return Variable(generator.uniform(-bound, bound, shape), true);
}

}  // namespace

Variable default_weight(const Shape& shape, Generator& generator) {
  // Equal to 1 / sqrt(fan_in), in the steps that round as PyTorch's.
  const double slope = std::sqrt(5.0);
  const double gain = std::sqrt(2.0 / (1.0 + slope * slope));
  const double bound = std::sqrt(3.0) * (gain / std::sqrt(fan_in_of(shape)));
  return uniform_parameter(shape, bound, generator);
}

Variable default_bias(std::int64_t size, const Shape& weight, bool wanted, Generator& generator) {
  if (!wanted) return {};
  return uniform_parameter({size}, 1.0 / std::sqrt(fan_in_of(weight)), generator);
}

Variable xavier_uniform(const Shape& shape, Generator& generator) {
  const double fans = static_cast<double>(shape[0] + shape[1]);
  const double stddev = std::sqrt(2.0 / fans);
  return uniform_parameter(shape, std::sqrt(3.0) * stddev, generator);
}

Variable constant_parameter(const Shape& shape, double value) {
  return Variable(Tensor::full(shape, value), true);
}

}  // namespace ebb
