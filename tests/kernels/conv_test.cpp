// Every convolution against the plain loops in float64, on odd sizes.
#include <doctest/doctest.h>
#include <ebb/tensor/cpu/conv/conv_kernels.h>
#include <ebb/tensor/ops/conv.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/ops/reduce.h>
#include <ebb/tensor/reference/reference.h>
#include <ebb/tensor/threads.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "tests/worse.h"

using namespace ebb;

namespace {

Tensor numbers(const Shape& shape, unsigned seed) {
  std::mt19937 engine(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  for (float& value : values) value = uniform(engine);
  return Tensor::from(values, shape);
}

// The largest difference, in units of the reference's RMS.
double distance(const Tensor& got, const std::vector<double>& want) {
  const auto values = got.to_vector<double>();
  REQUIRE(values.size() == want.size());
  double worst = 0, squares = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double difference = std::abs(values[i] - want[i]);
    worst = test::worse_of(worst, difference);
    squares += want[i] * want[i];
  }
  return want.empty() ? 0 : worst / (std::sqrt(squares / static_cast<double>(want.size())) + 1e-30);
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() &&
         (a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
}

struct Case {
  std::int64_t n, h, w, ci, co;
  Pair kernel;
  Conv2dOptions options;
};

ConvGeometry geometry(const Case& c, const Tensor& x, const Tensor& y) {
  return {c.n,
          x.size(1),
          x.size(2),
          x.size(3),
          y.size(1),
          y.size(2),
          y.size(3),
          c.kernel,
          c.options.stride,
          c.options.padding,
          c.options.dilation,
          c.options.groups};
}

template <class T>
const T* pointer(const std::vector<T>& v) {
  return v.empty() ? nullptr : v.data();
}

void check_case(const Case& c, DType dtype, double tolerance) {
  INFO("n " << c.n << " h " << c.h << " w " << c.w << " ci " << c.ci << " co " << c.co << " kernel "
            << c.kernel[0] << "x" << c.kernel[1] << " stride " << c.options.stride[0] << ","
            << c.options.stride[1] << " padding " << c.options.padding[0] << ","
            << c.options.padding[1] << " dilation " << c.options.dilation[0] << " groups "
            << c.options.groups);
  const Tensor x = numbers({c.n, c.h, c.w, c.ci}, 1).to(dtype);
  const Tensor weight =
      numbers({c.co, c.ci / c.options.groups, c.kernel[0], c.kernel[1]}, 2).to(dtype);
  const Tensor bias = numbers({c.co}, 3).to(dtype);
  const auto xs = x.to_vector<double>(), ws = weight.to_vector<double>(),
             bs = bias.to_vector<double>();
  Conv2dOptions plain = c.options;
  plain.output_padding = {0, 0};
  for (Activation activation : {Activation::none, Activation::relu, Activation::silu}) {
    const Tensor y =
        conv2d(x, weight, activation == Activation::silu ? Tensor() : bias, plain, activation);
    std::vector<double> want(y.numel());
    reference::conv_forward(geometry(c, x, y), pointer(xs), pointer(ws),
                            activation == Activation::silu ? nullptr : pointer(bs), activation,
                            want.data());
    CHECK(distance(y, want) <= tolerance);
  }
  const Tensor y = conv2d(x, weight, bias, plain);
  const ConvGeometry g = geometry(c, x, y);
  const Tensor dy = numbers(y.shape(), 4).to(dtype);
  const auto dys = dy.to_vector<double>();

  std::vector<double> want(x.numel());
  reference::conv_backward_data<double>(g, pointer(dys), pointer(ws), nullptr, Activation::none,
                                        want.data());
  CHECK(distance(conv2d_backward_data(dy, weight, c.h, c.w, plain), want) <= tolerance);

  const ConvWeightGradients gradients = conv2d_backward_weights(dy, x, c.kernel, plain);
  std::vector<double> want_weight(weight.numel()), want_bias(c.co);
  reference::conv_backward_weights<double>(g, pointer(dys), pointer(xs), want_weight.data());
  for (std::size_t i = 0; i < dys.size(); ++i) want_bias[i % want_bias.size()] += dys[i];
  CHECK(distance(gradients.weight, want_weight) <= tolerance);
  CHECK(distance(gradients.bias, want_bias) <= tolerance);

  // The transposed convolution from y's channels back to x's, with its own output size.
  const Tensor back_bias = numbers({c.ci}, 5).to(dtype);
  const auto back = back_bias.to_vector<double>();
  const Tensor z = conv_transpose2d(dy, weight, back_bias, c.options, Activation::relu);
  const ConvGeometry t = geometry(c, z, dy);
  std::vector<double> want_z(z.numel());
  reference::conv_backward_data(t, pointer(dys), pointer(ws), pointer(back), Activation::relu,
                                want_z.data());
  CHECK(distance(z, want_z) <= tolerance);
  const Tensor dz = numbers(z.shape(), 6).to(dtype);
  const auto dzs = dz.to_vector<double>();
  std::vector<double> want_dy(dy.numel());
  reference::conv_forward<double>(t, pointer(dzs), pointer(ws), nullptr, Activation::none,
                                  want_dy.data());
  CHECK(distance(conv_transpose2d_backward_data(dz, weight, c.options), want_dy) <= tolerance);
  const auto transposed = conv_transpose2d_backward_weights(dz, dy, c.kernel, c.options);
  reference::conv_backward_weights<double>(t, pointer(dys), pointer(dzs), want_weight.data());
  std::fill(want_bias.begin(), want_bias.end(), 0.0);
  want_bias.resize(c.ci);
  for (std::size_t i = 0; i < dzs.size(); ++i) want_bias[i % want_bias.size()] += dzs[i];
  CHECK(distance(transposed.weight, want_weight) <= tolerance);
  CHECK(distance(transposed.bias, want_bias) <= tolerance);
}

void check_case(const Case& c) {
  check_case(c, DType::float32, 2e-5);
  check_case(c, DType::float64, 1e-12);
}

}  // namespace

TEST_CASE("conv: sizes 1 to 17, channels and kernels of every kind") {
  for (std::int64_t size = 1; size <= 17; ++size)
    check_case({1 + size % 3,
                size,
                18 - size,
                1 + size * 5 % 19,
                1 + size * 7 % 17,
                {3, 3},
                {{1, 1}, {1, 1}}});
  for (std::int64_t channels : {1, 2, 3, 5, 8, 13, 16, 17, 31, 32, 33})
    check_case({2, 6, 7, channels, 34 - channels, {3, 3}, {{1, 1}, {1, 1}}});
  check_case({2, 9, 8, 5, 6, {1, 1}, {}});
  check_case({2, 9, 8, 33, 18, {1, 1}, {}});
  check_case({2, 9, 8, 5, 6, {1, 1}, {{2, 2}, {0, 0}}});
  check_case({1, 9, 8, 4, 7, {2, 5}, {{1, 1}, {0, 2}}});
  check_case({1, 11, 7, 3, 4, {7, 7}, {{1, 1}, {3, 3}}});
  check_case({3, 5, 5, 3, 2, {3, 3}, {{1, 1}, {0, 0}}});
  check_case({1, 4, 5, 3, 2, {3, 3}, {{1, 1}, {2, 3}}});
}

TEST_CASE("conv: few channels in wide rows, patches and rows that padding alone fills") {
  check_case({1, 3, 500, 3, 5, {3, 3}, {{1, 1}, {1, 1}}});
  check_case({2, 2, 301, 20, 3, {3, 3}, {{1, 1}, {1, 1}}});
  check_case({1, 24, 260, 17, 2, {3, 3}, {{1, 1}, {1, 1}}});
  check_case({2, 12, 16, 3, 40, {4, 4}, {{4, 4}, {0, 0}}});
  check_case({2, 5, 3, 2, 33, {1, 7}, {{1, 2}, {2, 3}}});
  check_case({1, 6, 4, 4, 18, {5, 3}, {{1, 1}, {4, 2}}});
}

TEST_CASE("conv: past a fused relu") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const std::int64_t channels : {1, 3, 33}) {
      const Tensor grad = add(numbers({3, 29, 31, channels}, 1), 0.5).to(dtype);
      const Tensor y = relu(numbers(grad.shape(), 2).to(dtype));
      const ReluGradients kept = conv_relu_backward(grad, y);
      CHECK(kept.grad.to_vector<double>() ==
            unary_backward(Unary::relu, grad, y, y).to_vector<double>());  // -0 is 0
      CHECK(relative_error(kept.bias, sum(kept.grad, {0, 1, 2})) <=
            (dtype == DType::float32 ? 1e-6 : 1e-14));
      CHECK(same_bits(grad, add(numbers(grad.shape(), 1), 0.5).to(dtype)));
      // Memory that nobody else has is taken.
      Tensor own = grad.clone();
      const void* memory = own.raw();
      const ReluGradients taken = conv_relu_backward(std::move(own), y);
      CHECK(taken.grad.raw() == memory);
      CHECK(same_bits(taken.grad, kept.grad));
      CHECK(same_bits(taken.bias, kept.bias));
      for (int count : {1, 3}) {
        const int before = thread_count();
        set_thread_count(count);
        CHECK(same_bits(conv_relu_backward(grad, y).bias, kept.bias));
        set_thread_count(before);
      }
    }
}

