"""Molecules in a structure, and how many bonds lie between two of their atoms.

A hydrogen 1.2 Å from another is fine where both sit on one carbon, and a collision where they do not: a shortest
distance for each pair of elements cannot see that.

A molecule here is a finite group of nonmetals whose atoms have no more bonds than they can. All else (a
crystal, a metal, a glass) has no bonds to watch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from etace.neighbours import Neighbours, neighbour_list, within

BOND = 1.25  # of the sum of covalent radii
VALENCE = {
    "H": 1, "B": 4, "C": 4, "N": 4, "O": 3, "F": 1, "Si": 4, "P": 5, "S": 6, "Cl": 4, "As": 5, "Se": 6,
    "Br": 4, "Te": 6, "I": 4,
}  # fmt: skip
METALLOIDS = ("B", "Si", "As", "Se", "Te")  # which make no molecules of themselves alone
SEARCHED = 4.0  # Å, within which all bonds of nonmetals are
OTHER, APART = (
    0,
    4,
)  # classes of pairs: not in molecules; 1, 2, 3: so many bonds between them; more or none
SHIFTS = 1000  # cells, farther than which no atom is from its bonded neighbour
LARGEST = 30_000  # atoms of a structure whose molecules are looked for


@dataclass(frozen=True, eq=False)
class Topology:
    """bonds: directed, of molecules only, each with the image it is to; molecule: [n], its number, -1 of none"""

    bonds: Neighbours
    molecule: np.ndarray

    @cached_property
    def _near(self) -> tuple[np.ndarray, np.ndarray]:
        """Keys of pairs with 1, 2 and 3 bonds between them, ascending, and how many."""
        n = len(self.molecule)
        steps = [_Steps(self.bonds.i, self.bonds.j, self.bonds.shift)]
        for _ in (2, 3):
            steps.append(steps[-1].then(steps[0], n))
        keys = np.concatenate([s.keys(n) for s in steps])
        classes = np.repeat([1, 2, 3], [len(s.i) for s in steps])
        keys, first = np.unique(keys, return_index=True)  # the fewest bonds come first
        return keys, classes[first]

    def classes(self, pairs: Neighbours) -> np.ndarray:
        """[edges], of pairs of this structure, its atoms moved but not wrapped."""
        out = np.full(len(pairs.i), OTHER)
        both = (self.molecule[pairs.i] >= 0) & (self.molecule[pairs.j] >= 0)
        if not both.any():
            return out
        out[both] = APART
        known, classes = self._near
        keys = _keys(pairs.i, pairs.j, pairs.shift, len(self.molecule))
        at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        near = both & (known[at] == keys)
        out[near] = classes[at[near]]
        return out

    @staticmethod
    def none(atoms: int) -> Topology:
        """Of so many atoms, none in a molecule."""
        no = np.zeros(0, int)
        return Topology(Neighbours(no, no, np.zeros((0, 3), int), np.zeros(0)), np.full(atoms, -1))

    @cached_property
    def pairs(self) -> tuple[tuple[int, int], ...]:
        """Bonded atoms, each pair once, ascending."""
        one = self.bonds.i < self.bonds.j
        return tuple(
            sorted(zip(self.bonds.i[one].tolist(), self.bonds.j[one].tolist(), strict=True))
        )


@dataclass(frozen=True, eq=False)
class _Steps:
    """Ways from atom i to atom j in another cell."""

    i: np.ndarray
    j: np.ndarray
    shift: np.ndarray

    def then(self, bonds: _Steps, n: int) -> _Steps:
        """One bond farther. bonds: ascending in i"""
        start = np.searchsorted(bonds.i, np.arange(n + 1))
        each = start[self.j + 1] - start[self.j]
        own = np.repeat(np.arange(len(self.j)), each)
        place = np.arange(len(own)) - np.repeat(np.cumsum(each) - each, each) + start[self.j[own]]
        shift = self.shift[own] + bonds.shift[place]
        i, j = self.i[own], bonds.j[place]
        away = (i != j) | shift.any(axis=1)
        return _Steps(i[away], j[away], shift[away])

    def keys(self, n: int) -> np.ndarray:
        return _keys(self.i, self.j, self.shift, n)


def searched(atoms: Any) -> Neighbours:
    """Pairs within `SEARCHED` of an `ase.Atoms`. Raises StructureError."""
    return neighbour_list(atoms.positions, atoms.cell.array, atoms.pbc, SEARCHED)


def topology(atoms: Any, pairs: Neighbours) -> Topology:
    """Of an `ase.Atoms`. pairs: `searched`"""
    n, radii = len(atoms), covalent_radii[atoms.numbers]
    pairs = within(pairs, BOND * (radii[pairs.i] + radii[pairs.j]))
    graph = coo_array((np.ones(len(pairs.i)), (pairs.i, pairs.j)), shape=(n, n))
    groups, own = connected_components(graph, directed=False)
    most = np.zeros(len(covalent_radii), int)
    for symbol, bonds in VALENCE.items():
        most[atomic_numbers[symbol]] = bonds
    wrong = np.bincount(pairs.i, minlength=n) > most[atoms.numbers]
    wrong |= most[atoms.numbers] == 0
    whole = np.bincount(own, minlength=groups) > 1
    alone = np.isin(atoms.numbers, [atomic_numbers[symbol] for symbol in METALLOIDS])
    whole &= np.bincount(own[~alone], minlength=groups) > 0
    whole[own[wrong]] = False
    whole[own[pairs.i[~_closed(pairs, own)]]] = False
    if n > LARGEST:
        whole[:] = False
    kept = whole[own]
    number = np.where(kept, (np.cumsum(whole) - 1)[own], -1)
    inside = kept[pairs.i]
    return Topology(
        Neighbours(pairs.i[inside], pairs.j[inside], pairs.shift[inside], pairs.r[inside]), number
    )


def _closed(pairs: Neighbours, group: np.ndarray) -> np.ndarray:
    """[edges]: whether a bond ends in the cell where other ways along bonds end. group: [n], number of each"""
    if not pairs.shift.any():
        return np.ones(len(pairs.i), bool)
    n = len(group)
    cell, known = np.zeros((n, 3), int), np.zeros(n, bool)
    known[np.unique(group, return_index=True)[1]] = True
    while not known.all():
        new = known[pairs.i] & ~known[pairs.j]
        cell[pairs.j[new]] = cell[pairs.i[new]] + pairs.shift[new]
        known[pairs.j[new]] = True
    closed: np.ndarray = (cell[pairs.i] + pairs.shift == cell[pairs.j]).all(axis=1)
    return closed


def _keys(i: np.ndarray, j: np.ndarray, shift: np.ndarray, n: int) -> np.ndarray:
    key = i.astype(np.int64) * n + j
    for s in np.clip(shift, -SHIFTS, SHIFTS).T:
        key = key * (2 * SHIFTS + 1) + s + SHIFTS
    return key
