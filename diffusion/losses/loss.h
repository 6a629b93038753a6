// Training losses of diffusion models.
#pragma once

#include <ebb/autograd/ops.h>
#include <ebb/diffusion/schedules/path.h>
#include <ebb/diffusion/schedules/prediction.h>

namespace ebb {

// mean over samples n and their elements of weights[n] (output - target)^2; weights (N) or
// undefined for the simple loss (Ho et al. 2020, eq. 14).
Variable weighted_mse(const Variable& output, const Tensor& target, const Tensor& weights = {});

// How much a level counts. All but `simple` are stated on one quantity and converted to what the
// model predicts, so that models of different types under one weighting learn the same.
struct LossWeight {
  enum class Kind : std::uint8_t {
    simple,   // 1 on the output, whatever it is
    min_snr,  // min(SNR, gamma) on x_0 (Hang et al. 2023, eq. 8)
    p2,       // 1 / (k + SNR)^gamma on epsilon (Choi et al. 2022, eq. 8)
    edm,      // (s^2 + d^2) / (s d)^2 on x_0 (Karras et al. 2022, sec. 5)
  };
  Kind kind = Kind::simple;
  double gamma = 5;         // min_snr; 1 is usual for p2
  double k = 1;             // p2
  double sigma_data = 0.5;  // d of edm
};
// The weight of the squared error of the output at a level. One that is not finite (EDM's epsilon
// at zero SNR) is an Error.
double loss_weight(const LossWeight& weight, Prediction prediction, const Level& level);
// (N) float64, for N levels; for times t (N).
Tensor loss_weights(const LossWeight& weight, Prediction prediction,
                    const std::vector<Level>& levels);
Tensor loss_weights(const LossWeight& weight, Prediction prediction, const Path& path,
                    const Tensor& t);

}  // namespace ebb
