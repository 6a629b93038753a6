#!/usr/bin/env python3
"""Whether a reference file is what its script makes on this machine.

usage: same_numbers.py COMMITTED MADE

Equal names, shapes and NaNs, and numbers within 1e-6 of each tensor's largest: PyTorch's own float32
differs that much between processors and versions.
"""
import sys

import torch

from torch_safetensors import read_safetensors


def main():
    committed, made = (read_safetensors(path) for path in sys.argv[1:3])
    different = sorted(set(committed) ^ set(made))
    for name in sorted(set(committed) & set(made)):
        a, b = committed[name].double(), made[name].double()
        largest = torch.where(b.isfinite(), b, 0.0).abs().max().item() if b.numel() else 0.0
        same = a.shape == b.shape and torch.allclose(a, b, rtol=0, atol=1e-6 * largest, equal_nan=True)
        different += [] if same else [name]
    for name in different[:10]:
        print(f"FAIL {sys.argv[1]}: {name}")
    print(f"{len(committed) - len(different)} of {len(committed)} tensors of {sys.argv[1]} are what its script makes")
    sys.exit(1 if different else 0)


if __name__ == "__main__":
    main()