TEST_CASE("conv: stride, dilation, groups, output padding") {
  check_case({2, 8, 8, 6, 10, {3, 3}, {{2, 2}, {1, 1}, {1, 1}, 1, {1, 1}}});
  check_case({2, 9, 7, 6, 10, {3, 3}, {{2, 2}, {1, 1}}});
  check_case({1, 8, 10, 6, 4, {4, 4}, {{2, 2}, {1, 1}}});
  check_case({1, 9, 11, 4, 6, {2, 3}, {{3, 2}, {1, 0}, {1, 1}, 2, {2, 1}}});
  check_case({1, 10, 13, 3, 5, {3, 3}, {{1, 1}, {2, 2}, {2, 2}}});
  check_case({1, 10, 13, 3, 5, {3, 2}, {{2, 3}, {2, 1}, {3, 2}}});
  check_case({1, 7, 7, 3, 5, {3, 3}, {{1, 1}, {1, 1}, {2, 2}, 1, {1, 1}}});
  check_case({2, 6, 6, 8, 8, {3, 3}, {{1, 1}, {1, 1}, {1, 1}, 8}});
  check_case({2, 6, 6, 8, 24, {3, 3}, {{1, 1}, {1, 1}, {1, 1}, 4}});
  check_case({1, 5, 4, 2, 3, {1, 1}, {{3, 5}, {0, 0}}});
}

