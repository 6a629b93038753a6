#!/usr/bin/env python3
"""Writes tests/golden/special.safetensors: what PyTorch makes of special values.

usage: special_values.py OUTPUT

Everything is float64, but for grads32 (float32) and argmax (int64). Rows of the file:

"x"; for each function of one argument "unary/NAME/y", its "unary/NAME/grad" for cotangent 1 and
"unary/NAME/grads32" and "grads64" for each of "cotangents" (one a row); for each of two arguments, at all pairs,
"binary/NAME/y", "binary/NAME/grad_a" and "binary/NAME/grad_b", for maximum and minimum also
"binary/NAME/grads_a" and "binary/NAME/grads_b" for the first three of the cotangents.

"rows/x" (rows, n), "rows/g" and "rows/NAME/y", "rows/NAME/grad": functions along the last
dimension. "images/x" (N, C, H, W), "images/NAME/..." the same, with the cotangent "images/NAME/g".
"loss/NAME/y", "loss/NAME/grad_a", "loss/NAME/grad_b": of each pair of "loss/x" by itself; "loss/
cross_entropy/..." of the rows of "rows/x" by themselves, row i of class i % 19.
"""
import re
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

from torch_safetensors import write_safetensors

INF, NAN = float("inf"), float("nan")
# Every one is a float32 too, and none is denormal there: kernels take those for zero.
VALUES = [NAN, -NAN, INF, -INF, 0.0, -0.0, 2.0**-126, -(2.0**-126), 2.0**127, -(2.0**127), 1.0, -1.0, 0.5,
          -0.5, 2.0, -3.0, 21.0, -21.0, 100.0, -100.0]
COTANGENTS = [INF, -INF, NAN, 0.0, -0.0, -2.5]
LOSS_VALUES = [NAN, INF, -INF, 0.0, -0.0, 1.0, -0.5, 2.0, 30.0, -100.0]

HEADER = Path(__file__).resolve().parents[2] / "tensor/ops/pointwise.h"
OTHER_NAMES = {"gelu_tanh": lambda x: F.gelu(x, approximate="tanh")}
PARAMETERS = {
    "leaky_relu": F.leaky_relu,
    "pow 2": lambda x: x.pow(2), "pow 0.5": lambda x: x.pow(0.5), "pow -1": lambda x: x.pow(-1),
    "pow 0": lambda x: x.pow(0), "pow 3": lambda x: x.pow(3),
    "clamp": lambda x: x.clamp(-0.75, 1.5),
}


def listed(name):
    """The functions of a list in the header, by name."""
    body = re.search(rf"#define {name}\(_\)(.*?)\n(?!\s*_)", HEADER.read_text(), re.DOTALL).group(1)
    names = re.findall(r"(?:^|\s)_\((\w+),", body)
    return {n: OTHER_NAMES.get(n) or getattr(torch, n, None) or getattr(F, n) for n in names}


UNARY = {**listed("EBB_PLAIN_LIST"), **PARAMETERS}
BINARY = listed("EBB_BINARY_LIST")
ROWS = {
    "sum": lambda x: x.sum(1), "mean": lambda x: x.mean(1), "var": lambda x: x.var(1),
    "std": lambda x: x.std(1), "amax": lambda x: x.amax(1), "amin": lambda x: x.amin(1),
    "cumsum": lambda x: x.cumsum(1), "cumprod": lambda x: x.cumprod(1),
    "softmax": lambda x: x.softmax(1), "log_softmax": lambda x: x.log_softmax(1),
    "layer_norm": lambda x: F.layer_norm(x, x.shape[1:]),
}
ORDERS = {"sort": lambda x: x.sort(1).values, "argmax": lambda x: x.argmax(1)}
IMAGES = {
    "max_pool2d 3": lambda x: F.max_pool2d(x, 3, 1, 1), "max_pool2d 2": lambda x: F.max_pool2d(x, 2),
    "avg_pool2d 3": lambda x: F.avg_pool2d(x, 3, 1, 1), "avg_pool2d 2": lambda x: F.avg_pool2d(x, 2),
    "nearest": lambda x: F.interpolate(x, (9, 7), mode="nearest"),
    "bilinear": lambda x: F.interpolate(x, (9, 7), mode="bilinear"),
    "group_norm": lambda x: F.group_norm(x, 2),
}
LOSSES = {"mse_loss": F.mse_loss, "l1_loss": F.l1_loss, "huber_loss": F.huber_loss,
          "binary_cross_entropy_with_logits": F.binary_cross_entropy_with_logits}


def steady(count, factor):
    """Numbers in (-2.5, 2.5), no two of 19 neighbours equal, none zero."""
    return torch.tensor([((i * factor) % 19 - 9) / 4 + 0.0625 for i in range(count)], dtype=torch.float64)


