#include <ebb/diffusion/models/time_embedding.h>
#include <ebb/tensor/ops/layout.h>
#include <ebb/tensor/ops/pointwise.h>

#include <cmath>

namespace ebb {

Tensor timestep_embedding(const Tensor& t, std::int64_t dim,
                          const TimestepEmbeddingOptions& options) {
  const std::int64_t half = dim / 2;
  check(t.rank() == 1, "timestep_embedding: t has shape {}; one timestep per row, (N), is needed",
        t.shape());
  check(half >= 1 && static_cast<double>(half) > options.freq_shift,
        "timestep_embedding: dim {} with freq_shift {} leaves no frequency; dim / 2 must be above "
        "freq_shift and at least 1",
        dim, options.freq_shift);
  std::vector<float> frequencies;
  for (std::int64_t i = 0; i < half; ++i) {
    const float exponent = -static_cast<float>(std::log(10000.0)) * static_cast<float>(i);
    frequencies.push_back(
        std::exp(exponent / static_cast<float>(static_cast<double>(half) - options.freq_shift)));
  }
  const Tensor angle = mul(mul(t.to(DType::float32).reshape({-1, 1}),
                               Tensor::from(frequencies, {1, half}).to(t.device())),
                           options.scale);
  std::vector<Tensor> parts{sin(angle), cos(angle)};
  if (options.flip_sin_to_cos) std::swap(parts[0], parts[1]);
  if (dim % 2 == 1) parts.push_back(Tensor::zeros({t.size(0), 1}, DType::float32, t.device()));
  return cat(parts, 1);
}

}  // namespace ebb
