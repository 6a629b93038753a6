#!/usr/bin/env python3
"""Writes tests/golden/networks.safetensors: the tutorial's U-Nets and UNet2D as PyTorch runs them.

usage: networks.py OUTPUT

Each case is a network, its inputs and what it gives in float64: "CASE/y", and "CASE/grads" of
sum(y * cotangent), a row for x and one for each parameter in the order of their names: the norm, and
the sum of elements times cos(0), cos(1), ... Weights are not in the file: with manual_seed(seed) each
parameter, in the order of names, is (rand - 0.5) times 2 sqrt(3 / inputs), one dimension's is
rand - 0.5, and a norm's weight 1 more.
"""
import math
import sys

import torch

from torch_safetensors import write_cases
from tutorial_unet import CLASSES, TutorialUNet
from unet2d import CASES, DEFAULTS, UNet


def fill(model, seed):
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            p.copy_(torch.rand(p.shape) - 0.5)
            if p.dim() > 1:
                p.mul_(2 * math.sqrt(3 * len(p) / p.numel()))
            elif "norm" in name and name.endswith("weight"):
                p.add_(1)


def summary(gradient):
    flat = gradient.flatten()
    return torch.stack([flat.norm(), flat @ torch.arange(len(flat)).double().cos()])


class File:
    def __init__(self):
        self.cases, self.tensors = [], {}

    def add(self, name, model, what, x, t, labels):
        seed = len(self.cases) + 1
        fill(model, seed)
        model = model.double()
        leaf = x.double().requires_grad_()
        y = model(leaf, t.double(), *([] if labels is None else [labels]))
        cotangent = torch.randn(y.shape)
        y.backward(cotangent.double())
        gradients = [leaf.grad] + [p.grad for _, p in sorted(model.named_parameters()) if p.grad is not None]
        tensors = dict(x=x, t=t, cotangent=cotangent, y=y.detach(), grads=torch.stack([summary(g) for g in gradients]))
        if labels is not None:
            tensors["labels"] = labels
        self.cases.append(dict(name=name, seed=seed, **what))
        self.tensors.update({f"{name}/{key}": value for key, value in tensors.items()})


def main():
    torch.manual_seed(0)
    file, t = File(), torch.tensor([3.25, 981.0])
    for sinusoidal in (False, True):
        for classes in (None, CLASSES):
            model = ("simple" if classes is None else "conditional") + ("-sinusoidal" if sinusoidal else "")
            for labels in (None,) if classes is None else (None, torch.tensor([0, CLASSES])):
                name = model + (" with labels" if labels is not None else "")
                file.add(name, TutorialUNet(classes, sinusoidal), dict(model=model), torch.randn(2, 3, 5, 6), t, labels)
    for name, changes in CASES.items():
        config = {**DEFAULTS, **changes}
        multiple = 2 ** (len(config["block_out_channels"]) - 1)
        x = torch.randn(2, config["in_channels"], 3 * multiple, 4 * multiple)
        classes = config["num_class_embeds"]
        labels = torch.tensor([0, classes - 1]) if classes else None
        file.add(name, UNet(config), dict(model="unet2d", config=config), x, t, labels)
    write_cases(sys.argv[1], file.cases, file.tensors)


if __name__ == "__main__":
    main()
