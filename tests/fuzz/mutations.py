"""Changes to bytes and texts that several kinds of cases share."""

from __future__ import annotations

import random
from typing import Any

CODE = (
    '"\nopen("evil", "w")\n"', "'; import os", "float64\\", "*/ int x; /*", "__import__('os')", "\0", "\u202e",
    "\ud800",
)  # fmt: skip
WORDS = (
    "", "Si", "O", "float32", ">f8", "m", "ace.R", "a.etace", "NaN", "1e999", "../../etc/passwd", "x" * 5000,
)  # fmt: skip
NUMBERS = (0, -1, 1, 2, 4.5, 1e-320, 1e300, -1e308, 10**400, 2**63, True, False, None)
TREES: tuple[Any, ...] = ([], {}, [[]], {"a": 1}, [None] * 300, {"a": {"b": {"c": []}}})


def mutated(draw: random.Random, content: bytes, times: int = 1) -> bytes:
    """Bytes flipped, taken out, doubled, put in or moved."""
    out = bytearray(content)
    for _ in range(times):
        n = len(out)
        k, size = draw.randrange(n + 1), draw.choice((1, 1, 2, 8, 64))
        piece = out[k : k + size]
        match draw.randrange(6):
            case 0 if k < n:
                out[k] ^= 1 << draw.randrange(8)
            case 1:
                del out[k : k + size]
            case 2:
                out[k:k] = piece
            case 3:
                out[k:k] = draw.randbytes(size)
            case 4:
                del out[k:]
            case _:
                j = draw.randrange(n + 1)
                out[j:j] = piece
    return bytes(out)


def edited(draw: random.Random, tree: Any) -> str:
    """A value anywhere in it is another, gone, or under another name."""
    at, path = tree, []
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        if not keys:
            at["x" if isinstance(at, dict) else slice(0, 0)] = draw.choice(([1], [None]))
            return f"{path}: one more"
        key = draw.choice(keys)
        path.append(key)
        if isinstance(at[key], dict | list) and at[key] and draw.random() < 0.7:
            at = at[key]
            continue
        how = draw.randrange(6)
        if how == 0:
            del at[key]
        elif how == 1 and isinstance(at, dict):
            at[draw.choice(WORDS + CODE)] = at.pop(key)
        elif how == 2 and isinstance(at[key], str) and at[key]:
            k = draw.randrange(len(at[key]))
            at[key] = at[key][:k] + draw.choice('019.-+*^()"\\\n#=Å ') + at[key][k + 1 :]
        else:
            at[key] = draw.choice(WORDS + CODE + NUMBERS + TREES)
        return f"{path}: {how}"
