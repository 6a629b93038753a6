#!/usr/bin/env python3
"""AutoencoderKL, CLIPTextModel and UNet2DConditionModel against diffusers' and transformers' own.

usage: hub_networks.py EBB_INTEROP           output and every gradient within 1e-4; files both ways
       hub_networks.py --write OUTPUT        writes tests/golden/hub_networks.safetensors

The file is as networks.py says of its own; a case's inputs are those of forward() here.
"""
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from networks import fill, summary
from torch_safetensors import read_safetensors, write_cases, write_safetensors
from unet2d import TOLERANCE, worst

AUTOENCODER = dict(
    in_channels=3, out_channels=3, latent_channels=4, block_out_channels=[8, 16], layers_per_block=1,
    down_block_types=["DownEncoderBlock2D"] * 2, up_block_types=["UpDecoderBlock2D"] * 2,
    norm_num_groups=4, act_fn="silu", mid_block_add_attention=True, use_quant_conv=True,
    use_post_quant_conv=True, scaling_factor=0.7, shift_factor=0.1)
TEXT = dict(
    vocab_size=40, hidden_size=16, intermediate_size=32, projection_dim=16, num_hidden_layers=2,
    num_attention_heads=2, max_position_embeddings=9, hidden_act="quick_gelu", layer_norm_eps=1e-5,
    bos_token_id=38, eos_token_id=39, pad_token_id=39)
UNET = dict(
    in_channels=4, out_channels=4, down_block_types=["CrossAttnDownBlock2D", "DownBlock2D"],
    up_block_types=["UpBlock2D", "CrossAttnUpBlock2D"], block_out_channels=[8, 16],
    layers_per_block=1, norm_num_groups=4, cross_attention_dim=12, attention_head_dim=2,
    resnet_time_scale_shift="default")
CASES = {
    "autoencoder_kl": {
        "two levels": {},
        "three levels, two layers": dict(
            block_out_channels=[8, 12, 16], layers_per_block=2, down_block_types=["DownEncoderBlock2D"] * 3,
            up_block_types=["UpDecoderBlock2D"] * 3),
        "no quantising convolutions": dict(use_quant_conv=False, use_post_quant_conv=False),
        "no attention, gray, one level": dict(
            mid_block_add_attention=False, in_channels=1, out_channels=1, latent_channels=2,
            block_out_channels=[12], down_block_types=["DownEncoderBlock2D"], up_block_types=["UpDecoderBlock2D"]),
        "gelu, narrower inside": dict(act_fn="gelu", block_out_channels=[16, 8]),
    },
    "clip_text_model": {
        "two layers": {},
        "one head": dict(num_attention_heads=1, num_hidden_layers=1),
        "gelu": dict(hidden_act="gelu"),
        "wide": dict(hidden_size=24, projection_dim=24, num_attention_heads=4, intermediate_size=40),
        "deep, its own epsilon": dict(num_hidden_layers=5, layer_norm_eps=1e-3),
    },
    "unet2d_condition": {
        "two levels": {},
        "three levels, two layers": dict(
            block_out_channels=[8, 16, 24], layers_per_block=2, attention_head_dim=4,
            down_block_types=["CrossAttnDownBlock2D"] * 2 + ["DownBlock2D"],
            up_block_types=["UpBlock2D"] + ["CrossAttnUpBlock2D"] * 2),
        "scale and shift, linear projection": dict(
            resnet_time_scale_shift="scale_shift", use_linear_projection=True, transformer_layers_per_block=2),
        "classes too": dict(num_class_embeds=5),
        "attention everywhere, other ends": dict(
            in_channels=3, out_channels=6, downsample_padding=0, mid_block_scale_factor=1.3,
            down_block_types=["CrossAttnDownBlock2D"] * 2, up_block_types=["CrossAttnUpBlock2D"] * 2,
            freq_shift=1, flip_sin_to_cos=False, center_input_sample=True),
        "the text in one vector too": dict(class_embed_type="projection", projection_class_embeddings_input_dim=6),
    },
}
BASES = dict(autoencoder_kl=AUTOENCODER, clip_text_model=TEXT, unet2d_condition=UNET)


def build(kind, config):
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    if kind == "clip_text_model":
        return CLIPTextModel(CLIPTextConfig(**config))
    return (AutoencoderKL if kind == "autoencoder_kl" else UNet2DConditionModel)(**config)


