"""Changes to bytes and texts that several kinds of cases share."""

from __future__ import annotations

import random


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
