// Gradients by chosen inputs, observers, and graphs that are computed twice.
#include <doctest/doctest.h>
#include <ebb/autograd/ops.h>
#include <ebb/tensor/random/random.h>

#include <string>

using namespace ebb;

namespace {

Tensor normal(const Shape& shape, std::uint64_t seed) {
  return philox_normal(shape, {seed}, DType::float64);
}

std::vector<double> values(const Tensor& x) { return x.to_vector<double>(); }

}  // namespace

TEST_CASE("grad: by leaves and by results, and nothing else is touched") {
  const Variable x(normal({3}, 1), true), w(normal({3}, 2), true), other(normal({3}, 3), true);
  const Variable middle = x * w, y = sum(square(middle) + other);
  const std::vector<Tensor> by = grad({y}, {x, middle, y}, {}, /*retain_graph=*/true);
  const Tensor by_middle = middle.value() * 2.0;
  CHECK(values(by[0]) == values(by_middle * w.value()));
  CHECK(values(by[1]) == values(by_middle));
  CHECK(by[2].item() == 1);
  CHECK_FALSE(x.grad().defined());
  CHECK_FALSE(w.grad().defined());
  y.backward();
  CHECK(values(x.grad()) == values(by[0]));
}

TEST_CASE("grad: several outputs with cotangents, inputs named twice, a leaf as output") {
  const Variable x(normal({2, 3}, 1), true);
  const Tensor g = normal({2, 3}, 4);
  const std::vector<Tensor> by = grad({x * 2.0, sum(x, {1})}, {x, x}, {g, Tensor::ones({2})});
  CHECK(relative_error(by[0], g * 2.0 + 1.0) < 1e-15);
  CHECK(values(by[1]) == values(by[0]));
  CHECK(values(grad({x}, {x}, {g})[0]) == values(g));
}

TEST_CASE("grad: what nobody asked for is not computed") {
  const Variable x(normal({3}, 1), true), w(normal({3}, 2), true);
  bool asked = false;
  const Variable wide =
      Variable::record("costly", w.value(), {w}, [&](const Tensor& cotangent, const Needs&) {
        asked = true;
        return std::vector<Tensor>{cotangent};
      });
  grad({sum(x * wide)}, {x});
  CHECK_FALSE(asked);
  sum(x * wide).backward();
  CHECK(asked);
}

TEST_CASE("grad: errors") {
  const Variable x(normal({3}, 1), true), w(normal({3}, 2), true), plain(normal({3}, 2));
  CHECK_THROWS_WITH(grad({sum(x)}, {w}), doctest::Contains("no output depends on input 0"));
  CHECK_THROWS_WITH(grad({x * 2.0}, {x}), doctest::Contains("give the cotangent"));
  CHECK_THROWS_WITH(grad({sum(x)}, {Variable()}), doctest::Contains("a variable is undefined"));
  CHECK_THROWS_WITH(grad({Variable()}, {x}), doctest::Contains("a variable is undefined"));
  const std::vector<Tensor> both = grad({sum(x + w)}, {x, w});
  CHECK_FALSE(both[0].shares_memory(both[1]));
  CHECK_THROWS_WITH(grad({sum(plain)}, {x}), doctest::Contains("needs no gradient"));
  CHECK_THROWS_WITH(grad({sum(x)}, {x}, {Tensor::ones({}), Tensor::ones({})}),
                    doctest::Contains("2 cotangents for 1 outputs"));
  const Variable y = sum(exp(x));
  grad({y}, {x});
  CHECK_THROWS_WITH(grad({y}, {x}), doctest::Contains("freed by an earlier backward"));
}

TEST_CASE("an observer sees every operation of this thread's backward, newest first") {
  const Variable x(normal({3}, 1), true);
  std::string seen;
  {
    const BackwardObserver observer([&](std::string_view operation, const Tensor& cotangent,
                                        const std::vector<Tensor>& gradients) {
      seen += fmt::format("{}{}:{} ", operation, cotangent.shape(), gradients.size());
    });
    sum(exp(x) * x).backward();
  }
  CHECK(seen == "sum():1 mul(3,):2 exp(3,):1 ");
  sum(exp(x)).backward();
  CHECK(seen.size() == std::string("sum():1 mul(3,):2 exp(3,):1 ").size());
}

TEST_CASE("checkpoint: the same value and gradients, of the parameters inside too") {
  const Variable w(normal({3, 3}, 2), true);
  int runs = 0;
  const auto block = [&](const std::vector<Variable>& in) {
    ++runs;
    return tanh(matmul(in[0], w)) * in[1];
  };
  for (const bool input_needs_it : {true, false}) {
    const Variable x(normal({2, 3}, 1), input_needs_it), scale(normal({3}, 5), input_needs_it);
    Variable(w).zero_grad();
    sum(square(block({x, scale}))).backward();
    const Tensor by_x = x.grad(), by_w = w.grad().clone();
    Variable(x).zero_grad();
    Variable(scale).zero_grad();
    Variable(w).zero_grad();
    runs = 0;
    const Variable y = checkpoint(block, {x, scale});
    CHECK(values(y.value()) == values(block({x, scale}).value()));
    CHECK(runs == 2);
    sum(square(y)).backward();
    CHECK(runs == 3);
    CHECK(values(w.grad()) == values(by_w));
    if (input_needs_it) CHECK(values(x.grad()) == values(by_x));
    CHECK(x.grad().defined() == input_needs_it);
  }
  const NoGrad no_grad;
  CHECK_FALSE(checkpoint(block, {normal({2, 3}, 1), normal({3}, 5)}).requires_grad());
}
