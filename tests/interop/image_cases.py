"""The operators of images, for operator_cases.OPERATORS: convolutions, pools, resampling, norms."""
import math

import torch.nn.functional as F

from operator_cases import OPERATORS, act, operator


def convolution(d, transposed):
    groups = d.choice(1, 1, 1, 2, 3)
    i, o = d.size(48, groups), d.size(48, groups)
    kernel = [d.choice(1, 2, 3, 3, 3, 4, 5) for _ in range(2)]
    if d.choice(True, False):
        kernel[1] = kernel[0]
    stride = [d.choice(1, 1, 1, 2, 3)] * 2
    dilation = [d.choice(1, 1, 1, 2)] * 2
    padding = [d.random.randint(0, k // 2) for k in kernel]
    x = d.image(i, 1 if transposed else max(dilation[0] * (k - 1) + 1 for k in kernel))
    weight = [i, o // groups] if transposed else [o, i // groups]
    inputs = dict(x=d.randn(*x), weight=d.randn(*weight, *kernel) / math.sqrt(i / groups * math.prod(kernel)))
    if d.choice(True, False):
        inputs["bias"] = d.randn(o)
    arguments = dict(stride=stride, padding=padding, dilation=dilation, groups=groups)
    form = d.choice("none", "none", "relu", "silu")
    if transposed:
        most = max(stride[0], dilation[0]) - 1
        arguments["output_padding"] = [d.random.randint(0, most) for _ in range(2)]
    function = F.conv_transpose2d if transposed else F.conv2d
    return dict(arguments, activation=form), inputs, \
        lambda x, weight, bias=None: act(form, function(x, weight, bias, **arguments))


OPERATORS["conv2d"] = lambda d: convolution(d, False)
OPERATORS["conv_transpose2d"] = lambda d: convolution(d, True)


@operator("conv2d of 3x3")
def _(d):
    i, o = d.size(130), d.size(96)
    x = d.image(i, 3, 1)
    arguments, form = dict(padding=d.choice(0, 1)), d.choice("none", "relu", "silu")
    return dict(arguments, activation=form), \
        dict(x=d.randn(*x), weight=d.randn(o, i, 3, 3) / math.sqrt(9 * i), bias=d.randn(o)), \
        lambda x, weight, bias: act(form, F.conv2d(x, weight, bias, **arguments))


def pool(function):
    def make(d):
        kernel = [d.choice(1, 2, 3), d.choice(1, 2, 3)]
        arguments = dict(kernel_size=kernel, stride=[d.choice(1, 2, 3), d.choice(1, 2, 3)],
                         padding=[d.random.randint(0, k // 2) for k in kernel])
        return arguments, dict(x=d.randn(*d.image(d.size(33), 3))), lambda x: function(x, **arguments)

    return make


OPERATORS["max_pool2d"], OPERATORS["avg_pool2d"] = pool(F.max_pool2d), pool(F.avg_pool2d)


@operator("interpolate")
def _(d):
    size, mode = [d.size(33), d.size(33)], d.choice("nearest", "bilinear")
    return dict(size=size, mode=mode), dict(x=d.randn(*d.image(d.size(17)))), \
        lambda x: F.interpolate(x, size, mode=mode)


@operator("pixel_shuffle")
def _(d):
    r = d.choice(1, 2, 3)
    return dict(upscale_factor=r), dict(x=d.randn(*d.image(r * r * d.choice(1, 2, 5)))), \
        lambda x: F.pixel_shuffle(x, r)


@operator("pixel_unshuffle")
def _(d):
    r = d.choice(1, 2, 3)
    n, c, h, w = d.image(d.choice(1, 2, 5))
    return dict(downscale_factor=r), dict(x=d.randn(n, c, r * h, r * w)), lambda x: F.pixel_unshuffle(x, r)


@operator("group_norm")
def _(d):
    groups, eps, form = d.choice(1, 2, 4), d.choice(1e-5, 1e-3), d.choice("none", "silu")
    channels = d.size(96, groups)
    inputs = dict(x=d.randn(*d.image(channels, 2)) + d.choice(0, 2))
    if d.choice(True, False):
        inputs.update(weight=d.randn(channels), bias=d.randn(channels))
    return dict(num_groups=groups, eps=eps, activation=form), inputs, \
        lambda x, weight=None, bias=None: act(form, F.group_norm(x, groups, weight, bias, eps))


@operator("layer_norm")
def _(d):
    shape = [d.size(33) + 1 for _ in range(d.choice(1, 2))]
    eps = d.choice(1e-5, 1e-3)
    inputs = dict(x=d.randn(*d.choice([], [d.size(9)]), d.size(17), *shape) + d.choice(0, 2))
    if d.choice(True, False):
        inputs.update(weight=d.randn(*shape), bias=d.randn(*shape))
    return dict(normalized_shape=shape, eps=eps), inputs, \
        lambda x, weight=None, bias=None: F.layer_norm(x, shape, weight, bias, eps)


@operator("batch_norm")
def _(d):
    c = d.size(33)
    inputs = dict(x=d.randn(*d.image(c, 3)))
    if d.choice(True, False):
        inputs.update(weight=d.randn(c), bias=d.randn(c))
    return dict(training=True), inputs, \
        lambda x, weight=None, bias=None: F.batch_norm(x, None, None, weight, bias, training=True)
