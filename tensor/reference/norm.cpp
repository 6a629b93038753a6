#include <ebb/tensor/reference/reference.h>
#include <ebb/tensor/scalar_math.h>

#include <algorithm>

namespace ebb::reference {

void group_norm(const Tensor& x, const Groups& groups, const Tensor& weight, const Tensor& bias,
                double eps, bool silu, Normalized& out) {
  const std::int64_t samples = groups.samples, positions = groups.positions;
  const std::int64_t channels = groups.channels, count = groups.groups;
  const std::int64_t width = channels / count, size = positions * width;
  dispatch_floating("group_norm", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    for (std::int64_t i = 0; i < samples * count; ++i) {
      const std::int64_t s = i / count, first = i % count * width;
      const T* w =
          weight.defined() ? input<T>(weight) + s * groups.parameter_stride(weight) : nullptr;
      const T* b = bias.defined() ? input<T>(bias) + s * groups.parameter_stride(bias) : nullptr;
      const T* from = input<T>(x) + s * positions * channels;
      T* to = output<T>(out.y) + s * positions * channels;
      double total = 0, squares = 0;
      for (std::int64_t p = 0; p < positions; ++p)
        for (std::int64_t c = first; c < first + width; ++c)
          total += double(from[p * channels + c]);
      const double mean = total / double(size);
      for (std::int64_t p = 0; p < positions; ++p)
        for (std::int64_t c = first; c < first + width; ++c) {
          const double d = double(from[p * channels + c]) - mean;
          squares += d * d;
        }
      const double rstd = 1 / std::sqrt(squares / double(size) + eps);
      output<T>(out.mean)[i] = T(mean);
      output<T>(out.rstd)[i] = T(rstd);
      for (std::int64_t p = 0; p < positions; ++p)
        for (std::int64_t c = first; c < first + width; ++c) {
          const double z = (double(from[p * channels + c]) - mean) * rstd * (w ? double(w[c]) : 1) +
                           (b ? double(b[c]) : 0);
          to[p * channels + c] = T(silu ? z * detail::sigmoid(z) : z);
        }
    }
  });
}

// With n = (x - mean) rstd and g the gradient by n weight + bias: the gradients of bias and weight
// are the sums of g and g n, and dx = rstd (g w - mean(g w) - n mean(g w n)).
void group_norm_backward(const Tensor& grad, const Tensor& x, const Groups& groups,
                         const Tensor& weight, const Tensor& bias, const Tensor& mean,
                         const Tensor& rstd, bool silu, NormGradients& out) {
  const std::int64_t samples = groups.samples, positions = groups.positions;
  const std::int64_t channels = groups.channels, count = groups.groups;
  const std::int64_t width = channels / count, size = positions * width;
  dispatch_floating("group_norm_backward", x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const std::int64_t stride = groups.parameter_stride(weight);
    std::vector<double> dw(static_cast<std::size_t>(stride > 0 ? samples * channels : channels));
    std::vector<double> db(dw);
    for (std::int64_t i = 0; i < samples * count; ++i) {
      const std::int64_t s = i / count, first = i % count * width;
      const std::int64_t start = s * positions * channels;
      const T* w = weight.defined() ? input<T>(weight) + s * stride : nullptr;
      const T* b = bias.defined() ? input<T>(bias) + s * groups.parameter_stride(bias) : nullptr;
      const double m = double(input<T>(mean)[i]), r = double(input<T>(rstd)[i]);
      // Calls body(place, channel, n, g, w) for the group's elements.
      const auto for_elements = [&](const auto& body) {
        for (std::int64_t p = 0; p < positions; ++p)
          for (std::int64_t c = first; c < first + width; ++c) {
            const std::int64_t at = start + p * channels + c;
            const double scale = w ? double(w[c]) : 1, shift = b ? double(b[c]) : 0;
            const double n = (double(input<T>(x)[at]) - m) * r;
            const double outer = silu ? detail::silu_derivative(n * scale + shift) : 1;
            body(at, static_cast<std::size_t>(s * stride + c), n,
                 double(input<T>(grad)[at]) * outer, scale);
          }
      };
      double sum = 0, dot = 0;
      for_elements([&](std::int64_t, std::size_t c, double n, double g, double scale) {
        db[c] += g;
        dw[c] += g * n;
        sum += g * scale;
        dot += g * scale * n;
      });
      for_elements([&](std::int64_t at, std::size_t, double n, double g, double scale) {
        output<T>(out.x)[at] = T(r * (g * scale - sum / double(size) - n * dot / double(size)));
      });
    }
    if (!out.weight.defined()) return;
    std::transform(dw.begin(), dw.end(), output<T>(out.weight), [](double d) { return T(d); });
    std::transform(db.begin(), db.end(), output<T>(out.bias), [](double d) { return T(d); });
  });
}

void add_norm_kernels(Kernels& table) {
  table.group_norm = group_norm;
  table.group_norm_backward = group_norm_backward;
}

}  // namespace ebb::reference
