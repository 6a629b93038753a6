// Attention where scores are large or one key has all the weight, against the same in float64.
#include <doctest/doctest.h>
#include <ebb/autograd/ops.h>
#include <ebb/tensor/random/random.h>

#include <cmath>

using namespace ebb;

namespace {

struct Results {
  Tensor y, q, k, v;
};

Results attend(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& g, DType dtype) {
  const Variable a(q.to(dtype), true), b(k.to(dtype), true), c(v.to(dtype), true);
  const Variable y = scaled_dot_product_attention(a, b, c, 1.0);
  y.backward(g.to(dtype));
  return {y.value(), a.grad(), b.grad(), c.grad()};
}

}  // namespace

// Scores that float32 holds exactly (small integers times a power of two): what differs from
// float64 is the softmax and its gradient alone.
TEST_CASE("attention: scores of any size") {
  for (const double size : {0.25, 1.0, 32.0, 1024.0, 131072.0})
    for (const std::int64_t keys : {1, 2, 7, 49, 300, 600}) {
      CAPTURE(size);
      CAPTURE(keys);
      const std::int64_t queries = 19, depth = 8, width = 24;
      const Tensor q =
          mul(philox_integers({2, queries, depth}, -3, 4, {1}).to(DType::float64), size);
      const Tensor k = mul(philox_integers({2, keys, depth}, -3, 4, {2}).to(DType::float64), 0.125);
      const Tensor v = philox_normal({2, keys, width}, {3}),
                   g = philox_normal({2, queries, width}, {4});
      const Results got = attend(q, k, v, g, DType::float32),
                    want = attend(q, k, v, g, DType::float64);
      const auto error = [](const Tensor& a, const Tensor& b) {
        return relative_error(a.to(DType::float64), b);
      };
      CHECK(error(got.y, want.y) < 2e-6);
      CHECK(error(got.v, want.v) < 2e-6);
      if (keys == 1) {
        // The softmax of one score is constant: its gradient is 0, not a rounding error.
        for (const Tensor& gradient : {got.q, got.k, want.q, want.k})
          CHECK(amax(abs(gradient)).item() == 0);
      } else if (amax(abs(want.q)).item() > 1e-30) {
        CHECK(error(got.q, want.q) < 2e-5);
        CHECK(error(got.k, want.k) < 2e-5);
      }
    }
}

// Scores of a spread of 30: most rows have one key with nearly all the weight.
TEST_CASE("attention: saturated rows") {
  for (const std::int64_t keys : {5, 64, 300}) {
    CAPTURE(keys);
    const Tensor q = mul(philox_integers({2, 37, 16}, -8, 9, {7}).to(DType::float64), 0.25);
    const Tensor k = mul(philox_integers({2, keys, 16}, -8, 9, {8}).to(DType::float64), 0.75);
    const Tensor v = philox_normal({2, keys, 20}, {5}), g = philox_normal({2, 37, 20}, {6});
    const Results got = attend(q, k, v, g, DType::float32);
    const Results want = attend(q, k, v, g, DType::float64);
    CHECK(relative_error(got.y.to(DType::float64), want.y) < 2e-6);
    CHECK(relative_error(got.v.to(DType::float64), want.v) < 2e-6);
    CHECK(relative_error(got.k.to(DType::float64), want.k) < 2e-5);
    CHECK(relative_error(got.q.to(DType::float64), want.q) < 2e-5);
  }
}
