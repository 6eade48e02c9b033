"""What labelled structures hold: counts, ranges, distances, duplicates, suspicious values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from etace.data.distances import Rdf, Shortest, distances
from etace.data.duplicates import duplicates
from etace.data.isolated import CUTOFF
from etace.data.labelled import Dataset, Labelled
from etace.data.suspicious import BOND_CUTOFF, Suspicion, suspicions
from etace.telling import Tell


@dataclass(frozen=True)
class Range:
    """Over all structures that have it; lowest, highest: the structures (sources)"""

    low: float
    median: float
    high: float
    lowest: str
    highest: str


@dataclass(frozen=True)
class Group:
    """A config type; kinds -> structures with the label"""

    structures: int
    atoms: int
    labels: dict[str, int]


@dataclass(frozen=True, eq=False)
class Census:
    """species: atoms of each; groups: by name; labels: kind -> structures with it
    ranges: `energy` (eV/atom), `force` (|F|, eV/Å, of atoms), `virial` (trace/3, eV/atom), `volume`
        (Å^3/atom, of structures periodic in three directions); those there are
    compositions: different ratios of species
    shortest, rdf: of pairs of species closer than the cutoff, Å
    duplicates: sources of structures that are the same
    """

    structures: int
    atoms: int
    species: dict[str, int]
    compositions: int
    groups: dict[str, Group]
    labels: dict[str, int]
    ranges: dict[str, Range]
    cutoff: float
    shortest: tuple[Shortest, ...]
    rdf: tuple[Rdf, ...]
    duplicates: tuple[tuple[str, ...], ...]
    suspicions: tuple[Suspicion, ...]


def census(dataset: Dataset, cutoff: float = CUTOFF, progress: Tell | None = None) -> Census:
    """cutoff: Å, of distances and g(r); progress: told of the steps that take long"""
    all_of_them = dataset.structures
    close = distances(all_of_them, cutoff, progress)
    near = close if cutoff >= BOND_CUTOFF else distances(all_of_them, BOND_CUTOFF, progress)
    symbols = Counter(x for s in all_of_them for x in s.atoms.get_chemical_symbols())
    return Census(
        structures=len(all_of_them),
        atoms=sum(len(s.atoms) for s in all_of_them),
        species=dict(sorted(symbols.items())),
        compositions=len(
            {str(s.atoms.symbols.formula.reduce()[0].convert("hill")) for s in all_of_them}
        ),
        groups={g: _group([s for s in all_of_them if s.group == g]) for g in dataset.groups},
        labels=_labels(all_of_them),
        ranges={
            name: found
            for name, value in VALUES.items()
            if (found := _range(all_of_them, value)) is not None
        },
        cutoff=cutoff,
        shortest=close.shortest,
        rdf=close.rdf,
        duplicates=tuple(
            tuple(all_of_them[k].source for k in group) for group in duplicates(all_of_them)
        ),
        suspicions=suspicions(all_of_them, near, progress),
    )


def energy_per_atom(s: Labelled) -> np.ndarray | None:
    return None if s.energy is None else np.array([s.energy / len(s.atoms)])


def forces_of_atoms(s: Labelled) -> np.ndarray | None:
    return None if s.forces is None else np.linalg.norm(s.forces, axis=1)


def virial_per_atom(s: Labelled) -> np.ndarray | None:
    return None if s.virial is None else np.array([s.virial.trace() / 3 / len(s.atoms)])


def volume_per_atom(s: Labelled) -> np.ndarray | None:
    if not s.atoms.pbc.all() or s.atoms.cell.rank < 3:
        return None
    return np.array([s.atoms.get_volume() / len(s.atoms)])


VALUES: dict[str, Callable[[Labelled], np.ndarray | None]] = {
    "energy": energy_per_atom,
    "force": forces_of_atoms,
    "virial": virial_per_atom,
    "volume": volume_per_atom,
}


def _range(
    structures: tuple[Labelled, ...], value: Callable[[Labelled], np.ndarray | None]
) -> Range | None:
    found = [(s.source, v) for s in structures if (v := value(s)) is not None]
    if not found:
        return None
    lowest = min(found, key=lambda x: x[1].min())
    highest = max(found, key=lambda x: x[1].max())
    median = float(np.median(np.concatenate([v for _, v in found])))
    return Range(float(lowest[1].min()), median, float(highest[1].max()), lowest[0], highest[0])


def _group(structures: list[Labelled]) -> Group:
    return Group(len(structures), sum(len(s.atoms) for s in structures), _labels(structures))


def _labels(structures: tuple[Labelled, ...] | list[Labelled]) -> dict[str, int]:
    return {
        kind: sum(getattr(s, kind) is not None for s in structures)
        for kind in ("energy", "forces", "virial")
    }
