#!/usr/bin/env python3
"""What PyTorch makes of sizes of 0, and of 1 where a spread over it has no meaning.

usage: zero_sizes.py

A line for each operation: refused, or the shape, the first value and the first element of each
gradient of the sum, all inputs being ones. tests/tensor/zero_size_test.cpp has the same table.
"""
import torch
import torch.nn.functional as F

NONE, TWO = torch.zeros(0, dtype=torch.long), torch.zeros(2, dtype=torch.long)


def conv(**options):
    return lambda x, w, b: F.conv2d(x, w, b, **options)


def transposed(**options):
    return lambda x, w, b: F.conv_transpose2d(x, w, b, **options)


def pools(**options):
    return [(f"{kind}_pool2d", lambda x, f=f: f(x, options.get("k", 2), padding=options.get("padding", 0)))
            for kind, f in (("max", F.max_pool2d), ("avg", F.avg_pool2d))]


def resize(*size):
    return lambda x: F.interpolate(x, size, mode="bilinear")


def batch_norm(x):
    return F.batch_norm(x, None, None, training=True)


def matmul(a, b):
    return a @ b


ROWS = [
    (conv(padding=1), [((0, 2, 4, 4), (3, 2, 3, 3), (3,)), ((1, 0, 4, 4), (3, 0, 3, 3), (3,)),
                       ((1, 2, 4, 4), (0, 2, 3, 3), (0,)), ((1, 2, 0, 4), (3, 2, 3, 3), (3,))]),
    (conv(padding=2), [((1, 2, 0, 4), (3, 2, 3, 3), (3,))]),
    (conv(), [((1, 2, 0, 4), (3, 2, 1, 1), (3,)), ((1, 2, 4, 4), (3, 2, 0, 3), (3,))]),
    (transposed(), [((0, 2, 4, 4), (2, 3, 3, 3), (3,)), ((1, 2, 0, 4), (2, 3, 3, 3), (3,)),
                    ((1, 0, 4, 4), (0, 3, 3, 3), (3,)), ((1, 2, 4, 4), (2, 0, 3, 3), (0,))]),
    (transposed(padding=1), [((1, 2, 1, 4), (2, 3, 2, 3), (3,))]),
    (transposed(padding=2), [((1, 2, 1, 4), (2, 3, 2, 3), (3,))]),
    (transposed(stride=2), [((1, 2, 0, 4), (2, 3, 3, 3), (3,))]),
    *[(f, [((0, 2, 4, 4),), ((1, 0, 4, 4),), ((1, 2, 0, 4),)]) for _, f in pools()],
    *[(f, [((1, 2, 0, 4),), ((0, 2, 0, 4),)]) for _, f in pools(padding=1)],
    *[(f, [((1, 2, 4, 4),)]) for _, f in pools(k=5)],
    (lambda x: F.layer_norm(x, ()), [((2, 3),)]),
    (lambda x: F.layer_norm(x, x.shape[1:]), [((2, 0),), ((0, 3),)]),
    (lambda x: F.group_norm(x, 2), [((1, 2),), ((3, 2),), ((0, 4, 3),), ((2, 4, 0),)]),
    (lambda x: F.group_norm(x, 1), [((2, 0, 3),)]),
    (lambda x: F.group_norm(x, 4), [((2, 4, 1, 1),), ((1, 4, 1, 1),)]),
    (batch_norm, [((1, 3),), ((0, 3, 2),), ((2, 0, 2),), ((2, 3, 0),)]),
    (matmul, [((2, 0), (0, 3)), ((0, 2), (2, 3)), ((0,), (0,)), ((0, 2, 3), (0, 3, 4))]),
    (F.linear, [((2, 0), (3, 0), (3,)), ((2, 4), (0, 4), (0,))]),
    (F.scaled_dot_product_attention, [((1, 0, 4), (1, 3, 4), (1, 3, 4)), ((1, 2, 4), (1, 0, 4), (1, 0, 4)),
                                      ((1, 2, 0), (1, 3, 0), (1, 3, 4)), ((1, 2, 4), (1, 3, 4), (1, 3, 0)),
                                      ((0, 2, 4), (0, 3, 4), (0, 3, 4))]),
    *[(f, [((2, 0),)]) for f in (
        lambda x: x.softmax(1), lambda x: x.amax(1), lambda x: x.amax(), lambda x: x.amax(0), lambda x: x.sum(1),
        lambda x: x.mean(1), lambda x: x.mean(), lambda x: x.var(1), lambda x: x.std(1), lambda x: x.cumsum(1),
        lambda x: x.cumprod(1), lambda x: x.sort(1)[0], lambda x: x.argmax(1), lambda x: x.argmax(0),
        lambda x: x.quantile(0.5, 1), lambda x: F.pad(x, (1, 1)), lambda x: F.cross_entropy(x, TWO))],
    *[(f, [((2, 1),)]) for f in (
        lambda x: x.var(1), lambda x: x.std(1), lambda x: x.var(1, correction=0), lambda x: x.std(1, correction=0))],
    (lambda x: x.log_softmax(0), [((0, 2),)]),
    (lambda a, b: torch.cat([a, b], 0), [((0, 3), (2, 3))]),
    (lambda x: F.cross_entropy(x, NONE), [((0, 3),)]),
    *[(f, [((0,), (0,))]) for f in (F.mse_loss, F.l1_loss, F.huber_loss, F.binary_cross_entropy_with_logits)],
    (lambda w: F.embedding(NONE, w), [((3, 2),), ((0, 2),)]),
    (lambda w: F.embedding(TWO, w), [((3, 0),)]),
    (lambda x: x.index_select(0, NONE), [((3, 2),)]),
    (lambda x: x.gather(1, torch.zeros(2, 0, dtype=torch.long)), [((2, 3),)]),
    (resize(2, 2), [((1, 2, 0, 3),), ((0, 2, 3, 3),), ((1, 0, 3, 3),)]),
    (resize(0, 2), [((1, 2, 3, 3),)]),
    (lambda x: F.pixel_unshuffle(x, 2), [((1, 2, 0, 4),)]),
    (lambda x: F.pixel_shuffle(x, 2), [((1, 0, 2, 2),)]),
    (lambda x: x.expand(0, 3), [((1, 3),)]),
]


def first(x):
    return "undefined" if x is None else x.flatten()[0].item() if x.numel() else "empty"


def answer(function, shapes):
    inputs = [torch.ones(shape, requires_grad=True) for shape in shapes]
    try:
        y = function(*inputs)
        if y.requires_grad:
            y.sum().backward()
    except (RuntimeError, ValueError, IndexError) as error:
        return f"refused ({str(error).splitlines()[0][:70]})"
    return f"{tuple(y.shape)} {first(y)}, gradients {[first(x.grad) for x in inputs]}"


def main():
    for row, (function, all_shapes) in enumerate(ROWS):
        for shapes in all_shapes:
            print(f"{row} {', '.join(map(str, shapes))}: {answer(function, shapes)}")


if __name__ == "__main__":
    main()
