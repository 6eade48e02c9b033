"""What a model says, in files: under names of its own, which nobody takes for labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

PREFIX = "etace_"
OF_ATOMS = ("energies", "forces", "stresses", "forces_std", "forces_bound95", "extrapolation_grade")


def drop(atoms: Any) -> None:
    """Take predictions of an earlier time out of an `ase.Atoms`."""
    for held in (atoms.info, atoms.arrays):
        for name in [k for k in held if str(k).startswith(PREFIX)]:
            del held[name]


def put(atoms: Any, found: Mapping[str, Any], prefix: str = PREFIX) -> None:
    """Results into an `ase.Atoms`: of the structure into `info`, of its atoms into `arrays`.

    found: by their names in `calc.results`. A virial or stress becomes 9 numbers, row by row, which every
    reader of extended XYZ understands; a stress of 6 numbers is in ASE's order xx, yy, zz, yz, xz, xy.
    """
    for name, value in found.items():
        if name in OF_ATOMS:
            atoms.arrays[prefix + name] = np.array(value)
        elif np.ndim(value) == 0:
            atoms.info[prefix + name] = float(value)
        else:
            atoms.info[prefix + name] = _nine(np.asarray(value, float))


def _nine(value: np.ndarray) -> np.ndarray:
    """[9], row by row, of [3, 3] or [6]."""
    if value.shape == (6,):
        value = value[np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])]
    return value.reshape(9).copy()
