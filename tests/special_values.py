#!/usr/bin/env python3
"""Writes tests/golden/special.safetensors: what PyTorch makes of special values.

usage: special_values.py OUTPUT

For every pointwise function: its value and its gradient (cotangent 1) at each of VALUES in float64,
for the binary ones at each pair. Rows: "x", "unary/NAME/y", "unary/NAME/grad", "binary/NAME/y",
"binary/NAME/grad_a", "binary/NAME/grad_b".
"""
import sys

import torch
import torch.nn.functional as F

from torch_safetensors import write_safetensors

INF, NAN = float("inf"), float("nan")
# Every one is a float32 too, and none is denormal there: kernels take those for zero.
VALUES = [NAN, -NAN, INF, -INF, 0.0, -0.0, 2.0**-126, -(2.0**-126), 2.0**127, -(2.0**127), 1.0, -1.0, 0.5,
          -0.5, 2.0, -3.0, 21.0, -21.0, 100.0, -100.0]

UNARY = {
    "neg": torch.neg, "exp": torch.exp, "log": torch.log, "sqrt": torch.sqrt, "rsqrt": torch.rsqrt,
    "reciprocal": torch.reciprocal, "square": torch.square, "abs": torch.abs, "sin": torch.sin,
    "cos": torch.cos, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "relu": torch.relu,
    "silu": F.silu, "gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "softplus": F.softplus, "erf": torch.erf, "leaky_relu": F.leaky_relu,
    "pow 2": lambda x: x.pow(2), "pow 0.5": lambda x: x.pow(0.5), "pow -1": lambda x: x.pow(-1),
    "pow 0": lambda x: x.pow(0), "pow 3": lambda x: x.pow(3),
    "clamp": lambda x: x.clamp(-0.75, 1.5),
}
BINARY = {"add": torch.add, "sub": torch.sub, "mul": torch.mul, "div": torch.div,
          "maximum": torch.maximum, "minimum": torch.minimum}


def main():
    x = torch.tensor(VALUES, dtype=torch.float64)
    rows = {"x": x}
    for name, function in UNARY.items():
        a = x.clone().requires_grad_()
        y = function(a)
        y.backward(torch.ones_like(y))
        rows[f"unary/{name}/y"], rows[f"unary/{name}/grad"] = y, a.grad
    for name, function in BINARY.items():
        a = x[:, None].repeat(1, len(VALUES)).requires_grad_()
        b = x[None, :].repeat(len(VALUES), 1).requires_grad_()
        y = function(a, b)
        y.backward(torch.ones_like(y))
        rows[f"binary/{name}/y"] = y
        rows[f"binary/{name}/grad_a"], rows[f"binary/{name}/grad_b"] = a.grad, b.grad
    write_safetensors(sys.argv[1], rows)


if __name__ == "__main__":
    main()
