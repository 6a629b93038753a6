#include <doctest/doctest.h>
#include <ebb/tensor/ops/norm.h>
#include <ebb/tensor/ops/reduce.h>

#include "tests/tensor/numbers.h"

namespace ebb {
namespace {

// Normalisation by the book, over the dimensions 1 and 3 of x (samples, positions, groups, width).
struct Book {
  Tensor y, mean, rstd;
};
Book normalized(const Tensor& x, double eps) {
  const Tensor m = mean(x, {1, 3}, true), r = rsqrt(var(x, {1, 3}, false, true) + eps);
  return {(x - m) * r, m, r};
}

// For g the gradient by the normalised n: r (g - mean(g) - n mean(g n)).
Tensor normalized_backward(const Tensor& g, const Book& book) {
  return book.rstd * (g - mean(g, {1, 3}, true) - book.y * mean(g * book.y, {1, 3}, true));
}

void check_group_norm(DType dtype, double tolerance, std::int64_t samples, std::int64_t positions,
                      std::int64_t groups, std::int64_t width, bool affine, bool silu_after,
                      bool each_sample = false) {
  CAPTURE(samples);
  CAPTURE(positions);
  CAPTURE(groups);
  CAPTURE(width);
  const std::int64_t channels = groups * width;
  const Shape shape{samples, positions, channels}, parts{samples, positions, groups, width};
  const DType f64 = DType::float64;
  const Tensor x = add(numbers(shape, f64), 0.5).to(dtype), g = numbers(shape, dtype, 77);
  const Shape parameter = each_sample ? Shape{samples, channels} : Shape{channels};
  const Tensor w = affine ? numbers(parameter, dtype, 3) : Tensor();
  const Tensor b = affine ? numbers(parameter, dtype, 5) : Tensor();
  const auto wide = [&](const Tensor& t) { return t.to(f64); };
  // A parameter beside x.
  const auto beside = [&](const Tensor& t) {
    return each_sample ? wide(t).reshape({samples, 1, channels}) : wide(t);
  };

  const Book book = normalized(wide(x).reshape(parts), 1e-5);
  const Tensor n = book.y.reshape(shape);
  const Tensor z = affine ? n * beside(w) + beside(b) : n;
  const Normalized out = group_norm(x, groups, w, b, 1e-5, silu_after);
  CHECK(relative_error(out.y, (silu_after ? silu(z) : z).to(dtype)) < tolerance);
  CHECK(relative_error(out.mean, book.mean.reshape({samples, groups}).to(dtype)) < tolerance);
  CHECK(relative_error(out.rstd, book.rstd.reshape({samples, groups}).to(dtype)) < tolerance);

  const Tensor gz = silu_after ? unary_backward(Unary::silu, wide(g), z, silu(z)) : wide(g);
  const Tensor gn = affine ? gz * beside(w) : gz;
  const NormGradients dx = group_norm_backward(g, x, groups, w, b, out.mean, out.rstd, silu_after);
  // Memory that nobody else has is taken.
  Tensor own = g.clone();
  const void* memory = own.raw();
  const NormGradients taken =
      group_norm_backward(std::move(own), x, groups, w, b, out.mean, out.rstd, silu_after);
  CHECK(taken.x.raw() == memory);
  CHECK(values(taken.x) == values(dx.x));
  CHECK(values(g) == values(numbers(shape, dtype, 77)));
  // Where the gradient nearly cancels (two elements a group) its own size is no measure.
  const Tensor expected = normalized_backward(gn.reshape(parts), book).reshape(shape);
  const double size = amax(abs(gn)).item() * amax(book.rstd).item();
  CHECK(amax(abs(dx.x.to(f64) - expected)).item() / size < 4 * tolerance);
  CHECK(dx.weight.defined() == affine);
  if (!affine) return;
  const Dims summed = each_sample ? Dims{1} : Dims{0, 1};
  CHECK(relative_error(dx.weight, sum(gz * n, summed).to(dtype)) < 8 * tolerance);
  CHECK(relative_error(dx.bias, sum(gz, summed).to(dtype)) < 8 * tolerance);
}

TEST_CASE("group_norm is the book's formula on odd sizes") {
  for (const std::int64_t samples : {1, 3})
    for (const std::int64_t positions : {1, 7, 64, 101})
      for (const std::int64_t groups : {1, 4, 17})
        for (const std::int64_t width : {1, 2, 5, 32}) {
          if (positions * width < 2) continue;
          const bool affine = (positions + width) % 2 == 0, silu_after = groups != 4;
          check_group_norm(DType::float64, 1e-12, samples, positions, groups, width, affine,
                           silu_after);
          check_group_norm(DType::float32, 1e-6, samples, positions, groups, width, affine,
                           silu_after);
          check_group_norm(DType::float32, 1e-6, samples, positions, groups, width, true, true);
          for (const bool silu : {false, true})
            check_group_norm(DType::float64, 1e-12, samples, positions, groups, width, true, silu,
                             /*each_sample=*/true);
        }
}

TEST_CASE("a mean far from zero does not cost digits") {
  const Tensor x = numbers({2, 50, 8}, DType::float64);
  const Tensor y = group_norm(x, 2, {}, {}, 0).y;
  CHECK(relative_error(group_norm(add(x, 1e6), 2, {}, {}, 0).y, y) < 1e-9);
  const Tensor near = add(x.to(DType::float32), 1000);
  CHECK(relative_error(group_norm(near, 2, {}, {}, 0).y,
                       group_norm(near.to(DType::float64), 2, {}, {}, 0).y.to(DType::float32)) <
        1e-4);
}

TEST_CASE("layer_norm") {
  const DType d = DType::float64;
  const Tensor x = numbers({3, 5, 2, 4}, d), w = numbers({2, 4}, d, 3), b = numbers({2, 4}, d, 5);
  const Tensor m = mean(x, {2, 3}, true), r = rsqrt(var(x, {2, 3}, false, true) + 1e-5);
  const Tensor n = (x - m) * r;
  const Normalized out = layer_norm(x, {2, 4}, w, b);
  CHECK(relative_error(out.y, n * w + b) < 1e-13);
  CHECK(out.mean.shape() == Shape{15});
  CHECK(relative_error(layer_norm(x, {2, 4}, {}, {}).y, n) < 1e-13);
  const Tensor g = numbers(x.shape(), d, 7), gn = g * w;
  const NormGradients dx = layer_norm_backward(g, x, {2, 4}, w, out.mean, out.rstd);
  CHECK(relative_error(dx.x, r * (gn - mean(gn, {2, 3}, true) - n * mean(gn * n, {2, 3}, true))) <
        1e-12);
  CHECK(relative_error(dx.weight, sum(g * n, {0, 1})) < 1e-12);
  CHECK(relative_error(dx.bias, sum(g, {0, 1})) < 1e-12);
}

TEST_CASE("batch_norm") {
  const DType d = DType::float64;
  const Tensor x = numbers({4, 3, 2, 5}, d), w = numbers({5}, d, 3), b = numbers({5}, d, 5);
  const Tensor m = mean(x, {0, 1, 2}), r = rsqrt(var(x, {0, 1, 2}, false) + 1e-5);
  const Tensor n = (x - m) * r;
  const Normalized out = batch_norm(x, w, b);
  CHECK(relative_error(out.y, n * w + b) < 1e-13);
  CHECK(relative_error(out.mean, m) < 1e-13);
  CHECK(relative_error(out.rstd, r) < 1e-13);
  const Tensor g = numbers(x.shape(), d, 7), gn = g * w;
  const NormGradients dx = batch_norm_backward(g, x, w, out.mean, out.rstd);
  CHECK(relative_error(dx.x, r * (gn - mean(gn, {0, 1, 2}) - n * mean(gn * n, {0, 1, 2}))) < 1e-12);
  CHECK(relative_error(dx.weight, sum(g * n, {0, 1, 2})) < 1e-12);
  CHECK(relative_error(dx.bias, sum(g, {0, 1, 2})) < 1e-12);
}

TEST_CASE("normalisations of nothing, and their errors") {
  CHECK(group_norm(Tensor::zeros({0, 3, 4}), 2, {}, {}).y.numel() == 0);
  CHECK(layer_norm(Tensor::zeros({0, 4}), {4}, {}, {}).y.numel() == 0);
  const Tensor w = Tensor::ones({4});
  const NormGradients none =
      group_norm_backward(Tensor::zeros({0, 3, 4}), Tensor::zeros({0, 3, 4}), 2, w, w,
                          Tensor::zeros({0, 2}), Tensor::zeros({0, 2}));
  CHECK(values(none.weight) == std::vector<double>(4));
  const Tensor x = Tensor::zeros({2, 3, 4});
  CHECK_THROWS_WITH(group_norm(x, 3, {}, {}),
                    doctest::Contains("group_norm: 3 groups for input (2, 3, 4)"));
  CHECK_THROWS_WITH(group_norm(x, 2, Tensor::zeros({3}), {}),
                    doctest::Contains("group_norm: weight (3,) for input (2, 3, 4)"));
  CHECK_THROWS_WITH(group_norm(x, 2, Tensor::zeros({3, 4}), {}),
                    doctest::Contains("it must have shape (2, 4)"));
  CHECK_THROWS_WITH(group_norm(x, 2, Tensor::zeros({2, 4}), Tensor::zeros({4})),
                    doctest::Contains("group_norm: bias (4,)"));
  CHECK_THROWS_WITH(layer_norm(x, {3}, {}, {}), doctest::Contains("layer_norm: shape (3,)"));
  CHECK_THROWS_WITH(batch_norm(Tensor::zeros({1, 4}), {}, {}), doctest::Contains("batch_norm"));
}

TEST_CASE("group_norm of no samples with parameters of their own writes nothing") {
  const Tensor x = Tensor::zeros({0, 3, 4}), weight = Tensor::zeros({0, 4});
  const Normalized y = group_norm(x, 2, weight, weight);
  const NormGradients g = group_norm_backward(x.clone(), x, 2, weight, weight, y.mean, y.rstd);
  CHECK(g.weight.shape() == Shape{0, 4});
  CHECK(g.x.shape() == x.shape());
}

}  // namespace
}  // namespace ebb
