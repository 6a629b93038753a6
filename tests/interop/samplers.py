#!/usr/bin/env python3
"""What diffusers and k-diffusion make of every sampler: tests/golden/samplers.safetensors.

usage: samplers.py FILE

Each case is one run of a library's own sampler in float64 (their float32 read as float64) on its
own grid: levels, start, the noise of each step, result. The denoiser is exact for a mixture of
three Gaussians in the plane (plane_mixture of tests/diffusion/samplers/mixture.h). `ebb_interop samplers`
runs the sampler of ebb that bears the name on the same levels and the same noise.
"""
import importlib
import importlib.util
import sys
import types

import numpy as np
import torch

from torch_safetensors import write_cases

WEIGHTS = [0.5, 0.3, 0.2]
MEANS = [[-1.0, 0.4], [1.0, 1.0], [0.6, -1.2]]
VARIANCES = [0.05, 0.1, 0.02]
SHAPE = (3, 2)
T = 1000


class Doubled:
    """A module whose float32 is float64, and whose random numbers are the case's."""

    def __init__(self, module):
        self.module, self.float32, self.noise = module, module.float64, None

    def randn_like(self, x):
        return self.noise()

    def __getattr__(self, name):
        return getattr(self.module, name)


def x0_of(x, alpha, sigma):
    """The posterior mean of x_0 given x = alpha x_0 + sigma eps."""
    means, v = torch.tensor(MEANS, dtype=x.dtype), torch.tensor(VARIANCES, dtype=x.dtype)
    variance = alpha**2 * v + sigma**2
    away = x[:, None] - alpha * means
    logits = torch.tensor(WEIGHTS, dtype=x.dtype).log() - variance.log() - (away**2).sum(-1) / (2 * variance)
    x0 = means + (alpha * v / variance)[:, None] * away
    return (logits.softmax(-1)[..., None] * x0).sum(1)


class Recorder:
    def __init__(self):
        self.cases, self.tensors = [], {}

    def add(self, name, sampler, path, levels, x, noise, out, tolerance=1e-9, **settings):
        assert torch.isfinite(out).all(), name
        self.cases.append(dict(name=name, sampler=sampler, path=path, tolerance=tolerance, **settings))
        for key, value in dict(levels=torch.tensor(levels, dtype=torch.float64), x=x, noise=noise, out=out).items():
            self.tensors[f"{name}/{key}"] = value


def random(n):
    return torch.randn(n, *SHAPE, dtype=torch.float64), torch.randn(*SHAPE, dtype=torch.float64)


def table():
    return torch.cumprod(1 - torch.linspace(1e-4, 0.02, T, dtype=torch.float64), 0).numpy()


def level(path, sigma, t=None):
    """(t, alpha, sigma) at the ratio sigma, or on a flow at that sigma."""
    if path == "flow":
        return [sigma, 1 - sigma, sigma]
    ratios = np.sqrt((1 - table()) / table())
    if t is None:
        t = 0.0 if path == "edm" or sigma == 0 else float(np.interp(np.log(sigma), np.log(ratios), np.arange(T)))
    alpha = 1.0 if path in ("ve", "edm") else 1 / np.sqrt(1 + sigma**2)
    return [t, alpha, sigma * alpha]


# ---------------------------------------------------------------------------------- diffusers

def scheduler_of(name, **options):
    import diffusers

    module = sys.modules[getattr(diffusers, name).__module__]
    if not isinstance(module.torch, Doubled):
        module.torch, module.np = Doubled(torch), Doubled(np)
    return getattr(module, name)(**options), module


def eps_model(x, alpha, sigma):
    return (x - alpha * x0_of(x, alpha, sigma)) / sigma


