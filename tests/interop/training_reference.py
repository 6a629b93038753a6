#!/usr/bin/env python3
"""Writes tests/golden/training.safetensors: training steps as PyTorch takes them, for some seeds.

usage: training_reference.py OUTPUT

The tutorial's conditional U-Net of one channel and ten classes on 64 random images, 40 steps of
Adam(1e-3), batch 8; t goes in as t / 1000. The order of the random draws is that of the code below.
Draws and initial weights are float32, the steps float64: in float32 PyTorch itself is up to 2e-3 (losses)
and 4e-2 (weights) away from this, seed by seed, since Adam divides a gradient by its own size and so
makes whole steps of the rounding of those that are nearly zero.

"alphas_cumprod" is the table of the cosine schedule that was used (in float32, where it is 2e-4 away
from the exact one); for each seed "SEED/losses" and the first numbers of each final weight,
"SEED/final/NAME".
"""
import math
import sys

import torch
from torch import nn

from torch_safetensors import write_safetensors

SEEDS, T, STEPS, CLASSES, FIRST = (44, 1234, 2026), 1000, 40, 10, 64


class ConditionalUNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1 = nn.Conv2d(1, 64, 3, padding=1)
        self.down2 = nn.Conv2d(64, 128, 3, padding=1)
        self.class_emb = nn.Embedding(CLASSES + 1, 128)
        self.time_mlp = nn.Linear(1, 128)
        self.up1 = nn.ConvTranspose2d(128, 64, 3, padding=1)
        self.up2 = nn.ConvTranspose2d(64, 1, 3, padding=1)

    def forward(self, x, t, labels):
        condition = self.time_mlp(t[:, None]) + self.class_emb(labels)
        hidden = self.down2(self.down1(x).relu()).relu() + condition[:, :, None, None]
        return self.up2(self.up1(hidden).relu())


def cosine_table():
    steps = torch.linspace(0, T, T + 1)
    f = torch.cos((steps / T + 0.008) / 1.008 * math.pi * 0.5) ** 2
    f = f / f[0]
    betas = torch.clamp(1 - f[1:] / f[:-1], 0.0001, 0.9999)
    return torch.cumprod(1 - betas, 0)


def train(seed, table):
    torch.manual_seed(seed)
    model = ConditionalUNet().double()
    data = torch.rand(64, 1, 16, 16) * 2 - 1
    labels = torch.randint(0, CLASSES, (64,))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses = []
    for _ in range(STEPS):
        index = torch.randint(0, 64, (8,))
        x0, given = data[index], labels[index].clone()
        t = torch.randint(0, T, (8,))
        noise = torch.randn_like(x0)
        given[torch.rand(8) < 0.1] = CLASSES
        a = table[t][:, None, None, None]
        x_t = (a.sqrt() * x0 + (1 - a).sqrt() * noise).double()
        loss = ((model(x_t, (t.float() / T).double(), given) - noise) ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    rows = {f"{seed}/losses": torch.tensor(losses, dtype=torch.float64)}
    for name, value in model.state_dict().items():
        rows[f"{seed}/final/{name}"] = value.flatten()[:FIRST].clone()
    return rows


def main():
    table = cosine_table()
    rows = {"alphas_cumprod": table}
    for seed in SEEDS:
        rows.update(train(seed, table))
    write_safetensors(sys.argv[1], rows)


if __name__ == "__main__":
    main()
