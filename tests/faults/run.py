#!/usr/bin/env python3
"""Every call by which a run changes files, killed and failed; nothing may be lost.

usage: run.py EBB SHIM [--quick] [--every N] [--kills N]

For training from the start, for a resumed run and for an export: at each call (shim.cpp) a SIGKILL,
an error or a short write. Afterwards the run is resumed (or made again, where it died before there
was one) without faults. It must end in the weights of the undisturbed run, bit for bit, a checkpoint
must be there to sample from whenever one was, and nothing temporary may stay. --every: at
the N-th calls alone; --quick: every 61st, killed and out of space; --kills: also N SIGKILLs at random
moments; --signals: every call gets SIGINT, SIGTERM and SIGHUP, once and twice, in place of faults;
--power-cuts: what was not fsynced is lost instead (power_cut.py). With TMPDIR in memory (/dev/shm) an
injection takes a third of a second.
"""
import collections
import hashlib
import json
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import power_cut

KINDS = ("kill", "ENOSPC", "EIO", "EINTR", "EMFILE", "short")
SIGNALS = ("INT", "TERM", "HUP", "INT2", "TERM2", "HUP2")
STEPS, MORE = 6, 8


class Failed(Exception):
    pass


class Driver:
    def __init__(self, program, shim, folder):
        self.program, self.shim, self.folder = program, shim, Path(folder)
        self.number = 0

    def ebb(self, *arguments, fault=None, log=None, store=None):
        environment = dict(os.environ, OMP_NUM_THREADS="1", OPENBLAS_CORETYPE=os.environ.get("OPENBLAS_CORETYPE", "Haswell"))
        if fault or log:
            environment["LD_PRELOAD"] = self.shim
        if fault:
            environment.update(EBB_FAULT_AT=str(fault[0]), EBB_FAULT_KIND=fault[1])
        if log:
            environment["EBB_FAULT_LOG"] = str(log)
        if store:
            environment["EBB_FAULT_STORE"] = str(store)
        return subprocess.run([self.program, *map(str, arguments)], env=environment, capture_output=True, text=True,
                              timeout=120)

    def train(self, run, steps, **more):
        new = ["--data", "shapes", "--size", 8, "--channels", 1, "--preset", "tiny", "--batch", 4]
        rest = ["--resume"] if (run / "config.json").exists() else new
        return self.ebb("train", "--out", run, *rest, "--steps", steps, "--save-every", 2, "--preview-every", 3,
                        "--log-every", 1, "--keep", 2, "--threads", 1, **more)

    def fresh(self):
        self.number += 1
        return self.folder / f"run{self.number}"


def weights(run, step):
    data = (run / f"checkpoints/step-{step:08}/raw.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header.pop("__metadata__")
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode() + data[8 + length :]).hexdigest()


def checkpoints(run):
    return sorted(p.name for p in (run / "checkpoints").glob("step-*") if p.name[5:].isdigit())


def temporaries(folder):
    return [str(p) for p in folder.rglob("*.part-*")]


def check_run(driver, run, steps, expected, had_checkpoint):
    """The run after a fault: it can be read, and goes on to the same end."""
    if had_checkpoint or checkpoints(run):
        sampled = driver.ebb("sample", run, "--count", 1, "--steps", 1, "--out", driver.folder / "x.npy")
        if sampled.returncode and "older ones are those" not in sampled.stderr:
            raise Failed(f"no checkpoint to sample from: {sampled.stderr}")
    ended = driver.train(run, steps)
    if ended.returncode:
        raise Failed(f"cannot go on: {ended.stderr}")
    if weights(run, steps) != expected:
        raise Failed("it goes on to other weights")
    if temporaries(run):
        raise Failed(f"left behind: {temporaries(run)}")


def calls_of(driver, action):
    log = driver.folder / "log"
    log.unlink(missing_ok=True)
    action(log=log)
    return [line.split("\t")[0] for line in log.read_text().splitlines()]


def train_case(driver, expected):
    def act(run, **fault):
        return driver.train(run, STEPS, **fault)

    def judge(run, outcome):
        check_run(driver, run, STEPS, expected[STEPS], False)

    return "a whole run", driver.fresh, act, judge


