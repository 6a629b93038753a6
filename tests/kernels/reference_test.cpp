// Fast kernels against the plain loops that stand beside them.
#include <doctest/doctest.h>
#include <ebb/tensor/cpu/attention/attention_kernels.h>
#include <ebb/tensor/cpu/norm/group_norm.h>
#include <ebb/tensor/ops/operands.h>
#include <ebb/tensor/ops/reduce.h>
#include <ebb/tensor/reference/reference.h>

#include "tests/tensor/numbers.h"

namespace ebb {
namespace {

void compare_group_norm(const Groups& groups, DType dtype, bool silu, bool each_sample,
                        double tolerance) {
  CAPTURE(groups.samples);
  CAPTURE(groups.positions);
  CAPTURE(groups.channels);
  CAPTURE(groups.groups);
  const Shape shape{groups.samples, groups.positions, groups.channels};
  const Shape statistics{groups.samples, groups.groups};
  const Tensor x = numbers(shape, dtype), grad = numbers(shape, dtype, 31);
  const Shape parameter =
      each_sample ? Shape{groups.samples, groups.channels} : Shape{groups.channels};
  const Tensor w = numbers(parameter, dtype, 3), b = numbers(parameter, dtype, 5);
  const auto results = [&] {
    return Normalized{empty_like(x), Tensor::empty(statistics, dtype),
                      Tensor::empty(statistics, dtype)};
  };
  Normalized fast = results(), plain = results();
  cpu::group_norm(x, groups, w, b, 1e-5, silu, fast);
  reference::group_norm(x, groups, w, b, 1e-5, silu, plain);
  CHECK(relative_error(fast.y, plain.y) < tolerance);
  CHECK(relative_error(fast.mean, plain.mean) < tolerance);
  CHECK(relative_error(fast.rstd, plain.rstd) < tolerance);
  NormGradients dfast{empty_like(x), empty_like(w), empty_like(b)},
      dplain{empty_like(x), empty_like(w), empty_like(b)};
  cpu::group_norm_backward(grad, x, groups, w, b, plain.mean, plain.rstd, silu, dfast);
  reference::group_norm_backward(grad, x, groups, w, b, plain.mean, plain.rstd, silu, dplain);
  CHECK(relative_error(dfast.x, dplain.x) < 2 * tolerance);
  CHECK(relative_error(dfast.weight, dplain.weight) < 4 * tolerance);
  CHECK(relative_error(dfast.bias, dplain.bias) < 4 * tolerance);
}

TEST_CASE("group normalisation, in one block and in many") {
  for (const Groups& groups :
       {Groups{1, 1030, 40, 5}, Groups{3, 2051, 17, 17}, Groups{2, 33, 1, 1}, Groups{7, 5, 96, 3},
        Groups{300, 1, 24, 1}, Groups{77, 1, 523, 1}, Groups{1, 40000, 3, 3}}) {
    for (const bool silu : {false, true})
      for (const bool each_sample : {false, true}) {
        compare_group_norm(groups, DType::float32, silu, each_sample, 1e-6);
        compare_group_norm(groups, DType::float64, silu, each_sample, 1e-12);
      }
  }
}

// Heads (heads, rows, columns) one after the other.
Heads stacked_heads(const Tensor& q, const Tensor& k, const Tensor& v) {
  const auto rows = [](std::int64_t count, const Tensor& x) {
    return HeadRows{0, 0, count * x.size(2), x.size(2)};
  };
  return {
      1,   q.size(0),          q.size(1),          k.size(1),          q.size(2),         v.size(2),
      0.4, rows(q.size(1), q), rows(k.size(1), k), rows(k.size(1), v), rows(q.size(1), v)};
}

TEST_CASE("attention, in one block of rows and in many") {
  for (const DType dtype : {DType::float32, DType::float64})
    for (const auto& sizes : {std::array<std::int64_t, 5>{2, 150, 70, 9, 5},
                              {3, 1, 1, 1, 1},
                              {1, 64, 65, 16, 16},
                              {5, 7, 129, 3, 20},
                              {2, 49, 49, 64, 32},
                              {1, 120, 700, 40, 40},
                              {2, 50, 257, 16, 33},
                              {2, 128, 1, 8, 2}}) {
      const std::int64_t heads = sizes[0], queries = sizes[1], keys = sizes[2], depth = sizes[3];
      const std::int64_t width = sizes[4];
      CAPTURE(queries);
      CAPTURE(keys);
      const double tolerance = dtype == DType::float32 ? 2e-6 : 1e-13;
      const Tensor q = mul(numbers({heads, queries, depth}, dtype), 2);
      const Tensor k = numbers({heads, keys, depth}, dtype, 7);
      const Tensor v = numbers({heads, keys, width}, dtype, 11);
      const Tensor g = numbers({heads, queries, width}, dtype, 13);
      const Tensor row = Tensor::empty({heads, queries}, dtype);
      const Heads all = stacked_heads(q, k, v);
      Attended fast{empty_like(g), empty_like(row), empty_like(row)},
          plain{empty_like(g), empty_like(row), empty_like(row)};
      cpu::attention(all, q, k, v, fast);
      reference::attention(all, q, k, v, plain);
      CHECK(relative_error(fast.y, plain.y) < tolerance);
      CHECK(relative_error(fast.largest, plain.largest) < tolerance);
      CHECK(relative_error(fast.totals, plain.totals) < 2 * tolerance);
      AttentionGradients dfast{empty_like(q), empty_like(k), empty_like(v)},
          dplain{empty_like(q), empty_like(k), empty_like(v)};
      cpu::attention_backward(all, g, q, k, v, fast, dfast);
      reference::attention_backward(all, g, q, k, v, plain, dplain);
      CHECK(relative_error(dfast.v, dplain.v) < tolerance);
      if (keys == 1) continue;  // softmax over one key is constant: nothing but rounding is left
      CHECK(relative_error(dfast.q, dplain.q) < 2 * tolerance);
      CHECK(relative_error(dfast.k, dplain.k) < 2 * tolerance);
    }
}

TEST_CASE("attention over nothing") {
  const Tensor none = Tensor::zeros({2, 0, 4}), some = Tensor::ones({2, 3, 4});
  Attended out{Tensor::ones({2, 3, 4}), Tensor::ones({2, 3}), Tensor::ones({2, 3})};
  cpu::attention(stacked_heads(some, none, none), some, none, none, out);
  CHECK(values(sum(out.y)) == std::vector<double>{0});
  Attended empty{Tensor::empty({2, 0, 4}), Tensor::empty({2, 0}), Tensor::empty({2, 0})};
  cpu::attention(stacked_heads(none, some, some), none, some, some, empty);
  AttentionGradients gradients{empty_like(none), empty_like(some), empty_like(some)};
  cpu::attention_backward(stacked_heads(none, some, some), none, none, some, some, empty,
                          gradients);
  CHECK(values(sum(gradients.k)) == std::vector<double>{0});
}

}  // namespace
}  // namespace ebb
