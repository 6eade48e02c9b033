"""Frames where a test MD broke and the good ones before, as a file of structures ready to label."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from etace.errors import StructureError
from etace.fit.dynamics.limits import Failure
from etace.fit.dynamics.topology import Topology
from etace.predictions import PREFIX, put

BEFORE = (1, 2, 4, 8, 16, 32)  # looks before it broke


def thinned(looks: Sequence[Any]) -> list[Any]:
    """The last ones closely, earlier ones rarely; in their order. looks: before it broke"""
    return [looks[-k] for k in reversed(BEFORE) if k <= len(looks)]


def frame(
    atoms: Any,
    x: np.ndarray,
    bonds: Topology,
    temperature: float,
    ps: float,
    run: int,
    start: str,
    failure: Failure | None,
) -> Any:
    """One `ase.Atoms` with what is known of it, nothing under the name of a label.

    failure: None of a frame before. etace_molecule, of atoms: number of their molecule at the start, -1: none;
    etace_bonds: bonded atoms at the start; etace_atoms: those that the failure is of.
    """
    out = atoms.copy()
    out.calc = None
    for held in (out.info, out.arrays):
        for name in [k for k in held if k not in ("numbers", "positions")]:
            del held[name]
    out.positions = x
    out.info["config_type"] = f"md_{temperature:.0f}K"
    facts = {"temperature": temperature, "ps": round(ps, 4), "run": run, "start": start}
    facts["why"] = "before it broke" if failure is None else failure.why
    for name, value in facts.items():
        out.info[PREFIX + name] = value
    if failure is not None and failure.atoms:
        out.info[PREFIX + "atoms"] = " ".join(map(str, failure.atoms))
    if len(bonds.pairs):
        out.info[PREFIX + "bonds"] = " ".join(f"{i}-{j}" for i, j in bonds.pairs)
        out.arrays[PREFIX + "molecule"] = bonds.molecule.astype(int)
    return out


def graded(model: Any, frames: Sequence[Any]) -> None:
    """Write the extrapolation grades of the atoms into the frames, if the model has them."""
    if model.extrapolation is None:
        return
    for own in frames:
        try:
            put(own, {"extrapolation_grade": next(model.extrapolation_grades([own]))})
        except StructureError:
            continue  # atoms at one place


def as_text(frames: Sequence[Any]) -> str:
    """Extended XYZ."""
    from ase.io import write

    text = io.StringIO()
    write(text, list(frames), format="extxyz")
    return text.getvalue()
