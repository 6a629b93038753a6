// One special value (NaN, an infinity, the largest number) in one operand of a kernel, against the
// plain loops: NaNs and infinities in the same places, everything else as close as it ever is.
#include <doctest/doctest.h>
#include <ebb/tensor/cpu/attention/attention_kernels.h>
#include <ebb/tensor/cpu/conv/conv_kernels.h>
#include <ebb/tensor/cpu/gemm/gemm.h>
#include <ebb/tensor/cpu/norm/group_norm.h>
#include <ebb/tensor/ops/conv.h>
#include <ebb/tensor/ops/operands.h>
#include <ebb/tensor/reference/reference.h>

#include <bit>
#include <cmath>
#include <functional>
#include <vector>

#include "tests/alike.h"
#include "tests/capture.h"
#include "tests/kernels/plain_product.h"
#include "tests/tensor/numbers.h"

namespace ebb {
namespace {

const double specials[] = {std::bit_cast<float>(0x7f800001u), -NAN, INFINITY, -INFINITY};

Tensor with(const Tensor& x, std::int64_t place, double value) {
  std::vector<double> all = values(x);
  all[static_cast<std::size_t>(place)] = value;
  return Tensor::from(all, x.shape()).to(x.dtype());
}

// Places of a tensor of n elements: both ends and some between.
std::vector<std::int64_t> places(std::int64_t n) {
  std::vector<std::int64_t> result{0};
  for (const std::int64_t place : {n / 3, 2 * n / 3 + 1, n - 1})
    if (place > result.back() && place < n) result.push_back(place);
  return result;
}

// Within `tolerance` of the largest of `want`.
void check_alike(const Tensor& got, const Tensor& want, double tolerance) {
  double largest = 0;
  for (const double value : values(want))
    if (std::isfinite(value) && std::abs(value) > largest) largest = std::abs(value);
  test::check_alike(got, want, [=](double) { return tolerance * largest; });
}

// Calls check(operands, i) for the operands as they are but for one special value in operand i.
void for_specials(const std::vector<Tensor>& operands,
                  const std::function<void(const std::vector<Tensor>&, std::size_t)>& check) {
  for (std::size_t i = 0; i < operands.size(); ++i)
    for (const std::int64_t place : places(operands[i].numel()))
      for (const double value : specials) {
        INFO("operand " << i << " place " << place << " value " << value);
        std::vector<Tensor> changed = operands;
        changed[i] = with(operands[i], place, value);
        check(changed, i);
      }
}

template <class T>
const T* data(const Tensor& x) {
  return static_cast<const T*>(x.raw());
}
template <class T>
T* data(Tensor& x) {
  return static_cast<T*>(x.raw());
}

// A case for each way that convolutions are computed, without padding: where a kernel multiplies
// what lies outside by a weight, an infinite weight makes it a NaN.
struct Layer {
  std::int64_t ci, co;
  Pair kernel;
  Conv2dOptions options;
};
const Layer layers[] = {
    {5, 6, {3, 3}, {}},   {33, 18, {1, 1}, {}},          {24, 40, {3, 3}, {{2, 2}}},
    {3, 40, {3, 3}, {}},  {40, 3, {3, 3}, {}},           {16, 16, {3, 3}, {{1, 1}, {0, 0}, {2, 2}}},
    {32, 32, {3, 3}, {}}, {6, 9, {3, 2}, {.groups = 3}}, {16, 33, {4, 4}, {{4, 4}}},
};

template <class T>
void check_layer(const Layer& layer, Activation activation) {
  const DType dtype = sizeof(T) == 4 ? DType::float32 : DType::float64;
  const double tolerance = sizeof(T) == 4 ? 1e-5 : 1e-12;
  const Tensor x = numbers({2, 9, 8, layer.ci}, dtype);
  const Tensor w = numbers(
      {layer.co, layer.ci / layer.options.groups, layer.kernel[0], layer.kernel[1]}, dtype, 5);
  const Tensor bias = numbers({layer.co}, dtype, 9);
  const Tensor y = conv2d(x, w, bias, layer.options, activation);
  const ConvGeometry g{2,
                       9,
                       8,
                       layer.ci,
                       y.size(1),
                       y.size(2),
                       layer.co,
                       layer.kernel,
                       layer.options.stride,
                       layer.options.padding,
                       layer.options.dilation,
                       layer.options.groups};
  for_specials({x, w, bias}, [&](const std::vector<Tensor>& in, std::size_t) {
    Tensor want = empty_like(y);
    reference::conv_forward<T>(g, data<T>(in[0]), data<T>(in[1]), data<T>(in[2]), activation,
                               data<T>(want));
    check_alike(conv2d(in[0], in[1], in[2], layer.options, activation), want, tolerance);
  });
  if (activation != Activation::none) return;
  for_specials({x, w, numbers(y.shape(), dtype, 7)}, [&](const std::vector<Tensor>& in,
                                                         std::size_t changed) {
    const Tensor& dy = in[2];
    // Around a pixel lies what a kernel may multiply by an infinite weight too.
    if (changed == 2 || (changed == 1 && layer.kernel == Pair{1, 1})) {
      Tensor want = empty_like(x);
      reference::conv_backward_data<T>(g, data<T>(dy), data<T>(in[1]), nullptr, activation,
                                       data<T>(want));
      check_alike(conv2d_backward_data(dy, in[1], 9, 8, layer.options), want, tolerance);
    }
    // Few outputs' gradients are one product for all taps, some of which have nothing to do with x.
    if (changed == 2 || (changed == 0 && layer.co > 3)) {
      Tensor want = empty_like(w);
      reference::conv_backward_weights<T>(g, data<T>(dy), data<T>(in[0]), data<T>(want));
      check_alike(conv2d_backward_weights(dy, in[0], layer.kernel, layer.options).weight, want,
                  tolerance);
    }
  });
}

template <class T>
void check_product(std::int64_t m, std::int64_t n, std::int64_t k, Activation activation) {
  const DType dtype = sizeof(T) == 4 ? DType::float32 : DType::float64;
  for_specials({numbers({m, k}, dtype), numbers({k, n}, dtype, 5), numbers({n}, dtype, 9)},
               [&](const std::vector<Tensor>& in, std::size_t) {
                 const cpu::Matrix<T> a{data<T>(in[0]), k, 1}, b{data<T>(in[1]), n, 1};
                 const cpu::Epilogue<T> end{false, data<T>(in[2]), activation};
                 Tensor got = Tensor::empty({m, n}, dtype), want = empty_like(got);
                 cpu::gemm(m, n, k, a, b, data<T>(got), n, end);
                 test::plain_product(m, n, k, a, b, data<T>(want), n, end);
                 check_alike(got, want, sizeof(T) == 4 ? 1e-5 : 1e-12);
               });
}

TEST_CASE_TEMPLATE("special values in convolutions are those of the plain loops", T, float,
                   double) {
  set_exact_convolutions(true);
  for (const Layer& layer : layers)
    for (const Activation activation : {Activation::none, Activation::relu, Activation::silu}) {
      CAPTURE(layer.ci);
      CAPTURE(layer.co);
      CAPTURE(layer.kernel[0]);
      CAPTURE(int(activation));
      check_layer<T>(layer, activation);
    }
  set_exact_convolutions(false);
}

TEST_CASE_TEMPLATE("special values in products are those of the plain loops", T, float, double) {
  for (const Activation activation : {Activation::none, Activation::relu, Activation::silu})
    for (const auto& [m, n, k] : {std::array<std::int64_t, 3>{1, 1, 1},
                                  {3, 5, 7},
                                  {17, 33, 19},
                                  {29, 70, 40},
                                  {64, 32, 300}}) {
      CAPTURE_BINDING(m);
      CAPTURE(int(activation));
      check_product<T>(m, n, k, activation);
    }
}

TEST_CASE("a fused activation of large numbers is that of the plain loops") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const Activation activation : {Activation::relu, Activation::silu}) {
      const double huge = dtype == DType::float32 ? 3e38 : 1e308;
      const std::vector<double> xs{0,    -0.0,  1e-30, -1e-30, 87,  -87,  89,  -89,
                                   104,  -104,  710,   -710,   800, -800, 1e5, -1e5,
                                   1e30, -1e30, huge,  -huge,  1,   -1,   20};
      const auto n = static_cast<std::int64_t>(xs.size());
      const Tensor x = Tensor::from(xs, {1, 1, n, 1}).to(dtype);
      // By a 1x1, a 3x3 and a wide kernel, whose other weights are zero.
      for (const std::int64_t k : {1, 3})
        for (const std::int64_t channels : {1, 3, 32}) {
          Tensor w = Tensor::zeros({channels, 1, k, k}, dtype);
          for (std::int64_t c = 0; c < channels; ++c) w = with(w, c * k * k + k * k / 2, 1);
          const Tensor y = conv2d(x, w, {}, {.padding = {k / 2, k / 2}}, activation);
          const Tensor plain = activation == Activation::relu ? relu(x) : silu(x);
          const std::vector<double> got = values(y), want = values(plain);
          for (std::size_t i = 0; i < got.size(); ++i) {
            CAPTURE(xs[i / channels]);
            // Near the smallest numbers either may have become zero.
            const double right = want[i / channels],
                         smallest = dtype == DType::float32 ? 1e-36 : 1e-300;
            CHECK(std::abs(got[i] - right) <= 1e-5 * std::abs(right) + smallest);
          }
        }
    }
}

