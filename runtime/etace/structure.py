"""A structure as numbers: checked, its elements as indices, with all pairs of neighbours, once asked for.

What both layouts of a graph (`AtomGraph`, `inference.BlockGraph`) are made from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from typing import Any
from weakref import ref

import numpy as np
from numpy.typing import ArrayLike

from etace.arrays import reals, refuse_masked
from etace.errors import ParameterError, RequestError, StructureError
from etace.neighbours import MAX_COORDINATE, Neighbours, checked, neighbour_list, within
from etace.searched import Searched

RESOLUTION = 1e-3  # Å


@dataclass(frozen=True)
class Bonds:
    """What neighbours are listed for: species in their order, and cutoffs, Å, of every two of them."""

    species: tuple[str, ...]
    cutoffs: tuple[tuple[float, ...], ...]

    def check(self, species: Sequence[str], cutoffs: np.ndarray) -> None:
        """Raises RequestError: they do not serve a model of these species and cutoffs."""
        if self.species != tuple(species):
            raise RequestError(
                f"this graph was made for {', '.join(self.species)}, and this model is of "
                f"{', '.join(species)}: make it with this model"
            )
        if (np.array(self.cutoffs) < cutoffs).any():
            raise RequestError(
                f"this graph was made for cutoffs up to {np.max(self.cutoffs):g} Å, and this model sees "
                "farther: make it with this model"
            )


@dataclass(eq=False)
class Paired:
    """positions: [n, 3], Å; cell: [3, 3], Å, vectors are rows; pbc: [3], bool
    species: [n], index into the model's; reach: [species, species], Å, strictly beyond that of pairs
    bonds: what they are paired for; keeper: of what is found of them, as long as it is there; None: nobody"""

    positions: np.ndarray
    cell: np.ndarray
    pbc: np.ndarray
    species: np.ndarray
    reach: np.ndarray
    bonds: Bonds
    keeper: ref[Searched] | None = None
    _pairs: Neighbours | None = None

    def __len__(self) -> int:
        return len(self.positions)

    @property
    def kept(self) -> Searched | None:
        """Where what is found of them is kept."""
        return None if self.keeper is None else self.keeper()

    @property
    def pairs(self) -> Neighbours:
        """Directed, sorted (`neighbours.neighbour_list`). Raises StructureError."""
        found = self._pairs
        if found is None:
            found = self._search()
            if self.kept is None or self.kept.room(sum(a.nbytes for a in vars(found).values())):
                self._pairs = found
        return found

    def _search(self) -> Neighbours:
        longest = self.reach.max()
        pairs = neighbour_list(self.positions, self.cell, self.pbc, longest)
        if (self.reach != longest).any():
            return within(pairs, self.reach[self.species[pairs.i], self.species[pairs.j]])
        return pairs

    @cached_property
    def span(self) -> np.ndarray:
        """[2, species, species], Å, least and largest distance of `pairs`; infinite and 0 where there are none. Raises
        StructureError."""
        pairs = self._pairs or self._search()
        kinds = self.species[pairs.i], self.species[pairs.j]
        out = np.array([np.full(self.reach.shape, np.inf), np.zeros(self.reach.shape)])
        np.minimum.at(out[0], kinds, pairs.r)
        np.maximum.at(out[1], kinds, pairs.r)
        return out

    @property
    def closest(self) -> np.ndarray:
        """[species, species], Å, of `pairs`; infinite where there are none. Raises StructureError."""
        return self.span[0]

    def know_span(self, span: np.ndarray) -> None:
        """Keep what somebody who made the same pairs has found."""
        self.__dict__["span"] = span


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
    check_resolution(x, np.dtype(dtype))
    cell = np.where(np.isfinite(cell), cell, 0.0)  # only a row that is not periodic can be NaN
    bonds = _bonds(tuple(species), np.asarray(cutoffs, float).tobytes())
    return Paired(x, cell, pbc, z, reach, bonds)


@lru_cache(maxsize=64)
def _bonds(species: tuple[str, ...], cutoffs: bytes) -> Bonds:
    """cutoffs: float64, of every two of them"""
    n = len(species)
    return Bonds(species, tuple(map(tuple, np.frombuffer(cutoffs).reshape(n, n).tolist())))


def paired_atoms(
    atoms: Any, species: Sequence[str], cutoffs: ArrayLike, skin: float, dtype: str
) -> Paired:
    """The same of an `ase.Atoms`, or of anything with positions, numbers, cell and pbc."""
    try:
        cell = getattr(atoms.cell, "array", atoms.cell)
        found = atoms.positions, atoms.numbers, cell, atoms.pbc
    except AttributeError:
        raise StructureError(f"an ase.Atoms is needed, not {type(atoms).__name__}") from None
    return paired(*found, species, cutoffs, skin, dtype)


def _species_index(elements: ArrayLike, species: Sequence[str]) -> np.ndarray:
    """[N], index of each atom's element in `species`."""
    refuse_masked(elements, "elements", StructureError)
    elements = np.asarray(elements)
    if elements.ndim != 1:
        raise StructureError(f"elements have the shape {list(elements.shape)}, [atoms] is needed")
    if len(elements) and elements.dtype.kind not in "iuUSO":
        raise StructureError(f"elements are symbols or atomic numbers, found {elements.dtype}")
    kinds, where = np.unique(
        elements.astype(str) if elements.dtype.kind == "O" else elements, return_inverse=True
    )
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
    shape = (n_species, n_species)
    needed = f"the shape {list(shape)} is needed: one for each pair of species"
    own, _ = reals(cutoffs, shape, "cutoffs", needed)
    if not (own == own.T).all():
        raise ParameterError(f"cutoffs must be symmetric, found {own.tolist()}")
    return np.where(own > 0, own + checked_skin(skin), 0.0)


def checked_skin(skin: Any) -> float:
    """Å. Raises ParameterError."""
    if isinstance(skin, float | int | np.floating | np.integer) and 0 <= skin <= MAX_COORDINATE:
        return float(skin)
    raise ParameterError(f"the skin must be a length of 0 Å or more, found {skin!r}")


@cache
def resolved(dtype: np.dtype[Any]) -> float:
    """Å: the largest coordinate that the dtype holds to 0.001 Å (float32: about 8000 Å)."""
    return min(MAX_COORDINATE, RESOLUTION / float(np.finfo(dtype).eps))


def check_resolution(x: np.ndarray, dtype: np.dtype[Any]) -> None:
    """Raises StructureError: coordinates beyond what the dtype resolves. x: [N, 3], Å"""
    largest = resolved(dtype)
    far = np.flatnonzero((np.abs(x) > largest).any(axis=1))
    if not len(far):
        return
    where = f"atom {far[0]} is at {x[far[0]].tolist()} Å"
    if largest == MAX_COORDINATE:
        raise StructureError(f"{where}: coordinates must be within {MAX_COORDINATE:g} Å")
    raise StructureError(
        f"{where}, where {dtype} resolves no better than {RESOLUTION:g} Å: wrap the atoms into the "
        "cell, or use float64"
    )


def densest_first(structures: Sequence[Any]) -> list[int]:
    """Places of `ase.Atoms` by atoms per Å^3, what is open last: what is compiled for the first, with
    the most neighbours, serves all."""

    def density(k: int) -> float:
        atoms = structures[k]
        volume = atoms.get_volume() if atoms.pbc.all() else 0.0
        return len(atoms) / volume if volume else 0.0

    return sorted(range(len(structures)), key=lambda k: -density(k))
