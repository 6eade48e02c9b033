"""One-hot radials of several species: each channel is one polynomial, of neighbours of one species.

So neighbours of one species add to the entries of its own channels alone. These stand together, in the same
layout for every species, so that one code does for all of them: it reads where the species' entries start.
A channel that a species lacks is an entry that nothing reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class OneHot:
    """places, l: polynomial and l of each factor that a neighbour has, sorted by l

    entries: where each entry of A as of the pool stands, among those of all species
    """

    places: tuple[int, ...]
    l: tuple[int, ...]
    entries: tuple[int, ...]


def one_hot(n: Sequence[int], l: Sequence[int], species: int) -> OneHot:
    """n, l: of the pool's factors; n = 1 + polynomial * species + that of the neighbour (reference §4)"""
    seen: Counter[tuple[int, int, int]] = Counter()
    factors = []
    for own_n, own_l in zip(n, l, strict=True):
        polynomial, neighbour = divmod(own_n - 1, species)
        key = own_l, polynomial, neighbour
        factors.append((neighbour, (own_l, polynomial, seen[key])))  # alike ones are counted
        seen[key] += 1
    layout = sorted({key for _, key in factors})
    starts, width = {}, 0
    for key in layout:
        starts[key] = width
        width += 2 * key[0] + 1
    entries = (
        neighbour * width + starts[key] + m
        for neighbour, key in factors
        for m in range(2 * key[0] + 1)
    )
    return OneHot(tuple(p for _, p, _ in layout), tuple(k for k, _, _ in layout), tuple(entries))
