"""Operators at random shapes and arguments, as PyTorch calls them: pointwise functions, reductions,
products, layouts and losses. image_cases.py has those of images, attention_cases.py attention."""
import math
import random

import torch
import torch.nn.functional as F

SIZES = [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 48, 64, 65, 96, 130]


class Draw:
    """Random sizes and numbers. `most` bounds the elements of a tensor."""

    def __init__(self, seed, most):
        self.random, self.most = random.Random(seed), most
        torch.manual_seed(seed)

    def size(self, most=None, multiple=1):
        most = max(min(most or self.most, self.most) // multiple, 1)
        return multiple * self.random.choice([s for s in SIZES if s <= most])

    def shape(self, low=0, high=5):
        shape, rest = [], self.most
        for _ in range(self.random.randint(low, high)):
            shape.append(0 if self.random.random() < 0.01 else self.size(rest))
            rest //= max(shape[-1], 1)
        self.random.shuffle(shape)
        return shape

    def image(self, channels, least=1, samples=None):
        """(N, C, H, W)"""
        n = samples or self.random.randint(1, 3)
        room = max(self.most // (n * channels), 1)
        h = max(self.size(min(int(room**0.5) + 1, 33)), least)
        return [n, channels, h, max(self.size(min(max(room // h, 1), 40)), least)]

    def randn(self, *shape):
        return torch.randn(shape).double()

    def positive(self, *shape):
        return self.randn(*shape).abs() + 0.3

    def choice(self, *values):
        return self.random.choice(values)

    def dim(self, x):
        return self.random.randint(-x.dim(), x.dim() - 1)

    def dims(self, x):
        chosen = self.random.sample(range(x.dim()), self.random.randint(0, x.dim()))
        return [d - x.dim() if self.choice(True, False) else d for d in chosen]


OPERATORS = {}


def operator(name):
    """Of a function that makes (arguments, inputs, function of those inputs) from a Draw."""
    return lambda make: OPERATORS.setdefault(name, make)


def unary(name, function, positive=False, **arguments):
    def make(d):
        shape = d.shape()
        return arguments, dict(x=d.positive(*shape) if positive else 2 * d.randn(*shape)), lambda x: function(x)

    OPERATORS[name] = make


def act(name, y):
    return dict(none=lambda v: v, relu=F.relu, silu=F.silu)[name](y)


for _name in ("neg", "exp", "square", "abs", "sin", "cos", "tanh", "sigmoid", "relu", "erf"):
    unary(_name, getattr(torch, _name))
for _name in ("log", "log1p", "sqrt", "rsqrt", "reciprocal"):
    unary(_name, getattr(torch, _name), positive=True)
unary("silu", F.silu)


@operator("gelu")
def _(d):
    form = d.choice("none", "tanh")
    return dict(approximate=form), dict(x=2 * d.randn(*d.shape())), lambda x: F.gelu(x, approximate=form)


@operator("softplus")
def _(d):
    beta = d.choice(0.5, 1.0, 2.0)
    return dict(beta=beta), dict(x=3 * d.randn(*d.shape())), lambda x: F.softplus(x, beta)


@operator("leaky_relu")
def _(d):
    slope = d.choice(0.01, 0.2, 1.5)
    return dict(negative_slope=slope), dict(x=d.randn(*d.shape())), lambda x: F.leaky_relu(x, slope)


@operator("pow")
def _(d):
    p = d.choice(-1.0, -0.5, 0.0, 0.5, 1.0, 1.7, 2.0, 3.0)
    return dict(exponent=p), dict(x=d.positive(*d.shape())), lambda x: x.pow(p)


@operator("clamp")
def _(d):
    low, high = d.choice((-1.0, 0.5), (-math.inf, 0.0), (0.25, 2.0))
    arguments = dict(max=high) if math.isinf(low) else dict(min=low, max=high)
    return arguments, dict(x=d.randn(*d.shape())), lambda x: x.clamp(low, high)


def pair(d):
    """Two shapes that broadcast."""
    shape = d.shape()
    shapes = [[1 if d.random.random() < 0.25 else s for s in shape] for _ in range(2)]
    cut = d.random.randint(0, len(shape)) if d.random.random() < 0.3 else 0
    shapes[d.choice(0, 1)][:cut] = []
    return shapes


def binary(name, function, positive=False):
    def make(d):
        a, b = pair(d)
        by = d.randn(*b) if not positive else d.positive(*b) * d.choice(1, -1)
        return {}, dict(a=d.randn(*a), b=by), lambda a, b: function(a, b)

    OPERATORS[name] = make


for _name in ("add", "sub", "mul", "maximum", "minimum"):
    binary(_name, getattr(torch, _name))
binary("div", torch.div, positive=True)


@operator("where")
def _(d):
    a, b = pair(d)
    cond = d.randn(*d.choice(a, b))
    return dict(note="condition is cond > 0"), dict(cond=cond, a=d.randn(*a), b=d.randn(*b)), \
        lambda cond, a, b: torch.where(cond > 0, a, b)


def reduction(name, function, low=0):
    def make(d):
        x = d.randn(*d.shape(low))
        dim, keep = d.dims(x), d.choice(True, False)
        if not dim:
            return dict(keepdim=False), dict(x=x), lambda x: function(x, list(range(x.dim())), False)
        return dict(dim=dim, keepdim=keep), dict(x=x), lambda x: function(x, dim, keep)

    OPERATORS[name] = make


def summed(function):
    return lambda x, dim, keep: function(x, dim=dim, keepdim=keep) if dim else function(x)


for _name in ("sum", "mean", "amax", "amin"):
    reduction(_name, summed(getattr(torch, _name)))


def spread(name, function):
    def make(d):
        x = d.randn(*d.shape(1))
        dim, keep, correction = d.dims(x) or [0], d.choice(True, False), d.choice(0, 1)
        if math.prod(x.shape[i] for i in dim) < 2:
            raise ValueError("one value has no spread")
        return dict(dim=dim, keepdim=keep, correction=correction), dict(x=x), \
            lambda x: function(x, dim, correction=correction, keepdim=keep)

    OPERATORS[name] = make


spread("var", torch.var)
spread("std", torch.std)


def along(name, function, numbers=lambda d, shape: d.randn(*shape)):
    def make(d):
        x = numbers(d, d.shape(1))
        dim = d.dim(x)
        return dict(dim=dim), dict(x=x), lambda x: function(x, dim)

    OPERATORS[name] = make


along("cumsum", torch.cumsum)
along("cumprod", torch.cumprod, lambda d, shape: 0.6 + torch.rand(shape).double())
along("softmax", torch.softmax, lambda d, shape: 4 * d.randn(*shape))
along("log_softmax", torch.log_softmax, lambda d, shape: 4 * d.randn(*shape))
along("sort", lambda x, dim: torch.sort(x, dim).values.detach())
along("argmax", torch.argmax)
along("argsort", torch.argsort)


@operator("logsumexp")
def _(d):
    x = 4 * d.randn(*d.shape(1))
    dim, keep = d.dim(x), d.choice(True, False)
    return dict(dim=dim, keepdim=keep), dict(x=x), lambda x: torch.logsumexp(x, dim, keep)


@operator("select")
def _(d):
    x = d.randn(*d.shape(1))
    dim = d.dim(x)
    index = d.random.randint(-x.shape[dim], x.shape[dim] - 1)
    return dict(dim=dim, index=index), dict(x=x), lambda x: x.select(dim, index)


@operator("squeeze")
def _(d):
    shape = d.shape(1)
    dim = d.random.randrange(len(shape))
    shape[dim] = d.choice(1, 1, shape[dim])
    return dict(dim=dim), dict(x=d.randn(*shape)), lambda x: x.squeeze(dim)


@operator("unsqueeze")
def _(d):
    x = d.randn(*d.shape(0, 4))
    dim = d.random.randint(-x.dim() - 1, x.dim())
    return dict(dim=dim), dict(x=x), lambda x: x.unsqueeze(dim)


@operator("matmul")
def _(d):
    m, k, n = d.size(64), d.size(65), d.size(64)
    k = min(k, max(d.most // max(m, n), 1))
    batch = d.choice([], [], [d.size(5)], [2, d.size(3)])
    a = d.randn(*(batch if d.random.random() < 0.8 else []), m, k)
    b = d.randn(*(batch if d.random.random() < 0.8 else []), k, n)
    return {}, dict(a=a, b=b), lambda a, b: a @ b


@operator("linear")
def _(d):
    i, o = d.size(96), d.size(96)
    i = min(i, max(d.most // o, 1))
    inputs = dict(input=d.randn(*d.choice([], [d.size(5)]), d.size(33), i), weight=d.randn(o, i))
    if d.choice(True, False):
        inputs["bias"] = d.randn(o)
    return {}, inputs, lambda input, weight, bias=None: F.linear(input, weight, bias)


@operator("embedding")
def _(d):
    rows, width = d.size(33), d.size(33)
    index = torch.randint(rows, d.shape(1, 2))
    return {}, dict(weight=d.randn(rows, width), index=index), lambda weight, index: F.embedding(index, weight)


@operator("reshape")
def _(d):
    shape = d.shape()
    other = [math.prod(shape)] if d.choice(True, False) else [1] + shape[::-1]
    return dict(shape=other), dict(x=d.randn(*shape)), lambda x: x.reshape(other)


@operator("broadcast_to")
def _(d):
    shape = d.shape()
    x = d.randn(*[1 if d.random.random() < 0.4 else s for s in shape][d.random.randint(0, len(shape)):])
    return dict(shape=shape), dict(x=x), lambda x: x.broadcast_to(shape)


@operator("permute")
def _(d):
    x = d.randn(*d.shape())
    dims = d.random.sample(range(x.dim()), x.dim())
    return dict(dims=dims), dict(x=x), lambda x: x.permute(dims)


@operator("transpose")
def _(d):
    x = d.randn(*d.shape(1))
    dims = d.dim(x), d.dim(x)
    return dict(dim0=dims[0], dim1=dims[1]), dict(x=x), lambda x: x.transpose(*dims)


@operator("cat")
def _(d):
    shape = d.shape(1, 4)
    dim = d.random.randrange(len(shape))
    parts = [d.randn(*shape[:dim], d.size(9), *shape[dim + 1:]) for _ in range(d.choice(1, 2, 3))]
    return dict(dim=dim), {f"x{i}": p for i, p in enumerate(parts)}, lambda **xs: torch.cat(list(xs.values()), dim)


@operator("stack")
def _(d):
    shape = d.shape(0, 4)
    dim = d.random.randint(0, len(shape))
    return dict(dim=dim), {f"x{i}": d.randn(*shape) for i in range(d.choice(1, 2, 3))}, \
        lambda **xs: torch.stack(list(xs.values()), dim)


@operator("slice")
def _(d):
    x = d.randn(*d.shape(1))
    dim = d.dim(x)
    start, stop, step = d.random.randint(0, 3), d.random.randint(3, 20), d.choice(1, 1, 2, 3)
    index = [slice(None)] * x.dim()
    index[dim] = slice(start, stop, step)
    return dict(dim=dim, start=start, stop=stop, step=step), dict(x=x), lambda x: x[tuple(index)]


@operator("flip")
def _(d):
    x = d.randn(*d.shape(1))
    dims = d.dims(x) or [0]
    return dict(dims=dims), dict(x=x), lambda x: x.flip(dims)


@operator("pad")
def _(d):
    x = d.randn(*d.shape(1, 4))
    widths = [d.random.randint(0, 3) for _ in range(2 * d.random.randint(1, x.dim()))]
    value = d.choice(0.0, -1.5)
    return dict(pad=widths, value=value), dict(x=x), lambda x: F.pad(x, widths, value=value)


@operator("gather")
def _(d):
    x = d.randn(*d.shape(1, 3))
    dim = d.dim(x)
    shape = list(x.shape)
    shape[dim] = d.size(9)
    index = torch.randint(x.shape[dim], shape)
    return dict(dim=dim), dict(x=x, index=index), lambda x, index: x.gather(dim, index)


@operator("index_select")
def _(d):
    x = d.randn(*d.shape(1, 3))
    dim = d.dim(x)
    index = torch.randint(x.shape[dim], (d.size(9),))
    return dict(dim=dim), dict(x=x, index=index), lambda x, index: x.index_select(dim, index)


def loss(name, function, target=lambda d, shape: d.randn(*shape), **arguments):
    def make(d):
        shape = d.shape()
        return arguments, dict(input=2 * d.randn(*shape), target=target(d, shape)), \
            lambda input, target: function(input, target, **arguments)

    OPERATORS[name] = make


loss("mse_loss", F.mse_loss)
loss("l1_loss", F.l1_loss)
loss("huber_loss", F.huber_loss, delta=0.75)
loss("binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits,
     lambda d, shape: torch.rand(shape).double())


@operator("cross_entropy")
def _(d):
    n, classes = d.size(33), d.size(33)
    return {}, dict(input=3 * d.randn(n, classes), target=torch.randint(classes, (n,))), F.cross_entropy