def resume_case(driver, expected, base):
    def prepare():
        run = driver.fresh()
        shutil.copytree(base, run)
        return run

    def act(run, **fault):
        return driver.train(run, MORE, **fault)

    def judge(run, outcome):
        check_run(driver, run, MORE, expected[MORE], True)

    return "a resumed run", prepare, act, judge


def export_case(driver, base):
    def act(out, **fault):
        return driver.ebb("export", base, "--out", out, **fault)

    def judge(out, outcome):
        whole = {"config.json", "diffusion_pytorch_model.safetensors"}
        if out.exists() and {p.name for p in out.iterdir()} != whole:
            raise Failed(f"a part of an export: {list(out.iterdir())}")
        if outcome.returncode == 0 and not out.exists():
            raise Failed("it says that it is there, and it is not")

    return "an export", driver.fresh, act, judge


def try_all(name, driver, prepare, act, judge, every, kinds):
    sample = prepare()
    calls = calls_of(driver, lambda **log: act(sample, **log))
    table, lost = collections.Counter(), 0
    for at in range(1, len(calls) + 1, every):
        for kind in kinds:
            if kind == "short" and calls[at - 1] != "write":
                continue
            place = prepare()
            outcome = act(place, fault=(at, kind))
            table[kind] += 1
            try:
                judge(place, outcome)
            except (Failed, OSError, subprocess.TimeoutExpired) as error:
                lost += 1
                print(f"LOST {name}, call {at} ({calls[at - 1]}), {kind}: {error}")
            shutil.rmtree(place, ignore_errors=True)
            for rest in driver.folder.glob("*.part-*"):
                shutil.rmtree(rest, ignore_errors=True)
    cases = ", ".join(f"{kind} {count}" for kind, count in table.items())
    print(f"{name}: {len(calls)} calls; {cases}; {lost} lost", flush=True)
    return lost


def random_kills(driver, count, expected):
    start = time.time()
    driver.train(driver.fresh(), STEPS)
    duration = time.time() - start
    lost = 0
    for i in range(count):
        run = driver.fresh()
        command = [driver.program, "train", "--out", run, "--data", "shapes", "--size", 8, "--channels", 1, "--preset",
                   "tiny", "--batch", 4, "--steps", STEPS, "--save-every", 1, "--preview-every", 3, "--keep", 2, "--threads", 1]
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=dict(os.environ, OMP_NUM_THREADS="1"))
        time.sleep(random.random() * duration * 1.2)
        process.kill()
        process.wait()
        try:
            check_run(driver, run, STEPS, expected[STEPS], False)
        except (Failed, OSError, subprocess.TimeoutExpired) as error:
            lost += 1
            print(f"LOST random kill {i}: {error}")
        shutil.rmtree(run, ignore_errors=True)
    print(f"random kills: {count}; {lost} lost", flush=True)
    return lost


def main():
    def option(name, otherwise):
        return int(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else otherwise

    quick = "--quick" in sys.argv
    every, kinds = option("--every", 61 if quick else 1), KINDS[:2] if quick else KINDS
    if "--signals" in sys.argv:
        kinds = SIGNALS
    random.seed(1)
    lost = 0
    with tempfile.TemporaryDirectory() as folder:
        driver = Driver(sys.argv[1], os.path.abspath(sys.argv[2]), folder)
        base, longer = driver.folder / "base", driver.folder / "longer"
        for run, steps in ((base, STEPS), (longer, MORE)):
            if run == longer:
                shutil.copytree(base, longer)
            outcome = driver.train(run, steps)
            if outcome.returncode:
                sys.exit(outcome.stderr)
        expected = {STEPS: weights(base, STEPS), MORE: weights(longer, MORE)}
        if "--power-cuts" in sys.argv or quick:
            lost += power_cut.try_all(driver, expected, STEPS, MORE, every, check_run)
        if "--power-cuts" not in sys.argv:
            for case in (train_case(driver, expected), resume_case(driver, expected, base), export_case(driver, base)):
                lost += try_all(case[0], driver, *case[1:], every, kinds)
        lost += random_kills(driver, option("--kills", 5 if quick else 0), expected)
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