TEST_CASE("special values in attention are those of the plain loops") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const auto& [queries, keys, depth, width] :
         {std::array<std::int64_t, 4>{5, 7, 3, 4}, {33, 40, 16, 16}, {20, 300, 8, 17}}) {
      CAPTURE_BINDING(keys);
      const Tensor q = numbers({2, queries, depth}, dtype), k = numbers({2, keys, depth}, dtype, 7);
      const Tensor v = numbers({2, keys, width}, dtype, 11);
      const Tensor g = numbers({2, queries, width}, dtype, 13);
      const Tensor row = Tensor::empty({2, queries}, dtype);
      const double tolerance = dtype == DType::float32 ? 4e-6 : 1e-12;
      const auto rows = [](std::int64_t count, std::int64_t columns) {
        return HeadRows{0, 0, count * columns, columns};
      };
      const Heads heads{1,
                        2,
                        queries,
                        keys,
                        depth,
                        width,
                        0.4,
                        rows(queries, depth),
                        rows(keys, depth),
                        rows(keys, width),
                        rows(queries, width)};
      for_specials({q, k, v, g}, [&](const std::vector<Tensor>& in, std::size_t) {
        Attended fast{empty_like(g), empty_like(row), empty_like(row)},
            plain{empty_like(g), empty_like(row), empty_like(row)};
        cpu::attention(heads, in[0], in[1], in[2], fast);
        reference::attention(heads, in[0], in[1], in[2], plain);
        check_alike(fast.y, plain.y, tolerance);
        AttentionGradients by{empty_like(q), empty_like(k), empty_like(v)},
            want{empty_like(q), empty_like(k), empty_like(v)};
        cpu::attention_backward(heads, in[3], in[0], in[1], in[2], fast, by);
        reference::attention_backward(heads, in[3], in[0], in[1], in[2], plain, want);
        check_alike(by.q, want.q, 2 * tolerance);
        check_alike(by.k, want.k, 2 * tolerance);
        check_alike(by.v, want.v, tolerance);
      });
    }
}

