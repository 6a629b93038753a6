// The engine: what it sums, what it frees, and what it refuses.
#include <doctest/doctest.h>
#include <ebb/autograd/ops.h>
#include <ebb/tensor/random/random.h>
#include <ebb/tensor/threads.h>

namespace ebb::test {
namespace {

Variable leaf(const std::vector<double>& values) {
  return Variable(Tensor::from(values), /*requires_grad=*/true);
}
std::vector<double> grad(const Variable& x) { return x.grad().to_vector<double>(); }
using Values = std::vector<double>;

// The message of the Error that `f` throws.
template <class F>
std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}
bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a gradient flows through every use of a variable") {
  const Variable x = leaf({3});
  SUBCASE("one operation, twice the same input") {
    mul(x, x).backward();
    CHECK(grad(x) == Values{6});
  }
  SUBCASE("diamond") {
    const Variable a = x * 2.0, b = square(x);
    (a * b).backward();  // 2 x^3
    CHECK(grad(x) == Values{54});
  }
  SUBCASE("a shared subexpression counts once for each use") {
    const Variable s = square(x);
    (s + s * s + s * x).backward();  // x^2 + x^4 + x^3
    CHECK(grad(x) == Values{6 + 108 + 27});
  }
  SUBCASE("a ladder has 2^60 paths and 60 nodes") {
    Variable y = x;
    for (int i = 0; i < 60; ++i) y = y + y;
    y.backward();
    CHECK(grad(x) == Values{std::ldexp(1.0, 60)});
  }
  SUBCASE("a use made late reaches a node made early") {
    const Variable early = square(x);
    const Variable late = exp(x * 0.0) * early;
    (early + late).backward();
    CHECK(grad(x) == Values{12});
  }
}

TEST_CASE("broadcast inputs get gradients of their own shape") {
  const Variable row = leaf({1, 2, 3});
  const Variable column(Tensor::from(Values{1, 10}, {2, 1}), true);
  const Variable number(Tensor::scalar(5, DType::float64), true);
  sum(row * column + number).backward();
  CHECK(row.grad().shape() == Shape{3});
  CHECK(column.grad().shape() == Shape{2, 1});
  CHECK(number.grad().shape() == Shape{});
  CHECK(grad(row) == Values{11, 11, 11});
  CHECK(grad(column) == Values{6, 6});
  CHECK(number.grad().item() == 6);
}

TEST_CASE("leaves accumulate over backwards until they are zeroed") {
  Variable x = leaf({1, 2});
  sum(x * 3.0).backward();
  sum(square(x)).backward();
  CHECK(grad(x) == Values{5, 7});
  x.zero_grad();
  CHECK_FALSE(x.grad().defined());
  sum(x).backward();
  CHECK(grad(x) == Values{1, 1});
}

TEST_CASE("gradients of different leaves share no memory") {
  const Variable a = leaf({1}), b = leaf({1});
  const Tensor cotangent = Tensor::from(Values{2});
  add(a, b).backward(cotangent);
  sum(a * 5.0).backward();
  CHECK(grad(a) == Values{7});
  CHECK(grad(b) == Values{2});
  CHECK(cotangent.item() == 2);
}

TEST_CASE("a cotangent replaces the implicit one") {
  const Variable x = leaf({1, 2, 3});
  square(x).backward(Tensor::from(Values{1, 0, -1}));
  CHECK(grad(x) == Values{2, 0, -6});
  const Variable y = square(x);
  CHECK(contains(error_of([&] { y.backward(); }), "(3,)"));
  CHECK(contains(error_of([&] { y.backward(Tensor::ones({2}, DType::float64)); }), "(2,)"));
}

TEST_CASE("recording stops where nobody wants a gradient") {
  const Variable x = leaf({2});
  SUBCASE("inputs without gradients") {
    const Variable y = square(Variable(Tensor::from(Values{2})));
    CHECK_FALSE(y.requires_grad());
    CHECK(contains(error_of([&] { y.backward(); }), "backward"));
  }
  SUBCASE("under NoGrad, and again after it") {
    {
      const NoGrad guard;
      CHECK_FALSE(square(x).requires_grad());
      {
        const GradMode on(true);
        CHECK(square(x).requires_grad());
      }
      CHECK_FALSE(grad_enabled());
    }
    CHECK(square(x).requires_grad());
  }
  SUBCASE("NoGrad ends with an exception") {
    CHECK(contains(error_of([&] {
                     const NoGrad guard;
                     fail("out");
                   }),
                   "out"));
    CHECK(grad_enabled());
  }
  SUBCASE("past detach") {
    const Variable y = square(x);
    (y.detach() * y).backward();
    CHECK(grad(x) == Values{16});
    CHECK(y.detach().is_leaf());
  }
}

