"""Energy of two atoms alone, less that of each by itself: what the model says where data are silent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from etace.domain import Pair, Ranges, species_pairs

SHORTEST = 0.3  # Å
POINTS = 240
NEAR = 0.85  # of the shortest distance in the data: a well may lie just inside it


WELL = 1e-3  # eV: what is less deep is none
BOND = 15.0  # eV: no two atoms are bound so strongly; CO is, by 11.2 eV, the strongest


@dataclass(frozen=True, eq=False)
class Dimer:
    """One pair of species. r: [points], Å, ascending to the cutoff; energy: [points], eV

    data: shortest and longest distance of such a pair in the data, below the cutoff, Å; None: no pair
    """

    pair: Pair
    r: np.ndarray
    energy: np.ndarray
    cutoff: float
    data: tuple[float, float] | None = None

    @property
    def name(self) -> str:
        return "-".join(self.pair)

    @property
    def closest(self) -> float:
        """What is clearly closer is not in the data, Å: `NEAR` of the shortest distance there, or, without
        data, of a quarter of the cutoff."""
        return NEAR * self.edge

    @property
    def edge(self) -> float:
        return self.data[0] if self.data is not None else self.cutoff / 4


def dimers(
    model: Any,
    seen: Ranges | None = None,
    *,
    shortest: float = SHORTEST,
    points: int = POINTS,
) -> list[Dimer]:
    """Curves of every unordered pair that has a bond; seen: the data's `ranges`."""
    from ase import Atoms

    pairs = species_pairs(model)
    seen = seen or {}
    grids = [np.linspace(min(shortest, 0.5 * cutoff), cutoff, points) for cutoff in pairs.values()]
    frames = [Atoms(s) for s in model.species]
    frames += [
        Atoms(pair, positions=[[0, 0, 0], [0, 0, r]])
        for pair, grid in zip(pairs, grids, strict=True)
        for r in grid
    ]
    # far from the data is what they are for
    found = iter(model.evaluate_many(frames, told=lambda frame, gap: None))
    alone = {s: next(found).energy for s in model.species}
    out = []
    for (pair, cutoff), grid in zip(pairs.items(), grids, strict=True):
        both = np.array([next(found).energy for _ in grid])
        out.append(
            Dimer(pair, grid, both - alone[pair[0]] - alone[pair[1]], cutoff, seen.get(pair))
        )
    return out


def remarks(found: Sequence[Dimer]) -> list[str]:
    """A sentence for every pair that is repulsive at all distances in the data, or deeper there than
    any bond of two atoms."""
    out = []
    for d in found:
        if d.data is None:
            continue
        low, high = d.data
        shown = f"{low:.2f} to {high:.2f} Å"
        inside = (d.r >= low) & (d.r <= high) & np.isfinite(d.energy)
        if inside.any() and d.energy[inside].min() > -WELL and d.energy[inside].max() > WELL:
            out.append(
                f"the dimer {d.name} is repulsive at all distances in the data ({shown}): by itself such "
                "a pair does not bind"
            )
        near = (d.r >= NEAR * low) & (d.r <= high) & np.isfinite(d.energy)
        if near.any() and d.energy[near].min() < -BOND:
            k = int(np.argmin(np.where(near, d.energy, np.inf)))
            out.append(
                f"the dimer {d.name} has a well of {d.energy[k]:.3g} eV at {d.r[k]:.2f} Å, beside or among the "
                f"distances in the data ({shown}): the strongest bond of two atoms is 11 eV"
            )
    return out