TEST_CASE("special values in group_norm are those of the plain loops") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const Groups& groups : {Groups{2, 33, 1, 1}, Groups{3, 5, 96, 3}, Groups{2, 70, 17, 17}})
      for (const bool silu : {false, true}) {
        CAPTURE(groups.channels);
        CAPTURE(silu);
        const Shape shape{groups.samples, groups.positions, groups.channels};
        const Tensor x = numbers(shape, dtype), grad = numbers(shape, dtype, 31);
        const Tensor w = numbers({groups.channels}, dtype, 3);
        const Tensor b = numbers({groups.channels}, dtype, 5);
        const double tolerance = dtype == DType::float32 ? 4e-6 : 1e-12;
        const auto results = [&] {
          const Shape statistics{groups.samples, groups.groups};
          return Normalized{empty_like(x), Tensor::empty(statistics, dtype),
                            Tensor::empty(statistics, dtype)};
        };
        for_specials({x, w, b, grad}, [&](const std::vector<Tensor>& in, std::size_t changed) {
          // w (x - mean) / std + b is taken as x (w / std) + (b - mean w / std), as in PyTorch: an
          // infinite weight makes it a NaN or not, as the signs fall.
          if (changed == 1 && !all_finite(where(equal(in[1], in[1]), in[1], b))) return;

          Normalized fast = results(), plain = results();
          cpu::group_norm(in[0], groups, in[1], in[2], 1e-5, silu, fast);
          reference::group_norm(in[0], groups, in[1], in[2], 1e-5, silu, plain);
          check_alike(fast.y, plain.y, tolerance);
          NormGradients by{empty_like(x), empty_like(w), empty_like(b)},
              want{empty_like(x), empty_like(w), empty_like(b)};
          cpu::group_norm_backward(in[3], in[0], groups, in[1], in[2], plain.mean, plain.rstd, silu,
                                   by);
          reference::group_norm_backward(in[3], in[0], groups, in[1], in[2], plain.mean, plain.rstd,
                                         silu, want);
          check_alike(by.x, want.x, 2 * tolerance);
          check_alike(by.weight, want.weight, 4 * tolerance);
          check_alike(by.bias, want.bias, 4 * tolerance);
        });
      }
}

}  // namespace
}  // namespace ebb
