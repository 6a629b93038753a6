#include <doctest/doctest.h>
#include <ebb/diffusion/samplers/editing.h>
#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/reduce.h>

#include "tests/diffusion/samplers/mixture.h"
#include "tests/normals.h"

namespace ebb::test {
namespace {

TEST_CASE("spherical interpolation keeps the length of noise") {
  const Tensor a = normals({2, 3000}, 1), b = normals({2, 3000}, 2);
  CHECK(relative_error(slerp(a, b, 0), a) < 1e-14);
  CHECK(relative_error(slerp(a, b, 1), b) < 1e-14);
  for (std::int64_t n = 0; n < 2; ++n) {
    const double length = std::sqrt(sum(square(slice(slerp(a, b, 0.5), 0, n, n + 1))).item());
    CHECK(length == doctest::Approx(std::sqrt(3000.0)).epsilon(0.03));
  }
  // A quarter circle: halfway between two unit vectors is their sum over sqrt(2).
  const Tensor e1 = Tensor::from(std::vector<double>{1, 0}, {1, 2});
  const Tensor e2 = Tensor::from(std::vector<double>{0, 1}, {1, 2});
  CHECK(relative_error(slerp(e1, e2, 0.5), (e1 + e2) * std::sqrt(0.5)) < 1e-14);
  const std::vector<double> third = slerp(e1, e2, 1.0 / 3).to_vector<double>();
  CHECK(third[0] == doctest::Approx(std::cos(std::numbers::pi / 6)));
  CHECK(third[1] == doctest::Approx(0.5));
  // Each sample for itself, and parallel ones in a straight line.
  CHECK(relative_error(slerp(cat({e1, e1}, 0), cat({e2, e1 * 3.0}, 0), 0.5),
                       cat({(e1 + e2) * std::sqrt(0.5), e1 * 2.0}, 0)) < 1e-14);
  CHECK_THROWS_AS(slerp(a, b, 1.5), Error);
  CHECK_THROWS_AS(slerp(a, e1, 0.5), Error);
}

TEST_CASE("image-to-image runs the last part of a grid") {
  const TimeGrid grid = make_grid(smooth_path(), 10);
  CHECK(tail_of(grid, 1).size() == 11);
  const TimeGrid part = tail_of(grid, 0.3);
  CHECK(part.size() == 4);
  CHECK(part.front().t == grid[7].t);
  CHECK(part.back().sigma == 0);
  CHECK(tail_of(grid, 0.01).size() == 2);
  CHECK_THROWS_AS(tail_of(grid, 0), Error);
  CHECK_THROWS_AS(tail_of(grid, 1.1), Error);
  const Tensor x0 = normals({2, 2}, 1), z = normals({2, 2}, 2);
  CHECK(relative_error(noised_to(grid[5], x0, z), x0 * grid[5].alpha + z * grid[5].sigma) < 1e-15);

  // The stronger, the further from where it started.
  const Mixture mixture = plane_mixture();
  const Tensor start = Tensor::full({200, 2}, 1, DType::float64);
  double before = 0;
  for (const double strength : {0.1, 0.5, 0.9}) {
    const TimeGrid tail = tail_of(make_grid(smooth_path(), 50), strength);
    const Tensor x = ddim({mixture.denoiser(), smooth_path(), tail, {}, {}},
                          noised_to(tail[0], start, normals({200, 2}, 3)));
    const double moved = mean(square(x - start)).item();
    CHECK(moved > before);
    before = moved;
  }
  CHECK(before > 1);
}

TEST_CASE("repaint keeps what is known and draws the rest to fit") {
  // The mixture's first coordinate is known to be -1, where the second is near 0.4 (component 0);
  // unconditioned, the second coordinate's mean is 0.26 and it is spread over [-1.3, 1.2].
  const Mixture mixture = plane_mixture();
  const Path path = smooth_path();
  const Tensor known = Tensor::full({400, 2}, -1, DType::float64);
  const Tensor mask = Tensor::from(std::vector<double>{1, 0}, {1, 2});
  const Tensor x = normals({400, 2}, 1);
  for (const RepaintOptions options : {RepaintOptions{4, 1}, RepaintOptions{3, 5}}) {
    std::int64_t seen = 0;
    const Sampling s{mixture.denoiser(), path, make_grid(path, 60), philox_noise(2),
                     [&](const StepView&) { ++seen; }};
    const Tensor y = repaint(s, x, known, mask, options);
    const Tensor first = slice(y, 1, 0, 1), second = slice(y, 1, 1, 2);
    CHECK(relative_error(first, slice(known, 1, 0, 1)) == 0);
    // Standard error of the mean: sqrt(0.05 / 400) = 0.011.
    CHECK(mean(second).item() == doctest::Approx(0.4).epsilon(0.12));
    CHECK(var(second).item() < 0.1);
    CHECK(seen == (60 + options.jump - 1) / options.jump);
  }
  const Sampling s{mixture.denoiser(), path, make_grid(path, 4), philox_noise(2), {}};
  CHECK_THROWS_AS(repaint(s, x, known, mask, {0, 1}), Error);
  CHECK_THROWS_AS(repaint(s, x, normals({1, 2}, 1), mask), Error);
}

}  // namespace
}  // namespace ebb::test
