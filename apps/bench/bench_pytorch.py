#!/usr/bin/env python3
"""`ebb bench` beside PyTorch: the same work, in turns, and how many times as fast ebb is.

usage: bench_pytorch.py [--ebb build/release/ebb] [--filter WORDS] [--seconds 0.5] [--rounds 3]
                        [--compile] [--memory]

Run it with the Python whose PyTorch is meant. PyTorch may choose: contiguous or channels_last
memory, its BLAS kernels as detected or told by OPENBLAS_CORETYPE, a fused optimizer where there is
one, with --compile also torch.compile. Its best time counts, as ebb's. --memory compares the peak
memory of the two processes at the tutorial's training step instead.
"""
import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hub_steps import STEPS

ROOT = Path(__file__).resolve().parent.parent.parent
FORMATS = ("contiguous", "channels_last")


def image(torch, shape, layout):
    """(N, H, W, C) of ebb as PyTorch has it."""
    n, h, w, c = shape
    form = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    return torch.randn(n, c, h, w).contiguous(memory_format=form)


def conv(torch, work, layout):
    x, dy = image(torch, work["x"], layout), image(torch, work["y"], layout)
    weight = torch.randn(work["weight"])
    if layout == "channels_last":
        weight = weight.contiguous(memory_format=torch.channels_last)
    bias = torch.randn(dy.shape[1])
    stride, pad = [work["stride"]] * 2, [work["padding"]] * 2
    rest = (stride, pad, [1, 1], work["transposed"], [0, 0], 1)
    if work["pass"] == "forward":
        return lambda: torch.convolution(x, weight, bias, *rest)
    data = work["pass"] == "backward-data"
    return lambda: torch.ops.aten.convolution_backward(
        dy, x, weight, [dy.shape[1]], *rest, [data, not data, not data])


def attention(torch, work, layout):
    q, k, v = (torch.randn(work["x"], requires_grad=work["pass"] == "backward") for _ in range(3))
    if hasattr(torch.nn.functional, "scaled_dot_product_attention"):
        fused = torch.nn.functional.scaled_dot_product_attention
        # With a dimension for heads it takes its fast kernels.
        run = lambda: fused(q[None], k[None], v[None])[0]
    else:
        scale = q.shape[-1] ** -0.5
        run = lambda: torch.bmm((scale * torch.bmm(q, k.transpose(1, 2))).softmax(-1), v)
    return backward(torch, run, [q, k, v]) if work["pass"] == "backward" else run


def backward(torch, run, inputs):
    y = run()
    dy = torch.randn_like(y)
    return lambda: torch.autograd.grad(y, inputs, dy, retain_graph=True)


def gemm(torch, work, layout):
    a, b = torch.randn(work["a"]), torch.randn(work["b"])
    return lambda: torch.mm(a, b)


def group_norm(torch, work, layout):
    x = image(torch, work["x"], layout)
    weight, bias = torch.randn(x.shape[1]), torch.randn(x.shape[1])
    inputs = [x, weight, bias]
    for tensor in inputs:
        tensor.requires_grad_(work["pass"] == "backward")
    F = torch.nn.functional
    run = lambda: F.silu(F.group_norm(x, work["groups"], weight, bias))
    return backward(torch, run, inputs) if work["pass"] == "backward" else run


def softmax(torch, work, layout):
    x = torch.randn(work["x"])
    return lambda: x.softmax(-1)


def optimizers(torch, make, parameters, **options):
    """The kinds this PyTorch has, best first."""
    for kind in ({"fused": True}, {"foreach": True}, {}):
        try:
            return make(parameters, **options, **kind)
        except (TypeError, RuntimeError):
            pass
    raise RuntimeError("no kind of optimizer works")


def adam(torch, work, layout):
    parameter = torch.randn(work["x"], requires_grad=True)
    parameter.grad = torch.randn(work["x"])
    return optimizers(torch, torch.optim.Adam, [parameter]).step


