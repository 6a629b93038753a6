// First values of parameters, draw for draw as PyTorch makes them.
#pragma once

#include <ebb/autograd/variable.h>
#include <ebb/tensor/random/random.h>

namespace ebb {

// U(-1/sqrt(fan_in), 1/sqrt(fan_in)), the default of linear and convolution weights: He et al.
// 2015, eq. 10, with the gain of a leaky ReLU of slope sqrt(5). fan_in is size(1) times the
// kernel's area, whatever the layer (of ConvTranspose2d: its outputs).
Variable default_weight(const Shape& shape, Generator& generator);
// The bias beside that weight: the same interval. Undefined where `wanted` is false, and then
// nothing is drawn.
Variable default_bias(std::int64_t size, const Shape& weight, bool wanted, Generator& generator);
// U(-a, a), a = sqrt(6 / (size(0) + size(1))): Glorot & Bengio 2010, eq. 16.
Variable xavier_uniform(const Shape& shape, Generator& generator);
// All elements `value`.
Variable constant_parameter(const Shape& shape, double value);

}  // namespace ebb
