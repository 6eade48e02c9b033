"""The temperature that data are of: by the names of config types, else by their forces.

In equilibrium at temperature T, of any potential,

    <|F|^2> = k T <tr H>

with F all forces and H the second derivatives of the energy. So a frame says of itself how hot it is, without
velocities. F is of the labels where there are some; tr H is the model's: the mean of v.H v over random signs v
(Hutchinson), by differences of forces.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.units import kB

if TYPE_CHECKING:
    from etace.model import Model

STEP = 0.01  # Å, of the differences
PROBES = 3
NAMED = re.compile(r"(?<![\d.])(\d{2,5})(?:\.\d+)? ?_?K(?![A-Za-z])")
HOTTEST = 20_000.0  # K, that is believed of a name


def named(text: str) -> float | None:
    """K, of a name such as `md_300K`; None: it names none."""
    found = NAMED.search(text)
    return float(found[1]) if found and 0 < float(found[1]) <= HOTTEST else None


def by_forces(
    model: Model, structures: Sequence[Any], labels: Sequence[np.ndarray | None], seed: int = 0
) -> np.ndarray:
    """[structures], K; nan where the energy curves downwards.

    structures: `ase.Atoms`; labels: [N, 3], eV/Å, of each, or of the part that it repeats, or None
    One frame of N atoms is uncertain by a part of sqrt(2 / 3N) at least.
    """
    rng = np.random.default_rng(seed)
    every = []
    signs = []
    for atoms, label in zip(structures, labels, strict=True):
        if label is None:
            every.append(atoms)
        for _ in range(PROBES):
            v = rng.choice([-1.0, 1.0], size=(len(atoms), 3))
            signs.append(v)
            for side in (-STEP, STEP):
                moved = atoms.copy()
                moved.positions += side * v
                every.append(moved)
    found = model.evaluate_many(every, told=lambda frame, gap: None)
    out, probes = np.full(len(structures), np.nan), iter(signs)
    for k, (atoms, label) in enumerate(zip(structures, labels, strict=True)):
        forces = next(found).forces if label is None else label
        square = len(atoms) * float((forces**2).sum(axis=1).mean())
        trace = 0.0
        for _ in range(PROBES):
            below, above = next(found).forces, next(found).forces
            trace += float((next(probes) * (below - above)).sum()) / (2 * STEP * PROBES)
        if trace > 0 and np.isfinite(square):
            out[k] = square / trace / kB
    return out
