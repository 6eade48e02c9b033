"""How much room an atom of each species takes in the data, Å³: what V0 of any mixture is made from.

The volume of a structure is that of its cell, or less: the room that the van der Waals spheres of its atoms
fill, over the part of a molecular crystal that such spheres fill. So molecules without a cell, and slabs and
clusters in a vacuum, have a volume too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from etace.neighbours import neighbour_list

FILLED = 0.7  # part of a molecular crystal within van der Waals spheres
POINTS = 24  # in each sphere
STRUCTURES = 40  # are asked, evenly chosen
UNKNOWN = 2.0  # Å, a radius that no table has
OWN = 0.3  # how much a species may follow the data where they hardly tell it from others
LEAST, MOST = 0.3, 3.0  # of the room of the spheres, times what all share


def radius(species: str) -> float:
    """Of van der Waals (Alvarez 2013), Å."""
    from ase.data import atomic_numbers
    from ase.data.vdw_alvarez import vdw_radii

    found = float(vdw_radii[atomic_numbers[species]])
    return found if np.isfinite(found) else UNKNOWN


def room(species: str) -> float:
    """Of a lone sphere, Å³: what there is to say of a species without data."""
    return 4 / 3 * np.pi * radius(species) ** 3 * FILLED


def volumes(species: Sequence[str], structures: Sequence[Any]) -> dict[str, float]:
    """Å³ by species, all > 0. structures: `ase.Atoms`

    A species that the data do not tell from others shares their ratio to the room of its sphere.
    """
    rooms = {s: room(s) for s in species}
    asked = [a for a in structures if len(a) > 1]
    asked = asked[:: -(-len(asked) // STRUCTURES) or 1]
    if not asked:
        return rooms
    parts = np.array(
        [[a.get_chemical_symbols().count(s) * rooms[s] for s in species] for a in asked]
    )
    each = np.array([volume(a) for a in asked])
    shared = float(np.median(each / parts.sum(axis=1)))
    # deviations from what all share, held back: one composition says nothing of them
    n = parts.sum(axis=1)[:, None]
    A = np.concatenate([parts / n * len(asked) ** -0.5, OWN * np.eye(len(species))])
    y = np.concatenate([(each / n[:, 0] - shared) * len(asked) ** -0.5, np.zeros(len(species))])
    own = shared + np.linalg.lstsq(A, y, rcond=None)[0]
    own = np.clip(own, LEAST * shared, MOST * shared)
    return {s: float(x * rooms[s]) for s, x in zip(species, own, strict=True)}


def volume(atoms: Any) -> float:
    """Of one structure, Å³."""
    filled = _spheres(atoms) / FILLED
    return min(filled, float(atoms.cell.volume)) if atoms.pbc.all() else filled


def _spheres(atoms: Any) -> float:
    """The room that the spheres of all atoms fill together, Å³."""
    R = np.array([radius(s) for s in atoms.get_chemical_symbols()])
    pairs = neighbour_list(atoms.positions, atoms.cell, atoms.pbc, 2 * float(R.max()))
    within = _points()[:, None] * R[:, None]  # [points, atoms, 3]
    x = atoms.positions
    away = x[pairs.j] - x[pairs.i] + pairs.shift @ np.asarray(atoms.cell)
    covered = np.ones((POINTS, len(atoms)))
    for k in range(POINTS):  # a point in many spheres counts once
        inside = ((within[k, pairs.i] - away) ** 2).sum(axis=1) < R[pairs.j] ** 2
        covered[k] += np.bincount(pairs.i[inside], minlength=len(atoms))
    return float((4 / 3 * np.pi * R**3 * (1 / covered).mean(axis=0)).sum())


def _points() -> np.ndarray:
    """[POINTS, 3], evenly in the unit ball."""
    k = np.arange(POINTS) + 0.5
    z, angle = 1 - 2 * k / POINTS, np.pi * (1 + 5**0.5) * k
    r = ((7 * k / POINTS) % 1) ** (1 / 3)
    flat = np.sqrt(1 - z**2)
    found: np.ndarray = (r * [flat * np.cos(angle), flat * np.sin(angle), z]).T
    return found


def of(atoms: Any, each: Mapping[str, float]) -> float:
    """V0 of a structure, Å³."""
    return float(sum(each[s] for s in atoms.get_chemical_symbols()))
