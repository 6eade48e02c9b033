"""Holes: structures that no data hold, where a model pulls atoms together that should push each other apart.

Looked for in random packings of all species and mixtures, scaled from V/V0 = 1.2 to 0.25: below `TIGHT`
each step must cost energy, and the pressure must push. And in dimers closer than any in the data, where the
energy must not fall below all that it is further out.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from etace.fit.packings import compressed, mixtures, packings
from etace.words import count

if TYPE_CHECKING:
    from etace.report.dimers import Dimer

PARTS = (1.2, 1.0, 0.85, 0.7, 0.6, 0.5, 0.42, 0.35, 0.3, 0.25)  # V / V0 of each packing
TIGHT = 0.7  # V / V0 below which atoms cannot gain by coming closer
EACH, LEAST = 4, 40  # packings of each mixture, and of all together at least
GPA = 160.2176634  # of one eV/Å³


@dataclass(frozen=True, eq=False)
class Hole:
    """where: a packing or a dimer, in words; what: is wrong there
    atoms: the `ase.Atoms` that shows it; part: its V / V0, of a packing
    """

    where: str
    what: str
    atoms: Any
    part: float | None = None

    def __str__(self) -> str:
        return f"{self.where} {self.what}"


def of_dimers(found: Sequence[Dimer]) -> list[Hole]:
    """Pairs whose energy, clearly closer than in the data (or, without data, than a quarter of the
    cutoff), falls below all that it is further out."""
    from ase import Atoms

    out = []
    for d in found:
        inside = d.r < d.closest
        if not inside.any() or inside.all():
            continue
        k = int(np.argmin(np.where(inside, d.energy, np.inf)))
        if d.energy[k] < d.energy[d.r >= d.edge].min():
            what = (
                f"falls to {d.energy[k]:.3g} eV at {d.r[k]:.2f} Å, closer than "
                f"{'any in the data' if d.data is not None else 'a quarter of the cutoff'}: "
                "atoms that come so close would stick together"
            )
            atoms = Atoms(d.pair, positions=[[0, 0, 0], [0, 0, d.r[k]]])
            out.append(Hole(f"the dimer {d.name}", what, atoms))
    return out


def of_packings(model: Any, each: Mapping[str, float], seed: int) -> list[Hole]:
    """The first hole of every packing that has one, on its way from loose to dense.

    each: Å³ by species, of those to look at
    """
    species = list(each)
    number = max(LEAST, EACH * len(mixtures(species)))
    loose = list(islice(packings(species, each, seed), number))
    scaled = [[compressed(atoms, each, part) for part in PARTS] for atoms in loose]
    every = [atoms for own in scaled for atoms in own]
    # far from the data is what they are for
    found = iter(model.evaluate_many(every, told=lambda frame, gap: None))
    out = []
    for own in scaled:
        results = [next(found) for _ in own]
        energy = [r.energy / len(own[0]) for r in results]
        pressure = [
            float(np.trace(r.virial)) / (3 * a.cell.volume)
            for r, a in zip(results, own, strict=True)
        ]
        for k, part in enumerate(PARTS):
            if part > TIGHT:
                continue
            gain = energy[k] - energy[k - 1] if PARTS[k - 1] <= TIGHT else 1.0
            if gain > 0 and pressure[k] > 0:
                continue
            what = (
                f"pulls together with {-GPA * pressure[k]:.3g} GPa" if not pressure[k] > 0 else
                f"gains {-gain:.3g} eV/atom from V/V0 = {PARTS[k - 1]:g} on"
            )  # fmt: skip
            where = f"a random packing of {own[k].get_chemical_formula()} at V/V0 = {part:g}"
            out.append(Hole(where, what, own[k], part))
            break
    return out


def sentences(found: Sequence[Hole]) -> list[str]:
    """Of every dimer; and of all packings together, with the worst mixtures."""
    dense = [h for h in found if h.part is not None]
    out = [str(h) for h in found if h.part is None]
    if dense:
        of_these = Counter("-".join(sorted(set(h.atoms.symbols))) for h in dense)
        named = ", ".join(f"{name} {n}" for name, n in of_these.most_common(4))
        out.append(
            f"{count(len(dense), 'random packing')} of atoms ({named}) would collapse under compression, "
            f"the first at V/V0 = {max(h.part or 0 for h in dense):g}: {dense[0]}"
        )
    return out


def summary(found: Sequence[Hole]) -> dict[str, Any]:
    """What a card says: how many packings collapse, of which elements, and which dimers fall."""
    dense = [h for h in found if h.part is not None]
    return {
        "packings": len(dense),
        "elements": sorted({s for h in dense for s in h.atoms.symbols}),
        "dimers": ["-".join(h.atoms.symbols) for h in found if h.part is None],
    }


def as_xyz(found: Sequence[Hole]) -> str:
    """The structures with what is wrong in them, as an XYZ file."""
    from ase.io import write

    text = io.StringIO()
    frames = []
    for h in found:
        frames.append(h.atoms.copy())
        frames[-1].info["hole"] = str(h)
    write(text, frames, format="extxyz")
    return text.getvalue()