def walk(scheduler, module, x, noise, model, evaluations=1, **kwargs):
    """All calls of `step`: model(x, i) is the i-th output; draws are those of the whole step."""
    for i, t in enumerate(scheduler.timesteps):
        module.randn_tensor = lambda *a, i=i, **k: noise[min(i // evaluations, len(noise) - 1)]
        x = scheduler.step(model(x, i), t, x, return_dict=False, **kwargs)[0]
    return x


def tabled(record, sampler, name, steps, options, settings={}, kwargs={}, clean=True, label=""):
    """DDPM, DDIM, PNDM, LCM, TCD: times of a table; clean: it ends at alpha_bar = 1."""
    scheduler, module = scheduler_of(name, **options)
    scheduler.set_timesteps(steps)
    abar = scheduler.alphas_cumprod.double()
    scheduler.alphas_cumprod = abar
    seen = [float(t) for t in scheduler.timesteps]
    times = seen
    if name == "PNDMScheduler":
        times = [float(k) for k in range(T - T // steps, -1, -(T // steps))]
    levels = [[t, float(abar[int(t)].sqrt()), float((1 - abar[int(t)]).sqrt())] for t in times]
    levels.append([0.0, 1.0, 0.0] if clean else [0.0, float(abar[0].sqrt()), float((1 - abar[0]).sqrt())])
    noise, x = random(steps)

    def model(x, i):
        a = abar[int(seen[i])]
        return eps_model(x, a.sqrt(), (1 - a).sqrt())

    out = walk(scheduler, module, x, noise, model, **kwargs)
    record.add(f"{sampler}/{name}{label}/{steps}", sampler, "vp", levels, x, noise, out, **settings)


def sigma_calls(scheduler, evaluations):
    """The ratio at each call of the model and the ratios of whole steps."""
    sigmas = [float(s) for s in scheduler.sigmas]
    if evaluations == 1:
        return sigmas[:-1], sigmas
    middle = getattr(scheduler, "sigmas_interpol", None)
    shift = 1 if hasattr(scheduler, "sigmas_up") else 0  # the ancestral form keeps them one earlier
    calls = []
    for i in range(len(scheduler.timesteps)):
        calls.append(float(middle[i - shift]) if middle is not None and i % 2 else sigmas[i])
    return calls, [sigmas[0]] + sigmas[1 : len(calls) + 1 : 2]


def sigma_space(record, sampler, name, steps, options, path="ve", evaluations=1, model="eps", settings={},
                kwargs={}, label="", tolerance=1e-9):
    """Schedulers whose grid is `sigmas`; vp: x is alpha (x_0 + s eps)."""
    scheduler, module = scheduler_of(name, **options)
    scheduler.set_timesteps(steps)
    scheduler.sigmas = scheduler.sigmas.double()
    calls, ratios = sigma_calls(scheduler, evaluations)
    levels = [level(path, s) for s in ratios]
    noise, x = random(len(levels) - 1)
    x = x * np.hypot(levels[0][1], levels[0][2])

    def output(x, i):
        if model == "flow":
            return (x - x0_of(x, 1 - calls[i], calls[i])) / calls[i]
        if model == "raw":
            # What a preconditioned network says so that the denoiser is the mixture's.
            skip, out = (
                scheduler.get_scalings_for_boundary_condition(scheduler.sigmas[i])
                if hasattr(scheduler, "get_scalings_for_boundary_condition")
                else (0.25 / (calls[i] ** 2 + 0.25), calls[i] * 0.5 / np.hypot(calls[i], 0.5))
            )
            return (x0_of(x, 1.0, calls[i]) - skip * x) / out
        gamma = 1.0
        if kwargs.get("s_churn"):
            gamma += min(kwargs["s_churn"] / (len(calls)), 2**0.5 - 1)
        alpha = 1 / np.hypot(1, calls[i]) if path == "vp" else 1.0
        return eps_model(x, alpha, alpha * calls[i] * gamma)

    if hasattr(scheduler, "init_noise_sigma"):
        scheduler.is_scale_input_called = True
    out = walk(scheduler, module, x, noise, output, evaluations, **kwargs)
    record.add(f"{sampler}/{name}{label}/{steps}", sampler, path, levels, x, noise, out, tolerance=tolerance,
               **settings)


def diffusers_cases(record):
    linear = dict(beta_start=1e-4, beta_end=0.02, beta_schedule="linear", num_train_timesteps=T)
    karras = dict(linear, use_karras_sigmas=True)
    plain = dict(linear, clip_sample=False)
    for steps in (10, 20):
        tabled(record, "ddpm", "DDPMScheduler", steps, plain)
        tabled(record, "ddpm_large", "DDPMScheduler", steps, dict(plain, variance_type="fixed_large"), label=" fixed_large")
        for eta in (0.0, 0.5, 1.0):
            tabled(record, "ddim", "DDIMScheduler", steps, plain, dict(eta=eta), dict(eta=eta), label=f" eta {eta}")
        tabled(record, "pndm", "PNDMScheduler", steps, dict(linear, set_alpha_to_one=True))
        tabled(record, "plms", "PNDMScheduler", steps, dict(linear, set_alpha_to_one=True, skip_prk_steps=True),
               label=" skip_prk_steps")
    for steps in (4, 8):
        # Its weights are float32: an integer tensor, divided.
        tabled(record, "lcm", "LCMScheduler", steps, dict(plain), dict(tolerance=1e-7))
        for eta in (0.3, 0.7):
            tabled(record, "tcd", "TCDScheduler", steps, dict(plain), dict(eta=eta), dict(eta=eta), clean=False,
                   label=f" eta {eta}")
        sigma_space(record, "consistency", "CMStochasticIterativeScheduler", steps, dict(clip_denoised=False),
                    path="edm", model="raw")
    for steps in (10, 20):
        for spacing, options in ((" karras", karras), ("", linear)):
            for sampler, name, evaluations in (
                ("euler", "EulerDiscreteScheduler", 1),
                ("lms", "LMSDiscreteScheduler", 1),
                ("heun", "HeunDiscreteScheduler", 2),
                ("kdpm2", "KDPM2DiscreteScheduler", 2),
                ("kdpm2_a", "KDPM2AncestralDiscreteScheduler", 2),
            ):
                # LMS integrates numerically.
                sigma_space(record, sampler, name, steps, options, evaluations=evaluations, label=spacing,
                            tolerance=1e-6 if sampler == "lms" else 1e-9)
            sde = dict(options, algorithm_type="sde-dpmsolver++")
            for sampler, name, more, label in (
                ("dpmpp_2m", "DPMSolverMultistepScheduler", {}, ""),
                ("dpmpp_2m_heun", "DPMSolverMultistepScheduler", dict(solver_type="heun"), " heun"),
                ("dpmpp_3m", "DPMSolverMultistepScheduler", dict(solver_order=3), " solver_order 3"),
                ("dpmpp_2m_sde", "DPMSolverMultistepScheduler", dict(algorithm_type="sde-dpmsolver++"), " sde"),
                ("dpmpp_2s", "DPMSolverSinglestepScheduler", {}, ""),
                ("unipc", "UniPCMultistepScheduler", {}, ""),
                ("unipc_3", "UniPCMultistepScheduler", dict(solver_order=3), " solver_order 3"),
                ("deis", "DEISMultistepScheduler", {}, ""),
                ("deis_3", "DEISMultistepScheduler", dict(solver_order=3), " solver_order 3"),
            ):
                if sampler.startswith("deis") and spacing:
                    continue  # its last step has no length there: 0/0
                sigma_space(record, sampler, name, steps, dict(options, **more), path="vp", label=label + spacing)
        sigma_space(record, "euler_a", "EulerAncestralDiscreteScheduler", steps, linear)
        sigma_space(record, "euler", "EulerDiscreteScheduler", steps, linear, label=" repeated")
        sigma_space(record, "edm_euler", "EDMEulerScheduler", steps, {}, path="edm", model="raw")
        sigma_space(record, "edm_dpmpp_2m", "EDMDPMSolverMultistepScheduler", steps, {}, path="edm", model="raw")
        sigma_space(record, "flow_euler", "FlowMatchEulerDiscreteScheduler", steps, {}, path="flow", model="flow")
        sigma_space(record, "flow_heun", "FlowMatchHeunDiscreteScheduler", steps, {}, path="flow", model="flow",
                    evaluations=2)


# --------------------------------------------------------------------------------- k-diffusion

def k_diffusion_sampling():
    """k_diffusion.sampling without the rest of the package, which wants models of other kinds."""
    package = types.ModuleType("k_diffusion")
    package.__path__ = importlib.util.find_spec("k_diffusion").submodule_search_locations
    sys.modules["k_diffusion"] = package
    return importlib.import_module("k_diffusion.sampling")


def k_diffusion_cases(record):
    sampling = k_diffusion_sampling()
    sampling.torch = Doubled(torch)
    for steps in (10, 20):
        for sampler, function, settings, kwargs in (
            ("euler", "sample_euler", {}, {}),
            ("euler_a", "sample_euler_ancestral", {}, {}),
            ("euler_a", "sample_euler_ancestral", dict(eta=0.5), dict(eta=0.5)),
            ("edm_euler", "sample_euler", dict(churn=3.0), dict(s_churn=3.0)),
            ("heun", "sample_heun", {}, {}),
            ("heun", "sample_heun", dict(churn=3.0), dict(s_churn=3.0)),
            ("kdpm2", "sample_dpm_2", {}, {}),
            ("kdpm2_a", "sample_dpm_2_ancestral", {}, {}),
            ("kdpm2_a", "sample_dpm_2_ancestral", dict(eta=0.5), dict(eta=0.5)),
            ("lms", "sample_lms", {}, {}),
            ("dpmpp_2m", "sample_dpmpp_2m", {}, {}),
            ("dpmpp_2m_sde", "sample_dpmpp_2m_sde", {}, {}),
            ("dpmpp_3m_sde", "sample_dpmpp_3m_sde", {}, {}),
        ):
            sigmas = sampling.get_sigmas_karras(steps, 0.02, 60.0).double()
            noise, x = random(steps)
            x = x * sigmas[0]
            step = [0]

            def model(x, sigma, **_):
                return x0_of(x, 1.0, float(sigma[0]))

            def source(*_):
                return noise[step[0]]

            def callback(info):
                step[0] = info["i"]

            # Churn draws before the model is called, hence before the callback: one draw a step.
            draws = iter(noise)
            sampling.torch.noise = (lambda: next(draws)) if "s_churn" in kwargs else source
            more = dict(noise_sampler=source) if sampler.endswith(("_a", "_sde")) else {}
            out = getattr(sampling, function)(model, x, sigmas, disable=True, callback=callback, **more, **kwargs)
            levels = [level("ve", float(s)) for s in sigmas]
            label = "".join(f" {k} {v}" for k, v in settings.items())
            record.add(f"{sampler}/k-diffusion {function}{label}/{steps}", sampler, "ve", levels, x, noise, out,
                       **settings)


def main():
    record = Recorder()
    record.tensors["alphas_cumprod"] = torch.from_numpy(table())
    torch.manual_seed(0)
    diffusers_cases(record)
    k_diffusion_cases(record)
    write_cases(sys.argv[1], record.cases, record.tensors)


if __name__ == "__main__":
    main()
