#!/usr/bin/env python3
"""BpeTokenizer against Hugging Face's tokenizers: its tokenizer.json gives the same tokens there.

usage: tokenizer_texts.py EBB_INTEROP [COUNT SEED]
"""
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

WORDS = "a red square left of BLUE circle; the frog's two greens, über-çok naïve 北京 \u00a0 tea\u2003cup 😀 x_y 3.5%".split(" ")


def text(draw):
    parts = []
    for _ in range(draw.randrange(12)):
        kind = draw.random()
        if kind < 0.7:
            parts.append(draw.choice(WORDS))
        elif kind < 0.9:
            parts.append("".join(chr(draw.choice([draw.randrange(1, 128), draw.randrange(128, 0x3000)])) for _ in range(draw.randrange(6))))
        else:
            parts.append(draw.choice([" ", "\n", "\t", "\u3000", "\u0085", "--", ""]))
    return draw.choice([" ", ""]).join(parts)


def main():
    from tokenizers import Tokenizer

    count, seed = (int(a) for a in (sys.argv[2:] or ("2000", "1")))
    draw = random.Random(seed)
    texts = [text(draw) for _ in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        Path(f"{folder}/captions.json").write_text(json.dumps(texts))
        subprocess.run([sys.argv[1], "tokenizer", folder], check=True)
        theirs = Tokenizer.from_file(f"{folder}/tokenizer.json")
        ours = json.loads(Path(f"{folder}/tokens.json").read_text())
    wrong = [t for t, tokens in zip(texts, ours) if theirs.encode(t).ids != tokens]
    for t in wrong[:5]:
        print(f"FAIL {t!r}")
    print(f"{count - len(wrong)} of {count} texts have the same tokens; {theirs.get_vocab_size()} tokens")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
