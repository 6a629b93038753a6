#include <ebb/tensor/backend/convert.h>
#include <ebb/tensor/backend/geometry.h>

#include <cstring>

namespace ebb {

OperandElements::OperandElements(const Operand& operand, const Tensor& out) {
  if (operand.tensor != nullptr) {
    view = broadcast_view(operand.tensor->shape(), out.shape());
    data = operand.tensor->raw();
    return;
  }
  dispatch_all(out.dtype(), [&](auto zero) {
    const auto value = convert<decltype(zero)>(operand.number);
    std::memcpy(number_, &value, sizeof value);
  });
  data = number_;
}

std::int64_t View::at(std::int64_t i, const Shape& shape) const {
  std::int64_t place = offset;
  for (std::int64_t d = shape.rank(); d-- > 0; i /= shape[d])
    place += i % shape[d] * strides[static_cast<std::size_t>(d)];
  return place;
}

View broadcast_view(const Shape& shape, const Shape& out) {
  View view;
  const auto own = shape.strides();
  const auto ahead = static_cast<std::size_t>(out.rank() - shape.rank());
  for (std::size_t d = 0; d + ahead < static_cast<std::size_t>(out.rank()); ++d)
    view.strides[ahead + d] = shape.begin()[d] == 1 ? 0 : own[d];
  return view;
}

ConvGeometry conv_geometry(const Tensor& x, const Tensor& weight, const Tensor& y,
                           const Conv2dOptions& options) {
  return {x.size(0),      x.size(1),       x.size(2),        x.size(3),
          y.size(1),      y.size(2),       y.size(3),        {weight.size(2), weight.size(3)},
          options.stride, options.padding, options.dilation, options.groups};
}

}  // namespace ebb