def tutorial_model(torch, layout):
    nn = torch.nn

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.down1 = nn.Conv2d(3, 64, 3, padding=1)
            self.down2 = nn.Conv2d(64, 128, 3, padding=1)
            self.time_mlp = nn.Linear(1, 128)
            self.up1 = nn.ConvTranspose2d(128, 64, 3, padding=1)
            self.up2 = nn.ConvTranspose2d(64, 3, 3, padding=1)

        def forward(self, x, t):
            x = torch.relu(self.down2(torch.relu(self.down1(x))))
            x = x + self.time_mlp(t[:, None])[:, :, None, None]
            return self.up2(torch.relu(self.up1(x)))

    model = Network()
    if layout == "channels_last":
        model = model.to(memory_format=torch.channels_last)
    return model


def tutorial(torch, work, layout, compiled):
    model = tutorial_model(torch, layout)
    network = torch.compile(model) if compiled else model
    x, noise = image(torch, work["x"], layout), image(torch, work["x"], layout)
    t = torch.full((x.shape[0],), 100.0)
    if work["pass"] == "step":
        optimizer = optimizers(torch, torch.optim.Adam, list(model.parameters()))

        def step():
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.mse_loss(network(x, t), noise).backward()
            optimizer.step()

        return step

    def forward(count=work["steps"]):
        with torch.no_grad():
            y = x
            for _ in range(count):
                eps = network(y, t)
                if count > 1:  # a step of the sampling loop
                    y = 0.99 * (y - 0.1 * eps) + 0.1 * torch.randn_like(y)

    return forward


def unet2d(torch, work, layout, compiled):
    sys.path.insert(0, str(ROOT / "tests" / "interop"))
    from unet2d import UNet
    config = work["config"]
    model = UNet(config)
    if layout == "channels_last":
        model = model.to(memory_format=torch.channels_last)
    network = torch.compile(model) if compiled else model
    average = [p.detach().clone() for p in model.parameters()]
    optimizer = optimizers(torch, torch.optim.AdamW, list(model.parameters()), lr=1e-3)
    images = image(torch, work["x"], layout)
    labels = torch.randint(config["num_class_embeds"], (images.shape[0],))
    patch = config["patch_size"]
    F = torch.nn.functional

    def step():
        t = torch.rand(images.shape[0])
        alpha, sigma = (f(t * 1.57)[:, None, None, None] for f in (torch.cos, torch.sin))
        noise = torch.randn_like(images)
        optimizer.zero_grad(set_to_none=True)
        y = network(F.pixel_unshuffle(alpha * images + sigma * noise, patch), t * 1000, labels)
        F.mse_loss(F.pixel_shuffle(y, patch), alpha * noise - sigma * images).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        torch._foreach_mul_(average, 0.999)
        torch._foreach_add_(average, [p.detach() for p in model.parameters()], alpha=0.001)

    return step


def hub(torch, work, layout, compiled):
    images = image(torch, work["x"], layout) if len(work["x"]) == 4 else None
    return STEPS[work["op"]](torch, work, images, layout, compiled, optimizers)


WHOLE = dict(tutorial=tutorial, unet2d=unet2d, **{name: hub for name in STEPS})
OPERATORS = dict(conv=conv, attention=attention, gemm=gemm, group_norm=group_norm, softmax=softmax,
                 adam=adam)


def best_time(call, seconds):
    call()
    best, end = float("inf"), time.perf_counter() + seconds
    while True:
        start = time.perf_counter()
        call()
        now = time.perf_counter()
        best = min(best, now - start)
        if now >= end:
            return best * 1e3


