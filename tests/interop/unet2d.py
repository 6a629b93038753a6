#!/usr/bin/env python3
"""UNet2D against the same network in PyTorch: output and every gradient within 1e-4.

usage: unet2d.py EBB_INTEROP [--diffusers]

The network is stated here in plain PyTorch. With --diffusers the class UNet2DModel of Hugging
Face's library, if this Python has it, is run instead.
"""
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from torch_safetensors import read_safetensors, write_safetensors

TOLERANCE = 1e-4  # max|a - b| / max|b|
DEFAULTS = dict(
    in_channels=3, out_channels=3, center_input_sample=False, freq_shift=0, flip_sin_to_cos=True,
    down_block_types=["DownBlock2D", "AttnDownBlock2D"],
    up_block_types=["AttnUpBlock2D", "UpBlock2D"],
    block_out_channels=[16, 32], layers_per_block=1, mid_block_scale_factor=1.0,
    downsample_padding=1, downsample_type="conv", upsample_type="conv", act_fn="silu",
    attention_head_dim=8, norm_num_groups=8, norm_eps=1e-5, resnet_time_scale_shift="default",
    add_attention=True, num_class_embeds=None,
)


def listed(*modules):
    return nn.ModuleList(modules)


class Attention(nn.Module):
    def __init__(self, c, channels, groups, scale=1.0):
        super().__init__()
        head = c["attention_head_dim"] or channels
        self.heads, self.scale = channels // head, scale
        inner = self.heads * head
        if groups:
            self.group_norm = nn.GroupNorm(groups, channels, c["norm_eps"])
        self.to_q, self.to_k, self.to_v = (nn.Linear(channels, inner) for _ in range(3))
        self.to_out = listed(nn.Linear(inner, channels))

    def forward(self, x):
        h = self.group_norm(x) if hasattr(self, "group_norm") else x
        h = h.flatten(2).transpose(1, 2)
        q, k, v = (f(h).unflatten(2, (self.heads, -1)).transpose(1, 2)
                   for f in (self.to_q, self.to_k, self.to_v))
        weights = (q @ k.transpose(2, 3) / math.sqrt(q.shape[-1])).softmax(-1)
        y = self.to_out[0]((weights @ v).transpose(1, 2).flatten(2))
        return (y.transpose(1, 2).reshape(x.shape) + x) / self.scale


class Resnet(nn.Module):
    def __init__(self, c, i, o, resample=None, scale=1.0):
        super().__init__()
        groups, eps, self.shifted = c["norm_num_groups"], c["norm_eps"], c["resnet_time_scale_shift"]
        self.norm1, self.norm2 = nn.GroupNorm(groups, i, eps), nn.GroupNorm(groups, o, eps)
        self.conv1, self.conv2 = nn.Conv2d(i, o, 3, padding=1), nn.Conv2d(o, o, 3, padding=1)
        parts = 2 if self.shifted == "scale_shift" else 1
        self.time_emb_proj = nn.Linear(4 * c["block_out_channels"][0], parts * o)
        if i != o:
            self.conv_shortcut = nn.Conv2d(i, o, 1)
        self.act = getattr(F, c["act_fn"])
        self.resample, self.scale = resample, scale

    def forward(self, x, temb):
        h = self.act(self.norm1(x))
        if self.resample == "down":
            x, h = F.avg_pool2d(x, 2), F.avg_pool2d(h, 2)
        if self.resample == "up":
            x, h = (F.interpolate(a, scale_factor=2.0) for a in (x, h))
        time = self.time_emb_proj(self.act(temb))[:, :, None, None]
        h = self.conv1(h)
        if self.shifted == "scale_shift":
            factor, shift = time.chunk(2, dim=1)
            h = self.norm2(h) * (1 + factor) + shift
        else:
            h = self.norm2(h + time)
        h = self.conv2(self.act(h))
        return ((self.conv_shortcut(x) if hasattr(self, "conv_shortcut") else x) + h) / self.scale


class Conv(nn.Module):
    """Down- or upsampling by a convolution."""

    def __init__(self, channels, up, padding=1):
        super().__init__()
        self.up, self.padding = up, padding
        self.conv = nn.Conv2d(channels, channels, 3, 1 if up else 2, padding)

    def forward(self, x, temb):
        if self.up:
            return self.conv(F.interpolate(x, scale_factor=2.0))
        return self.conv(F.pad(x, (0, 1, 0, 1)) if self.padding == 0 else x)


