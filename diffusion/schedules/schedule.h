// Noise schedules: beta_t for t = 0..T-1, in float64.
//
//   q(x_t | x_{t-1}) = N(sqrt(1 - beta_t) x_{t-1}, beta_t I),  alpha_bar_t = prod_{s<=t} (1 -
//   beta_s)
//
// (Ho et al. 2020, eq. 2 and 4). A schedule is only a table; path.h makes a path of it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ebb {

// i-th of n even points from a to b, both in; a alone when n is 1.
double even_point(double a, double b, std::int64_t i, std::int64_t n);

// All need T >= 1 and endpoints 0 < start, end < 1; else Error.

// Evenly spaced from `start` to `end` (Ho et al. 2020, sec. 4), exactly as given: the tutorial's
// form. The usual 1e-4 and 0.02 are meant for T = 1000; scale_endpoint fits them to another T.
std::vector<double> linear_betas(std::int64_t T, double start = 1e-4, double end = 0.02);
// beta * 1000 / T: the endpoint that keeps alpha_bar_{T-1} about where it is at T = 1000.
// An endpoint that leaves (0, 1) is an Error: T is too small.
double scale_endpoint(double beta, std::int64_t T);
// Squares of evenly spaced square roots: "quadratic" in Song et al. 2021 (DDIM), "scaled linear"
// in latent diffusion, whose endpoints are 0.00085 and 0.012.
std::vector<double> quadratic_betas(std::int64_t T, double start = 1e-4, double end = 0.02);
// start + (end - start) sigmoid(u), u evenly spaced in [-6, 6] (Xu et al. 2022, GeoDiff).
std::vector<double> sigmoid_betas(std::int64_t T, double start = 1e-4, double end = 0.02);

// beta_t = clamp(1 - f((t+1)/T) / f(t/T), floor, cap) for an alpha_bar f that falls on [0, 1].
std::vector<double> betas_of_alpha_bar(std::int64_t T, const std::function<double(double)>& f,
                                       double cap = 0.999, double floor = 0);
// f(u) = cos^2((u + s) / (1 + s) pi/2) (Nichol & Dhariwal 2021, eq. 17). Their cap is 0.999; the
// tutorial's is 0.9999 with a floor of 1e-4.
std::vector<double> cosine_betas(std::int64_t T, double s = 0.008, double cap = 0.999,
                                 double floor = 0);
// f falls from 1 to 0 as a sigmoid on [start, end] with temperature tau (Jabri et al. 2022, alg.
// 2).
std::vector<double> sigmoid_alpha_bar_betas(std::int64_t T, double start = -3, double end = 3,
                                            double tau = 1, double cap = 0.999);
// f(u) = e^{-rate u}.
std::vector<double> exponential_betas(std::int64_t T, double rate = 12, double cap = 0.999);
// log SNR(u) = mu - b sgn(1/2 - u) log(1 - 2 |u - 1/2|) (Hang et al. 2024, table 1).
std::vector<double> laplace_betas(std::int64_t T, double mu = 0, double b = 0.5,
                                  double cap = 0.999);

// Running product of 1 - beta.
std::vector<double> alphas_cumprod(const std::vector<double>& betas);
// The inverse: 1 - alpha_bar_t / alpha_bar_{t-1}.
std::vector<double> betas_of_alphas_cumprod(const std::vector<double>& alphas_cumprod);
// sqrt(alpha_bar) shifted to end at 0 and scaled to start where it did (Lin et al. 2023, alg. 1).
// The last step is then pure noise, which epsilon prediction cannot invert: use v or flow.
std::vector<double> zero_terminal_snr(const std::vector<double>& alphas_cumprod);

// alpha_bar by name: linear (endpoints scaled to T), linear_unscaled, scaled_linear, quadratic,
// cosine, sigmoid, sigmoid_beta, exponential, laplace. Any other name is an Error that lists them.
std::vector<double> alphas_cumprod_named(std::string_view name, std::int64_t T);
const std::vector<std::string>& schedule_names();

}  // namespace ebb
