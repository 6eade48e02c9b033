"""The same structure more than once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from etace.data.labelled import Labelled

SAME = 1e-6  # Å, in every number of positions and cell


def duplicates(structures: Sequence[Labelled]) -> tuple[tuple[int, ...], ...]:
    """Groups of indices with the same numbers, cell, periodicity and positions, in that order of atoms.

    Of a group each is within 1e-6 Å of the first.
    """
    alike: dict[bytes, list[int]] = defaultdict(list)
    for k, s in enumerate(structures):
        alike[s.atoms.numbers.tobytes() + s.atoms.pbc.tobytes()].append(k)
    out: list[tuple[int, ...]] = []
    for group in alike.values():
        if len(group) > 1:
            out += _groups(structures, group)
    return tuple(sorted(out))


def _groups(structures: Sequence[Labelled], alike: list[int]) -> list[tuple[int, ...]]:
    x = np.stack([_numbers(structures[k]) for k in alike])
    # a mean that the same structures share within 1e-6: only those near in it need comparing
    weights: np.ndarray = np.random.default_rng(0).uniform(0.5, 1.5, size=(x.shape[1],))
    place = x @ (weights / weights.sum())
    order = np.argsort(place, kind="stable")
    ends = np.searchsorted(place[order], place[order] + 1.1 * SAME, side="right")
    taken: set[int] = set()
    out = []
    for n, k in enumerate(order):
        if int(k) in taken:
            continue
        same = [int(m) for m in order[n : ends[n]] if np.abs(x[m] - x[k]).max() <= SAME]
        same = [m for m in same if m not in taken]
        if len(same) > 1:
            taken.update(same)
            out.append(tuple(sorted(alike[m] for m in same)))
    return out


def _numbers(s: Labelled) -> np.ndarray:
    return np.concatenate([np.asarray(s.atoms.cell).ravel(), s.atoms.positions.ravel()])