class Level(nn.Module):
    def __init__(self, c, kind, inputs, channels, last, up):
        super().__init__()
        self.resnets = listed(*(Resnet(c, i, channels) for i in inputs))
        attention = kind.startswith("Attn")
        if attention:
            groups = c["norm_num_groups"]
            self.attentions = listed(*(Attention(c, channels, groups) for _ in inputs))
        way = "upsample" if up else "downsample"
        if not last:
            resnet = kind.startswith("Resnet") or attention and c[f"{way}_type"] == "resnet"
            sampler = (Resnet(c, channels, channels, way[:-6]) if resnet
                       else Conv(channels, up, 1 if up else c["downsample_padding"]))
            setattr(self, f"{way}rs", listed(sampler))

    def blocks(self):
        attentions = getattr(self, "attentions", [None] * len(self.resnets))
        return zip(self.resnets, attentions)


class Middle(nn.Module):
    def __init__(self, c, channels):
        super().__init__()
        scale = c["mid_block_scale_factor"]
        self.resnets = listed(*(Resnet(c, channels, channels, None, scale) for _ in range(2)))
        groups = None if c["resnet_time_scale_shift"] == "scale_shift" else c["norm_num_groups"]
        if c["add_attention"]:
            self.attentions = listed(Attention(c, channels, groups, scale))

    def forward(self, x, temb):
        x = self.resnets[0](x, temb)
        for attention in getattr(self, "attentions", []):
            x = attention(x)
        return self.resnets[1](x, temb)


