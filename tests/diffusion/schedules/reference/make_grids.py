"""Writes grids.csv: levels of diffusers' schedulers. Needs diffusers and scipy.

    python3 make_grids.py > grids.csv

A row is: name, steps, times separated by spaces, sigmas (sigma / alpha) separated by spaces.
"""
import warnings

import numpy as np
from diffusers import DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler
from diffusers.schedulers import AysSchedules

warnings.filterwarnings("ignore")


def row(name, steps, times, sigmas):
    number = lambda values: " ".join(f"{float(v):.9g}" for v in values)
    print(f"{name},{steps},{number(times)},{number(sigmas)}")


def multistep(name, steps, **options):
    s = DPMSolverMultistepScheduler(num_train_timesteps=1000, beta_start=1e-4, beta_end=0.02,
                                    **options)
    s.set_timesteps(steps)
    row(name, steps, s.timesteps, s.sigmas[:-1])


print("name,steps,times,sigmas")
for n in (5, 12):
    multistep("linspace_multistep", n, timestep_spacing="linspace")
    multistep("leading_multistep", n, timestep_spacing="leading")
    multistep("leading_multistep offset 1", n, timestep_spacing="leading", steps_offset=1)
    multistep("trailing", n, timestep_spacing="trailing")
    multistep("karras rounded", n, use_karras_sigmas=True)
    multistep("exponential rounded", n, use_exponential_sigmas=True)
    multistep("beta rounded", n, use_beta_sigmas=True)
for kind, name in (("", "ays_sd"), ("XL", "ays_sdxl"), ("Video", "ays_svd")):
    sigmas = AysSchedules[f"StableDiffusion{kind}Sigmas"]
    row(name, 10, [], sigmas[:-1])
for shift in (0.5, 3):
    s = FlowMatchEulerDiscreteScheduler(shift=shift)
    u = np.linspace(1, 1 / 1000, 8)
    s.set_timesteps(sigmas=u)
    row(f"flow shift {shift} of {' '.join(f'{v:.9g}' for v in u)}", 8, s.timesteps,
        s.sigmas[:-1] / (1 - s.sigmas[:-1]).clip(1e-9))
s = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
u = np.linspace(1, 1 / 1000, 8)
s.set_timesteps(sigmas=u, mu=0.63)
row(f"flow shift dynamic 1024 of {' '.join(f'{v:.9g}' for v in u)}", 8, s.timesteps,
    s.sigmas[:-1] / (1 - s.sigmas[:-1]).clip(1e-9))
