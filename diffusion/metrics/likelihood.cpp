#include <ebb/diffusion/losses/variational_bound.h>
#include <ebb/diffusion/metrics/likelihood.h>

#include <cmath>

namespace ebb {

BitsPerDimension bits_per_dimension(const TimedPredictor& model, const Path& path,
                                    Prediction prediction, const Batch& batch,
                                    std::int64_t evaluations, const StepDraws& draws) {
  const std::int64_t last = path.steps() - 1;
  check(last >= 1 && evaluations >= 1 && evaluations <= last,
        "bits_per_dimension: {} evaluations of a table of {} steps; 1 to T - 1 of them can be",
        evaluations, path.steps());
  const NoGrad no_grad;
  const std::int64_t count = batch.images.size(0);
  // The mean over the images of L_t; `part` numbers the noise.
  const auto term = [&](const std::vector<double>& times, std::int64_t part) {
    PhiloxAddress address = draws.address(Purpose::noise);
    address.step = static_cast<std::uint64_t>(part);
    const Tensor eps = philox_normal(batch.images.shape(), address).to(batch.images.device());
    const Tensor t = Tensor::from(times);
    const Tensor x_t = add_noise(path, batch.images, eps, t);
    const Tensor output = model(x_t, t.to(DType::float32).to(x_t.device()), batch.conditioning);
    return mean(bound_terms(path, prediction, {batch.images, x_t, t}, output)).item();
  };

  BitsPerDimension bits;
  bits.prior = mean(bound_prior(path, batch.images)).item();
  bits.decoder = term(std::vector<double>(static_cast<std::size_t>(count), 0.0), 0);
  const std::vector<double> u =
      philox_uniform({count, evaluations}, draws.address(Purpose::timestep), DType::float64)
          .to_vector<double>();
  for (std::int64_t part = 0; part < evaluations; ++part) {
    const std::int64_t low = 1 + last * part / evaluations;
    const std::int64_t high = 1 + last * (part + 1) / evaluations;
    const double width = static_cast<double>(high - low);
    std::vector<double> times;
    for (std::int64_t i = 0; i < count; ++i)
      times.push_back(static_cast<double>(low) +
                      std::floor(u[static_cast<std::size_t>(i * evaluations + part)] * width));
    bits.steps += width * term(times, part + 1);
  }
  return bits;
}

}  // namespace ebb
