#include <ebb/autograd/ops.h>
#include <ebb/nn/layers/conv2d.h>
#include <ebb/nn/layers/init.h>

namespace ebb {

namespace {

// The part of the options that the operation wants.
Conv2dOptions checked(std::string_view layer, const ConvLayerOptions& o) {
  check(o.groups > 0 && o.in > 0 && o.out > 0 && o.in % o.groups == 0 && o.out % o.groups == 0,
        "{}: {} to {} channels in {} groups; channels must be positive multiples of the groups",
        layer, o.in, o.out, o.groups);
  check(o.kernel[0] > 0 && o.kernel[1] > 0, "{}: kernel {}x{}; both sizes must be positive", layer,
        o.kernel[0], o.kernel[1]);
  return {.stride = o.stride,
          .padding = o.padding,
          .dilation = o.dilation,
          .groups = o.groups,
          .output_padding = o.output_padding};
}

}  // namespace

Conv2d::Conv2d(const Options& o, Generator& generator) : options(checked("Conv2d", o)) {
  check(o.output_padding == Pair{0, 0},
        "Conv2d: output_padding {}x{}; it belongs to ConvTranspose2d, leave it out",
        o.output_padding[0], o.output_padding[1]);
  weight = default_weight({o.out, o.in / o.groups, o.kernel[0], o.kernel[1]}, generator);
  bias = default_bias(o.out, weight.shape(), o.bias, generator);
}

Variable Conv2d::operator()(const Variable& x, Activation activation) const {
  return conv2d(x, weight, bias, options, activation);
}

ConvTranspose2d::ConvTranspose2d(const Options& o, Generator& generator)
    : options(checked("ConvTranspose2d", o)) {
  weight = default_weight({o.in, o.out / o.groups, o.kernel[0], o.kernel[1]}, generator);
  bias = default_bias(o.out, weight.shape(), o.bias, generator);
}

Variable ConvTranspose2d::operator()(const Variable& x, Activation activation) const {
  return conv_transpose2d(x, weight, bias, options, activation);
}

}  // namespace ebb
