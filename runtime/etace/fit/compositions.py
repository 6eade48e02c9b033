"""What compositions say of the energies of single atoms, and what they cannot say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.linalg import qr

SHOWN = 3  # sums in a line
RTOL = 1e-9


def fractions(species: Sequence[str], structures: Sequence[Any]) -> np.ndarray:
    """[structures, species]; structures: with `atoms`"""
    out = []
    for s in structures:
        symbols = s.atoms.get_chemical_symbols()
        out.append([symbols.count(e) / len(symbols) for e in species])
    return np.array(out).reshape(-1, len(species))


def undetermined(species: Sequence[str], structures: Sequence[Any], what: str) -> str | None:
    """A sentence where energies do not tell species apart, such as where all structures are SiO2.

    structures: `etace.data.Labelled`, of which those with an energy count; what: name of the energies
    of single atoms, such as E0
    """
    own = [s for s in structures if s.energy is not None]
    A = fractions(species, own)
    present = [k for k in range(len(species)) if A[:, k].any()]
    A = np.unique(A[:, present].round(12), axis=0)
    if len(present) < 2 or not len(A):
        return None
    _, s, Vt = np.linalg.svd(A)
    rank = int((s > RTOL * s[0]).sum())
    if rank == len(present):
        return None
    open_ones = [present[k] for k in np.flatnonzero(np.abs(Vt[rank:]).max(axis=0) > 1e-6)]
    among = A[:, np.isin(present, open_ones)]
    chosen = qr(among.T, mode="r", pivoting=True)[1][: np.linalg.matrix_rank(among, RTOL)]
    sums = [_sum(species, present, A[k], what) for k in sorted(chosen)]
    names = ", ".join(species[k] for k in open_ones)
    known = ", ".join(sums[:SHOWN]) + (
        f" and {len(sums) - SHOWN} more" if len(sums) > SHOWN else ""
    )
    only = "only the sum" if len(sums) == 1 else "only the sums"
    return (
        f"{what} of {names} is not determined by the data: {only} {known} {'is' if len(sums) == 1 else 'are'} "
        f"known. Energies of isolated atoms, or structures of other compositions, would tell them apart"
    )


def _sum(species: Sequence[str], present: Sequence[int], row: np.ndarray, what: str) -> str:
    """`E0[Si] + 2 E0[O]`"""
    smallest = row[row > 0].min()
    ratio = row / smallest
    for n in range(1, 25):  # to the smallest whole numbers
        if np.abs(n * ratio - np.round(n * ratio)).max() < 1e-6 * n:
            ratio = np.round(n * ratio)
            break
    parts = [
        f"{'' if r == 1 else f'{r:.4g} '}{what}[{species[k]}]"
        for k, r in zip(present, ratio, strict=True)
        if r
    ]
    return " + ".join(parts)