TEST_CASE("backward frees the graph") {
  const Variable x = leaf({3});
  const Variable y = square(x);
  const Variable z = y * 2.0;
  SUBCASE("a second backward is an error that says so") {
    z.backward();
    const std::string error = error_of([&] { z.backward(); });
    CHECK(contains(error, "mul"));
    CHECK(contains(error, "retain_graph"));
    CHECK(contains(error_of([&] { (y + 1.0).backward(); }), "retain_graph"));
    CHECK(grad(x) == Values{12});
  }
  SUBCASE("unless it is retained") {
    z.backward({}, /*retain_graph=*/true);
    z.backward();
    CHECK(grad(x) == Values{24});
  }
}

TEST_CASE("a saved value that changed in place is an error") {
  const Variable x = leaf({3});
  Variable y = square(x);
  SUBCASE("the input") {
    Tensor value = x.value();
    value.fill_(4);
  }
  SUBCASE("through memory") {
    Tensor value = x.value();
    value.mutable_data<double>()[0] = 4;
  }
  SUBCASE("the output") {
    y = exp(x);
    Tensor value = y.value();
    mul_(value, 2);
  }
  SUBCASE("a reshaped alias") {
    Tensor value = x.value().reshape({1, 1});
    value.fill_(4);
  }
  const std::string error = error_of([&] { y.backward(); });
  CHECK(contains(error, "in place"));
  CHECK((contains(error, "square") || contains(error, "exp")));
  CHECK_FALSE(x.grad().defined());
}

TEST_CASE("changing what no rule saved is allowed") {
  const Variable x = leaf({3});
  const Variable y = x + 1.0;
  Tensor value = x.value();
  value.fill_(4);
  y.backward();
  CHECK(grad(x) == Values{1});
}

TEST_CASE("a chain of a million operations") {
  const Variable x = leaf({1});
  Variable y = x;
  for (int i = 0; i < 1'000'000; ++i) y = add(y, 1);
  SUBCASE("runs backward") {
    y.backward();
    CHECK(grad(x) == Values{1});
  }
  SUBCASE("is freed unused") { y = Variable(); }
}

TEST_CASE("a graph gives back its memory") {
  const auto live = [] { return storage_statistics(Device::cpu).bytes_live; };
  Variable x(Tensor::ones({1000}, DType::float64), true);
  const std::size_t before = live();
  {
    const Variable loss = sum(square(exp(x) * x));
    CHECK(live() > before);
    SUBCASE("before it goes out of scope, once backward has run") {
      loss.backward();
      x.zero_grad();
      CHECK(live() <= before + 64);
    }
    SUBCASE("without a backward") {}
  }
  CHECK(live() == before);
}

TEST_CASE("leaves alone can be told to need gradients") {
  Variable x = leaf({1});
  Variable y = square(x);
  CHECK_THROWS_AS(y.set_requires_grad(false), Error);
  CHECK_THROWS_AS(y.set_value(Tensor::from(Values{1})), Error);
  CHECK_THROWS_AS(Variable(Tensor::arange(3), true), Error);
  CHECK_THROWS_AS(Variable().value(), Error);
  CHECK_THROWS_AS(x.set_grad(Tensor::ones({2}, DType::float64)), Error);
  x.set_requires_grad(false);
  CHECK_FALSE(square(x).requires_grad());
}

TEST_CASE("the gradients of a large step have the same bits for any number of threads") {
  PhiloxGenerator generator(7);
  const Variable image = generator.randn({3, 33, 31, 8});
  std::vector<Variable> weights;
  for (const Shape& shape : {Shape{32, 8, 3, 3}, Shape{32}, Shape{32}, Shape{32},
                             Shape{32, 8, 2, 2}, Shape{16, 8}, Shape{16}})
    weights.emplace_back(generator.randn(shape), true);
  const auto gradients = [&](int threads) {
    set_thread_count(threads);
    Variable h = conv2d(image, weights[0], weights[1], {{1, 1}, {1, 1}}, Activation::relu);
    h = group_norm(h, 4, weights[2], weights[3], 1e-5, true);
    h = conv_transpose2d(h, weights[4], {}, {{2, 2}});
    h = linear(h, weights[5], weights[6]);
    h = scaled_dot_product_attention(h, h, h);
    mse_loss(softmax(h, 1), Tensor::zeros(h.shape())).backward();
    std::vector<std::vector<float>> result;
    for (Variable& weight : weights) {
      result.push_back(weight.grad().to_vector<float>());
      weight.zero_grad();
    }
    return result;
  };
  const int before = thread_count();
  const auto one = gradients(1);
  CHECK(gradients(2) == one);
  CHECK(gradients(3) == one);
  set_thread_count(before);
}

}  // namespace ebb::test
