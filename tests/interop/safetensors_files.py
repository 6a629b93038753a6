#!/usr/bin/env python3
"""The reader of safetensors beside the format's own: good files, and files that were changed.

usage: safetensors_files.py EBB_INTEROP COUNT SEED

A file that the format's own library refuses must be refused, and one that it reads must be read, to
the same names, shapes and values. But for types of 8 bits and fewer that are no integers and more
than 8 dimensions, which are not supported, and for what the format's text forbids and its library
lets pass: a header that does not begin with "{", a name that is there twice.
"""
import collections
import json
import random
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import safetensors
import torch
from safetensors.torch import load

NOT_SUPPORTED = ("convert it to F32", "dimensions, at most")
TYPES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1,
         "U16": 2, "F8_E4M3": 1}


def good_file(rng):
    """The header, as a dictionary, and the data of a file."""
    header, data = {}, b""
    if rng.random() < 0.4:
        header["__metadata__"] = {rng.choice(("format", "é", "")): rng.choice(("pt", "", "\n"))}
    for i in range(rng.randrange(4)):
        dtype = rng.choice(list(TYPES))
        shape = [rng.choice((0, 1, 2, 3)) for _ in range(rng.choice((0, 1, 2, 3, 8, 9)))]
        count = 1
        for size in shape:
            count *= size
        size = min(count * TYPES[dtype], 4096)
        if size != count * TYPES[dtype]:
            continue
        content = bytes(rng.randrange(2) if dtype == "BOOL" else rng.randrange(256) for _ in range(size))
        header[rng.choice(("a", "b.c", "é", "")) + str(i)] = {
            "dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + size]}
        data += content
    return header, data


def changed_header(rng, header):
    """Something else where a number or a text was."""
    odd = (-1, 0, 1, 2, 3, 1 << 63, (1 << 64) - 1, 1 << 64, 1.0, 1.5, "1", None, [], {}, True, "F32", "f32", "X")
    names = list(header)
    if not names:
        return {rng.choice(("x", "__metadata__")): rng.choice(odd)}
    name = rng.choice(names)
    entry = header[name]
    if isinstance(entry, dict) and entry and rng.random() < 0.8:
        key = rng.choice(list(entry))
        if isinstance(entry[key], list) and entry[key] and rng.random() < 0.7:
            entry[key][rng.randrange(len(entry[key]))] = rng.choice(odd)
        elif rng.random() < 0.2:
            del entry[key]
        else:
            entry[rng.choice((key, "other"))] = rng.choice(odd)
    else:
        header[name] = rng.choice(odd)
    return header


def file_of(rng):
    header, data = good_file(rng)
    change = rng.choice(("none", "header", "header", "bytes", "cut", "more", "length", "spaces", "repeat"))
    if change == "header":
        header = changed_header(rng, header)
    text = json.dumps(header, ensure_ascii=rng.random() < 0.5).encode()
    if change == "spaces":
        text = rng.choice((b" ", b"", b"\n", b"\t")) + text + rng.choice((b" ", b"\0", b"\n", b"{}", b",")) * rng.randrange(9)
    if change == "repeat" and len(text) > 2:
        text = text[:-1] + b"," + text[1:]
    length = len(text) + (rng.choice((-1, 1, 8, 1 << 40)) if change == "length" else 0)
    whole = bytearray(struct.pack("<q", length) + text + data)
    if change == "bytes":
        for _ in range(rng.randrange(1, 4)):
            whole[rng.randrange(len(whole))] = rng.choice((rng.randrange(256), ord('"'), ord("0"), ord("}"), 0, 255))
    if change == "cut":
        whole = whole[: rng.randrange(len(whole))]
    if change == "more":
        whole += bytes(rng.randrange(1, 9))
    return change, bytes(whole)


def as_wide(tensor):
    """As ebb keeps it: float64, float32 or int64."""
    if tensor.dtype in (torch.float64, torch.float32):
        return tensor
    if tensor.dtype == torch.bool:  # whose bytes may be other than 0 and 1
        return (tensor.view(torch.uint8) != 0).long()
    return tensor.float() if tensor.is_floating_point() else tensor.long()


def bits(tensor):
    # A NaN of 16 bits may be made quiet when it is widened.
    return torch.nan_to_num(tensor, nan=0.125) if tensor.is_floating_point() else tensor


def same(ours, theirs):
    if set(ours) != set(theirs):
        return False
    for name, tensor in theirs.items():
        wide = as_wide(tensor)
        mine = ours[name]
        if wide.shape != mine.shape or wide.dtype != mine.dtype or not torch.equal(bits(wide), bits(mine)):
            return False
        if wide.is_floating_point() and not torch.equal(wide.isnan(), mine.isnan()):
            return False
    return True


def main():
    program, count, rng = sys.argv[1], int(sys.argv[2]), random.Random(int(sys.argv[3]))
    table, wrong = collections.Counter(), []
    with tempfile.TemporaryDirectory() as folder:
        given, read = Path(folder, "given"), Path(folder, "read")
        given.mkdir()
        read.mkdir()
        changes = []
        for i in range(count):
            change, content = file_of(rng)
            changes.append(change)
            (given / str(i)).write_bytes(content)
        lines = subprocess.run([program, "safetensors", given, read], capture_output=True, text=True, check=True).stdout
        said = dict(line.split(" ", 1) for line in lines.splitlines())
        for i in range(count):
            content = (given / str(i)).read_bytes()
            try:
                theirs = load(content)
            except (safetensors.SafetensorError, KeyError, AttributeError, ValueError, TypeError, RuntimeError) as error:
                theirs = error
            ours, refused = said[str(i)], isinstance(theirs, Exception)
            if ours.startswith("read"):
                good = not refused and same(load((read / str(i)).read_bytes()), theirs)
                table["read by both" if good else "WRONG"] += 1
            elif any(words in ours for words in NOT_SUPPORTED):
                good = True
                table["not supported"] += 1
            elif not refused and (content[8:9] != b"{" or " twice; " in ours):
                good = True
                table["forbidden by the format"] += 1
            else:
                good = refused
                table["refused by both" if good else "WRONG"] += 1
            if not good:
                wrong.append(f"{changes[i]}: {content[:300]!r}: ours: {ours}; theirs: {theirs!r:.200}")
    for line in wrong[:20]:
        print("FAIL", line)
    print(f"safetensors {safetensors.__version__}, {count} files:", dict(table))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