class UNet(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, widths = c, c["block_out_channels"]
        first, time, levels = widths[0], 4 * widths[0], len(widths)
        self.conv_in = nn.Conv2d(c["in_channels"], first, 3, padding=1)
        self.time_embedding = nn.ModuleDict(
            dict(linear_1=nn.Linear(first, time), linear_2=nn.Linear(time, time)))
        if c["num_class_embeds"]:
            self.class_embedding = nn.Embedding(c["num_class_embeds"], time)
        layers, down, up = c["layers_per_block"], [], []
        for i, kind in enumerate(c["down_block_types"]):
            inputs = [widths[max(i - 1, 0)]] + [widths[i]] * (layers - 1)
            down.append(Level(c, kind, inputs, widths[i], i == levels - 1, False))
        for i, kind in zip(reversed(range(levels)), c["up_block_types"]):
            below = [widths[min(i + 1, levels - 1)]] + [widths[i]] * layers
            skips = [widths[i]] * layers + [widths[max(i - 1, 0)]]
            inputs = [a + b for a, b in zip(below, skips)]
            up.append(Level(c, kind, inputs, widths[i], i == 0, True))
        self.down_blocks, self.up_blocks = listed(*down), listed(*up)
        self.mid_block = Middle(c, widths[-1])
        self.conv_norm_out = nn.GroupNorm(c["norm_num_groups"], first, c["norm_eps"])
        self.conv_out = nn.Conv2d(first, c["out_channels"], 3, padding=1)

    def embed(self, t, labels):
        half = self.c["block_out_channels"][0] // 2
        exponent = -math.log(10000) * torch.arange(half, dtype=t.dtype) / (half - self.c["freq_shift"])
        angle = t[:, None] * torch.exp(exponent)
        parts = [angle.sin(), angle.cos()]
        emb = torch.cat(parts[::-1] if self.c["flip_sin_to_cos"] else parts, dim=1)
        emb = self.time_embedding["linear_2"](F.silu(self.time_embedding["linear_1"](emb)))
        return emb if labels is None else emb + self.class_embedding(labels)

    def forward(self, x, t, labels=None):
        temb = self.embed(t, labels)
        x = self.conv_in(2 * x - 1 if self.c["center_input_sample"] else x)
        skips = [x]
        for level in self.down_blocks:
            for resnet, attention in level.blocks():
                x = resnet(x, temb)
                x = attention(x) if attention else x
                skips.append(x)
            for sampler in getattr(level, "downsamplers", []):
                x = sampler(x, temb)
                skips.append(x)
        x = self.mid_block(x, temb)
        for level in self.up_blocks:
            for resnet, attention in level.blocks():
                x = resnet(torch.cat([x, skips.pop()], dim=1), temb)
                x = attention(x) if attention else x
            for sampler in getattr(level, "upsamplers", []):
                x = sampler(x, temb)
        return self.conv_out(F.silu(self.conv_norm_out(x)))


CASES = {
    "plain": {},
    "three levels, two layers": dict(
        block_out_channels=[8, 16, 24], layers_per_block=2, norm_num_groups=4,
        down_block_types=["DownBlock2D", "AttnDownBlock2D", "DownBlock2D"],
        up_block_types=["UpBlock2D", "AttnUpBlock2D", "UpBlock2D"]),
    "scale and shift, classes": dict(
        resnet_time_scale_shift="scale_shift", num_class_embeds=11, attention_head_dim=None),
    "resnet resampling": dict(downsample_type="resnet", upsample_type="resnet",
                              down_block_types=["AttnDownBlock2D", "AttnDownBlock2D"],
                              up_block_types=["AttnUpBlock2D", "AttnUpBlock2D"]),
    "resnet levels": dict(down_block_types=["ResnetDownsampleBlock2D"] * 2,
                          up_block_types=["ResnetUpsampleBlock2D"] * 2, add_attention=False),
    "as DDPM": dict(downsample_padding=0, flip_sin_to_cos=False, freq_shift=1, norm_eps=1e-6,
                    attention_head_dim=None),
    "centred, scaled, gray to six": dict(center_input_sample=True, mid_block_scale_factor=1.7,
                                         in_channels=1, out_channels=6),
    "heads that leave a rest": dict(block_out_channels=[16, 40], attention_head_dim=12),
    "gelu": dict(act_fn="gelu"),
    "relu, one level": dict(act_fn="relu", block_out_channels=[8], norm_num_groups=2,
                            down_block_types=["DownBlock2D"], up_block_types=["UpBlock2D"]),
    "mish, skip into narrower": dict(act_fn="mish", block_out_channels=[32, 16]),
}


def build(config, diffusers):
    if not diffusers:
        return UNet(config)
    from diffusers import UNet2DModel

    class Called(UNet2DModel):
        def forward(self, x, t, labels=None):
            return super().forward(x, t, labels).sample

    return Called(**config)


def worst(actual, expected, scale=None):
    scale = expected.abs().max().item() if scale is None else scale
    return (actual - expected).abs().max().item() / max(scale, 1e-30)


def compare(program, folder, config, diffusers):
    model = build(config, diffusers)
    with torch.no_grad():
        for p in model.parameters():  # biases and norms must not hide behind 0 and 1
            p.add_(0.05 * torch.randn(p.shape))
    multiple = 2 ** (len(config["block_out_channels"]) - 1)
    x = torch.randn(2, config["in_channels"], 3 * multiple, 4 * multiple, requires_grad=True)
    given = dict(sample=x, timestep=torch.tensor([3.25, 981.0]))
    labels = None
    if config["num_class_embeds"]:
        labels = given["labels"] = torch.tensor([0, config["num_class_embeds"] - 1])
    y = model(x, given["timestep"], labels)
    given["cotangent"] = torch.randn(y.shape)
    y.backward(given["cotangent"])
    Path(f"{folder}/config.json").write_text(json.dumps(config))
    write_safetensors(f"{folder}/diffusion_pytorch_model.safetensors", model.state_dict())
    inputs, outputs = f"{folder}/in.safetensors", f"{folder}/out.safetensors"
    write_safetensors(inputs, given)
    subprocess.run([program, "unet2d", folder, inputs, outputs], check=True)

    results = read_safetensors(outputs)
    errors = {"sample": worst(results["sample"], y)}
    gradients = {"sample": x.grad, **{n: p.grad for n, p in model.named_parameters()}}
    largest = max(g.abs().max().item() for g in gradients.values())
    for name, gradient in gradients.items():
        # A key's bias moves all scores alike: its gradient is zero but for rounding.
        scale = largest if name.endswith("to_k.bias") else None
        errors["grad." + name] = worst(results["grad." + name], gradient, scale)
    copy = read_safetensors(f"{folder}/copy/diffusion_pytorch_model.safetensors")
    model.load_state_dict(copy)
    same = json.loads(Path(f"{folder}/copy/config.json").read_text())
    if any(same[key] != value for key, value in config.items()):
        errors["config.json that was written"] = math.inf
    # A NaN is the largest.
    return max(errors.items(), key=lambda item: (math.isnan(item[1]), item[1]))


def main():
    torch.manual_seed(0)
    failed = 0
    for name, changes in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            where, error = compare(sys.argv[1], folder, {**DEFAULTS, **changes},
                                   "--diffusers" in sys.argv)
        failed += not error <= TOLERANCE
        print(f"{'ok  ' if error <= TOLERANCE else 'FAIL'} {name}: {error:.1e} at {where}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
