#include <ebb/tensor/reference/reference.h>

#include <algorithm>
#include <cmath>

namespace ebb::reference {

namespace {

// softmax(scale q k^T) of one query, in float64; its largest score and the total of exponentials.
template <class T>
std::vector<double> probabilities(const Heads& heads, const T* q, const T* k, double& largest,
                                  double& total) {
  std::vector<double> p(static_cast<std::size_t>(heads.keys));
  largest = -INFINITY;
  total = 0;
  for (double& score : p) {
    for (std::int64_t c = 0; c < heads.depth; ++c) score += double(q[c]) * double(k[c]);
    k += heads.k.row;
    score *= heads.scale;
    largest = std::max(largest, score);
  }
  for (double& value : p) total += value = std::exp(value - largest);
  for (double& value : p) value /= total;
  return p;
}

}  // namespace

void attention(const Heads& heads, const Tensor& q, const Tensor& k, const Tensor& v,
               Attended& out) {
  dispatch_floating("attention", q.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < heads.count() * heads.queries; ++i) {
      const std::int64_t head = i / heads.queries, row = i % heads.queries;
      const T* query = input<T>(q) + heads.begin(heads.q, head) + row * heads.q.row;
      const T* values = input<T>(v) + heads.begin(heads.v, head);
      double largest, total;
      const std::vector<double> p =
          probabilities(heads, query, input<T>(k) + heads.begin(heads.k, head), largest, total);
      output<T>(out.largest)[i] = T(largest);
      output<T>(out.totals)[i] = T(total);
      for (std::int64_t c = 0; c < heads.width; ++c) {
        double sum = 0;
        for (std::int64_t j = 0; j < heads.keys; ++j)
          sum += p[static_cast<std::size_t>(j)] * double(values[j * heads.v.row + c]);
        output<T>(out.y)[heads.begin(heads.y, head) + row * heads.y.row + c] = T(sum);
      }
    }
  });
}

// dv = p^T g; with dp = g v^T, ds = p (dp - sum(p dp)); dq = scale ds k; dk = scale ds^T q.
void attention_backward(const Heads& heads, const Tensor& grad, const Tensor& q, const Tensor& k,
                        const Tensor& v, const Attended&, AttentionGradients& out) {
  dispatch_floating("attention_backward", q.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (Tensor* gradient : {&out.q, &out.k, &out.v})
      std::fill_n(output<T>(*gradient), gradient->numel(), T(0));
    for (std::int64_t i = 0; i < heads.count() * heads.queries; ++i) {
      const std::int64_t head = i / heads.queries, row = i % heads.queries;
      const std::int64_t at_q = heads.begin(heads.q, head) + row * heads.q.row;
      const std::int64_t at_k = heads.begin(heads.k, head), at_v = heads.begin(heads.v, head);
      const T* g = input<T>(grad) + heads.begin(heads.y, head) + row * heads.y.row;
      double largest, total;
      const std::vector<double> p =
          probabilities(heads, input<T>(q) + at_q, input<T>(k) + at_k, largest, total);
      std::vector<double> dp(p.size());
      double dot = 0;
      for (std::int64_t j = 0; j < heads.keys; ++j) {
        const auto at = static_cast<std::size_t>(j);
        for (std::int64_t c = 0; c < heads.width; ++c) {
          const std::int64_t place = at_v + j * heads.v.row + c;
          dp[at] += double(g[c]) * double(input<T>(v)[place]);
          output<T>(out.v)[place] += T(p[at] * double(g[c]));
        }
        dot += p[at] * dp[at];
      }
      for (std::int64_t j = 0; j < heads.keys; ++j) {
        const auto at = static_cast<std::size_t>(j);
        const double ds = heads.scale * p[at] * (dp[at] - dot);
        for (std::int64_t c = 0; c < heads.depth; ++c) {
          const std::int64_t place = at_k + j * heads.k.row + c;
          output<T>(out.q)[at_q + c] += T(ds * double(input<T>(k)[place]));
          output<T>(out.k)[place] += T(ds * double(input<T>(q)[at_q + c]));
        }
      }
    }
  });
}

void add_attention_kernels(Kernels& table) {
  table.attention = attention;
  table.attention_backward = attention_backward;
}

}  // namespace ebb::reference
