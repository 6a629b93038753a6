// The samplers. All return x at the last level of the grid; x starts at the first.
//
// s is the ratio sigma / alpha, lambda = -log s, and barred x is x / alpha. Where a method is
// written in s and the grid starts from pure noise (s infinite), the first step is DDIM's.
#pragma once

#include <ebb/diffusion/samplers/sampler.h>

#include <limits>

namespace ebb {

// Ancestral sampling (Ho et al. 2020, alg. 2): x_s ~ q(x_s | x_t, x_0 predicted), respaced to the
// grid. One draw a step, none into sigma = 0.
enum class DdpmVariance : std::uint8_t {
  small,          // that of the posterior
  large,          // that for data N(0, I): beta_t on a variance-preserving path
  learned_range,  // between the two in the logarithm, as the model says
};
Tensor ddpm(const Sampling& s, Tensor x, DdpmVariance variance = DdpmVariance::small);

// x_s = alpha_s x_0 + sqrt(sigma_s^2 - v) eps + sqrt(v) z, v = eta^2 times the posterior's
// variance (Song et al. 2021, eq. 12). eta in [0, 1]: 0 is deterministic, 1 is DDPM.
Tensor ddim(const Sampling& s, Tensor x, double eta = 0);
// The same ODE upwards: x_0 to its latent. The grid ascends; the model is told the level that the
// step goes to. (Dhariwal & Nichol 2021, app. F.)
Tensor ddim_inversion(const Sampling& s, Tensor x);

// The probability-flow ODE d barred x / d s = eps (Karras et al. 2022, eq. 1 with sigma(t) = t).

// Euler's method.
Tensor euler(const Sampling& s, Tensor x);
// Euler down to s_down, then fresh noise up to s' (Karras' k-diffusion, "Euler a"):
// s_up = min(s', eta s' sqrt(1 - s'^2 / s^2)), s_down^2 = s'^2 - s_up^2. One draw a step. eta in
// [0, 1].
Tensor euler_ancestral(const Sampling& s, Tensor x, double eta = 1);
struct AncestralStep {
  double down, up;
};
AncestralStep ancestral_step(double from, double to, double eta = 1);

// Heun's method with churn (Karras et al. 2022, alg. 2): noise raises s to s (1 + gamma), gamma =
// min(churn / N, sqrt(2) - 1), where s is in [low, high]; then a step of the trapezoidal rule.
// Two evaluations a step, one into s = 0; one draw a step where there is churn.
struct Churn {
  double churn = 0;
  double low = 0, high = std::numeric_limits<double>::infinity();
  double noise = 1;  // standard deviation of what is added
};
Tensor heun(const Sampling& s, Tensor x, const Churn& churn = {});
// Euler with the same churn.
Tensor euler_churn(const Sampling& s, Tensor x, const Churn& churn);

// Linear multistep: the integral of the Lagrange polynomial through the last `order` slopes over
// [s, s'] (k-diffusion, "LMS"). order 1 to 4.
Tensor lms(const Sampling& s, Tensor x, int order = 4);
// Integrals from `from` to `to` of the Lagrange basis on `nodes` (at most 4, all different).
std::vector<double> lms_coefficients(const std::vector<double>& nodes, double from, double to);

// DPM-Solver-2 in s: the slope at the geometric mean of s and s' (Lu et al. 2022, alg. 1, as in
// Karras et al. 2022, app. B.1). Two evaluations a step, one into s = 0.
Tensor kdpm2(const Sampling& s, Tensor x);
// The same down to s_down, then noise as in euler_ancestral. One draw a step.
Tensor kdpm2_ancestral(const Sampling& s, Tensor x, double eta = 1);

// Pseudo numerical methods (Liu et al. 2022): a combination e of outputs, then the transfer
// (eq. 11), which is a DDIM step along e. pndm starts with three steps of the pseudo Runge-Kutta
// method (four evaluations each, half way in t), plms with one improved Euler step (two); both go
// on with Adams-Bashforth of order 4 (plms rising through 2 and 3).
enum class PndmStart : std::uint8_t { runge_kutta, improved_euler };
using Transfer =
    std::function<Tensor(const Tensor& x, const Level& from, const Level& to, const Tensor& e)>;
Tensor pndm(const Sampling& s, Tensor x, PndmStart start = PndmStart::runge_kutta,
            const Transfer& transfer = {});

// DPM-Solver++ (Lu et al. 2022b): the exact solution in lambda with x_0 expanded in Taylor's
// series, its derivatives from the last `order` predictions. The step into sigma = 0 and, with
// lower_order_final, the last step are of first order (the one before of second).
enum class DpmVariant : std::uint8_t {
  midpoint,  // as published, alg. 2: the second-order step's term approximated
  heun,      // that term integrated exactly
  exact,     // and the third derivative's too, of which the other two take half: only so is the
             // third order more than the second
};
struct DpmOptions {
  int order = 2;  // 1 to 3
  DpmVariant variant = DpmVariant::midpoint;
  bool stochastic = false;  // SDE-DPM-Solver++ (app. B); one draw a step
  bool lower_order_final = false;
};
Tensor dpm_solver_multistep(const Sampling& s, Tensor x, const DpmOptions& options = {});
// 2S (alg. 1): levels in pairs, the first of a pair serving only to find the second; N intervals
// make N evaluations. An odd last level and a step into sigma = 0 are of first order.
Tensor dpm_solver_singlestep(const Sampling& s, Tensor x,
                             DpmVariant variant = DpmVariant::midpoint);

// UniPC (Zhao et al. 2023, alg. 5 and 7, x_0 prediction): predictor of `order` 1 to 3, each
// evaluation also correcting the step that led to it. lower_order_final lowers the order towards
// the end.
struct UnipcOptions {
  int order = 2;
  bool bh2 = true;  // B(h) = e^h - 1; else B(h) = h
  bool lower_order_final = true;
  bool corrector = true;  // without it the order is the predictor's
};
Tensor unipc(const Sampling& s, Tensor x, const UnipcOptions& options = {});

// DEIS, t-AB in log s (Zhang & Chen 2023, eq. 15): the Lagrange polynomial in log s through the
// last `order` (1 to 4) eps, integrated exactly over s. lower_order_final lowers the order towards
// the end.
struct DeisOptions {
  int order = 2;
  bool lower_order_final = false;
};
Tensor deis(const Sampling& s, Tensor x, const DeisOptions& options = {});

// For distilled models. Consistency sampling (Song et al. 2023, alg. 1): x_0 predicted, then noise
// to s' as sqrt(s'^2 - s_min^2). One draw a step, none into the last level.
Tensor consistency(const Sampling& s, Tensor x, double s_min = 0);
// Latent consistency (Luo et al. 2023, alg. 3): y = c_skip(t) x + c_out(t) x_0 with
// c_skip = d^2 / (u^2 + d^2), c_out = u / sqrt(u^2 + d^2), u = time_scale t
// (t from t_data() on); then
// alpha' y + sigma' z. One draw a step, none into the last level, where y is returned.
struct LcmOptions {
  double sigma_data = 0.5;
  double time_scale = 10;
};
Tensor lcm(const Sampling& s, Tensor x, const LcmOptions& options = {});
// Trajectory consistency (Zheng et al. 2024, alg. 4): DDIM to the time (1 - eta) t' (the integer
// below on a table), then noise up to t'. eta in [0, 1]; one draw a step, none into the last level.
Tensor tcd(const Sampling& s, Tensor x, double eta = 0.3);

// The straight path's ODE dy / d tau = eps - x_0, where y = x / (alpha + sigma), tau = sigma /
// (alpha + sigma): x itself and sigma on a flow path (Liu et al. 2023, eq. 1). Finite at both ends.
Tensor flow_euler(const Sampling& s, Tensor x);
// Two evaluations a step, one into sigma = 0.
Tensor flow_heun(const Sampling& s, Tensor x);

}  // namespace ebb
