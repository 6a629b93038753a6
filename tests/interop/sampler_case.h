// One case of a file made by samplers.py: a sampler of another library on its own grid and noise.
#pragma once

#include <ebb/diffusion/samplers/registry.h>
#include <ebb/tensor/ops/layout.h>

#include "tests/diffusion/samplers/mixture.h"
#include "tests/reference_file.h"

namespace ebb::test {

// max|a - b| / max|b| of run_sampler(sampler) to the other library's result.
inline double sampler_case_error(const ReferenceFile& file, const Json& entry) {
  const std::string name = entry.at("name"), kind = entry.at("path");
  const Path table = Path::discrete(file["alphas_cumprod"].to_vector<double>());
  const Path path = kind == "edm"    ? Path::edm()
                    : kind == "flow" ? Path::flow()
                    : kind == "ve"   ? table.rescaled(Scaling::variance_exploding)
                                     : table;
  TimeGrid grid;
  const std::vector<double> levels = file[name + "/levels"].to_vector<double>();
  for (std::size_t i = 0; i + 2 < levels.size(); i += 3)
    grid.push_back({levels[i], levels[i + 1], levels[i + 2]});
  const Tensor& noise = file[name + "/noise"];
  const Tensor& x = file[name + "/x"];
  const NoiseSource source = [&](const Tensor&, std::int64_t draw) {
    return slice(noise, 0, draw, draw + 1).reshape(x.shape());
  };
  SamplerSettings settings;
  if (entry.contains("eta")) settings.eta = entry.at("eta").get<double>();
  if (entry.contains("churn")) settings.churn = entry.at("churn").get<double>();
  const Tensor y = run_sampler(entry.at("sampler").get<std::string>(),
                               {plane_mixture().denoiser(), path, grid, source, {}}, x, settings);
  return relative_error(y, file[name + "/out"]);
}

}  // namespace ebb::test
