#!/usr/bin/env python3
"""Writes tests/golden/printed.json: arrays and what NumPy prints of them.

usage: printed.py OUTPUT
"""
import json
import sys

import numpy as np

INF, NAN = float("inf"), float("nan")


def arrays():
    steady = lambda n, scale: (np.arange(n) * 37 % 101 - 50) * scale
    for dtype in (np.float32, np.float64):
        for values in [[1.0], [0.1, 0.25, 1.0], [-1.5, 2.0, 1e-3], [0.0, -0.0], [1e8, 1.0], [1e-5, 1.0],
                       [3e38, 2e-38], [NAN, 1.0], [INF, -INF, NAN], [NAN], [-INF, 0.5, 12.0], [123456.789, 1.0],
                       [1 / 3, 2 / 3], [99999999.0, 1e5], [1e-4, 0.05], [1e16, 2e16], [1e10, NAN, -INF], [],
                       [1000.5, 1.0], [1001.5, 1.0], [0.1 + 0.2, 0.3]]:
            yield np.array(values, dtype)
        for value in (2.5, 1 / 3, 2.0, 1e16, 1e-5, NAN):
            yield np.array(value, dtype)
        yield steady(24, 0.37).reshape(2, 3, 4).astype(dtype)
        yield steady(40, 0.1).astype(dtype)
        yield np.arange(1001).astype(dtype)
        yield np.zeros((2, 0, 3), dtype)
    for values in [[1, 20, -300], [0], [2**62, 1], []]:
        yield np.array(values, np.int64)
    yield np.arange(60).reshape(3, 20)
    yield np.arange(5000).reshape(50, 100)
    yield np.arange(8 * 8 * 8 * 8).reshape(8, 8, 8, 8)


def main():
    rows = []
    for x in arrays():
        flat = [repr(float(v)) if x.dtype.kind == "f" else int(v) for v in x.reshape(-1)]
        if x.size > 1 and (x.reshape(-1) == np.arange(x.size)).all():
            flat = "arange"
        rows.append({"dtype": str(x.dtype), "shape": list(x.shape), "values": flat, "text": str(x)})
    with open(sys.argv[1], "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]\n")


if __name__ == "__main__":
    main()
