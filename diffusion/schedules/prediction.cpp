#include <ebb/diffusion/schedules/prediction.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/ops/reduce.h>
#include <fmt/ranges.h>

#include <array>

namespace ebb {
namespace {

constexpr std::array<std::string_view, 4> names{"epsilon", "x0", "v", "flow"};

// output = x0 * a + eps * b.
struct Mixture {
  double x0, eps;
};
Mixture mixture(Prediction prediction, const Level& level) {
  switch (prediction) {
    case Prediction::epsilon:
      return {0, 1};
    case Prediction::x0:
      return {1, 0};
    case Prediction::v:
      return {-level.sigma, level.alpha};
    case Prediction::flow:
      return {-1, 1};
  }
  fail("prediction: no such type");
}

// The levels' coefficients, applied.
template <class F>
Tensor mix(const std::vector<Level>& levels, const Tensor& x, const Tensor& y, F&& coefficients) {
  std::vector<double> a, b;
  for (const Level& level : levels) {
    const Mixture m = coefficients(level);
    a.push_back(m.x0);
    b.push_back(m.eps);
  }
  return mix(a, x, b, y);
}

}  // namespace

std::vector<Level> levels_of(std::string_view operation, const Path& path, const Tensor& x,
                             const Tensor& t) {
  check(x.rank() >= 1 && t.shape() == Shape{x.size(0)},
        "{}: times have shape {} for images {}; one time for each sample is needed", operation,
        t.shape(), x.shape());
  // A rounded end may lie outside the path.
  const auto is_rounded = [](double time, double end) {
    return time == static_cast<double>(static_cast<float>(end));
  };
  std::vector<Level> result;
  for (double time : t.to_vector<double>()) {
    if (is_rounded(time, path.t_data())) time = path.t_data();
    if (is_rounded(time, path.t_noise())) time = path.t_noise();
    result.push_back(path.at(time));
  }
  return result;
}

std::string_view name_of(Prediction prediction) {
  return names[static_cast<std::size_t>(prediction)];
}

Prediction parse_prediction(std::string_view name) {
  for (std::size_t i = 0; i < names.size(); ++i)
    if (names[i] == name) return static_cast<Prediction>(i);
  fail("prediction: '{}' is unknown; one of {}", name, fmt::join(names, ", "));
}

X0Eps x0_eps_of(Prediction prediction, const Tensor& x, const Tensor& output, const Level& level) {
  check(x.shape() == output.shape(), "prediction: x is {} but the model's output is {}", x.shape(),
        output.shape());
  const Mixture m = mixture(prediction, level);
  // x = alpha x0 + sigma eps and output = m.x0 x0 + m.eps eps, solved by Cramer's rule.
  const double determinant = level.alpha * m.eps - level.sigma * m.x0;
  check(determinant != 0 && std::isfinite(determinant),
        "prediction: {} says nothing more about x at alpha = {}, sigma = {}; {}",
        name_of(prediction), level.alpha, level.sigma,
        prediction == Prediction::epsilon
            ? "pure noise needs x0, v or flow, or a schedule without zero terminal SNR"
            : "start from a level with noise");
  const auto solve = [&](double by_x, double by_output) {
    if (by_x == 0 && by_output == determinant) return output;
    return axpby(by_x / determinant, x, by_output / determinant, output);
  };
  return {solve(m.eps, -level.sigma), solve(-m.x0, level.alpha)};
}

Tensor output_of(Prediction prediction, const X0Eps& ends, const Level& level) {
  const Mixture m = mixture(prediction, level);
  if (prediction == Prediction::epsilon) return ends.eps;
  if (prediction == Prediction::x0) return ends.x0;
  return axpby(m.x0, ends.x0, m.eps, ends.eps);
}

Tensor convert(Prediction from, Prediction to, const Tensor& x, const Tensor& output,
               const Level& level) {
  return from == to ? output : output_of(to, x0_eps_of(from, x, output, level), level);
}

namespace {

// (rows, 1, ..., 1), of x's rank, dtype and device.
Tensor column_for(const Tensor& x, const std::vector<double>& values) {
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(x.rank()), 1);
  sizes[0] = static_cast<std::int64_t>(values.size());
  return Tensor::from(values).to(x.dtype()).to(x.device()).reshape(sizes);
}

void check_samples(std::string_view operation, const std::vector<double>& values, const Tensor& x) {
  check(x.rank() >= 1 && static_cast<std::int64_t>(values.size()) == x.size(0),
        "{}: {} values for images {}; one for each sample is needed", operation, values.size(),
        x.shape());
}

}  // namespace

Tensor per_sample(const std::vector<double>& values, const Tensor& x) {
  check_samples("per_sample", values, x);
  return column_for(x, values);
}

Tensor mix(const std::vector<double>& a, const Tensor& x, const std::vector<double>& b,
           const Tensor& y) {
  check_samples("mix", a, x);
  check_samples("mix", b, y);
  // One copy to the device for both.
  std::vector<double> all = a;
  all.insert(all.end(), b.begin(), b.end());
  const Tensor both = column_for(x, all);
  const std::int64_t n = x.size(0);
  return slice(both, 0, 0, n) * x + slice(both, 0, n, 2 * n) * y;
}

namespace {

void check_noise(const Tensor& x0, const Tensor& eps) {
  check(x0.shape() == eps.shape(), "add_noise: images {} but noise {}", x0.shape(), eps.shape());
}

}  // namespace

Tensor add_noise(const std::vector<Level>& levels, const Tensor& x0, const Tensor& eps) {
  check_noise(x0, eps);
  return mix(levels, x0, eps, [](const Level& l) { return Mixture{l.alpha, l.sigma}; });
}

Tensor prediction_target(Prediction prediction, const std::vector<Level>& levels, const Tensor& x0,
                         const Tensor& eps) {
  if (prediction == Prediction::epsilon) return eps;
  if (prediction == Prediction::x0) return x0;
  return mix(levels, x0, eps, [prediction](const Level& l) { return mixture(prediction, l); });
}

Tensor add_noise(const Path& path, const Tensor& x0, const Tensor& eps, const Tensor& t) {
  check_noise(x0, eps);
  return add_noise(levels_of("add_noise", path, x0, t), x0, eps);
}

Tensor prediction_target(Prediction prediction, const Path& path, const Tensor& x0,
                         const Tensor& eps, const Tensor& t) {
  return prediction_target(prediction, levels_of("prediction_target", path, x0, t), x0, eps);
}

Tensor clip_x0(const Tensor& x0, const Clip& clip) {
  if (clip.kind == Clip::Kind::none) return x0;
  if (clip.kind == Clip::Kind::range) {
    check(clip.range > 0, "clip: range {} must be positive", clip.range);
    return clamp(x0, -clip.range, clip.range);
  }
  check(clip.percentile >= 0 && clip.percentile <= 1 && clip.maximum > 0,
        "dynamic thresholding: percentile {} must be in [0, 1] and maximum {} positive",
        clip.percentile, clip.maximum);
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(x0.rank()), 1);
  sizes[0] = x0.size(0);
  Tensor s = quantile(abs(x0.reshape({x0.size(0), -1})), clip.percentile, 1).reshape(sizes);
  const auto constant = [&](double value) {
    return Tensor::full(Shape{}, value, x0.dtype()).to(x0.device());
  };
  s = minimum(maximum(s, constant(1)), constant(clip.maximum));
  return maximum(minimum(x0, s), neg(s)) / s;
}

}  // namespace ebb
