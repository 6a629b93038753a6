#include <ebb/diffusion/samplers/registry.h>

#include <array>
#include <string>

namespace ebb {
namespace {

using Set = SamplerSettings;
constexpr Spacing even = Spacing::trailing, karras = Spacing::karras;

// diffusers lowers the order at the end of few steps.
bool few(const Sampling& s) { return s.steps() < 15; }
bool lower(const Sampling& s, const Set& set) { return set.lower_order_final.value_or(few(s)); }

// name, summary, spacing, order, evaluations, takes eta, takes churn, function, takes
// lower_order_final.
constexpr std::array sampler_table{
    SamplerInfo{"ddpm",
                "ancestral sampling with the posterior's variance (Ho 2020); from 20 steps on",
                even, 0, 1, false, false,
                [](const Sampling& s, Tensor x, const Set&) { return ddpm(s, x); }},
    SamplerInfo{
        "ddpm_large", "ancestral sampling with the variance beta_t (Ho 2020)", even, 0, 1, false,
        false,
        [](const Sampling& s, Tensor x, const Set&) { return ddpm(s, x, DdpmVariance::large); }},
    SamplerInfo{"ddim", "deterministic at eta 0, DDPM at eta 1 (Song 2021)", even, 1, 1, true,
                false,
                [](const Sampling& s, Tensor x, const Set& set) {
                  return ddim(s, x, set.eta.value_or(0));
                }},
    SamplerInfo{"pndm", "pseudo Runge-Kutta, then Adams-Bashforth 4 (Liu 2022)", even, 2, 1, false,
                false, [](const Sampling& s, Tensor x, const Set&) { return pndm(s, x); }},
    SamplerInfo{"plms", "Adams-Bashforth rising to order 4 (Liu 2022)", even, 2, 1, false, false,
                [](const Sampling& s, Tensor x, const Set&) {
                  return pndm(s, x, PndmStart::improved_euler);
                }},
    SamplerInfo{"euler", "Euler's method in sigma / alpha (Karras 2022)", even, 1, 1, false, false,
                [](const Sampling& s, Tensor x, const Set&) { return euler(s, x); }},
    SamplerInfo{"euler_a", "Euler with fresh noise after each step (k-diffusion); from 20 steps on",
                even, 0, 1, true, false,
                [](const Sampling& s, Tensor x, const Set& set) {
                  return euler_ancestral(s, x, set.eta.value_or(1));
                }},
    SamplerInfo{"heun", "the trapezoidal rule, with churn if set (Karras 2022); from 20 steps on",
                karras, 2, 2, false, true,
                [](const Sampling& s, Tensor x, const Set& set) {
                  return heun(s, x, {.churn = set.churn.value_or(0)});
                }},
    SamplerInfo{"lms", "linear multistep of order 4 (k-diffusion)", karras, 2, 1, false, false,
                [](const Sampling& s, Tensor x, const Set&) { return lms(s, x); }},
    SamplerInfo{"kdpm2", "DPM-Solver-2 in sigma: the midpoint rule (Karras 2022)", karras, 2, 2,
                false, false, [](const Sampling& s, Tensor x, const Set&) { return kdpm2(s, x); }},
    SamplerInfo{"kdpm2_a", "the midpoint rule with fresh noise (k-diffusion); from 20 steps on",
                karras, 0, 2, true, false,
                [](const Sampling& s, Tensor x, const Set& set) {
                  return kdpm2_ancestral(s, x, set.eta.value_or(1));
                }},
    SamplerInfo{"dpmpp_2m", "DPM-Solver++, two steps of history (Lu 2022)", karras, 2, 1, false,
                false,
                [](const Sampling& s, Tensor x, const Set& set) {
                  return dpm_solver_multistep(s, x, {.lower_order_final = lower(s, set)});
                },
                true},
    SamplerInfo{"dpmpp_2m_heun",
                "2M with the second-order term exact (diffusers); from 20 steps on", karras, 2, 1,
                false, false,
                [](const Sampling& s, Tensor x, const Set& set) {
                  return dpm_solver_multistep(
                      s, x, {.variant = DpmVariant::heun, .lower_order_final = lower(s, set)});
                },
                true},
    SamplerInfo{"dpmpp_3m", "DPM-Solver++, three steps of history (Lu 2022); from 20 steps on",
                karras, 2, 1, false, false,
                [](const Sampling& s, Tensor x, const Set& set) {
                  return dpm_solver_multistep(s, x,
                                              {.order = 3, .lower_order_final = lower(s, set)});
                },
                true},
    SamplerInfo{"dpmpp_3m_exact",
                "3M with all terms integrated exactly: of third order (ebb); from 20 steps on",
                karras, 3, 1, false, false,
                [](const Sampling& s, Tensor x, const Set& set) {
                  return dpm_solver_multistep(
                      s, x, {3, DpmVariant::exact, false, set.lower_order_final.value_or(true)});
                },
                true},
    SamplerInfo{
        "dpmpp_2s", "DPM-Solver++, steps in pairs (Lu 2022)", karras, 2, 1, false, false,
        [](const Sampling& s, Tensor x, const Set&) { return dpm_solver_singlestep(s, x); }},
    SamplerInfo{"dpmpp_2m_sde", "the same 2M for the SDE: fresh noise each step (Lu 2022)", karras,
                0, 1, false, false,
                [](const Sampling& s, Tensor x, const Set& set) {
                  return dpm_solver_multistep(
                      s, x, {.stochastic = true, .lower_order_final = lower(s, set)});
                },
                true},
    SamplerInfo{"dpmpp_3m_sde", "3M for the SDE (k-diffusion); from 50 steps on", karras, 0, 1,
                false, false,
                [](const Sampling& s, Tensor x, const Set& set) {
                  return dpm_solver_multistep(
                      s, x, {3, DpmVariant::heun, true, set.lower_order_final.value_or(false)});
                },
                true},
    SamplerInfo{"unipc", "predictor and corrector of order 2 (Zhao 2023)", karras, 2, 1, false,
                false,
                [](const Sampling& s, Tensor x, const Set& set) {
                  return unipc(s, x, {.lower_order_final = set.lower_order_final.value_or(true)});
                },
                true},
    SamplerInfo{"unipc_3", "predictor and corrector of order 3 (Zhao 2023); from 20 steps on",
                karras, 3, 1, false, false,
                [](const Sampling& s, Tensor x, const Set& set) {
                  return unipc(
                      s, x,
                      {.order = 3, .lower_order_final = set.lower_order_final.value_or(true)});
                },
                true},
    SamplerInfo{"deis", "exponential integrator of order 2 in log sigma (Zhang 2023)", karras, 2, 1,
                false, false,
                [](const Sampling& s, Tensor x, const Set& set) {
                  return deis(s, x, {.lower_order_final = lower(s, set)});
                },
                true},
    SamplerInfo{"deis_3", "exponential integrator of order 3 (Zhang 2023)", karras, 3, 1, false,
                false,
                [](const Sampling& s, Tensor x, const Set& set) {
                  return deis(s, x, {.order = 3, .lower_order_final = lower(s, set)});
                },
                true},
    SamplerInfo{"lcm", "latent consistency: predict, noise again; for distilled models (Luo 2023)",
                even, 0, 1, false, false,
                [](const Sampling& s, Tensor x, const Set&) { return lcm(s, x); }},
    SamplerInfo{"tcd", "trajectory consistency, eta of it noise; for distilled models (Zheng 2024)",
                even, 0, 1, true, false,
                [](const Sampling& s, Tensor x, const Set& set) {
                  return tcd(s, x, set.eta.value_or(0.3));
                }},
    SamplerInfo{"consistency", "multistep consistency; for distilled models (Song 2023)", karras, 0,
                1, false, false,
                [](const Sampling& s, Tensor x, const Set&) {
                  return consistency(s, x, s.path.at(s.path.t_data()).ratio());
                }},
    SamplerInfo{"edm_euler",
                "Euler on Karras' grid, with churn if set (Karras 2022); from 20 steps on", karras,
                1, 1, false, true,
                [](const Sampling& s, Tensor x, const Set& set) {
                  return euler_churn(s, x, {.churn = set.churn.value_or(0)});
                }},
    SamplerInfo{"edm_dpmpp_2m", "DPM-Solver++ 2M on Karras' grid (diffusers)", karras, 2, 1, false,
                false,
                [](const Sampling& s, Tensor x, const Set& set) {
                  return dpm_solver_multistep(s, x, {.lower_order_final = lower(s, set)});
                },
                true},
    SamplerInfo{"flow_euler", "Euler along the straight path (Liu 2023)", even, 1, 1, false, false,
                [](const Sampling& s, Tensor x, const Set&) { return flow_euler(s, x); }},
    SamplerInfo{"flow_heun", "Heun along the straight path (Liu 2023)", even, 2, 2, false, false,
                [](const Sampling& s, Tensor x, const Set&) { return flow_heun(s, x); }},
};

}  // namespace

std::span<const SamplerInfo> samplers() { return sampler_table; }

const SamplerInfo& find_sampler(std::string_view name) {
  std::string names;
  for (const SamplerInfo& info : sampler_table) {
    if (info.name == name) return info;
    names.append(names.empty() ? "" : ", ").append(info.name);
  }
  fail("sampler: '{}' is unknown; one of {}", name, names);
}

const SamplerInfo& find_sampler(std::string_view name, const SamplerSettings& settings) {
  const SamplerInfo& info = find_sampler(name);
  check(!settings.eta || info.takes_eta,
        "sampler: {} takes no eta; ddim, euler_a, kdpm2_a and tcd do", name);
  check(!settings.churn || info.takes_churn, "sampler: {} takes no churn; heun and edm_euler do",
        name);
  check(!settings.lower_order_final || info.takes_lower_order,
        "sampler: {} has no order to lower at the end; the multistep dpmpp, unipc and deis do",
        name);
  return info;
}

Tensor run_sampler(std::string_view name, const Sampling& s, Tensor x,
                   const SamplerSettings& settings) {
  const SamplerInfo& info = find_sampler(name, settings);
  check(s.grid.size() >= 2, "sampler: a grid of {} levels; at least 2 are needed", s.grid.size());
  return info.run(s, std::move(x), settings);
}

}  // namespace ebb
