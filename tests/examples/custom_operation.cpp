// An operation of one's own: its value, its rule, and the check of the rule.
#include <ebb/ebb.h>

using namespace ebb;

// y = x |x|, dy/dx = 2 |x|.
Variable signed_square(const Variable& x) {
  const Tensor magnitude = abs(x.value());
  return Variable::record("signed_square", x.value() * magnitude, {x},
                          [kept = Saved("signed_square", magnitude)](
                              const Tensor& cotangent, const Needs&) -> std::vector<Tensor> {
                            return {cotangent * kept.get() * 2.0};
                          });
}

int main() {
  const Variable x(philox_normal({5}, {.seed = 1}, DType::float64), /*requires_grad=*/true);
  sum(signed_square(x)).backward();

  // Central differences, all elements at once: the operation is pointwise.
  constexpr double h = 1e-6;
  const NoGrad no_grad;
  const Tensor up = signed_square(x + h).value(), down = signed_square(x - h).value();
  const Tensor differences = (up - down) / (2 * h);
  fmt::print("x        {}\nrule     {}\nmeasured {}\n", x.value(), x.grad(), differences);
  return relative_error(x.grad(), differences) < 1e-8 ? 0 : 1;
}
