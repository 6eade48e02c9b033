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
spread: energies of one composition differ by > 50 eV/atom, and no force tells of it
stress: the largest component of the stress has a median > 5 eV/Å^3, 800 GPa
twice: the same structure twice with energies that differ by > 1 meV/atom
slope, virial_slope, voigt, shifted, unrelated: of `etace.data.consistency`
zero_energy, zero_forces, zero_virial, constant, per_atom: of `etace.data.filled`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etace.data import consistency, filled, work
from etace.data.distances import Distances, distances
from etace.data.duplicates import duplicates
from etace.data.labelled import Labelled
from etace.telling import Tell

FORCE, CLOSE, TWICE = 50.0, 0.5, 1e-3
NET_FORCE, NET_PART = 0.1, 0.05
ENERGY, SPREAD, ENOUGH = 0.5, 12.0, 10
BONDS, SPREAD_OF_ONE = (0.5, 1.5), 50.0
NOBLE = {2, 10, 18, 36, 54, 86}
BOND_CUTOFF = 5.0  # Å
STRESS = 5.0  # eV/Å^3


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
    structures: Sequence[Labelled], close: Distances | None = None, progress: Tell | None = None
) -> tuple[Suspicion, ...]:
    """close: of these structures up to BOND_CUTOFF or more, if it was made anyway; progress: told of the
    distances, where they are not"""
    close = close or distances(structures, BOND_CUTOFF, progress)
    nearest, wrong = close.nearest, close.wrong
    again = duplicates(structures)
    out = [Suspicion("lists", len(wrong), tuple(w[0] for w in wrong), wrong[0][1])] if wrong else []
    out += _worst("close", structures, np.where(nearest < CLOSE, -nearest, np.nan))
    out += _worst("forces", structures, _above(FORCE, [_largest(s) for s in structures]))
    out += _worst("net_force", structures, np.array([_net(s) for s in structures]))
    made_up = _filled(structures, nearest, again)
    out += made_up
    out += _worst("energy", structures, energy_outliers(structures, nearest))
    out += _twice(structures, again)
    if not any(x.kind in ("energy", "forces") for x in out):
        out += _worst("spread", structures, _above(SPREAD_OF_ONE, spreads(structures, nearest)))
    if (size := stress_size(structures)) is not None and size > STRESS:
        out.append(Suspicion("stress", size))
    ratio = bond_ratio(structures, close.bond)
    if ratio is not None and not BONDS[0] <= ratio <= BONDS[1]:
        out.append(Suspicion("unit", ratio))
    if not made_up:
        found = consistency.doubts(structures, work.steps(structures, progress))
        out += [Suspicion(d.kind, d.value, d.sources, d.detail) for d in found]
    return tuple(out)


def _filled(
    structures: Sequence[Labelled], nearest: np.ndarray, again: Sequence[Sequence[int]]
) -> list[Suspicion]:
    found = {
        "zero_energy": filled.zero_energy(structures, nearest),
        "zero_forces": filled.zero_forces(structures),
        "zero_virial": filled.zero_virial(structures, nearest),
        "constant": filled.constant(structures, again),
    }
    out = [
        Suspicion(kind, len(own), tuple(structures[k].source for k in own))
        for kind, own in found.items()
        if own
    ]
    ratio = filled.per_atom(structures, nearest)
    return out if ratio is None else [*out, Suspicion("per_atom", ratio)]


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


def energy_outliers(structures: Sequence[Labelled], nearest: np.ndarray) -> np.ndarray:
    """[structures], eV/atom off the fit; NaN for what is within the limits.

    nearest: [structures], Å, inf of isolated atoms, which are left out
    """
    off = np.full(len(structures), np.nan)
    use = [k for k, s in enumerate(structures) if s.energy is not None and np.isfinite(nearest[k])]
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
        if len(s.atoms) >= 3
        and s.elements
        and np.isfinite(r)
        and not NOBLE & set(s.atoms.numbers.tolist())
    ]
    return float(np.median(ratios)) if len(ratios) >= 3 else None


def spreads(structures: Sequence[Labelled], nearest: np.ndarray) -> list[float]:
    """[structures], eV/atom above the lowest of the same composition; NaN of isolated atoms and without
    both labels."""
    energies = [
        np.nan if s.energy is None or s.forces is None or np.isinf(r) else s.energy / len(s.atoms)
        for s, r in zip(structures, nearest, strict=True)
    ]
    names = [_composition(s) for s in structures]
    lowest: dict[bytes, float] = {}
    for name, e in zip(names, energies, strict=True):
        lowest[name] = float(np.fmin(e, lowest.get(name, np.nan)))
    return [e - lowest[name] for name, e in zip(names, energies, strict=True)]


def stress_size(structures: Sequence[Labelled]) -> float | None:
    """eV/Å^3, the median of the largest components; None: no virial of a periodic cell"""
    sizes = [
        float(np.abs(s.virial).max()) / s.atoms.cell.volume
        for s in structures
        if s.virial is not None and s.atoms.pbc.all() and s.atoms.cell.volume > 0
    ]
    return float(np.median(sizes)) if sizes else None


def _composition(s: Labelled) -> bytes:
    """The same for the same ratios of species."""
    numbers, counts = np.unique(s.atoms.numbers, return_counts=True)
    return np.array([numbers, counts // np.gcd.reduce(counts)]).tobytes()


def _twice(structures: Sequence[Labelled], again: Sequence[Sequence[int]]) -> list[Suspicion]:
    found = []
    for group in again:
        energies = [structures[k].energy for k in group]
        known = [e for e in energies if e is not None]
        if len(known) > 1:
            off = (max(known) - min(known)) / len(structures[group[0]].atoms)
            if off > TWICE:
                found.append((off, tuple(structures[k].source for k in group)))
    found.sort(key=lambda x: -x[0])
    return [Suspicion("twice", found[0][0], found[0][1])] if found else []