def serve(threads, compile_too):
    """Reads a line of JSON for each case, answers with milliseconds of each way to do it."""
    import torch
    torch.set_num_threads(threads)
    prepared = {}
    answers, sys.stdout = sys.stdout, sys.stderr  # what torch prints is no answer
    print(json.dumps(torch.__config__.show()), file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        name, work = request["name"], request["work"]
        if name not in prepared:
            prepared = {name: ways(torch, work, compile_too)}
        times = {way: best_time(call, request["seconds"]) for way, call in prepared[name].items()}
        print(json.dumps(dict(times=times, rss=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)),
              file=answers, flush=True)


def ways(torch, work, compile_too):
    result = {}
    for layout in FORMATS:
        if work["op"] in OPERATORS:
            result[layout] = OPERATORS[work["op"]](torch, work, layout)
            if work["op"] not in ("conv", "group_norm"):
                break
            continue
        result[layout] = WHOLE[work["op"]](torch, work, layout, False)
        if compile_too and hasattr(torch, "compile"):
            call = WHOLE[work["op"]](torch, work, layout, True)
            try:
                call()
                result[layout + " compiled"] = call
            except Exception as error:  # no compiler, or a version that cannot
                print(f"torch.compile: {str(error).splitlines()[0]}", file=sys.stderr)
    return result


class Worker:
    """A Python with PyTorch; `core` is what its OpenBLAS is told, if anything."""

    def __init__(self, core, threads, compile_too):
        self.core = core
        environment = {**os.environ, **({"OPENBLAS_CORETYPE": core} if core else {})}
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve", str(threads)] + ["--compile"] * compile_too,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.config = json.loads(self.process.stdout.readline())

    def ask(self, case, seconds):
        request = dict(name=case["name"], work=case["work"], seconds=seconds)
        print(json.dumps(request), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def start_workers(threads, compile_too):
    workers = [Worker("", threads, compile_too)]
    if "BLAS_INFO=mkl" not in workers[0].config:
        flags = Path("/proc/cpuinfo").read_text()
        core = "SkylakeX" if "avx512bw" in flags else "Haswell"
        workers.append(Worker(core, threads, compile_too))
    return workers


def run_ebb(program, name, seconds):
    with tempfile.TemporaryDirectory() as folder:
        file = f"{folder}/bench.json"
        subprocess.run([program, "bench", "--filter", name, "--seconds", str(seconds), "--json",
                        file], check=True, stdout=subprocess.DEVNULL)
        return json.loads(Path(file).read_text())


def compare(arguments):
    names = subprocess.run([arguments.ebb, "bench", "--list"], check=True, text=True,
                           stdout=subprocess.PIPE).stdout.splitlines()
    names = [n for n in names if arguments.filter in n and not n.startswith("OpenBLAS")]
    threads = len(os.sched_getaffinity(0))
    threads = int(os.environ.get("OMP_NUM_THREADS", threads))
    workers = start_workers(threads, arguments.compile)
    import torch
    print(f"PyTorch {torch.__version__}, {threads} threads")
    print(f"{'':56} {'ebb ms':>9} {'torch ms':>9} {'ratio':>6}  of FMA")
    for name in names:
        ours, theirs, peak = float("inf"), {}, 0
        for _ in range(arguments.rounds):
            result = run_ebb(arguments.ebb, name, arguments.seconds)
            case = next(c for c in result["cases"] if c["name"] == name)
            ours, peak = min(ours, case["min_ms"]), max(peak, case["peak_gflops"])
            for worker in workers:
                for way, ms in worker.ask(case, arguments.seconds)["times"].items():
                    way = " ".join(filter(None, [way, worker.core]))
                    theirs[way] = min(theirs.get(way, ms), ms)
        way, best = min(theirs.items(), key=lambda item: item[1])
        flops = case["gflops"] * case["min_ms"]
        share = f"{flops / ours / peak:6.2f}" if flops else "     -"
        print(f"{name:56} {ours:9.3f} {best:9.3f} {best / ours:6.2f}  {share}  {way}", flush=True)
    for worker in workers:
        worker.close()


def compare_memory(arguments):
    name = "tutorial step 16x64x64x3"
    case = run_ebb(arguments.ebb, name, 0)["cases"][0]
    child = subprocess.Popen([arguments.ebb, "bench", "--filter", name, "--calls", "5"])
    ours = os.wait4(child.pid, 0)[2].ru_maxrss
    worker = Worker("", len(os.sched_getaffinity(0)), False)
    theirs = worker.ask(case, 0)["rss"]
    worker.close()
    print(f"{name}: peak memory {ours / 1024:.0f} MB, PyTorch {theirs / 1024:.0f} MB, "
          f"{theirs / ours:.2f} times")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ebb", default=str(ROOT / "build/release/ebb"))
    parser.add_argument("--filter", default="")
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--serve", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.compile)
    elif arguments.memory:
        compare_memory(arguments)
    else:
        compare(arguments)


if __name__ == "__main__":
    main()
