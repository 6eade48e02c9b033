"""A structure as numbers: checked, its elements as indices, with all pairs of neighbours, once asked for.

What both layouts of a graph (`AtomGraph`, `inference.BlockGraph`) are made from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from etace.errors import ParameterError, StructureError
from etace.neighbours import Neighbours, checked, neighbour_list, within


@dataclass(frozen=True, eq=False)
class Paired:
    """positions: [n, 3], Å; cell: [3, 3], Å, vectors are rows; pbc: [3], bool
    species: [n], index into the model's; reach: [species, species], Å, strictly beyond that of pairs"""

    positions: np.ndarray
    cell: np.ndarray
    pbc: np.ndarray
    species: np.ndarray
    reach: np.ndarray

    def __len__(self) -> int:
        return len(self.positions)

    @cached_property
    def pairs(self) -> Neighbours:
        """Directed, sorted (`neighbours.neighbour_list`). Raises StructureError."""
        longest = self.reach.max()
        pairs = neighbour_list(self.positions, self.cell, self.pbc, longest)
        if (self.reach != longest).any():
            return within(pairs, self.reach[self.species[pairs.i], self.species[pairs.j]])
        return pairs


def paired(
    positions: ArrayLike,
    elements: ArrayLike,
    cell: ArrayLike,
    pbc: ArrayLike,
    species: Sequence[str],
    cutoffs: ArrayLike,
    skin: float = 0.0,
    dtype: str = "float64",
) -> Paired:
    """Pairs with r < cutoffs[zi, zj] + skin, strictly, still to be found, and then to be refused.
    Arguments and errors: `AtomGraph.from_arrays`."""
    z = _species_index(elements, species)
    if len(z) == 0:
        raise StructureError("the structure has no atoms")
    reach = _reach(cutoffs, len(species), skin)
    x, cell, pbc = checked(positions, cell, pbc)
    if len(x) != len(z):
        raise StructureError(f"{len(x)} positions, but {len(z)} elements")
    _check_resolution(x, np.dtype(dtype))
    cell = np.where(np.isfinite(cell), cell, 0.0)  # only a row that is not periodic can be NaN
    return Paired(x, cell, pbc, z, reach)


def _species_index(elements: ArrayLike, species: Sequence[str]) -> np.ndarray:
    """[N], index of each atom's element in `species`."""
    kinds, where = np.unique(np.asarray(elements), return_inverse=True)
    if kinds.dtype.kind in "iu":
        from ase.data import chemical_symbols

        names = [chemical_symbols[k] if 0 <= k < len(chemical_symbols) else str(k) for k in kinds]
    else:
        names = [str(k) for k in kinds]
    unknown = sorted(n for n in names if n not in species)
    if unknown:
        raise StructureError(
            f"the structure contains {', '.join(unknown)}, but the model knows only "
            f"{', '.join(species)}"
        )
    index = np.array([list(species).index(n) for n in names], dtype=np.int32)
    return index[where.reshape(-1)] if len(index) else np.zeros(0, dtype=np.int32)


def _reach(cutoffs: ArrayLike, n_species: int, skin: float) -> np.ndarray:
    """[species, species], Å, cutoff + skin, or 0 for bonds that have no edges."""
    cutoffs = np.asarray(cutoffs, dtype=np.float64)
    if cutoffs.shape != (n_species, n_species):
        raise ParameterError(
            f"cutoffs must have the shape {[n_species, n_species]}, one for each pair of species, "
            f"found {list(cutoffs.shape)}"
        )
    if not (cutoffs == cutoffs.T).all():
        raise ParameterError(f"cutoffs must be numbers and symmetric, found {cutoffs.tolist()}")
    if not skin >= 0:
        raise ParameterError(f"the skin must be 0 Å or more, found {skin}")
    return np.where(cutoffs > 0, cutoffs + skin, 0.0)


def _check_resolution(x: np.ndarray, dtype: np.dtype) -> None:
    """Refuse positions that the dtype cannot hold to 0.001 Å (float32: beyond about 8000 Å)."""
    far = np.flatnonzero((np.abs(x) * np.finfo(dtype).eps > 1e-3).any(axis=1))
    if len(far):
        raise StructureError(
            f"atom {far[0]} is at {x[far[0]].tolist()} Å, where {dtype} resolves no better than "
            "0.001 Å: wrap the atoms into the cell, or use float64"
        )


def densest_first(structures: Sequence[Any]) -> list[int]:
    """Places of `ase.Atoms` by atoms per Å^3, what is open last: what is compiled for the first, with
    the most neighbours, serves all."""

    def density(k: int) -> float:
        atoms = structures[k]
        volume = atoms.get_volume() if atoms.pbc.all() else 0.0
        return len(atoms) / volume if volume else 0.0

    return sorted(range(len(structures)), key=lambda k: -density(k))
