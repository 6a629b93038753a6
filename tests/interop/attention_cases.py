"""Attention at random shapes, plain, masked and of heads side by side, as PyTorch calls it."""
import math

import torch
import torch.nn.functional as F

from operator_cases import operator


def heads(d):
    """One key has a gradient of exactly zero, where PyTorch's truth is rounding: two at least."""
    return d.choice([1], [2], [2, 3]), d.size(65), d.size(130) + 1, d.size(40)


@operator("scaled_dot_product_attention")
def _(d):
    batch, queries, keys, depth = heads(d)
    keys = min(keys, max(d.most // depth, 2))
    width, sharp = d.size(40), d.choice(1.0, 3.0)
    scale = d.choice(0.0, 0.3)
    inputs = dict(q=sharp * d.randn(*batch, queries, depth), k=d.randn(*batch, keys, depth),
                  v=d.randn(*batch, keys, width))
    return dict(scale=scale), inputs, \
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, scale=scale or None)


@operator("masked_attention")
def _(d):
    batch, queries, keys, depth = heads(d)
    keys = min(keys, max(d.most // depth, 2))
    form, scale = d.choice("causal", "chosen", "added", "chosen causal"), d.choice(0.0, 0.3)
    inputs = dict(q=d.randn(*batch, queries, depth), k=d.randn(*batch, keys, depth), v=d.randn(*batch, keys, d.size(40)))
    open_ = torch.ones(queries, keys).bool()
    if "causal" in form:
        open_ = open_.tril()
    shape = d.choice([keys], [queries, keys], [*batch, 1, keys])
    if "chosen" in form:
        inputs["mask"] = (torch.rand(shape) < 0.7).long()
        open_ = open_ & (inputs["mask"] != 0)
    if form == "added":
        inputs["bias"] = d.randn(*shape)

    def attend(q, k, v, mask=None, bias=None):
        scores = q @ k.mT * (scale or depth**-0.5) + (0 if bias is None else bias.detach())
        any_open = open_.any(-1, keepdim=True)  # a query without keys gets 0
        return scores.masked_fill(~open_ & any_open, -math.inf).softmax(-1).masked_fill(~any_open, 0) @ v

    return dict(scale=scale, causal="causal" in form), inputs, attend


@operator("self_attention")
def _(d):
    count, depth, length, n = d.choice(1, 2, 3), d.size(17), d.size(65) + 1, d.choice(1, 2)

    def attend(qkv):
        q, k, v = (p.unflatten(2, (count, depth)).transpose(1, 2) for p in qkv.chunk(3, 2))
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)

    return dict(heads=count), dict(qkv=d.randn(n, length, 3 * count * depth)), attend


@operator("cross_attention")
def _(d):
    count, depth, n = d.choice(1, 2, 3), d.size(17), d.choice(1, 2)
    queries, keys = d.size(65) + 1, d.size(65) + 1

    def attend(q, k, v):
        q, k, v = (p.unflatten(2, (count, depth)).transpose(1, 2) for p in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)

    shapes = dict(q=queries, k=keys, v=keys)
    return dict(heads=count), {k: d.randn(n, l, count * depth) for k, l in shapes.items()}, attend
