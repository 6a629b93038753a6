#!/usr/bin/env python3
"""Writes tests/fuzz/seeds: small files of every kind that is read, good ones and odd ones.

usage: make_seeds.py FOLDER RUN [TEXT_RUN]    runs: folders that `ebb train` made, the second with captions
"""
import gzip
import json
import struct
import sys
import zlib
from pathlib import Path


def safetensors(header, data=b""):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def npy(descr, fortran, shape, data, version=1):
    header = f"{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}".encode()
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + data


def png(width, height, depth, color, rows, interlace=0, extra=b""):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlace)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(rows)) +
            chunk(b"IEND", b""))


def idx(rank, sizes, data):
    return bytes([0, 0, 8, rank]) + b"".join(struct.pack(">I", s) for s in sizes) + data


def padded(value, rest):
    text = json.dumps(value)
    return (text + " " * ((len(text) + rest) % 2)).encode()


def seeds(run, text_run):
    config = json.loads((run / "config.json").read_text())
    tensor = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    gray = b"".join(b"\0" + bytes(range(y, y + 5)) for y in range(4))
    images = idx(3, [2, 3, 3], bytes(range(18)))
    return {
        "safetensors": [
            safetensors({"a": tensor}, bytes(24)), safetensors({}),
            safetensors({"__metadata__": {"format": "pt"}, "a": tensor,
                         "b": {"dtype": "BF16", "shape": [], "data_offsets": [24, 26]}}, bytes(26)),
            safetensors({"a": {"dtype": "I64", "shape": [0, 2**62], "data_offsets": [0, 0]}}),
        ],
        "npy": [
            npy("<f4", False, (2, 3), bytes(24)), npy("|u1", True, (2, 2), bytes(4), 2), npy("<f8", False, (), bytes(8)),
            npy("<f4", True, (0, 2**62, 2**62), b""),
        ],
        "png": [png(5, 4, 8, 0, gray), png(1, 1, 16, 6, b"\0" + bytes(8)), png(3, 1, 1, 0, b"\0\xa0", 1),
                png(16384, 16384, 8, 6, b"")],
        "idx": [b"\0" + images, b"\0" + gzip.compress(images, mtime=0), b"\1" + idx(1, [1], b"\3")],
        "cifar10": [b"\3" + bytes(3072), b"\x0a" + bytes(3072)],
        "run": [json.dumps(config).encode(),
                json.dumps({**config, "model": {"name": "simple", "time_features": 0}}).encode()],
        "unet": [json.dumps(config["model"]["unet"]).encode(), b'{"_class_name": "UNet2DModel"}'],
        # Even lengths are read as the autoencoder's, odd ones as the text model's.
        "hub_config": [padded({"_class_name": "AutoencoderKL", "block_out_channels": [8, 16], "norm_num_groups": 4,
                               "down_block_types": ["DownEncoderBlock2D"] * 2,
                               "up_block_types": ["UpDecoderBlock2D"] * 2, "latent_channels": 4}, 0),
                       padded({"model_type": "clip_text_model", "vocab_size": 514, "hidden_size": 32,
                               "num_attention_heads": 4, "num_hidden_layers": 2}, 1)],
        "tokenizer": [(text_run / "tokenizer.json").read_bytes()] if text_run else [],
        "text": [b"A red Square, left of\xc2\xa0it's end.", b'{"file_name": "x.png", "text": "A frog."}\n',
                 b"\xef\xbb\xbfA frog.\r\nde.utf8=Ein Frosch.", b"\xff\xfe\x00x"],
        "metrics": [(run / "metrics.jsonl").read_bytes()[:1500], b'{"step": 9}\n{"step": 1e300}\n{"st'],
        "arguments": [b"0-9", b"3,5,7-8", b"all", b"dynamic", b"3.5", b"karras", b"dpmpp_2m"],
    }


def main():
    for reader, files in seeds(Path(sys.argv[2]), Path(sys.argv[3]) if sys.argv[3:] else None).items():
        folder = Path(sys.argv[1]) / reader
        folder.mkdir(parents=True, exist_ok=True)
        for i, content in enumerate(files):
            (folder / str(i)).write_bytes(content)


if __name__ == "__main__":
    main()
