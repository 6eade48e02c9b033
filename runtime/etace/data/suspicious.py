"""What in labelled structures is likely wrong: numbers and where they are, no words.

Every check has a limit that sound sets do not reach; none looks at what only may be unusual.

forces: |F| of an atom > 50 eV/Å
net_force: |sum F| > 0.1 eV/Å and > 5 % of sqrt(sum |F|^2), what it would be of random forces: forces
    set to zero on fixed atoms, or cut, or of another frame
energy: E/atom off a robust fit on composition by > 0.5 eV/atom and > 12 robust standard deviations;
    of 10 structures or more, those with one atom left out
close: two atoms closer than 0.5 Å (H2 has 0.74)
lists: a structure whose neighbours cannot be found (flat cell, atoms at one place)
unit: the distance to the nearest neighbour, in sums of covalent radii, has a median beyond 0.5 to 1.5
    (Å give 0.85 to 1.25 for molecules and crystals, bohr 1.6 to 2.4, nm 0.1); of 3 structures of 3
    atoms or more, without noble gases
slope: between consecutive frames of the same atoms and cell that moved a little, dE = slope * -F dx by
    at least 10 pairs with a correlation > 0.95, but slope beyond 0.7 to 1.4: another unit, or the
    gradient in place of forces. Where there are fewer, as in small sets: between any two frames that
    are not far apart in the file, at least 3 pairs with a correlation > 0.9, but slope beyond 0.25 to 4
spread: energies of one composition differ by > 50 eV/atom, and no force tells of it
twice: the same structure twice with energies that differ by > 1 meV/atom
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from etace.data.distances import Distances, distances
from etace.data.duplicates import duplicates
from etace.data.labelled import Labelled

FORCE, CLOSE, TWICE = 50.0, 0.5, 1e-3
NET_FORCE, NET_PART = 0.1, 0.05
ENERGY, SPREAD, ENOUGH = 0.5, 12.0, 10
BONDS, SPREAD_OF_ONE = (0.5, 1.5), 50.0
NOBLE = {2, 10, 18, 36, 54, 86}
BOND_CUTOFF = 5.0  # Å
AHEAD, FIRST = 8, 1000  # frames of a small set that each is compared with; structures looked at


@dataclass(frozen=True)
class Line:
    """What makes a line of energies against work clear, and its slope sound.

    near: Å, an atom moves at most along an axis; steps: pairs of frames at least
    """

    near: float
    steps: int
    correlation: float
    slopes: tuple[float, float]


CLOSE_LINE, ROUGH_LINE = Line(0.3, 10, 0.95, (0.7, 1.4)), Line(0.5, 3, 0.9, (0.25, 4.0))


@dataclass(frozen=True)
class Suspicion:
    """kind: as above; value: the worst, in the unit of its limit; sources: worst first, may be empty
    where it is about all; detail: of `lists`, why
    """

    kind: str
    value: float
    sources: tuple[str, ...] = ()
    detail: str = ""


def suspicions(
    structures: Sequence[Labelled], close: Distances | None = None
) -> tuple[Suspicion, ...]:
    """close: of these structures up to BOND_CUTOFF or more, if it was made anyway"""
    close = close or distances(structures, BOND_CUTOFF)
    nearest, wrong = close.nearest, close.wrong
    out = [Suspicion("lists", len(wrong), tuple(w[0] for w in wrong), wrong[0][1])] if wrong else []
    out += _worst("close", structures, np.where(nearest < CLOSE, -nearest, np.nan))
    out += _worst("forces", structures, _above(FORCE, [_largest(s) for s in structures]))
    out += _worst("net_force", structures, np.array([_net(s) for s in structures]))
    out += _worst("energy", structures, energy_outliers(structures))
    out += _twice(structures)
    if not any(x.kind in ("energy", "forces") for x in out):
        out += _worst("spread", structures, _above(SPREAD_OF_ONE, spreads(structures)))
    ratio, (slope, sound) = bond_ratio(structures, close.bond), slope_and_limits(structures)
    for kind, value, (low, high) in (("unit", ratio, BONDS), ("slope", slope, sound)):
        if value is not None and not low <= value <= high:
            out.append(Suspicion(kind, value))
    return tuple(out)


def _worst(kind: str, structures: Sequence[Labelled], values: np.ndarray) -> list[Suspicion]:
    """values: [structures], NaN where nothing is wrong; the largest is the worst"""
    order = [k for k in np.argsort(-values, kind="stable") if np.isfinite(values[k])]
    if not order:
        return []
    sources = tuple(structures[k].source for k in order)
    return [Suspicion(kind, abs(float(values[order[0]])), sources)]


def _above(limit: float, values: Sequence[float]) -> np.ndarray:
    array = np.array(values, dtype=float)
    return np.where(array > limit, array, np.nan)


def _largest(s: Labelled) -> float:
    return 0.0 if s.forces is None else float(np.linalg.norm(s.forces, axis=1).max())


def _net(s: Labelled) -> float:
    """eV/Å, NaN if it is small."""
    if s.forces is None:
        return np.nan
    net = float(np.linalg.norm(s.forces.sum(axis=0)))
    random = float(np.linalg.norm(s.forces))
    return net if net > NET_FORCE and net > NET_PART * random else np.nan


def energy_outliers(structures: Sequence[Labelled]) -> np.ndarray:
    """[structures], eV/atom off the fit; NaN for what is within the limits."""
    off = np.full(len(structures), np.nan)
    use = [k for k, s in enumerate(structures) if s.energy is not None and len(s.atoms) > 1]
    if len(use) < ENOUGH:
        return off
    species = sorted({int(z) for k in use for z in structures[k].atoms.numbers})
    parts = np.array([[np.mean(structures[k].atoms.numbers == z) for z in species] for k in use])
    energies = np.array([(structures[k].energy or 0.0) / len(structures[k].atoms) for k in use])
    residual = _least_absolute(parts, energies)
    residual -= np.median(residual)
    sigma = 1.4826 * float(np.median(np.abs(residual)))
    size = np.abs(residual)
    off[use] = np.where((size > ENERGY) & (size > SPREAD * sigma), size, np.nan)
    return off


def _least_absolute(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Residuals of the fit that few outliers do not pull: least squares, reweighted by 1/|residual|."""
    weight = np.ones(len(b))
    residual = b
    for _ in range(30):
        x = np.linalg.lstsq(a * weight[:, None], b * weight, rcond=1e-10)[0]
        residual = b - a @ x
        scale = max(float(np.median(np.abs(residual))), 1e-8)
        weight = 1 / np.sqrt(np.maximum(np.abs(residual), 0.1 * scale))
    return residual


