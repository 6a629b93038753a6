"""Writes layers.safetensors: what PyTorch's layers do, from their first values on.

For each case, after torch.manual_seed(seed): NAME/state/* (float32 first values, as drawn),
NAME/in/i, NAME/out (computed in float64), NAME/cot, NAME/grad/* (of parameters) and
NAME/grad_in/i. Images are (N, C, H, W). The metadata key `cases` lists name, layer and options.

    python3 tests/nn/reference/make_layers.py tests/nn/reference/layers.safetensors
"""
import json
import struct
import sys

import torch
from torch import nn

CASES = [
    ("linear", "Linear", dict(args=[5, 7]), [(3, 5)]),
    ("linear_stack", "Linear", dict(args=[4, 3]), [(2, 3, 4)]),
    ("linear_no_bias", "Linear", dict(args=[6, 2], bias=False), [(1, 6)]),
    ("conv", "Conv2d", dict(args=[3, 8, [3, 3]], padding=[1, 1]), [(2, 3, 7, 5)]),
    ("conv_options", "Conv2d", dict(args=[4, 6, [2, 3]], stride=[2, 1], padding=[1, 2],
                                    dilation=[1, 2], groups=2), [(2, 4, 9, 8)]),
    ("conv_no_bias", "Conv2d", dict(args=[2, 3, [1, 1]], bias=False), [(2, 2, 3, 3)]),
    ("conv_transpose", "ConvTranspose2d", dict(args=[3, 5, [3, 3]], padding=[1, 1]),
     [(2, 3, 5, 4)]),
    ("conv_transpose_options", "ConvTranspose2d",
     dict(args=[4, 6, [3, 2]], stride=[2, 3], padding=[1, 0], output_padding=[1, 2],
          dilation=[2, 1], groups=2), [(2, 4, 4, 3)]),
    ("embedding", "Embedding", dict(args=[11, 6]), [[[0, 10, 3], [3, 3, 7]]]),
    ("group_norm", "GroupNorm", dict(args=[2, 6]), [(3, 6, 4, 5)]),
    ("group_norm_plain", "GroupNorm", dict(args=[3, 6], eps=1e-3, affine=False), [(2, 6, 3, 3)]),
    ("layer_norm", "LayerNorm", dict(args=[[4, 5]]), [(3, 2, 4, 5)]),
    ("layer_norm_eps", "LayerNorm", dict(args=[[8]], eps=1e-2), [(3, 8)]),
    ("batch_norm", "BatchNorm2d", dict(args=[4]), [(3, 4, 5, 2), (2, 4, 3, 3)]),
    ("batch_norm_options", "BatchNorm2d", dict(args=[3], eps=1e-3, momentum=0.3, affine=False),
     [(4, 3, 2, 2), (4, 3, 2, 2)]),
    ("attention", "MultiheadAttention", dict(args=[8, 2]), [(2, 5, 8)]),
    ("attention_one_head", "MultiheadAttention", dict(args=[6, 1], bias=False), [(1, 4, 6)]),
    ("attention_cross", "MultiheadAttention", dict(args=[12, 3]),
     [(2, 5, 12), (2, 7, 12), (2, 7, 12)]),
]


def build(layer, options):
    options = dict(options)
    args = [tuple(a) if isinstance(a, list) else a for a in options.pop("args")]
    options = {k: tuple(v) if isinstance(v, list) else v for k, v in options.items()}
    if layer == "MultiheadAttention":
        options["batch_first"] = True
    return getattr(nn, layer)(*args, **options)


def run(layer, module, inputs):
    """Output of the last call; batch normalisation trains on the first, then evaluates."""
    if layer == "BatchNorm2d":
        module(inputs[0])
        trained = module(inputs[1])
        module.eval()
        return torch.cat([trained, module(inputs[1])])
    if layer == "MultiheadAttention":
        return module(*(inputs if len(inputs) == 3 else inputs * 3), need_weights=False)[0]
    return module(*inputs)


def save(path, tensors, metadata):
    header, data = {"__metadata__": metadata}, b""
    kinds = {torch.float32: "F32", torch.float64: "F64", torch.int64: "I64"}
    for name, t in sorted(tensors.items(), key=lambda item: -item[1].element_size()):
        raw = t.detach().contiguous().numpy().tobytes()
        header[name] = {"dtype": kinds[t.dtype], "shape": list(t.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def main():
    tensors, cases = {}, []
    for seed, (name, layer, options, shapes) in enumerate(CASES):
        torch.manual_seed(seed)
        module = build(layer, options)
        for key, value in module.state_dict().items():
            tensors[f"{name}/state/{key}"] = value.clone()
        module.double()
        inputs = [torch.tensor(s) if isinstance(s, list) else torch.randn(s, dtype=torch.float64)
                  for s in shapes]
        for x in inputs:
            if x.is_floating_point():
                x.requires_grad_()
        out = run(layer, module, inputs)
        cot = torch.randn(out.shape, dtype=torch.float64)
        out.backward(cot)
        tensors[f"{name}/out"], tensors[f"{name}/cot"] = out, cot
        for i, x in enumerate(inputs):
            tensors[f"{name}/in/{i}"] = x
            if x.requires_grad and x.grad is not None:
                tensors[f"{name}/grad_in/{i}"] = x.grad
        for key, p in module.named_parameters():
            tensors[f"{name}/grad/{key}"] = p.grad
        for key, value in module.named_buffers():
            tensors[f"{name}/after/{key}"] = value
        cases.append(dict(name=name, layer=layer, seed=seed, inputs=len(inputs), **options))
    save(sys.argv[1], tensors, {"cases": json.dumps(cases)})


main()
