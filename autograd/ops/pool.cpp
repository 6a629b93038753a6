#include <ebb/autograd/ops.h>

namespace ebb {

Variable max_pool2d(const Variable& x, const Pool2dOptions& options) {
  return Variable::record("max_pool2d", max_pool2d(x.value(), options), {x},
                          [options, x = Saved("max_pool2d", x.value())](
                              const Tensor& grad, const Needs&) -> std::vector<Tensor> {
                            return {max_pool2d_backward(grad, x.get(), options)};
                          });
}

Variable avg_pool2d(const Variable& x, const Pool2dOptions& options) {
  return Variable::record(
      "avg_pool2d", avg_pool2d(x.value(), options), {x},
      [options, shape = x.shape()](const Tensor& grad, const Needs&) -> std::vector<Tensor> {
        return {avg_pool2d_backward(grad, shape, options)};
      });
}

Variable interpolate(const Variable& x, std::int64_t height, std::int64_t width,
                     Interpolation mode) {
  return Variable::record(
      "interpolate", interpolate(x.value(), height, width, mode), {x},
      [mode, shape = x.shape()](const Tensor& grad, const Needs&) -> std::vector<Tensor> {
        return {interpolate_backward(grad, shape, mode)};
      });
}

Variable pixel_unshuffle(const Variable& x, std::int64_t r) {
  return Variable::record("pixel_unshuffle", pixel_unshuffle(x.value(), r), {x},
                          [r](const Tensor& grad, const Needs&) -> std::vector<Tensor> {
                            return {pixel_shuffle(grad, r)};
                          });
}

Variable pixel_shuffle(const Variable& x, std::int64_t r) {
  return Variable::record("pixel_shuffle", pixel_shuffle(x.value(), r), {x},
                          [r](const Tensor& grad, const Needs&) -> std::vector<Tensor> {
                            return {pixel_unshuffle(grad, r)};
                          });
}

}  // namespace ebb
