// A result's bits do not depend on the number of threads, nor a sample's on the batch it is in.
#include <doctest/doctest.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/matmul.h>
#include <ebb/tensor/ops/norm.h>
#include <ebb/tensor/ops/pool.h>
#include <ebb/tensor/ops/reduce.h>
#include <ebb/tensor/threads.h>

#include <cstring>
#include <functional>

#include "tests/tensor/numbers.h"

namespace ebb {
namespace {

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

struct Function {
  const char* name;
  std::function<Tensor(const Tensor&)> apply;
};

Tensor group_norm_gradient(const Tensor& x, std::int64_t groups) {
  const std::int64_t channels = x.size(-1);
  const Tensor w = numbers({channels}), b = numbers({channels}, DType::float32, 9);
  const Normalized n = group_norm(x, groups, w, b, 1e-5, true);
  return group_norm_backward(x, x, groups, w, b, n.mean, n.rstd, true).x;
}

// Of an image (N, 24, 20, 40).
const std::vector<Function> per_sample = {
    {"silu", [](const Tensor& x) { return silu(x); }},
    {"add row", [](const Tensor& x) { return add(x, numbers({40})); }},
    {"sum of a sample",
     [](const Tensor& x) {
       return sum(x, {1, 2, 3});
     }},
    {"sum of pixels",
     [](const Tensor& x) {
       return sum(x, {1, 2});
     }},
    {"sum of channels", [](const Tensor& x) { return sum(x, {3}); }},
    {"amax",
     [](const Tensor& x) {
       return amax(x, {1, 3});
     }},
    {"var",
     [](const Tensor& x) {
       return var(x, {1, 2, 3});
     }},
    {"cumsum", [](const Tensor& x) { return cumsum(x, 2); }},
    {"softmax of channels", [](const Tensor& x) { return softmax(x, 3); }},
    {"softmax of rows", [](const Tensor& x) { return log_softmax(x, 1); }},
    {"permute", [](const Tensor& x) { return nhwc_to_nchw(x); }},
    {"group_norm", [](const Tensor& x) { return group_norm(x, 8, {}, {}, 1e-5, true).y; }},
    {"group_norm_backward", [](const Tensor& x) { return group_norm_gradient(x, 5); }},
    {"layer_norm", [](const Tensor& x) { return layer_norm(x, {40}, {}, {}).y; }},
    {"linear",
     [](const Tensor& x) {
       return linear(x, numbers({17, 40}), numbers({17}));
     }},
    {"max_pool2d", [](const Tensor& x) { return max_pool2d(x); }},
    {"interpolate", [](const Tensor& x) { return interpolate(x, 31, 9, Interpolation::bilinear); }},
    {"attention",
     [](const Tensor& x) {
       const Tensor q = x.reshape({-1, 240, 80});
       return scaled_dot_product_attention(q, q, q).y.reshape(x.shape());
     }},
    {"attention_backward",
     [](const Tensor& x) {
       const Tensor q = x.reshape({-1, 240, 80});
       const Tensor k = mul(q, 2);
       const AttentionGradients g =
           scaled_dot_product_attention_backward(q, q, k, q, scaled_dot_product_attention(q, k, q));
       return cat({g.q, g.k, g.v}, 2).reshape({x.size(0), -1});
     }},
    {"self-attention",
     [](const Tensor& x) {
       const Tensor qkv = x.reshape({x.size(0), -1, 120});
       const Attended y = self_attention(qkv, 4);
       return cat({self_attention_backward(y.y, qkv, 4, y), y.y}, 2);
     }},
    {"cross-attention",
     [](const Tensor& x) {
       const Tensor q = x.reshape({x.size(0), -1, 40}), k = mul(q, 2);
       const Attended y = cross_attention(q, k, q, 4);
       const AttentionGradients g = cross_attention_backward(y.y, q, k, q, 4, y);
       return cat({g.q, g.k, g.v, y.y}, 2);
     }},
};

// Of everything at once.
const std::vector<Function> whole = {
    {"sum", [](const Tensor& x) { return sum(x); }},
    {"sum of the batch", [](const Tensor& x) { return sum(x, {0}); }},
    {"sum for a bias",
     [](const Tensor& x) {
       return sum(x, {0, 1, 2});
     }},
    {"batch_norm", [](const Tensor& x) { return batch_norm(x, {}, {}).y; }},
    {"group_norm's weight",
     [](const Tensor& x) {
       const Tensor w = numbers({40});
       const Normalized n = group_norm(x, 8, w, w);
       return group_norm_backward(x, x, 8, w, w, n.mean, n.rstd).weight;
     }},
    {"rows added by index",
     [](const Tensor& x) {
       const Tensor i = Tensor::arange(x.numel() / 40, DType::float64);
       const Tensor index = sub(i, mul(mul(i, 1.0 / 7).to(DType::int64).to(DType::float64), 7));
       return index_select_backward(x.reshape({-1, 40}), {7, 40}, 0,
                                    clamp(index, 0, 6).to(DType::int64));
     }},
};

class Threads {
 public:
  explicit Threads(int count) : before_(thread_count()) { set_thread_count(count); }
  ~Threads() { set_thread_count(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_;
};

TEST_CASE("bits do not depend on the number of threads") {
  const Tensor x = numbers({5, 24, 20, 40});
  for (const auto* list : {&per_sample, &whole})
    for (const Function& function : *list) {
      CAPTURE(function.name);
      std::vector<Tensor> results;
      for (const int count : {1, 2, 3}) {
        const Threads threads(count);
        results.push_back(function.apply(x));
      }
      CHECK(same_bits(results[0], results[1]));
      CHECK(same_bits(results[0], results[2]));
    }
}

TEST_CASE("a sample's bits do not depend on the batch") {
  const Tensor x = numbers({5, 24, 20, 40});
  for (const Function& function : per_sample) {
    CAPTURE(function.name);
    const Tensor all = function.apply(x);
    const std::int64_t part = all.size(0) / 5;
    for (const std::int64_t sample : {0, 3})
      CHECK(same_bits(function.apply(slice(x, 0, sample, sample + 1)),
                      slice(all, 0, sample * part, (sample + 1) * part)));
    CHECK(same_bits(function.apply(slice(x, 0, 1, 4)), slice(all, 0, part, 4 * part)));
  }
}

TEST_CASE("the same functions serve a device whose memory is out of reach") {
  const Tensor x = numbers({2, 24, 20, 40});
  for (const Function& function :
       {Function{"silu", [](const Tensor& t) { return silu(t); }},
        {"sum",
         [](const Tensor& t) {
           return sum(t, {1, 2});
         }},
        {"mean", [](const Tensor& t) { return mean(t); }},
        {"slice", [](const Tensor& t) { return slice(t, 1, 3, 9); }},
        {"group_norm", [](const Tensor& t) { return group_norm(t, 8, {}, {}, 1e-5, true).y; }},
        {"quantile", [](const Tensor& t) { return quantile(t, 0.3, 2); }},
        {"where", [](const Tensor& t) { return where(less(t, mul(t, 2)), t, neg(t)); }},
        {"index_select",
         [](const Tensor& t) { return index_select(t, 0, Tensor::arange(2).to(t.device())); }},
        {"matmul", [](const Tensor& t) { return matmul(t, transpose(t, 2, 3)); }},
        {"interpolate",
         [](const Tensor& t) { return interpolate(t, 48, 40, Interpolation::nearest); }}}) {
    CAPTURE(function.name);
    const Tensor y = function.apply(x.to(Device::test));
    CHECK(y.device() == Device::test);
    CHECK(same_bits(y.to(Device::cpu), function.apply(x)));
  }
  CHECK(relative_error(x.to(Device::test), x.to(Device::test)) == 0);
  CHECK(all_finite(x.to(Device::test)));
}

}  // namespace
}  // namespace ebb
