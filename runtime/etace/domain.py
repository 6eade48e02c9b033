"""What of the world a fit has seen: species, pairs of them, and how close they came.

A model gives a number for any structure of its species. Where the training data held no atom of a species, no
such pair within the cutoff, or none nearly as close, the number means nothing: `Domain.gaps` says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING, Any

import numpy as np

from etace.errors import StructureError
from etace.searched import groups, in_order

if TYPE_CHECKING:
    from etace.model import Model
    from etace.structure import Paired

Pair = tuple[str, str]
Ranges = Mapping[Pair, tuple[float, float] | None]

ATOMS = 1024  # that are searched together
NEAR = 0.9  # of the shortest distance in the data: a hot structure comes a few percent closer


@dataclass(frozen=True)
class Gap:
    """What a structure has and the training data had not.

    names: a species, or a pair; distance: of the pair, Å; seen: the closest in the data, Å; None: none at all
    """

    names: tuple[str, ...]
    distance: float = 0.0
    seen: float | None = None

    def __str__(self) -> str:
        name = "-".join(self.names)
        if len(self.names) == 1:
            return f"the training data have no {name}: what the model says of it means nothing"
        if self.seen is None:
            return (
                f"the training data have no {name} pair within the cutoff, and here is one of "
                f"{self.distance:.2f} Å: what the model says of it means nothing"
            )
        return (
            f"the pair {name} comes to {self.distance:.2f} Å, and in the training data to no less than "
            f"{self.seen:.2f} Å"
        )


@dataclass(frozen=True)
class Domain:
    """species: atoms of each in the training data; pairs: closest distance below the cutoff, Å, of every pair
    there was, in the order of the species; None: nobody knows of pairs"""

    species: Mapping[str, int]
    pairs: Mapping[Pair, float] | None = None

    @staticmethod
    def of(seen: Ranges, structures: Iterable[Any]) -> Domain:
        """seen: of the training data (`ranges`); structures: its `ase.Atoms`"""
        atoms = Counter(x for s in structures for x in s.get_chemical_symbols())
        pairs = {pair: found[0] for pair, found in seen.items() if found is not None}
        return Domain(dict(sorted(atoms.items())), pairs)

    @staticmethod
    def from_grades(factors: np.ndarray, species: Iterable[str]) -> Domain:
        """Of a model file of etace 0.1: its extrapolation factors are 0 of a species without data."""
        return Domain({s: 1 for s, own in zip(species, factors, strict=True) if own.any()})

    @staticmethod
    def from_json(found: Mapping[str, Any]) -> Domain:
        """Of `as_json`."""
        pairs = found.get("pairs")
        read = None if pairs is None else {(a, b): float(r) for a, b, r in pairs}
        return Domain(dict(found.get("species", {})), read)

    def as_json(self) -> dict[str, Any]:
        """What a model file carries."""
        out: dict[str, Any] = {"species": dict(self.species)}
        if self.pairs is not None:
            out["pairs"] = sorted([a, b, r] for (a, b), r in self.pairs.items())
        return out

    def unseen(self, model: Model) -> list[Pair]:
        """Pairs of species that the data have, but not together within the cutoff."""
        if self.pairs is None:
            return []
        both = [p for p in species_pairs(model) if all(self.species.get(s) for s in p)]
        return [p for p in both if p not in self.pairs]

    def gaps(self, model: Model, structure: Paired) -> list[Gap]:
        """What this structure has and the data had not. structure: of `Model.paired`"""
        there = [model.species[k] for k in np.unique(structure.species)]
        out = [Gap((s,)) for s in there if not self.species.get(s)]
        if self.pairs is None:
            return out
        closest, new = structure.closest, {g.names[0] for g in out}
        index = {s: k for k, s in enumerate(model.species)}
        for pair, cutoff in species_pairs(model).items():
            r, seen = float(closest[index[pair[0]], index[pair[1]]]), self.pairs.get(pair)
            if r < (cutoff if seen is None else NEAR * seen) and not new & set(pair):
                out.append(Gap(pair, r, seen))
        return out


def species_pairs(model: Any) -> dict[Pair, float]:
    """Unordered pairs with a bond, in the order of the species -> cutoff, Å."""
    cutoffs = np.asarray(model.potential.cutoffs)
    every = combinations_with_replacement(range(len(model.species)), 2)
    return {
        (model.species[a], model.species[b]): float(cutoffs[a, b])
        for a, b in every
        if cutoffs[a, b] > 0
    }


def ranges(model: Any, structures: Iterable[Any], names: Sequence[str] = ()) -> Ranges:
    """Shortest and longest distance below the cutoff, Å, of every unordered pair in `ase.Atoms`; None:
    there is none. names: of the structures, for messages"""
    n = len(model.species)
    least, most = np.full((n, n), np.inf), np.zeros((n, n))
    structures = list(structures)
    order = in_order(structures, model.searched)
    left = iter([names[k] if names else "" for k in order])
    for group in groups([structures[k] for k in order], ATOMS, model.searched):
        own = [next(left) for _ in group]
        found = []
        for atoms, name in zip(group, own, strict=True):
            with _about(name):
                found.append(model.paired(atoms))
        model.list_together(found)
        for structure, name in zip(found, own, strict=True):
            with _about(name):
                np.minimum(least, structure.span[0], out=least)
                np.maximum(most, structure.span[1], out=most)
    index = {s: k for k, s in enumerate(model.species)}
    return {
        pair: (float(least[at]), float(most[at])) if np.isfinite(least[at]) else None
        for pair in species_pairs(model)
        for at in [(index[pair[0]], index[pair[1]])]
    }


@contextmanager
def _about(name: str) -> Iterator[None]:
    """What is wrong is wrong with the structure of this name."""
    try:
        yield
    except StructureError as error:
        if not name:
            raise
        raise StructureError(f"{name}: {error}") from None
