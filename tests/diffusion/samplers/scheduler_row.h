// Rows of tests/golden/schedulers.csv and sigma_samplers.csv, and the fixtures they were made with:
// a batch of 4 images (3, 8, 8) counted with the batch index fastest, and the closed-form "network"
// x t / (t + 1).
#pragma once

#include <doctest/doctest.h>
#include <ebb/diffusion/samplers/samplers.h>
#include <ebb/diffusion/schedules/schedule.h>
#include <ebb/tensor/ops/pointwise.h>
#include <ebb/tensor/ops/reduce.h>

#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <string>

namespace ebb::test {

using CsvRow = std::map<std::string, std::string>;

// Parts between separators, which count for nothing within [brackets].
inline std::vector<std::string> split_text(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (const char c : text) {
    depth += (c == '[') - (c == ']');
    if (c == separator && depth == 0)
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

inline std::vector<CsvRow> read_csv(const std::string& file) {
  std::ifstream stream(file);
  check(stream.good(), "golden: cannot read {}", file);
  std::string line;
  std::getline(stream, line);
  const std::vector<std::string> names = split_text(line, ',');
  std::vector<CsvRow> rows;
  while (std::getline(stream, line)) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty()) continue;
    const std::vector<std::string> cells = split_text(line, ',');
    check(cells.size() == names.size(), "golden: {} cells under {} names in '{}'", cells.size(),
          names.size(), line);
    CsvRow row;
    for (std::size_t i = 0; i < names.size(); ++i) row[names[i]] = cells[i];
    rows.push_back(row);
  }
  return rows;
}

// The numbers in a text that separates them by anything.
inline std::vector<double> numbers_in(const std::string& text) {
  std::string spaced = text;
  for (char& c : spaced)
    if (!std::isdigit(static_cast<unsigned char>(c)) && c != '.' && c != '-') c = ' ';
  std::istringstream stream(spaced);
  std::vector<double> numbers;
  for (double number; stream >> number;) numbers.push_back(number);
  return numbers;
}

// key=value pairs; every key must be asked for, so that no setting is passed over in silence.
class Config {
 public:
  explicit Config(const std::string& text) {
    for (const std::string& pair : split_text(text, ';')) {
      if (pair.empty()) continue;
      const auto at = pair.find('=');
      std::string key = canonical(pair.substr(0, at));
      values_[key] = at == std::string::npos ? "true" : pair.substr(at + 1);
    }
  }
  std::string text(const std::string& key, const std::string& otherwise) {
    asked_.insert(key);
    const auto found = values_.find(key);
    return found == values_.end() ? otherwise : found->second;
  }
  double number(const std::string& key, double otherwise) {
    const std::string value = text(key, "");
    if (value.empty()) return otherwise;
    if (value == "-inf") return -std::numeric_limits<double>::infinity();
    if (value == "inf") return std::numeric_limits<double>::infinity();
    return std::stod(value);
  }
  bool flag(const std::string& key, bool otherwise) {
    const std::string value = text(key, "");
    if (value.empty()) return otherwise;
    check(value == "true" || value == "True" || value == "1" || value == "false" ||
              value == "False" || value == "0",
          "golden: {} = '{}' is neither true nor false", key, value);
    return value == "true" || value == "True" || value == "1";
  }
  void finish() const {
    for (const auto& [key, value] : values_)
      check(asked_.count(key) > 0, "golden: this runner does not know the setting {}={}", key,
            value);
  }

 private:
  static std::string canonical(const std::string& key) {
    static const std::map<std::string, std::string> names{
        {"prediction_type", "prediction"},
        {"karras", "use_karras_sigmas"},
        {"lu", "use_lu_lambdas"},
        {"order", "solver_order"},
        {"spacing", "timestep_spacing"},
        {"ratio", "dynamic_thresholding_ratio"},
        {"num_train_timesteps", "T"},
        {"variance", "variance_type"},
        {"zero_snr", "rescale_betas_zero_snr"},
        {"offset", "steps_offset"},
        {"final_sigmas", "final_sigmas_type"},
        {"algorithm", "algorithm_type"},
        {"solver", "solver_type"},
    };
    const auto found = names.find(key);
    return found == names.end() ? key : found->second;
  }

