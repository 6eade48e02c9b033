"""Values that nobody computed: zeros where there cannot be any, and one energy for many structures.

zero_energy: exactly 0 eV, with atoms that are neighbours, in several structures or in all
zero_forces: all exactly 0, where the neighbours of some atom do not balance
zero_virial: exactly 0, with forces or in cells of different volumes
constant: the same energy to the last digit for structures that differ, and so do their forces
totals: energies per atom labelled as totals: they do not grow with the number of atoms
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from etace.data.labelled import Labelled
from etace.errors import StructureError
from etace.neighbours import neighbour_list

REACH = 5.0  # Å, of the neighbours that must balance
UNBALANCED = 1e-3  # of the sum of weights
FORCE = 0.05  # eV/Å, beyond which a virial is not zero by chance
PART, AGAIN = 0.3, 3  # of the structures, and how many, with one and the same rounded energy
GROWS = 1.5  # most atoms over fewest, to tell totals
BETTER, ENOUGH = 0.2, 5


def zero_energy(structures: Sequence[Labelled], nearest: np.ndarray) -> list[int]:
    """nearest: [structures], Å, inf without neighbours. One among others is the origin of energies."""
    own = [k for k, s in enumerate(structures) if s.energy is not None and np.isfinite(nearest[k])]
    found = [k for k in own if structures[k].energy == 0]
    return found if len(found) > 1 or len(found) == len(own) else []


def zero_forces(structures: Sequence[Labelled]) -> list[int]:
    return [
        k
        for k, s in enumerate(structures)
        if s.forces is not None and len(s.atoms) > 1 and not s.forces.any() and _lopsided(s)
    ]


def zero_virial(structures: Sequence[Labelled], nearest: np.ndarray) -> list[int]:
    found = [
        k
        for k, s in enumerate(structures)
        if s.virial is not None and not s.virial.any() and np.isfinite(nearest[k])
    ]
    forces = [
        k for k in found if (f := structures[k].forces) is not None and np.abs(f).max() > FORCE
    ]
    volumes = [structures[k].atoms.cell.volume / len(structures[k].atoms) for k in found]
    several = len(found) > 1 and max(volumes) > 1.01 * min(volumes)
    return found if several else forces


def constant(structures: Sequence[Labelled], duplicates: Sequence[Sequence[int]]) -> list[int]:
    """Those that share an energy, without the same structures again."""
    again = {k for group in duplicates for k in group[1:]}
    own = [k for k, s in enumerate(structures) if s.energy is not None and k not in again]
    alike: dict[tuple[bytes, float], list[int]] = defaultdict(list)
    for k in own:
        s = structures[k]
        if s.energy and s.forces is not None:
            alike[np.sort(s.atoms.numbers).tobytes(), s.energy].append(k)
    out = []
    for (_, energy), group in alike.items():
        sizes = [float(np.linalg.norm(structures[k].forces)) for k in group]  # type: ignore[arg-type]
        if len(group) < 2 or max(sizes) < FORCE or max(sizes) - min(sizes) < 0.01 * max(sizes):
            continue
        exact = round(energy, 4) != energy
        if exact or (len(group) >= AGAIN and len(group) > PART * len(own)):
            out += group
    return out


def per_atom(structures: Sequence[Labelled], nearest: np.ndarray) -> float | None:
    """How much better energies fit the composition as they are than divided by the number of atoms, if
    that tells that they are per atom already."""
    own = [s for k, s in enumerate(structures) if s.energy is not None and np.isfinite(nearest[k])]
    sizes = np.array([len(s.atoms) for s in own])
    if len(own) < ENOUGH or sizes.max() < GROWS * sizes.min():
        return None
    species = sorted({int(z) for s in own for z in s.atoms.numbers})
    parts = np.array([[np.mean(s.atoms.numbers == z) for z in species] for s in own])
    energies = np.array([s.energy for s in own])
    as_they_are, divided = _left(parts, energies), _left(parts, energies / sizes)
    if len(own) < len(species) + ENOUGH - 1 or not divided > 0:
        return None
    ratio = as_they_are / divided
    return ratio if ratio < BETTER else None


def _left(a: np.ndarray, b: np.ndarray) -> float:
    """Median of the residuals of a least-squares fit"""
    x = np.linalg.lstsq(a, b, rcond=1e-10)[0]
    return float(np.median(np.abs(b - a @ x)))


def _lopsided(s: Labelled) -> bool:
    """Whether weighted directions to the neighbours of some atom do not cancel, as symmetry would have it."""
    try:
        pairs = neighbour_list(s.atoms.positions, s.atoms.cell, s.atoms.pbc, REACH)
    except StructureError:
        return False
    if not len(pairs.r):
        return False
    x = s.atoms.positions
    vectors = x[pairs.j] - x[pairs.i] + pairs.shift @ np.asarray(s.atoms.cell)
    weights = (1 - pairs.r / REACH) ** 2 * (1 + np.sqrt(s.atoms.numbers[pairs.j]))
    sums = np.zeros((len(x), 3))
    np.add.at(sums, pairs.i, weights[:, None] * vectors / pairs.r[:, None])
    return bool(np.linalg.norm(sums, axis=1).max() > UNBALANCED * weights.sum() / len(x))
