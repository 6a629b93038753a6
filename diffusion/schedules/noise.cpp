#include <ebb/diffusion/schedules/noise.h>
#include <ebb/tensor/ops/layout.h>

namespace ebb {

NoiseSource philox_noise(std::uint64_t seed, std::int64_t first_sample, Purpose purpose) {
  return [=](const Tensor& like, std::int64_t draw) {
    const PhiloxAddress address{seed, purpose, static_cast<std::uint64_t>(draw),
                                static_cast<std::uint64_t>(first_sample)};
    return philox_normal(like.shape(), address, like.dtype()).to(like.device());
  };
}

NoiseSource philox_noise(std::uint64_t seed, std::vector<std::int64_t> samples, Purpose purpose) {
  return [=](const Tensor& like, std::int64_t draw) {
    check(like.size(0) == static_cast<std::int64_t>(samples.size()),
          "noise: a batch of {} for {} sample numbers; they must agree", like.size(0),
          samples.size());
    Shape row = like.shape();
    row.set(0, 1);
    std::vector<Tensor> rows;
    for (const std::int64_t sample : samples) {
      const PhiloxAddress address{seed, purpose, static_cast<std::uint64_t>(draw),
                                  static_cast<std::uint64_t>(sample)};
      rows.push_back(philox_normal(row, address, like.dtype()));
    }
    return cat(rows, 0).to(like.device());
  };
}

NoiseSource generator_noise(Generator& generator, bool channels_first) {
  return [&generator, channels_first](const Tensor& like, std::int64_t) {
    if (!channels_first) return generator.randn(like.shape(), like.dtype()).to(like.device());
    const Shape nchw{like.size(0), like.size(3), like.size(1), like.size(2)};
    return nchw_to_nhwc(generator.randn(nchw, like.dtype())).to(like.device());
  };
}

}  // namespace ebb