TEST_CASE("conv: nothing to compute") {
  const Tensor weight = numbers({5, 3, 3, 3}, 1), bias = numbers({5}, 2);
  CHECK(conv2d(Tensor::zeros({0, 8, 8, 3}), weight, bias).shape() == Shape{0, 6, 6, 5});
  const Tensor y = conv2d(Tensor::zeros({1, 4, 4, 0}), Tensor::zeros({5, 0, 3, 3}), bias);
  CHECK(y.to_vector<float>()[7] == bias.to_vector<float>()[2]);
  const auto gradients =
      conv2d_backward_weights(Tensor::zeros({0, 6, 6, 5}), Tensor::zeros({0, 8, 8, 3}), {3, 3});
  for (float value : gradients.weight.to_vector<float>()) CHECK(value == 0);
  for (float value : gradients.bias.to_vector<float>()) CHECK(value == 0);
  const Tensor none = Tensor::zeros({2, 6, 6, 0}), image = Tensor::zeros({2, 8, 8, 3});
  CHECK(conv2d_backward_weights(none, image, {3, 3}).bias.shape() == Shape{0});
  CHECK(conv_relu_backward(none, none).bias.shape() == Shape{0});
}

TEST_CASE("conv: a sample's bits depend neither on its batch nor on the threads") {
  const int threads = thread_count();
  for (const auto& [size, ci, co, side, stride] :
       std::vector<std::array<std::int64_t, 5>>{{32, 32, 48, 3, 1},
                                                {13, 16, 64, 3, 1},
                                                {16, 3, 64, 3, 1},
                                                {16, 64, 3, 3, 1},
                                                {16, 32, 32, 3, 2},
                                                {14, 40, 24, 1, 1}}) {
    const Tensor weight = numbers({co, ci, side, side}, 1), bias = numbers({co}, 2);
    const Conv2dOptions options{{stride, stride}, {side / 2, side / 2}};
    const Tensor x = numbers({5, size, size, ci}, 3);
    const Tensor y = conv2d(x, weight, bias, options, Activation::relu);
    const Tensor dx = conv2d_backward_data(y, weight, size, size, options);
    const auto dw = conv2d_backward_weights(y, x, {side, side}, options);
    for (int count : {1, 2, 3}) {
      set_thread_count(count);
      CHECK(same_bits(conv2d(x, weight, bias, options, Activation::relu), y));
      CHECK(same_bits(conv2d_backward_data(y, weight, size, size, options), dx));
      const auto again = conv2d_backward_weights(y, x, {side, side}, options);
      CHECK(same_bits(again.weight, dw.weight));
      CHECK(same_bits(again.bias, dw.bias));
    }
    set_thread_count(threads);
    const std::size_t image = x.bytes() / 5, result = y.bytes() / 5;
    for (std::int64_t n : {0, 3}) {
      const Tensor one = Tensor::from_bytes(static_cast<const char*>(x.raw()) + n * image, image,
                                            {1, size, size, ci}, DType::float32);
      const Tensor single = conv2d(one, weight, bias, options, Activation::relu);
      CHECK(std::memcmp(single.raw(), static_cast<const char*>(y.raw()) + n * result, result) == 0);
      const Tensor single_dx = conv2d_backward_data(single, weight, size, size, options);
      CHECK(std::memcmp(single_dx.raw(), static_cast<const char*>(dx.raw()) + n * image, image) ==
            0);
    }
  }
}

