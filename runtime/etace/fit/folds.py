"""Folds of a cross-validation: which part of the training structures each is left out with.

Every config type is dealt out to the folds alike, so that each fold is a small picture of the whole; those of one
structure are dealt out together. Copies of a structure stay together. Atoms alone, which tell E0, are in every training
part: they are left out with no fold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from etace import params
from etace.data import Labelled
from etace.data.duplicates import duplicates
from etace.data.isolated import isolated
from etace.fit.assemble import Target

COUNT = 5
ALWAYS = -1  # the fold of what is left out with none
SINGLE = ""  # in place of the names of config types of one structure


def folds(structures: Sequence[Labelled], seed: int = 0, count: int = COUNT) -> list[int]:
    """Fold of each structure, 0 to count - 1, or `ALWAYS`. seed: of the draw

    Which structures share a fold depends on what they are, not on the order in which they stand.
    """
    copies = {k: group[0] for group in duplicates(structures) for k in group}
    sizes = Counter(s.group for s in structures)
    name = [s.group if sizes[s.group] > 1 else SINGLE for s in structures]
    rank = ranks(structures)
    draws = params.normal(seed, "folds", (len(structures),))
    out = [ALWAYS] * len(structures)
    start = 0
    for config_type in sorted(set(name)):
        own = sorted(
            (
                k for k, s in enumerate(structures)
                if name[k] == config_type and copies.get(k, k) == k and not isolated(s.atoms)
            ),
            key=lambda k: draws[rank[k]],
        )  # fmt: skip
        if len(own) < 2:
            continue
        for j, k in enumerate(own):
            out[k] = (start + j) % count
        start += len(own)
    for k in range(len(structures)):
        first = copies.get(k, k)
        out[k] = out[first]
    return out


def with_folds(goals: Sequence[Target], of: Sequence[int]) -> list[Target]:
    """Targets with the folds of the first of them; the others, such as dimers, are left out with none."""
    return [replace(t, fold=of[k] if k < len(of) else ALWAYS) for k, t in enumerate(goals)]


def ranks(structures: Sequence[Labelled]) -> list[int]:
    """Place of each structure in an order of their own: by what they hold."""
    about = [
        (s.group, len(s.atoms), s.energy or 0.0, s.atoms.positions.tobytes(), k)
        for k, s in enumerate(structures)
    ]
    out = [0] * len(structures)
    for place, (*_, k) in enumerate(sorted(about)):
        out[k] = place
    return out