def inputs(kind, config):
    """Images and latents are (N, C, H, W)."""
    if kind == "clip_text_model":
        return dict(tokens=torch.randint(0, config["vocab_size"], (2, config["max_position_embeddings"] - 1)))
    multiple = 2 ** (len(config["block_out_channels"]) - 1)
    x = torch.randn(2, config["in_channels"], 2 * multiple, 3 * multiple)
    if kind == "autoencoder_kl":
        return dict(x=x, eps=torch.randn(2, config["latent_channels"], 2, 3))
    given = dict(x=x, t=torch.tensor([3.25, 981.0]), states=torch.randn(2, 5, config["cross_attention_dim"]),
                 mask=torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]))
    if config.get("num_class_embeds"):
        given["labels"] = torch.tensor([0, config["num_class_embeds"] - 1])
    if config.get("class_embed_type") == "projection":
        given["pooled"] = torch.randn(2, config["projection_class_embeddings_input_dim"])
    return given


def forward(model, kind, g):
    """The network's results side by side, flat: of the autoencoder the image that a sample decodes to,
    and the KL divergence of each distribution."""
    if kind == "clip_text_model":
        return model(g["tokens"]).last_hidden_state.flatten()
    if kind == "unet2d_condition":
        y = model(g["x"], g["t"], g["states"], class_labels=g.get("labels", g.get("pooled")), encoder_attention_mask=g["mask"].bool())
        return y.sample.flatten()
    latents = model.encode(g["x"]).latent_dist
    z = latents.mean + latents.std * g["eps"]
    return torch.cat([model.decode(z).sample.flatten(), latents.kl()])


def run(kind, config, seed):
    """Model, inputs, results and gradients by name, in float64."""
    model = build(kind, config)
    fill(model, seed)
    given = inputs(kind, config)
    model = model.double()
    leaves = {k: v.double() if v.is_floating_point() else v for k, v in given.items()}
    learn = [k for k in ("x", "states", "pooled") if k in leaves]
    for k in learn:
        leaves[k].requires_grad_()
    y = forward(model, kind, leaves)
    given["cotangent"] = torch.randn(y.shape)
    y.backward(given["cotangent"].double())
    gradients = {k: leaves[k].grad for k in learn}
    gradients.update({n: p.grad.clone() for n, p in sorted(model.named_parameters()) if p.grad is not None})
    return model.float(), given, y.detach(), gradients


def compare(program, kind, config, seed):
    model, given, y, gradients = run(kind, config, seed)
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        where, outputs = f"{folder}/in.safetensors", f"{folder}/out.safetensors"
        write_safetensors(where, given)
        subprocess.run([program, "hub", kind, folder, where, outputs], check=True)
        results = {k.replace("text_model.", ""): v for k, v in read_safetensors(outputs).items()}
        errors = {"y": worst(results["y"], y)}
        largest = max(g.abs().max().item() for g in gradients.values())
        for name, gradient in gradients.items():
            name = name.replace("text_model.", "")
            # A key's bias moves all scores alike: its gradient is zero but for rounding.
            scale = largest if name.endswith(("to_k.bias", "k_proj.bias")) else None
            errors["grad." + name] = worst(results["grad." + name], gradient, scale)
        again = type(model).from_pretrained(f"{folder}/copy").double()
        leaves = {k: v.double() if v.is_floating_point() else v for k, v in given.items()}
        with torch.no_grad():
            errors["read back from its file"] = worst(forward(again, kind, leaves), y)
        kept = json.loads(Path(f"{folder}/copy/config.json").read_text())
        for key, value in config.items():
            if key in kept and kept[key] != value:
                errors[f"config.json that was written: {key}"] = math.inf
    return max(errors.items(), key=lambda item: (math.isnan(item[1]), item[1]))


def main():
    torch.manual_seed(0)
    cases, tensors, failed = [], {}, 0
    for kind, changes in CASES.items():
        for name, change in changes.items():
            config, seed = {**BASES[kind], **change}, len(cases) + 1
            name = f"{kind}: {name}"
            cases.append(dict(name=name, seed=seed, model=kind, config=config))
            if sys.argv[1] == "--write":
                _, given, y, gradients = run(kind, config, seed)
                grads = torch.stack([summary(g) for g in gradients.values()])
                tensors.update({f"{name}/{k}": v for k, v in {**given, "y": y, "grads": grads}.items()})
                continue
            where, error = compare(sys.argv[1], kind, config, seed)
            failed += not error <= TOLERANCE
            print(f"{'ok  ' if error <= TOLERANCE else 'FAIL'} {name}: {error:.1e} at {where}")
    if sys.argv[1] == "--write":
        write_cases(sys.argv[2], cases, tensors)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