TEST_CASE("conv: exact convolutions are direct sums") {
  const Tensor x = numbers({1, 12, 12, 32}, 1), weight = numbers({32, 32, 3, 3}, 2);
  const Conv2dOptions options{{1, 1}, {1, 1}};
  const bool before = exact_convolutions();
  set_exact_convolutions(false);
  const Tensor fast = conv2d(x, weight, Tensor(), options);
  set_exact_convolutions(true);
  CHECK(exact_convolutions());
  const Tensor exact = conv2d(x, weight, Tensor(), options);
  set_exact_convolutions(before);
  CHECK_FALSE(same_bits(exact, fast));
  const auto xs = x.to_vector<double>(), ws = weight.to_vector<double>();
  std::vector<double> want(exact.numel());
  const Case c{1, 12, 12, 32, 32, {3, 3}, options};
  reference::conv_forward<double>(geometry(c, x, exact), xs.data(), ws.data(), nullptr,
                                  Activation::none, want.data());
  CHECK(distance(exact, want) <= 3e-6);
  CHECK(distance(fast, want) <= 2e-5);
}

TEST_CASE("conv: bad input is one clear line") {
  const Tensor x = Tensor::zeros({1, 8, 8, 3}), weight = Tensor::zeros({5, 3, 3, 3});
  const auto message = [](auto&& call) {
    try {
      call();
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  CHECK(message([&] {
          conv2d(x, Tensor::zeros({5, 4, 3, 3}), Tensor());
        }).find("wants 4 channels") != std::string::npos);
  CHECK(message([&] { conv2d(x, weight, Tensor::zeros({4})); }).find("bias has shape") !=
        std::string::npos);
  CHECK(message([&] {
          conv2d(Tensor::zeros({1, 2, 8, 3}), weight, Tensor());
        }).find("smaller") != std::string::npos);
  CHECK(message([&] {
          conv2d(x, weight, Tensor(), {{0, 1}});
        }).find("stride is 0") != std::string::npos);
  CHECK(message([&] {
          conv2d(x, weight, Tensor(), {{1, 1}, {0, 0}, {1, 1}, 2});
        }).find("groups 2") != std::string::npos);
  CHECK(message([&] { conv2d(Tensor(), weight, Tensor()); }) != "no error");
  CHECK(message([&] { conv2d(x, weight.to(DType::float64), Tensor()); }) != "no error");
  CHECK(message([&] {
          conv2d_backward_data(Tensor::zeros({1, 5, 6, 5}), weight, 8, 8);
        }).find("gives (1, 6, 6, 5)") != std::string::npos);
  CHECK(message([&] {
          conv_transpose2d(x, Tensor::zeros({3, 2, 3, 3}), Tensor(),
                           {{1, 1}, {0, 0}, {1, 1}, 1, {1, 1}});
        }).find("output_padding is 1") != std::string::npos);
}
