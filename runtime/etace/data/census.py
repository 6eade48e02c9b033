"""What is in a data set: counts, ranges, shortest distances, and what looks wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from etace.data.labelled import Dataset, Labelled
from etace.neighbours import neighbour_list

CUTOFF = 6.0  # Å, of distances
STEPS = 120  # of a radial distribution
LARGE_FORCE = 50.0  # eV/Å
NET_FORCE = 0.02  # eV/Å for each atom: more is no rounding of a file
TOUCHING = 0.5  # Å: no two atoms are as close in a sane structure
FAR = 6.0  # robust standard deviations of the energy about a least-squares line
SHOWN = 3  # sources named in a warning

Pair = tuple[str, str]


@dataclass(frozen=True)
class Range:
    """Of a quantity over a data set; unit is in its name."""

    least: float
    mean: float
    most: float


@dataclass(frozen=True, eq=False)
class Census:
    """species: atoms of each; groups: config type -> (structures, atoms); labels: kind -> structures
    ranges: by quantity; shortest: pair -> (Å, where)
    rdf: pair -> g(r) at `r`, Å, of the periodic structures
    duplicates: groups of sources that are one structure; warnings: one sentence each
    """

    structures: int
    atoms: int
    species: Mapping[str, int]
    groups: Mapping[str, tuple[int, int]]
    labels: Mapping[str, int]
    ranges: Mapping[str, Range]
    shortest: Mapping[Pair, tuple[float, str]]
    r: np.ndarray
    rdf: Mapping[Pair, np.ndarray]
    duplicates: tuple[tuple[str, ...], ...]
    warnings: tuple[str, ...]


def census(data: Dataset) -> Census:
    """Of all structures; distances up to `CUTOFF`."""
    every = data.structures
    species: Counter[str] = Counter()
    groups: dict[str, list[int]] = defaultdict(list)
    for s in every:
        species.update(s.atoms.get_chemical_symbols())
        groups[s.group].append(len(s.atoms))
    shortest, rdf, r = _distances(every)
    duplicates = _duplicates(every)
    return Census(
        len(every),
        sum(map(len, (s.atoms for s in every))),
        dict(sorted(species.items())),
        {g: (len(n), sum(n)) for g, n in sorted(groups.items())},
        {k: sum(getattr(s, k) is not None for s in every) for k in ("energy", "forces", "virial")},
        _ranges(every),
        shortest,
        r,
        rdf,
        duplicates,
        tuple(warnings(data, shortest)),
    )


def warnings(data: Dataset, shortest: Mapping[Pair, tuple[float, str]] | None = None) -> list[str]:
    """What looks wrong, a sentence each: large or unbalanced forces, energies off, atoms that touch."""
    every, out = data.structures, []
    large = [s.source for s in every if s.forces is not None and _largest(s.forces) > LARGE_FORCE]
    if large:
        out.append(f"forces above {LARGE_FORCE:g} eV/Å in {_named(large)}")
    net = [
        s.source
        for s in every
        if s.forces is not None and np.abs(s.forces.mean(axis=0)).max() > NET_FORCE
    ]
    if net:
        out.append(f"forces that do not add up to zero in {_named(net)}")
    off = _outliers(every)
    if off:
        out.append(f"energies far from those of like composition in {_named(off)}")
    for pair, (d, source) in (shortest or {}).items():
        if d < TOUCHING:
            out.append(f"{'-'.join(pair)} {d:.3f} Å apart in {source}: positions in another unit?")
    return out


def _largest(forces: np.ndarray) -> float:
    return float(np.linalg.norm(forces, axis=1).max())


def _named(sources: Sequence[str]) -> str:
    more = f" and {len(sources) - SHOWN} more" if len(sources) > SHOWN else ""
    return ", ".join(sources[:SHOWN]) + more


def _outliers(every: Sequence[Labelled]) -> list[str]:
    """By robust deviations from a least-squares fit of E/atom on the composition; ten structures at
    least, isolated atoms aside."""
    own = [s for s in every if s.energy is not None and len(s.atoms) > 1]
    if len(own) < 10:
        return []
    names = sorted({x for s in own for x in s.atoms.get_chemical_symbols()})
    counts = np.array([[s.atoms.get_chemical_symbols().count(x) for x in names] for s in own])
    n = counts.sum(axis=1)
    y = np.array([s.energy for s in own]) / n
    A = counts / n[:, None]
    left = y - A @ np.linalg.lstsq(A, y, rcond=1e-9)[0]
    left = left - np.median(left)
    sigma = 1.4826 * float(np.median(np.abs(left)))
    far = np.abs(left) > max(FAR * sigma, 1.0)  # eV/atom: config types may well lie apart
    return [s.source for s, bad in zip(own, far, strict=True) if bad]


def _ranges(every: Sequence[Labelled]) -> dict[str, Range]:
    found: dict[str, list[float]] = defaultdict(list)
    for s in every:
        n = len(s.atoms)
        found["atoms"].append(n)
        if s.energy is not None:
            found["energy, eV/atom"].append(s.energy / n)
        if s.forces is not None:
            found["largest |F|, eV/Å"].append(_largest(s.forces))
        if s.virial is not None:
            found["trace of the virial / 3, eV/atom"].append(float(np.trace(s.virial)) / 3 / n)
        if s.atoms.cell.rank == 3 and s.atoms.pbc.all():
            found["volume, Å³/atom"].append(s.atoms.get_volume() / n)
    return {k: Range(min(v), float(np.mean(v)), max(v)) for k, v in found.items()}


def _distances(
    every: Sequence[Labelled],
) -> tuple[dict[Pair, tuple[float, str]], dict[Pair, np.ndarray], np.ndarray]:
    edges = np.linspace(0, CUTOFF, STEPS + 1)
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    shortest: dict[Pair, tuple[float, str]] = {}
    found: dict[Pair, np.ndarray] = defaultdict(lambda: np.zeros(STEPS))
    ideal: dict[Pair, float] = defaultdict(float)
    for s in every:
        pairs = neighbour_list(s.atoms.positions, np.asarray(s.atoms.cell), s.atoms.pbc, CUTOFF)
        symbols = np.array(s.atoms.get_chemical_symbols())
        names = sorted(set(symbols.tolist()))
        periodic = s.atoms.cell.rank == 3 and s.atoms.pbc.all()
        for k, a in enumerate(names):
            for b in names[k:]:
                own = pairs.r[(symbols[pairs.i] == a) & (symbols[pairs.j] == b)]
                if periodic:
                    density = np.sum(symbols == b) / s.atoms.get_volume()
                    ideal[a, b] += float(np.sum(symbols == a) * density)
                    found[a, b] += np.histogram(own, edges)[0]
                if len(own) and own.min() < shortest.get((a, b), (np.inf, ""))[0]:
                    shortest[a, b] = (float(own.min()), s.source)
    rdf = {p: found[p] / (ideal[p] * shells) for p in sorted(found) if ideal[p] > 0}
    return dict(sorted(shortest.items())), rdf, (edges[1:] + edges[:-1]) / 2


def _duplicates(every: Sequence[Labelled]) -> tuple[tuple[str, ...], ...]:
    """Structures with the same elements, cell and positions, to 1e-6 Å."""
    seen: dict[bytes, list[str]] = defaultdict(list)
    for s in every:
        numbers = np.round(np.concatenate([s.atoms.positions.ravel(), np.ravel(s.atoms.cell)]), 6)
        seen[s.atoms.numbers.tobytes() + (numbers + 0.0).tobytes()].append(s.source)
    return tuple(tuple(found) for found in seen.values() if len(found) > 1)
