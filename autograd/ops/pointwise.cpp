#include <ebb/autograd/ops.h>

namespace ebb {

Variable unary(Unary function, const Variable& x, double a, double b) {
  const Tensor y = unary(function, x.value(), a, b);
  return Variable::record(
      name_of(function), y, {x},
      [=, x = Saved(name_of(function), x.value()), y = Saved(name_of(function), y)](
          const Tensor& grad, const Needs&) -> std::vector<Tensor> {
        return {unary_backward(function, grad, x.get(), y.get(), a, b)};
      });
}

#define EBB_DEFINE(name, ...) \
  Variable name(const Variable& x) { return unary(Unary::name, x); }
EBB_PLAIN_LIST(EBB_DEFINE)
#undef EBB_DEFINE
Variable leaky_relu(const Variable& x, double slope) { return unary(Unary::leaky_relu, x, slope); }
Variable pow(const Variable& x, double exponent) { return unary(Unary::pow, x, exponent); }
Variable clamp(const Variable& x, double low, double high) {
  return unary(Unary::clamp, x, low, high);
}

namespace {

// The part of `grad` that goes to `high` where the larger of two values was taken; all of it beside
// a NaN, as in PyTorch.
Tensor larger_share(const Tensor& grad, const Tensor& high, const Tensor& low) {
  return where(less(high, low), 0, where(equal(low, high), grad * 0.5, grad));
}

// A gradient of EBB_BINARY_LIST and what it names.
struct BinaryRule {
  Tensor (*gradient)(const Tensor& g, const Tensor& a, const Tensor& b, const Tensor& y);
  bool a, b, y;
};

constexpr bool is_letter(char c) { return c == '_' || (c >= 'a' && c <= 'z'); }

// Whether the variable `name` stands in `text`.
constexpr bool mentions(std::string_view text, char name) {
  for (std::size_t i = 0; i < text.size(); ++i)
    if (text[i] == name && (i == 0 || !is_letter(text[i - 1])) &&
        (i + 1 == text.size() || !is_letter(text[i + 1])))
      return true;
  return false;
}

Variable binary(Binary function, const Variable& a, const Variable& b, const BinaryRule& by_a,
                const BinaryRule& by_b) {
  const std::string_view name = name_of(function);
  const Tensor y = binary(function, a.value(), b.value());
  const auto kept = [&](bool BinaryRule::*part, const Tensor& tensor) {
    const bool needed = (a.requires_grad() && by_a.*part) || (b.requires_grad() && by_b.*part);
    return Saved(name, needed ? tensor : Tensor());
  };
  return Variable::record(name, y, {a, b},
                          [a = kept(&BinaryRule::a, a.value()), b = kept(&BinaryRule::b, b.value()),
                           y = kept(&BinaryRule::y, y), by_a = by_a.gradient, by_b = by_b.gradient](
                              const Tensor& grad, const Needs& needs) -> std::vector<Tensor> {
                            return {needs[0] ? by_a(grad, a.get(), b.get(), y.get()) : Tensor(),
                                    needs[1] ? by_b(grad, a.get(), b.get(), y.get()) : Tensor()};
                          });
}

}  // namespace

#define EBB_RULE(gradient)                                                           \
  BinaryRule {                                                                       \
    []([[maybe_unused]] const Tensor& g, [[maybe_unused]] const Tensor& a,           \
       [[maybe_unused]] const Tensor& b,                                             \
       [[maybe_unused]] const Tensor& y) -> Tensor { return gradient; },             \
        mentions(#gradient, 'a'), mentions(#gradient, 'b'), mentions(#gradient, 'y') \
  }
#define EBB_DEFINE(name, value, by_a, by_b)                            \
  Variable name(const Variable& a, const Variable& b) {                \
    return binary(Binary::name, a, b, EBB_RULE(by_a), EBB_RULE(by_b)); \
  }
EBB_BINARY_LIST(EBB_DEFINE)
#undef EBB_DEFINE
#undef EBB_RULE

Variable add(const Variable& a, double b) {
  return Variable::record(
      "add", add(a.value(), b), {a},
      [](const Tensor& grad, const Needs&) -> std::vector<Tensor> { return {grad}; });
}

Variable mul(const Variable& a, double b) {
  return Variable::record(
      "mul", mul(a.value(), b), {a},
      [b](const Tensor& grad, const Needs&) -> std::vector<Tensor> { return {mul(grad, b)}; });
}

Variable where(const Tensor& condition, const Variable& a, const Variable& b) {
  return Variable::record("where", where(condition, a.value(), b.value()), {a, b},
                          [condition = Saved("where", condition)](
                              const Tensor& grad, const Needs& needs) -> std::vector<Tensor> {
                            return {needs[0] ? where(condition.get(), grad, 0) : Tensor(),
                                    needs[1] ? where(condition.get(), 0, grad) : Tensor()};
                          });
}

}  // namespace ebb