def special_rows():
    """(rows, 19) and cotangents: steady numbers with special ones at one place or two."""
    n, rows, cotangents = 19, [], []

    def row(*places, g=()):
        x, cotangent = steady(n, 7), steady(n, 5)
        for place, value in places:
            x[place] = value
        for place, value in g:
            cotangent[place] = value
        rows.append(x)
        cotangents.append(cotangent)

    for value in [NAN, -NAN, INF, -INF, 0.0, -0.0, 2.0**-100, 2.0**62]:
        row((3, value))
        row((18, value))
    for first, second in [(INF, -INF), (INF, INF), (-INF, -INF), (NAN, INF), (-INF, NAN), (NAN, NAN),
                          (0.0, NAN), (NAN, 0.0), (0.0, INF), (INF, 0.0), (0.0, -0.0)]:
        row((4, first), (17, second))
    for value in [NAN, INF, -INF, 0.0, -0.0]:
        row(*[(place, value) for place in range(n)])
    for value in [NAN, INF, -INF, 0.0]:
        row(g=[(3, value)])
    return torch.stack(rows), torch.stack(cotangents)


def special_images():
    """(N, 2, 5, 5): steady numbers with special ones at some places."""
    images = []
    for places in [[(6, NAN)], [(6, INF)], [(6, -INF)], [(6, NAN), (7, INF)], [(6, INF), (7, -INF)],
                   [(6, NAN), (7, NAN)], [(24, -0.0)], [(i, NAN) for i in range(25)],
                   [(i, -INF) for i in range(25)]]:
        x = steady(50, 7)
        for place, value in places:
            x[place] = value
        images.append(x.reshape(2, 5, 5))
    return torch.stack(images)


def gradients(function, inputs, cotangent=None):
    """The value, and the gradient by each input."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    y = function(*leaves)
    y.backward(torch.ones_like(y) if cotangent is None else cotangent)
    return y.detach(), [leaf.grad for leaf in leaves]


def main():
    x = torch.tensor(VALUES, dtype=torch.float64)
    cotangents = torch.tensor(COTANGENTS, dtype=torch.float64)
    rows = {"x": x, "cotangents": cotangents}
    for name, function in UNARY.items():
        rows[f"unary/{name}/y"], (rows[f"unary/{name}/grad"],) = gradients(function, [x])
        for dtype in (torch.float32, torch.float64):
            # As kernels do, whose derivatives are 0 where PyTorch's are denormal.
            torch.set_flush_denormal(dtype == torch.float32)
            rows[f"unary/{name}/grads{8 * dtype.itemsize}"] = torch.stack(
                [gradients(function, [x.to(dtype)], torch.full_like(x, g, dtype=dtype))[1][0]
                 for g in COTANGENTS])
        torch.set_flush_denormal(False)
    for name, function in BINARY.items():
        pairs = [x[:, None].repeat(1, len(VALUES)), x[None, :].repeat(len(VALUES), 1)]
        base = f"binary/{name}/"
        rows[base + "y"], (rows[base + "grad_a"], rows[base + "grad_b"]) = gradients(function, pairs)
        if name in ("maximum", "minimum"):
            by = [gradients(function, pairs, torch.full_like(pairs[0], g))[1] for g in COTANGENTS[:3]]
            rows[base + "grads_a"] = torch.stack([a for a, _ in by])
            rows[base + "grads_b"] = torch.stack([b for _, b in by])

    rows["rows/x"], rows["rows/g"] = special_rows()
    for name, function in ROWS.items():
        whole = function(rows["rows/x"]).dim() == 2
        g = rows["rows/g"] if whole else rows["rows/g"][:, 3]
        rows[f"rows/{name}/y"], (rows[f"rows/{name}/grad"],) = gradients(function, [rows["rows/x"]], g)
    for name, function in ORDERS.items():
        rows[f"rows/{name}/y"] = function(rows["rows/x"])

    rows["images/x"] = special_images()
    for name, function in IMAGES.items():
        y = function(rows["images/x"])
        g = rows[f"images/{name}/g"] = steady(y.numel(), 5).reshape(y.shape)
        rows[f"images/{name}/y"], (rows[f"images/{name}/grad"],) = gradients(
            function, [rows["images/x"]], g)

    values = rows["loss/x"] = torch.tensor(LOSS_VALUES, dtype=torch.float64)
    for name, function in LOSSES.items():
        results = [gradients(function, [a.reshape(1), b.reshape(1)]) for a in values for b in values]
        rows[f"loss/{name}/y"] = torch.stack([y for y, _ in results])
        rows[f"loss/{name}/grad_a"] = torch.cat([a for _, (a, _) in results])
        rows[f"loss/{name}/grad_b"] = torch.cat([b for _, (_, b) in results])
    results = [gradients(lambda x: F.cross_entropy(x, torch.tensor([i % 19])), [x[None]])
               for i, x in enumerate(rows["rows/x"])]
    rows["loss/cross_entropy/y"] = torch.stack([y for y, _ in results])
    rows["loss/cross_entropy/grad"] = torch.cat([g for _, (g,) in results])
    write_safetensors(sys.argv[1], rows)


if __name__ == "__main__":
    main()
