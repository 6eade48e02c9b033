"""How close atoms come: the shortest distance and the radial distribution of each pair of species."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations_with_replacement

import numpy as np

from etace.data.labelled import Labelled
from etace.errors import StructureError
from etace.neighbours import neighbour_list
from etace.telling import Tell

WIDTH = 0.05  # Å, of a bin
Pair = tuple[str, str]


@dataclass(frozen=True)
class Shortest:
    """distance: Å, of two species, in alphabetical order; source: the structure it is in"""

    pair: Pair
    distance: float
    source: str


@dataclass(frozen=True, eq=False)
class Rdf:
    """g(r) of a pair over all structures.

    r: [bins], Å, middles; g: [bins]
    ideal: True: pairs over those of an ideal gas of the same density, from structures periodic in
        three directions; False (there is none with this pair): density of distances, 1/Å
    """

    pair: Pair
    r: np.ndarray
    g: np.ndarray
    ideal: bool


@dataclass(frozen=True, eq=False)
class Distances:
    """shortest, rdf: by pair, those that come within the cutoff
    nearest: [structures], Å, the shortest of each, inf if none
    bond: [structures], least distance / sum of covalent radii of each atom, the median of its atoms;
        of an atom without neighbours at least what it is at the cutoff; inf without a neighbour list
    wrong: (source, why) of structures without a neighbour list
    """

    shortest: tuple[Shortest, ...]
    rdf: tuple[Rdf, ...]
    nearest: np.ndarray
    bond: np.ndarray
    wrong: tuple[tuple[str, str], ...]


@dataclass
class _Sum:
    shortest: Shortest | None = None
    counts: dict[bool, np.ndarray] = field(default_factory=dict)  # directed, by periodic or not
    ideal: np.ndarray | float = 0.0


def distances(
    structures: Sequence[Labelled], cutoff: float, progress: Tell | None = None
) -> Distances:
    """Of all pairs closer than the cutoff, Å, periodic images included."""
    from ase.data import covalent_radii

    edges = np.linspace(0, cutoff, max(round(cutoff / WIDTH), 1) + 1)
    sums: dict[Pair, _Sum] = {}
    nearest, bond = np.full((2, len(structures)), np.inf)
    wrong: list[tuple[str, str]] = []
    for k, s in enumerate(structures):
        if progress is not None:
            progress("measuring distances", k, len(structures))
        try:
            pairs = neighbour_list(s.atoms.positions, s.atoms.cell, s.atoms.pbc, cutoff)
        except StructureError as error:
            wrong.append((s.source, str(error)))
            continue
        nearest[k] = pairs.r.min(initial=np.inf)
        radii = covalent_radii[s.atoms.numbers]
        least = cutoff / (radii + radii.max(initial=0))
        np.minimum.at(least, pairs.i, pairs.r / (radii[pairs.i] + radii[pairs.j]))
        bond[k] = np.median(least)
        _add(sums, s, pairs.i, pairs.j, pairs.r, edges)
    seen = [(pair, own.shortest) for pair, own in sorted(sums.items(), key=lambda x: x[0])]
    shortest = tuple(short for _, short in seen if short is not None)
    rdf = tuple(_rdf(short.pair, sums[short.pair], edges) for short in shortest)
    return Distances(shortest, rdf, nearest, bond, tuple(wrong))


def _add(
    sums: dict[Pair, _Sum],
    s: Labelled,
    i: np.ndarray,
    j: np.ndarray,
    r: np.ndarray,
    edges: np.ndarray,
) -> None:
    symbols = np.array(s.atoms.get_chemical_symbols())
    names, kind, counts = np.unique(symbols, return_inverse=True, return_counts=True)
    low, high = np.minimum(kind[i], kind[j]), np.maximum(kind[i], kind[j])
    bins = len(edges) - 1
    place = np.minimum((r / edges[-1] * bins).astype(int), bins - 1)
    code = (low * len(names) + high) * bins + place
    table = np.bincount(code, minlength=len(names) ** 2 * bins).reshape(len(names), len(names), -1)
    periodic = bool(s.atoms.pbc.all())
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    for a, b in combinations_with_replacement(range(len(names)), 2):
        pair = (str(names[a]), str(names[b]))
        own = table[a, b]
        both = 1 if a == b else 2  # directions of an unlike pair
        found = sums.setdefault(pair, _Sum())
        if own.any():
            least = float(r[(low == a) & (high == b)].min())
            if found.shortest is None or least < found.shortest.distance:
                found.shortest = Shortest(pair, least, s.source)
        found.counts[periodic] = found.counts.get(periodic, 0) + own
        if periodic:
            found.ideal = found.ideal + both * counts[a] * counts[b] / s.atoms.get_volume() * shells


def _rdf(pair: Pair, total: _Sum, edges: np.ndarray) -> Rdf:
    middles = 0.5 * (edges[1:] + edges[:-1])
    counts = total.counts.get(True)
    if counts is not None and counts.any():
        return Rdf(pair, middles, counts / total.ideal, True)
    counts = total.counts[False].astype(float)
    return Rdf(pair, middles, counts / (counts.sum() * np.diff(edges)), False)
