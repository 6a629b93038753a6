// Operators at the sizes that U-Nets have.
#include <ebb/apps/bench/bench.h>
#include <ebb/tensor/cpu/gemm/openblas.h>
#include <ebb/tensor/ops/conv.h>
#include <ebb/tensor/ops/matmul.h>
#include <ebb/tensor/ops/norm.h>
#include <ebb/tensor/ops/optimizer_steps.h>
#include <ebb/tensor/ops/reduce.h>
#include <ebb/tensor/random/random.h>

namespace ebb::apps {
namespace {

using Work = std::function<void()>;

Tensor random(const Shape& shape) { return philox_normal(shape, {}); }
double elements(const Shape& shape) { return static_cast<double>(shape.numel()); }

struct ConvSizes {
  std::int64_t n, h, w, ci, co, kernel, stride = 1;
  bool transposed = false;  // then h, w are those of the small image and ci its channels
};
constexpr ConvSizes conv_sizes[] = {
    // 3x3
    {16, 64, 64, 64, 64, 3},
    {16, 64, 64, 64, 128, 3},
    {16, 64, 64, 128, 64, 3},
    {16, 32, 32, 64, 64, 3},
    {16, 32, 32, 128, 128, 3},
    {16, 32, 32, 256, 128, 3},
    {16, 16, 16, 128, 128, 3},
    {16, 16, 16, 256, 256, 3},
    {16, 8, 8, 256, 256, 3},
    {64, 14, 14, 32, 32, 3},
    {64, 7, 7, 64, 64, 3},
    // Thin
    {16, 64, 64, 3, 64, 3},
    {16, 64, 64, 64, 3, 3},
    {16, 64, 64, 1, 64, 3},
    {16, 32, 32, 128, 3, 3},
    // Down and up
    {16, 64, 64, 64, 64, 3, 2},
    {16, 32, 32, 128, 128, 3, 2},
    {16, 16, 16, 256, 256, 3, 2},
    {16, 32, 32, 64, 64, 4, 2, true},
    {16, 16, 16, 128, 128, 4, 2, true},
    {16, 8, 8, 256, 256, 4, 2, true},
    // Shortcuts
    {16, 64, 64, 64, 128, 1},
    {16, 32, 32, 256, 128, 1},
    {16, 16, 16, 512, 256, 1},
};

void add_convolution(std::vector<BenchCase>& cases, const ConvSizes& s) {
  const std::int64_t pad = s.kernel == 1 ? 0 : 1;
  const Conv2dOptions options{.stride = {s.stride, s.stride}, .padding = {pad, pad}};
  const Shape x{s.n, s.h, s.w, s.ci};
  const auto out = [&](std::int64_t size) {
    return s.transposed ? (size - 1) * s.stride - 2 * pad + s.kernel
                        : (size + 2 * pad - s.kernel) / s.stride + 1;
  };
  const Shape y{s.n, out(s.h), out(s.w), s.co};
  const Shape weight =
      s.transposed ? Shape{s.ci, s.co, s.kernel, s.kernel} : Shape{s.co, s.ci, s.kernel, s.kernel};
  const Pair kernel{s.kernel, s.kernel};
  const std::string name =
      fmt::format("conv{} {}x{} s{} {}x{}x{}x{} to {}", s.transposed ? " transposed" : "", s.kernel,
                  s.kernel, s.stride, s.n, s.h, s.w, s.ci, s.co);
  const auto add = [&](const char* pass, std::function<Work()> prepare) {
    cases.push_back(
        {fmt::format("{} {}", name, pass),
         {{"op", "conv"},
          {"pass", pass},
          {"x", x.vector()},
          {"weight", weight.vector()},
          {"y", y.vector()},
          {"stride", s.stride},
          {"padding", pad},
          {"transposed", s.transposed}},
         2 * elements(weight) *
             static_cast<double>(s.transposed ? x[0] * x[1] * x[2] : y[0] * y[1] * y[2]),
         4 * (elements(x) + elements(y) + elements(weight)),
         std::move(prepare)});
  };
  add("forward", [=] {
    return Work([=, a = random(x), w = random(weight), b = random({s.co})] {
      s.transposed ? conv_transpose2d(a, w, b, options) : conv2d(a, w, b, options);
    });
  });
  add("backward-data", [=] {
    return Work([=, g = random(y), w = random(weight)] {
      s.transposed ? conv_transpose2d_backward_data(g, w, options)
                   : conv2d_backward_data(g, w, s.h, s.w, options);
    });
  });
  add("backward-weights", [=] {
    return Work([=, g = random(y), a = random(x)] {
      s.transposed ? conv_transpose2d_backward_weights(g, a, kernel, options)
                   : conv2d_backward_weights(g, a, kernel, options);
    });
  });
}

struct AttentionSizes {
  std::int64_t heads, tokens, width;  // batch times heads
};
constexpr AttentionSizes attention_sizes[] = {
    {64, 49, 64}, {32, 256, 64}, {16, 256, 256}, {16, 1024, 64}, {8, 4096, 40}};

void add_attention(std::vector<BenchCase>& cases, const AttentionSizes& s) {
  const Shape shape{s.heads, s.tokens, s.width};
  const auto add = [&](const char* pass, int products, int tensors, std::function<Work()> prepare) {
    cases.push_back({fmt::format("attention {}x{}x{} {}", s.heads, s.tokens, s.width, pass),
                     {{"op", "attention"}, {"pass", pass}, {"x", shape.vector()}},
                     products * 2 * elements(shape) * static_cast<double>(s.tokens),
                     tensors * 4 * elements(shape),
                     std::move(prepare)});
  };
  add("forward", 2, 4, [=] {
    return Work([q = random(shape), k = random(shape), v = random(shape)] {
      scaled_dot_product_attention(q, k, v);
    });
  });
  add("backward", 5, 8, [=] {
    const Tensor q = random(shape), k = random(shape), v = random(shape);
    return Work([=, g = random(shape), y = scaled_dot_product_attention(q, k, v)] {
      scaled_dot_product_attention_backward(g, q, k, v, y);
    });
  });
}

struct GemmSizes {
  std::int64_t m, k, n;
};
constexpr GemmSizes gemm_sizes[] = {{64, 1156, 128},    {256, 256, 256},  {512, 512, 512},
                                    {1024, 1024, 1024}, {4096, 320, 320}, {16384, 64, 128}};

void add_gemm(std::vector<BenchCase>& cases, const GemmSizes& s) {
  const std::int64_t m = s.m, k = s.k, n = s.n;
  const Shape a{m, k}, b{k, n}, c{m, n};
  const auto add = [&](const char* kind, std::function<Work()> prepare) {
    cases.push_back({fmt::format("{} {}x{}x{}", kind, m, k, n),
                     {{"op", "gemm"}, {"a", a.vector()}, {"b", b.vector()}},
                     2 * elements(a) * static_cast<double>(n),
                     4 * (elements(a) + elements(b) + elements(c)),
                     std::move(prepare)});
  };
  add("gemm", [=] { return Work([x = random(a), y = random(b)] { matmul(x, y); }); });
  add("OpenBLAS", [=] {
    return Work([=, x = random(a), y = random(b), z = Tensor::empty(c)]() mutable {
      cpu::openblas_gemm(m, n, k, x.data<float>(), y.data<float>(), z.mutable_data<float>());
    });
  });
}

void add_norm(std::vector<BenchCase>& cases, const Shape& x) {
  constexpr std::int64_t groups = 8;
  const Shape channels{x[3]};
  const auto add = [&](const char* pass, int tensors, std::function<Work()> prepare) {
    cases.push_back({fmt::format("group norm silu {} {}", fmt::join(x.vector(), "x"), pass),
                     {{"op", "group_norm"}, {"pass", pass}, {"x", x.vector()}, {"groups", groups}},
                     0,
                     tensors * 4 * elements(x),
                     std::move(prepare)});
  };
  add("forward", 2, [=] {
    return Work([=, a = random(x), w = random(channels), b = random(channels)] {
      group_norm(a, groups, w, b, 1e-5, true);
    });
  });
  add("backward", 3, [=] {
    const Tensor a = random(x), w = random(channels), b = random(channels);
    const Normalized y = group_norm(a, groups, w, b, 1e-5, true);
    return Work(
        [=, g = random(x)] { group_norm_backward(g, a, groups, w, b, y.mean, y.rstd, true); });
  });
}

void add_softmax(std::vector<BenchCase>& cases, const Shape& x) {
  cases.push_back({fmt::format("softmax {}", fmt::join(x.vector(), "x")),
                   {{"op", "softmax"}, {"x", x.vector()}},
                   0,
                   2 * 4 * elements(x),
                   [=] { return Work([a = random(x)] { softmax(a, -1); }); }});
}

void add_adam(std::vector<BenchCase>& cases, std::int64_t count) {
  const Shape shape{count};
  cases.push_back(
      {fmt::format("Adam {}", count),
       {{"op", "adam"}, {"x", shape.vector()}},
       0,
       7 * 4 * elements(shape),
       [=] {
         std::vector<AdamSlot> slots{{.value = random(shape),
                                      .grad = random(shape),
                                      .m = Tensor::zeros(shape),
                                      .v = Tensor::zeros(shape),
                                      .v_max = {}}};
         return Work([slots]() mutable { adam_step(slots, {1e-3, 0.9, 0.999, 1e-8, 0, false}); });
       }});
}

}  // namespace

std::vector<BenchCase> bench_operators() {
  std::vector<BenchCase> cases;
  for (const ConvSizes& sizes : conv_sizes) add_convolution(cases, sizes);
  for (const AttentionSizes& sizes : attention_sizes) add_attention(cases, sizes);
  for (const GemmSizes& sizes : gemm_sizes) add_gemm(cases, sizes);
  for (const Shape& shape : {Shape{16, 64, 64, 64}, Shape{16, 16, 16, 256}, Shape{64, 14, 14, 32}})
    add_norm(cases, shape);
  for (const Shape& shape : {Shape{4096, 1024}, Shape{64, 10}}) add_softmax(cases, shape);
  for (const std::int64_t count : {1 << 20, 1 << 24}) add_adam(cases, count);
  return cases;
}

}  // namespace ebb::apps
