"""Which energy is meant where a file has two: `energy` and `free_energy`.

With smeared electrons forces are derivatives of the free energy, and `energy` is, as in ASE and VASP,
extrapolated to no smearing. So beside forces the free energy counts, unless near frames say otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from etace.data import work
from etace.data.labelled import Found, Labelled, Remark
from etace.data.notes import Notes

ROUNDING = 1e-5  # eV/atom
ENOUGH, CLEARLY = 5, 0.5  # steps; of the residual of the other


def choose(
    structures: list[Labelled], free: Sequence[float | None], notes: Notes
) -> list[Labelled]:
    """The structures with the energies that count. free: beside `energy`, eV."""
    off = np.array([
        np.nan if s.energy is None or f is None else abs(s.energy - f) / len(s.atoms)
        for s, f in zip(structures, free, strict=True)
    ])  # fmt: skip
    differ = off > ROUNDING
    lacks = [k for k, s in enumerate(structures) if s.energy is not None and free[k] is None]
    if all(s.energy is None for s in structures) and any(f is not None for f in free):
        return _take(structures, free, notes)
    if not differ.any():
        return structures
    if lacks:
        used, why = "energy", f"as `free_energy` is missing in {len(lacks)}"
    elif all(s.forces is None for s in structures):
        used, why = "energy", "as no forces are read"
    elif _follows(structures, free):
        used, why = "energy", "as forces agree with it from one near frame to the next"
    else:
        used, why = "free_energy", "of which forces are the derivatives"
    other = "energy" if used == "free_energy" else "free_energy"
    text = (
        f"`energy` and `free_energy` differ, by up to {1e3 * np.nanmax(off):.3g} meV/atom: `{used}` is "
        f"used, {why} (--energy-key {other} takes the other)"
    )
    notes.remark(("free energy",), text, structures[int(np.argmax(differ))].source, differ.sum())
    return _take(structures, free, notes) if used == "free_energy" else structures


def alike(found: Sequence[Found]) -> tuple[Found, ...]:
    """With a remark where files give different energies."""
    kinds = {f.file: "free_energy" in f.keys.get("energy", "").lower() for f in found}
    if len(set(kinds.values())) < 2 or not all(f.keys.get("energy") for f in found):
        return tuple(found)
    own = next(f for f in found if kinds[f.file])
    text = "energies of this file are free energies, those of others are not"
    remark = Remark(text, own.structures, own.file)
    return tuple(replace(f, remarks=(*f.remarks, remark)) if f is own else f for f in found)


def _take(structures: list[Labelled], free: Sequence[float | None], notes: Notes) -> list[Labelled]:
    notes.where["energy"] = notes.where["free_energy"]
    return [replace(s, energy=f) for s, f in zip(structures, free, strict=True)]


def _follows(structures: Sequence[Labelled], free: Sequence[float | None]) -> bool:
    """Whether `energy` follows forces clearly better, from one near frame to the next."""
    plain = [s.energy for s in structures]
    rest = []
    for step in work.steps(structures):
        own, other = step.change(plain), step.change(free)
        done = step.by_forces(structures)
        if not step.strained and own is not None and other is not None and done is not None:
            rest.append((own - done, other - done))
    if len(rest) < ENOUGH:
        return False
    of_plain, of_free = np.linalg.norm(rest, axis=0)
    return bool(of_plain < CLEARLY * of_free)