def bond_ratio(structures: Sequence[Labelled], bond: np.ndarray) -> float | None:
    """Median of the ratios of `Distances.bond`; None: too few to say."""
    ratios = [
        r
        for s, r in zip(structures, bond, strict=True)
        if len(s.atoms) >= 3 and np.isfinite(r) and not NOBLE & set(s.atoms.numbers.tolist())
    ]
    return float(np.median(ratios)) if len(ratios) >= 3 else None


def spreads(structures: Sequence[Labelled]) -> list[float]:
    """[structures], eV/atom above the lowest of the same composition; NaN of atoms alone and without both labels."""
    energies = [
        np.nan if s.energy is None or s.forces is None or len(s.atoms) == 1
        else s.energy / len(s.atoms)
        for s in structures
    ]  # fmt: skip
    names = [str(s.atoms.symbols.formula.reduce()[0].convert("hill")) for s in structures]
    lowest: dict[str, float] = {}
    for name, e in zip(names, energies, strict=True):
        lowest[name] = float(np.fmin(e, lowest.get(name, np.nan)))
    return [e - lowest[name] for name, e in zip(names, energies, strict=True)]


def slope_and_limits(structures: Sequence[Labelled]) -> tuple[float | None, tuple[float, float]]:
    """(dE over -F dx, where it is sound): of consecutive frames, else of any that are near; None: too few,
    or no clear line."""
    found = slope(pairwise(structures), CLOSE_LINE)
    if found is not None:
        return found, CLOSE_LINE.slopes
    few = structures[:FIRST]
    pairs = ((a, b) for k, a in enumerate(few) for b in few[k + 1 : k + 1 + AHEAD])
    return slope(pairs, ROUGH_LINE), ROUGH_LINE.slopes


def slope(pairs: Iterable[tuple[Labelled, Labelled]], line: Line) -> float | None:
    """dE over -F dx, by least squares over pairs of near frames; None: too few, or no clear line."""
    steps = []
    for a, b in pairs:
        if a.forces is None or b.forces is None or a.energy is None or b.energy is None:
            continue
        if not _same(a, b):
            continue
        dx = _moved(a, b)
        if dx is not None and 1e-4 < np.abs(dx).max() < line.near:
            work = -0.5 * float(((a.forces + b.forces) * dx).sum())
            steps.append((work, b.energy - a.energy))
    if len(steps) < line.steps:
        return None
    work_of, change = np.array(steps).T
    norm = np.linalg.norm(work_of) * np.linalg.norm(change)
    if norm == 0 or abs(work_of @ change) / norm < line.correlation:
        return None
    return float(work_of @ change / (work_of @ work_of))


def _same(a: Labelled, b: Labelled) -> bool:
    return (
        np.array_equal(a.atoms.numbers, b.atoms.numbers)
        and np.array_equal(a.atoms.pbc, b.atoms.pbc)
        and bool(np.abs(a.atoms.cell - b.atoms.cell).max() < 1e-4)
    )


def _moved(a: Labelled, b: Labelled) -> np.ndarray | None:
    """[N, 3], Å, from a to b by the shortest way; None for a cell that does not span space."""
    dx: np.ndarray = b.atoms.positions - a.atoms.positions
    if not a.atoms.pbc.any():
        return dx
    if a.atoms.cell.rank < 3:
        return None
    fractions = dx @ np.linalg.inv(a.atoms.cell)
    out: np.ndarray = dx - np.round(fractions) * a.atoms.pbc @ np.asarray(a.atoms.cell)
    return out


def _twice(structures: Sequence[Labelled]) -> list[Suspicion]:
    found = []
    for group in duplicates(structures):
        energies = [structures[k].energy for k in group]
        known = [e for e in energies if e is not None]
        if len(known) > 1:
            off = (max(known) - min(known)) / len(structures[group[0]].atoms)
            if off > TWICE:
                found.append((off, tuple(structures[k].source for k in group)))
    found.sort(key=lambda x: -x[0])
    return [Suspicion("twice", found[0][0], found[0][1])] if found else []
