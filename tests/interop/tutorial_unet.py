#!/usr/bin/env python3
"""Weights go both ways between this library and PyTorch.

usage: tutorial_unet.py EBB_INTEROP

For each of the tutorial's models: weights that ebb_interop made are loaded into PyTorch's classes,
weights that PyTorch made are loaded by ebb_interop, and each time both run on the same inputs.
"""
import math
import subprocess
import sys
import tempfile

import torch
from torch import nn

from torch_safetensors import read_safetensors, write_safetensors

TOLERANCE = 1e-5  # max|a - b| / max|b|
CLASSES = 5
FEATURES = 64


class SinusoidalTime(nn.Sequential):
    def __init__(self, width):
        super().__init__(nn.Linear(FEATURES, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, t):
        half = FEATURES // 2
        frequencies = torch.exp(-math.log(10000.0) * torch.arange(half, dtype=t.dtype) / half)
        angles = t[:, None] * frequencies[None]
        return super().forward(torch.cat([angles.cos(), angles.sin()], dim=1))


class RawTime(nn.Linear):
    def __init__(self, width):
        super().__init__(1, width)

    def forward(self, t):
        return super().forward(t[:, None])


class TutorialUNet(nn.Module):
    """Both models of the tutorial: classes=None is the one without."""

    def __init__(self, classes, sinusoidal):
        super().__init__()
        self.down1 = nn.Conv2d(3, 64, 3, padding=1)
        self.down2 = nn.Conv2d(64, 128, 3, padding=1)
        if classes is not None:
            self.class_emb = nn.Embedding(classes + 1, 128)
        self.time_mlp = SinusoidalTime(128) if sinusoidal else RawTime(128)
        self.up1 = nn.ConvTranspose2d(128, 64, 3, padding=1)
        self.up2 = nn.ConvTranspose2d(64, 3, 3, padding=1)

    def forward(self, x, t, labels=None):
        condition = self.time_mlp(t)
        if hasattr(self, "class_emb"):
            if labels is None:
                labels = torch.full((len(x),), self.class_emb.num_embeddings - 1)
            condition = condition + self.class_emb(labels)
        hidden = self.down2(self.down1(x).relu()).relu() + condition[:, :, None, None]
        return self.up2(self.up1(hidden).relu())


def main():
    interop = sys.argv[1]
    torch.manual_seed(0)
    failures = 0
    with tempfile.TemporaryDirectory() as folder:
        weights, inputs, outputs = (f"{folder}/{n}.safetensors" for n in ("w", "in", "out"))

        def compare(what, name, model, with_labels):
            given = {"x": torch.randn(3, 3, 9, 14), "t": torch.tensor([0.0, 57.0, 999.0])}
            if with_labels:
                given["labels"] = torch.tensor([0, CLASSES - 1, CLASSES])
            write_safetensors(inputs, given)
            subprocess.run([interop, "forward", name, weights, inputs, outputs], check=True)
            with torch.no_grad():
                expected = model(**given)
            error = ((read_safetensors(outputs)["y"] - expected).abs().max() / expected.abs().max()).item()
            ok = error <= TOLERANCE
            print(f"{'ok  ' if ok else 'FAIL'} {what}: relative error {error:.1e}")
            return not ok

        for sinusoidal in (False, True):
            for classes in (None, CLASSES):
                name = "simple" if classes is None else "conditional"
                name += "-sinusoidal" if sinusoidal else ""
                for with_labels in (False,) if classes is None else (False, True):
                    what = f"{name}{' with labels' if with_labels else ''}"
                    model = TutorialUNet(classes, sinusoidal)
                    write_safetensors(weights, model.state_dict())
                    failures += compare(f"{what}, PyTorch's weights here", name, model, with_labels)
                    subprocess.run([interop, "init", name, "7", weights], check=True)
                    model.load_state_dict(read_safetensors(weights))
                    failures += compare(f"{what}, our weights in PyTorch", name, model, with_labels)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
