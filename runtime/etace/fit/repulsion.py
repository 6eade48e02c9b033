"""Core repulsion where there are no data: dimers at short distances with the energies of ZBL.

Data hold no atoms that touch, so nothing tells a linear fit what happens there, and it may well attract.
A few artificial dimers of every pair of species, at fractions of the shortest distance in the data,
carry the screened repulsion of their nuclei (`etace.repulsion`, not switched off), with a weight of
1 / E: what is asked for is its size, not its digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from etace.domain import Ranges
from etace.fit.assemble import Target
from etace.repulsion import COULOMB, SCREEN, screened

GROUP = "core repulsion"
FRACTIONS = (0.2, 0.3, 0.4, 0.5)  # of the shortest distance in the data
UNSEEN = 1.5  # Å, where the data have no such pair
STRENGTH = 0.2  # weight of an energy that is off by its own size, before that of all energies


def zbl(r: np.ndarray, Z1: int, Z2: int) -> np.ndarray:
    """eV. r: Å"""
    length = SCREEN / (Z1**0.23 + Z2**0.23)
    return np.asarray(screened(np.asarray(r, float), COULOMB * Z1 * Z2, length, np))


def dimer(names: Sequence[str], r: float) -> Target:
    """Two atoms at r Å with ZBL's energy above the atoms alone. names: two species"""
    from ase import Atoms
    from ase.data import atomic_numbers

    a, b = (atomic_numbers[n] for n in names)
    energy = float(zbl(np.array(r), a, b))
    atoms = Atoms(names, positions=[[0, 0, 0], [0, 0, r]])
    source = f"{'-'.join(names)} dimer at {r:.3f} Å"
    return Target(atoms, energy, None, None, GROUP, STRENGTH / energy, "train", source, True)


def dimers(model: Any, seen: Ranges) -> list[Target]:
    """Short dimers of every unordered pair of species.

    seen: what `etace.domain.ranges` returns, whose shortest distances say what is short
    """
    out = []
    for names in combinations_with_replacement(model.species, 2):
        span = seen.get(names)
        shortest = UNSEEN if span is None else span[0]
        out += [dimer(names, fraction * shortest) for fraction in FRACTIONS]
    return out