  std::map<std::string, std::string> values_;
  std::set<std::string> asked_;
};

inline Prediction prediction_named(const std::string& name) {
  if (name == "eps" || name == "epsilon") return Prediction::epsilon;
  if (name == "v" || name == "v_prediction") return Prediction::v;
  if (name == "x0" || name == "sample") return Prediction::x0;
  if (name == "flow" || name == "flow_prediction") return Prediction::flow;
  fail("golden: no prediction type is called '{}'", name);
}

// k / n with k = (position without the batch) * 4 + batch, reversed for the noise.
inline Tensor counted(const Shape& shape, bool reversed, DType dtype) {
  const std::int64_t n = shape.numel(), batch = shape[0], inner = n / batch;
  std::vector<double> values;
  for (std::int64_t b = 0; b < batch; ++b)
    for (std::int64_t i = 0; i < inner; ++i) {
      const std::int64_t k = i * batch + b;
      values.push_back(static_cast<double>(reversed ? n - 1 - k : k) / static_cast<double>(n));
    }
  return Tensor::from(values, shape).to(dtype);
}

// x t / (t + 1), multiplied first.
inline Tensor fixture_model(const Tensor& x, const Level& level) {
  const Tensor t = times_of(level, x);
  const Tensor time = per_sample(t.to_vector<double>(), x);
  return x * time / (time + 1);
}

// What every scheduler's run needs.
struct Fixture {
  explicit Fixture(const Shape& shape, DType dtype = DType::float32)
      : deter(counted(shape, false, dtype)),
        noise(counted(shape, true, dtype)),
        stream(std::make_shared<TorchGenerator>(0)) {}

  // PyTorch's stream after manual_seed(0), always drawn in float32.
  NoiseSource source() const {
    return [stream = stream](const Tensor& like, std::int64_t) {
      return stream->randn(like.shape()).to(like.dtype());
    };
  }

  Tensor deter, noise;
  std::shared_ptr<TorchGenerator> stream;
};

// torch.linspace in float32: from either end, so that both are met.
inline std::vector<float> float_linspace(float start, float end, std::int64_t n) {
  const float step = (end - start) / static_cast<float>(n - 1);
  std::vector<float> values;
  for (std::int64_t i = 0; i < n; ++i)
    values.push_back(i < n / 2 ? start + step * static_cast<float>(i)
                               : end - step * static_cast<float>(n - 1 - i));
  return values;
}

// The reference's table of alpha_bar, in float32 as it computes it: 1 - alpha_bar at t = 0 has
// four digits there, and the sums push_history that.
inline std::vector<double> alpha_bar_of(Config& config, std::int64_t T,
                                        const std::string& schedule = "linear", double first = 1e-4,
                                        double last = 0.02) {
  const std::string name = config.text("beta_schedule", schedule);
  const double start = config.number("beta_start", first), end = config.number("beta_end", last);
  std::vector<float> betas;
  if (name == "linear") {
    betas = float_linspace(static_cast<float>(start), static_cast<float>(end), T);
  } else if (name == "scaled_linear") {
    betas =
        float_linspace(static_cast<float>(std::sqrt(start)), static_cast<float>(std::sqrt(end)), T);
    for (float& beta : betas) beta *= beta;
  } else if (name == "squaredcos_cap_v2") {
    for (const double beta : cosine_betas(T)) betas.push_back(static_cast<float>(beta));
  } else if (name == "sigmoid") {
    for (const double beta : sigmoid_betas(T, start, end))
      betas.push_back(static_cast<float>(beta));
  } else {
    fail("golden: no schedule is called '{}'", name);
  }
  std::vector<double> result;
  float product = 1;
  for (const float beta : betas) result.push_back(product *= 1 - beta);
  if (config.flag("rescale_betas_zero_snr", false)) result = zero_terminal_snr(result);
  return result;
}

inline Clip clip_of(Config& config, bool clipped) {
  Clip clip;
  clip.rederive_epsilon = false;
  if (config.flag("clip_sample", clipped)) clip.kind = Clip::Kind::range;
  clip.range = config.number("clip_sample_range", 1);
  if (config.flag("thresholding", false)) clip.kind = Clip::Kind::dynamic;
  clip.percentile = config.number("dynamic_thresholding_ratio", 0.995);
  clip.maximum = config.number("sample_max_value", 1);
  return clip;
}

}  // namespace ebb::test
