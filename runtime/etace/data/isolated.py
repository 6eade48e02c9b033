"""Atoms alone: no neighbour within a cutoff, whatever the box."""

from __future__ import annotations

from typing import Any

import numpy as np

from etace.errors import StructureError
from etace.neighbours import neighbour_list

CUTOFF = 6.0  # Å


def isolated(atoms: Any, cutoff: float = CUTOFF) -> bool:
    """Whether no two atoms, periodic images included, are closer than the cutoff.

    atoms: an `ase.Atoms`; cutoff: Å. One atom in a primitive cell of a crystal is not isolated. False
    where the neighbours cannot be found.
    """
    if len(atoms) == 1 and not atoms.pbc.any():
        return True
    from_first = atoms.positions[1:] - atoms.positions[0]
    if (np.abs(from_first).max(axis=1, initial=0) * 3**0.5 < cutoff).any():
        return False  # without a list of neighbours, as in nearly every structure
    try:
        return len(neighbour_list(atoms.positions, atoms.cell, atoms.pbc, cutoff).r) == 0
    except StructureError:
        return False
