#!/usr/bin/env python3
"""Every operator at random shapes and arguments against PyTorch, forward and backward.

usage: operators.py EBB_INTEROP [COUNT [SEED]]    compares COUNT (3000) cases
       operators.py --write FILE COUNT SEED       a reference file of small ones

Each case is run in float32 and float64, with 1, 2 and 3 threads and every SIMD target of this
processor. The truth is PyTorch in float64; an error is max|a - b| / max|b| of one tensor. Bits must
not depend on the number of threads. The table has the worst errors of each operator, PyTorch's own
in float32 beside them: a result may be worse than the bound only where PyTorch's float32 is as bad
(for float64, by the ratio of the two roundings), which is where the case itself is ill-conditioned.
"""
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

import attention_cases  # noqa: F401, adds its operators
import image_cases  # noqa: F401, adds its operators
from operator_cases import OPERATORS, Draw
from torch_safetensors import read_safetensors, write_cases

BOUNDS = {torch.float32: (1e-5, 3e-5), torch.float64: (1e-12, 1e-12)}  # outputs, gradients


def backward(inputs, function, cotangent, dtype):
    """Output and gradients in `dtype`."""
    floating = {n: x.to(dtype, copy=True).requires_grad_() for n, x in inputs.items() if x.is_floating_point()}
    y = function(**{n: floating.get(n, x) for n, x in inputs.items()})
    if not y.requires_grad:
        return y, {}
    y.backward(cotangent.to(dtype))
    return y.detach(), {n: x.grad for n, x in floating.items() if x.grad is not None}


class Cases:
    def __init__(self, count, seed, most):
        self.entries, self.tensors, self.single = [], {}, {}
        draw, names, refused = Draw(seed, most), sorted(OPERATORS), 0
        while len(self.entries) < count:
            name = names[len(self.entries) % len(names)]
            try:
                self.add(name, draw)
            except (ValueError, RuntimeError, IndexError):  # what PyTorch refuses, a size of 0 say
                refused += 1
                assert refused < count, "nearly all is refused"

    def add(self, name, draw):
        arguments, inputs, function = OPERATORS[name](draw)
        inputs = {n: x.float().double() if x.is_floating_point() else x for n, x in inputs.items()}
        with torch.no_grad():
            cotangent = torch.randn(function(**inputs).shape).double()
        y, grads = backward(inputs, function, cotangent, torch.float64)
        single, single_grads = backward(inputs, function, cotangent, torch.float32)
        case = f"{len(self.entries)} {name}"
        outputs = ["0"] if grads else []
        self.entries.append(dict(name=case, op=name.split()[0], args=arguments, inputs=list(inputs),
                                 outputs=["0"], cotangents=outputs, grads=list(grads)))
        for n, x in inputs.items():
            self.tensors[f"{case}/in/{n}"] = x
        self.tensors[f"{case}/out/0"] = y
        self.single[f"{case}/out/0"] = single
        if grads:
            self.tensors[f"{case}/cot/0"] = cotangent
        for n, g in grads.items():
            self.tensors[f"{case}/grad/{n}"] = g
            self.single[f"{case}/grad/{n}"] = single_grads[n]

    def results(self):
        return {n: t for n, t in self.tensors.items() if "/out/" in n or "/grad/" in n}


def error(actual, expected):
    if actual.shape != expected.shape:
        return math.inf
    a, b = actual.double(), expected.double()
    if not b.numel():
        return 0.0
    if not (a.isnan() == b.isnan()).all():
        return math.nan
    a, b = a.nan_to_num(0.0), b.nan_to_num(0.0)
    distance, largest = (a - b).abs().max().item(), b.abs().max().item()
    return distance / largest if largest else (0.0 if distance == 0 else distance)


def worse(a, b):
    return b if math.isnan(b) or b > a else a


def targets():
    flags = Path("/proc/cpuinfo").read_text()
    return ["portable"] + ["avx2"] * ("avx2" in flags) + ["avx512"] * ("avx512vl" in flags)


def compare(program, count, seed):
    cases = Cases(count, seed, 6000)
    wanted = cases.results()
    rows = {}  # operator -> worst errors: float32 output, gradient, float64 output, gradient, PyTorch's two
    failed = different = 0
    with tempfile.TemporaryDirectory() as folder:
        file, out = f"{folder}/cases.safetensors", f"{folder}/out.safetensors"
        write_cases(file, cases.entries, cases.tensors)
        for target in targets():
            for column, dtype in ((0, torch.float32), (2, torch.float64)):
                before = None
                for threads in (1, 2, 3):
                    subprocess.run([program, "operators", file, str(dtype)[6:], out], check=True,
                                   env=dict(os.environ, EBB_SIMD=target, OMP_NUM_THREADS=str(threads)))
                    content = Path(out).read_bytes()
                    if before is not None and content != before:
                        different += 1
                        print(f"FAIL {target} {dtype}: other bits with {threads} threads")
                    if before is not None:
                        before = content
                        continue
                    before, got = content, read_safetensors(out)
                    for name, want in wanted.items():
                        gradient = "/grad/" in name
                        row = rows.setdefault(name.split("/")[0].split(" ", 1)[1], [0.0] * 6)
                        found, theirs = error(got[name], want), error(cases.single[name], want)
                        row[column + gradient] = worse(row[column + gradient], found)
                        row[4 + gradient] = worse(row[4 + gradient], theirs)
                        rounding = torch.finfo(dtype).eps / torch.finfo(torch.float32).eps
                        bound = max(BOUNDS[dtype][gradient], 2 * theirs * rounding)
                        if not found <= bound:
                            failed += 1
                            print(f"FAIL {target} {dtype} {name} {tuple(want.shape)}: {found:.1e}, PyTorch {theirs:.1e}")
    print(f"{count} cases of {len(rows)} operators, seed {seed}, on {', '.join(targets())}, with 1, 2 and 3 threads")
    print(f"{'worst error':34}{'float32':>9} {'gradient':>9} {'float64':>9} {'gradient':>9} {'PyTorch32':>9} {'gradient':>9}")
    for name, row in sorted(rows.items()):
        print(f"{name:34}" + " ".join(f"{e:9.1e}" for e in row))
    print(f"{failed} tensors out of bounds, {different} runs whose bits depend on threads")
    return failed + different


def main():
    arguments = sys.argv[1:]
    if arguments and arguments[0] == "--write":
        cases = Cases(int(arguments[2]), int(arguments[3]), 48)
        write_cases(arguments[1], cases.entries, cases.tensors)
        return
    numbers = [int(n) for n in arguments[1:]] + [3000, 1][len(arguments) - 1:]
    sys.exit(1 if compare(arguments[0], *numbers) else 0)


if __name__ == "__main__":
    main()
