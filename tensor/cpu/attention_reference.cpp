#include <ebb/tensor/cpu/attention.h>
#include <ebb/tensor/cpu/walk.h>

#include <cmath>

namespace ebb::cpu {

namespace {

// Row `i` of softmax(scale q k^T), i counted over all heads, in float64, and the log of the sum of
// its exponentials.
template <class T>
std::vector<double> probabilities(const Tensor& q, const Tensor& k, double scale, std::int64_t i,
                                  double* log_sum = nullptr) {
  const std::int64_t depth = q.size(2), keys = k.size(1);
  const T *row = input<T>(q) + i * depth, *head = input<T>(k) + i / q.size(1) * keys * depth;
  std::vector<double> p(static_cast<std::size_t>(keys));
  double largest = -INFINITY, total = 0;
  for (std::int64_t j = 0; j < keys; ++j) {
    double score = 0;
    for (std::int64_t c = 0; c < depth; ++c) score += double(row[c]) * double(head[j * depth + c]);
    p[static_cast<std::size_t>(j)] = scale * score;
    largest = std::max(largest, scale * score);
  }
  for (double& value : p) total += value = std::exp(value - largest);
  for (double& value : p) value /= total;
  if (log_sum) *log_sum = largest + std::log(total);
  return p;
}

}  // namespace

void attention_reference(const Tensor& q, const Tensor& k, const Tensor& v, double scale,
                         Attended& out) {
  const std::int64_t queries = q.size(1), keys = v.size(1), width = v.size(2);
  dispatch_floating("attention", q.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < q.size(0) * queries; ++i) {
      double log_sum;
      const std::vector<double> p = probabilities<T>(q, k, scale, i, &log_sum);
      output<T>(out.log_sums)[i] = T(log_sum);
      const T* values = input<T>(v) + i / queries * keys * width;
      for (std::int64_t c = 0; c < width; ++c) {
        double sum = 0;
        for (std::int64_t j = 0; j < keys; ++j)
          sum += p[static_cast<std::size_t>(j)] * double(values[j * width + c]);
        output<T>(out.y)[i * width + c] = T(sum);
      }
    }
  });
}

// dv = p^T g; with dp = g v^T, ds = p (dp - sum(p dp)); dq = scale ds k; dk = scale ds^T q.
void attention_backward_reference(const Tensor& grad, const Tensor& q, const Tensor& k,
                                  const Tensor& v, const Attended&, double scale,
                                  AttentionGradients& out) {
  const std::int64_t queries = q.size(1), keys = v.size(1), depth = q.size(2), width = v.size(2);
  dispatch_floating("attention_backward", q.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (Tensor* gradient : {&out.q, &out.k, &out.v})
      std::fill_n(output<T>(*gradient), gradient->numel(), T(0));
    for (std::int64_t i = 0; i < q.size(0) * queries; ++i) {
      const std::vector<double> p = probabilities<T>(q, k, scale, i);
      const std::int64_t head = i / queries * keys;
      const T *g = input<T>(grad) + i * width, *q_row = input<T>(q) + i * depth;
      std::vector<double> dp(p.size());
      double dot = 0;
      for (std::int64_t j = 0; j < keys; ++j) {
        const auto at = static_cast<std::size_t>(j);
        for (std::int64_t c = 0; c < width; ++c) {
          dp[at] += double(g[c]) * double(input<T>(v)[(head + j) * width + c]);
          output<T>(out.v)[(head + j) * width + c] += T(p[at] * double(g[c]));
        }
        dot += p[at] * dp[at];
      }
      for (std::int64_t j = 0; j < keys; ++j) {
        const auto at = static_cast<std::size_t>(j);
        const double ds = scale * p[at] * (dp[at] - dot);
        for (std::int64_t c = 0; c < depth; ++c) {
          const std::int64_t place = (head + j) * depth + c;
          output<T>(out.q)[i * depth + c] += T(ds * double(input<T>(k)[place]));
          output<T>(out.k)[place] += T(ds * double(q_row[c]));
        }
      }
    }
  });
}

}  // namespace ebb::cpu
