#include <ebb/tensor/ops/operands.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/ops/reduce.h>

#include <cmath>

namespace ebb {

namespace {

#define EBB_NAME(name, ...) #name,
constexpr std::string_view unary_names[] = {EBB_UNARY_LIST(EBB_NAME)};
constexpr std::string_view binary_names[] = {EBB_BINARY_LIST(EBB_NAME)
                                                 EBB_COMPARISON_LIST(EBB_NAME)};
#undef EBB_NAME

}  // namespace

std::string_view name_of(Unary function) { return unary_names[static_cast<std::size_t>(function)]; }
std::string_view name_of(Binary function) {
  return binary_names[static_cast<std::size_t>(function)];
}

Tensor unary(Unary function, const Tensor& x, double a, double b) {
  const std::string_view name = name_of(function);
  check_defined(name, x);
  if (!takes_integers(function)) check_floating(name, x);
  Tensor out = empty_like(x);
  use(name, x.device(), kernels(x.device()).unary)(function, x, a, b, out);
  return out;
}

Tensor unary_backward(Unary function, const Tensor& grad, const Tensor& x, const Tensor& y,
                      double a, double b) {
  const std::string_view name = name_of(function);
  const auto [device, dtype] = common_operands(name, {&grad, &x, &y});
  check_floating(name, x);
  check_same_shape(name, grad, x);
  check_same_shape(name, y, x);
  Tensor out = Tensor::empty(x.shape(), dtype, device);
  use(name, device, kernels(device).unary_backward)(function, grad, x, y, a, b, out);
  return out;
}

#define EBB_DEFINE(name, ...) \
  Tensor name(const Tensor& x) { return unary(Unary::name, x); }
EBB_PLAIN_LIST(EBB_DEFINE)
#undef EBB_DEFINE
Tensor leaky_relu(const Tensor& x, double slope) { return unary(Unary::leaky_relu, x, slope); }
Tensor pow(const Tensor& x, double exponent) { return unary(Unary::pow, x, exponent); }
Tensor clamp(const Tensor& x, double low, double high) { return unary(Unary::clamp, x, low, high); }

namespace {

// An Error unless `value` is one of like's dtype.
void check_number(std::string_view operation, double value, const Tensor& like) {
  check_defined(operation, like);
  check(is_floating(like.dtype()) || value == std::trunc(value),
        "{}: {} is no int64; convert the tensor with to(DType)", operation, value);
}

}  // namespace

Tensor binary(Binary function, const Tensor& a, const Tensor& b) {
  const std::string_view name = name_of(function);
  const auto [device, dtype] = common_operands(name, {&a, &b});
  if (!takes_integers(function)) check_floating(name, a);
  Tensor out = Tensor::empty(broadcast_shapes(name, a.shape(), b.shape()), dtype, device);
  use(name, device, kernels(device).binary)(function, a, b, out);
  return out;
}

Tensor binary(Binary function, const Tensor& a, double b) {
  const std::string_view name = name_of(function);
  check_number(name, b, a);
  if (!takes_integers(function)) check_floating(name, a);
  Tensor out = empty_like(a);
  use(name, a.device(), kernels(a.device()).binary)(function, a, b, out);
  return out;
}

#define EBB_DEFINE(name, ...)                                                          \
  Tensor name(const Tensor& a, const Tensor& b) { return binary(Binary::name, a, b); } \
  Tensor name(const Tensor& a, double b) { return binary(Binary::name, a, b); }
EBB_BINARY_LIST(EBB_DEFINE)
EBB_COMPARISON_LIST(EBB_DEFINE)
#undef EBB_DEFINE

namespace {

Tensor chosen(const Tensor& condition, const Operand& a, const Operand& b, const Shape& sides,
              DType dtype) {
  // In another dtype the condition could round to zero, its comparison with zero cannot.
  const Tensor mask = condition.dtype() == dtype ? condition : not_equal(condition, 0).to(dtype);
  const Device device = mask.device();
  Tensor out = Tensor::empty(broadcast_shapes("where", mask.shape(), sides), dtype, device);
  use("where", device, kernels(device).where)(mask, a, b, out);
  return out;
}

}  // namespace

Tensor where(const Tensor& condition, const Tensor& a, const Tensor& b) {
  check_defined("where", condition);
  const DType dtype = common_operands("where", {&a, &b}).dtype;
  common_device("where", {&condition, &a});
  return chosen(condition, a, b, broadcast_shapes("where", a.shape(), b.shape()), dtype);
}

Tensor where(const Tensor& condition, const Tensor& a, double b) {
  check_defined("where", condition);
  check_number("where", b, a);
  common_device("where", {&condition, &a});
  return chosen(condition, a, b, a.shape(), a.dtype());
}

Tensor where(const Tensor& condition, double a, const Tensor& b) {
  check_defined("where", condition);
  check_number("where", a, b);
  common_device("where", {&condition, &b});
  return chosen(condition, a, b, b.shape(), b.dtype());
}

Tensor axpby(double a, const Tensor& x, double b, const Tensor& y) {
  const auto [device, dtype] = common_operands("axpby", {&x, &y});
  check_same_shape("axpby", x, y);
  check_floating("axpby", x);
  Tensor out = Tensor::empty(x.shape(), dtype, device);
  use("axpby", device, kernels(device).axpby)(a, x, b, y, out);
  return out;
}

void add_(Tensor& a, const Tensor& b, double scale) {
  const Device device = common_operands("add_", {&a, &b}).device;
  check_same_shape("add_", a, b);
  check_floating("add_", a);
  use("add_", device, kernels(device).axpby)(1, a, scale, b, a);
  a.bump_version();
}

void mul_(Tensor& a, double scale) { binary_(Binary::mul, a, scale); }

void binary_(Binary function, Tensor& a, const Tensor& b) {
  const std::string_view name = name_of(function);
  const Device device = common_operands(name, {&a, &b}).device;
  if (!takes_integers(function)) check_floating(name, a);
  check(broadcast_shapes(name, a.shape(), b.shape()) == a.shape(),
        "{}: in place, but {} and {} make a larger shape; compute a new tensor", name, a.shape(),
        b.shape());
  use(name, device, kernels(device).binary)(function, a, b, a);
  a.bump_version();
}

void binary_(Binary function, Tensor& a, double b) {
  const std::string_view name = name_of(function);
  check_number(name, b, a);
  if (!takes_integers(function)) check_floating(name, a);
  use(name, a.device(), kernels(a.device()).binary)(function, a, b, a);
  a.bump_version();
}

#define EBB_DEFINE(symbol, name)                        \
  Tensor& operator symbol(Tensor& a, const Tensor& b) { \
    binary_(Binary::name, a, b);                        \
    return a;                                           \
  }                                                     \
  Tensor& operator symbol(Tensor& a, double b) {        \
    binary_(Binary::name, a, b);                        \
    return a;                                           \
  }
EBB_DEFINE(+=, add)
EBB_DEFINE(-=, sub)
EBB_DEFINE(*=, mul)
EBB_DEFINE(/=, div)
#undef EBB_DEFINE

bool any(const Tensor& x) {
  check_defined("any", x);
  return x.numel() > 0 && amax(not_equal(x, 0)).item() != 0;
}

bool all(const Tensor& x) {
  check_defined("all", x);
  return x.numel() == 0 || amin(not_equal(x, 0)).item() != 0;
}

bool all_finite(const Tensor& x) {
  check_defined("all_finite", x);
  return !is_floating(x.dtype()) || x.numel() == 0 ||
         (std::isfinite(amax(x).item()) && std::isfinite(amin(x).item()));
}

double relative_error(const Tensor& a, const Tensor& b) {
  check_defined("relative_error", a);
  check_defined("relative_error", b);
  check_same_shape("relative_error", a, b);
  if (a.numel() == 0) return 0;
  const Tensor x = a.to(DType::float64), y = b.to(DType::float64);
  const double distance = amax(where(equal(x, y), 0, abs(sub(x, y)))).item();
  const double size = amax(where(equal(sub(y, y), 0), abs(y), 0)).item();
  return distance == 0 && size == 0 ? 0 : distance / size;
}

}  // namespace ebb
