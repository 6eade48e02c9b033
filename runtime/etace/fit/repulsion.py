"""Core repulsion where there are no data: dimers at short distances with the energies of ZBL.

Data hold no atoms that touch, so nothing tells a linear fit what happens there, and it may well attract.
A few artificial dimers of every pair of species, at fractions of the shortest distance in the data,
carry the universal screened Coulomb energy of Ziegler, Biersack and Littmark (1985),

    E(r) = e^2 / (4 pi eps0) Z1 Z2 / r phi(r / a),  a = 0.8854 a0 / (Z1^0.23 + Z2^0.23),
    phi(x) = 0.1818 e^(-3.2 x) + 0.5099 e^(-0.9423 x) + 0.2802 e^(-0.4029 x) + 0.02817 e^(-0.2016 x),

with a weight of 1 / E: what is asked for is its size, not its digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any

import numpy as np

from etace.data import Labelled

GROUP = "core repulsion"
FRACTIONS = (0.2, 0.3, 0.4, 0.5)  # of the shortest distance in the data
UNSEEN = 1.5  # Å, where the data have no such pair
STRENGTH = 0.2  # weight of an energy that is off by its own size, before that of all energies
COULOMB = 14.399645478  # e^2 / (4 pi eps0), eV Å
BOHR = 0.529177211  # Å


def zbl(r: np.ndarray, Z1: int, Z2: int) -> np.ndarray:
    """eV. r: Å"""
    a = 0.8854 * BOHR / (Z1**0.23 + Z2**0.23)
    x = np.asarray(r, float) / a
    terms = ((0.1818, 3.2), (0.5099, 0.9423), (0.2802, 0.4029), (0.02817, 0.2016))
    phi = sum(c * np.exp(-d * x) for c, d in terms)
    out: np.ndarray = COULOMB * Z1 * Z2 / r * phi
    return out


def dimers(model: Any, structures: Sequence[Any]) -> list[Labelled]:
    """Labelled dimers of every unordered pair of species; their energies are those of the atoms apart
    (what the model gives of them without linear parameters) plus ZBL's."""
    from ase import Atoms
    from ase.data import atomic_numbers

    shortest = shortest_distances(model, structures)
    kept = model.params
    try:
        model.params = model.potential.fixed(kept)
        alone = [r.energy for r in model.evaluate_many([Atoms(s) for s in model.species])]
    finally:
        model.params = kept
    out = []
    for a, b in combinations_with_replacement(range(len(model.species)), 2):
        names = model.species[a], model.species[b]
        for fraction in FRACTIONS:
            r = fraction * shortest.get((a, b), UNSEEN)
            energy = float(zbl(np.array(r), *(atomic_numbers[n] for n in names)))
            atoms = Atoms(names, positions=[[0, 0, 0], [0, 0, r]])
            source = f"{'-'.join(names)} dimer at {r:.3f} Å"
            total = alone[a] + alone[b] + energy
            out.append(Labelled(atoms, total, None, None, GROUP, STRENGTH / energy, source))
    return out


def shortest_distances(model: Any, structures: Sequence[Any]) -> dict[tuple[int, int], float]:
    """By unordered pair of species (their numbers in the model), Å; pairs that are nowhere are not in it."""
    out: dict[tuple[int, int], float] = {}
    for s in structures:
        found = model.paired(s.atoms)
        z, pairs = found.species, found.pairs
        low, high = np.minimum(z[pairs.i], z[pairs.j]), np.maximum(z[pairs.i], z[pairs.j])
        for a, b in set(zip(low.tolist(), high.tolist(), strict=True)):
            r = float(pairs.r[(low == a) & (high == b)].min())
            out[a, b] = min(r, out.get((a, b), np.inf))
    return out
