"""Steps between near frames: how far atoms and cell move, and the work that forces and virials do on the way.

To third order in the step, E(b) - E(a) = -(F(a) + F(b)) / 2 . dx - (V(a) + V(b)) / 2 : strain. So labels of
frames that are near each other can be held against one another, before any fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etace.data.labelled import Labelled
from etace.telling import Tell

NEAR = 0.5  # Å, an atom moves at most along an axis
STRAINED = 0.1  # largest component of the strain
STILL = 1e-4  # of a strain or, Å, of a displacement: nothing moved
AHEAD, FIRST = 8, 1000  # frames that each of the first is compared with; how many of these


@dataclass(frozen=True, eq=False)
class Step:
    """a, b: numbers of the frames; dx: [N, 3], Å; strain: [3, 3], symmetric, from a to b"""

    a: int
    b: int
    dx: np.ndarray
    strain: np.ndarray

    @property
    def moved(self) -> float:
        return float(np.abs(self.dx).max())

    @property
    def strained(self) -> bool:
        return bool(np.abs(self.strain).max() > STILL)

    def change(self, energies: Sequence[float | None]) -> float | None:
        """eV"""
        a, b = energies[self.a], energies[self.b]
        return None if a is None or b is None else b - a

    def by_forces(self, structures: Sequence[Labelled], shift: int = 0) -> float | None:
        """eV; shift: of other frames, so many later. None: one of them has none, or other atoms."""
        both = []
        for k in (self.a + shift, self.b + shift):
            forces = structures[k].forces if 0 <= k < len(structures) else None
            if forces is None or forces.shape != self.dx.shape:
                return 0.0 if self.moved < STILL else None
            both.append(forces)
        return -0.5 * float(((both[0] + both[1]) * self.dx).sum())

    def by_virials(self, structures: Sequence[Labelled]) -> np.ndarray | None:
        """[3, 3], eV, of each component; None: one of them has none."""
        if not self.strained:
            return np.zeros((3, 3))
        a, b = structures[self.a].virial, structures[self.b].virial
        return None if a is None or b is None else -0.5 * (a + b) * self.strain


def steps(structures: Sequence[Labelled], progress: Tell | None = None) -> list[Step]:
    """Between frames of the same atoms that are near: one and the next, and of the first also others."""
    out = []
    for k in range(len(structures)):
        if progress is not None:
            progress("comparing near frames", k, len(structures))
        ahead = AHEAD if k < FIRST else 1
        for m in range(k + 1, min(k + ahead + 1, len(structures))):
            if (step := _step(structures, k, m)) is not None:
                out.append(step)
    return out


def _step(structures: Sequence[Labelled], k: int, m: int) -> Step | None:
    a, b = structures[k].atoms, structures[m].atoms
    if len(a) != len(b) or not (a.pbc == b.pbc).all() or not (a.numbers == b.numbers).all():
        return None
    dx = b.positions - a.positions
    strain = np.zeros((3, 3))
    if a.pbc.any():
        cell, other = np.asarray(a.cell), np.asarray(b.cell)
        if a.cell.rank < 3:
            return None
        if np.abs(other - cell).max() > STILL:
            if not a.pbc.all() or b.cell.rank < 3:
                return None
            middle = 0.5 * (cell + other)
            strain = np.linalg.solve(middle, other - cell)
            if not np.abs(strain).max() < STRAINED:
                return None
            fractions = b.positions @ np.linalg.inv(other) - a.positions @ np.linalg.inv(cell)
            dx = (fractions - np.round(fractions)) @ middle
            strain = 0.5 * (strain + strain.T)
        elif np.abs(dx).max() > NEAR:
            fractions = dx @ np.linalg.inv(cell)
            dx = dx - np.round(fractions) * a.pbc @ cell
    step = Step(k, m, dx, strain)
    return step if step.moved < NEAR and (step.moved > STILL or step.strained) else None
