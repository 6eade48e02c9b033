"""Labels held against each other along steps between near frames: units, signs, orders, other frames.

slope: dE = slope * the work of forces, in one cell. A clear line with a slope beyond its limits: another
    unit, or the gradient in place of forces
virial_slope: what the work of forces leaves of dE = slope * the work of virials, between strained cells
voigt: that line is much better with the shear components in another order
shifted: dE follows the forces of the frame before or behind, and not its own
unrelated: dE does not follow the forces at all
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from etace.data.labelled import Labelled
from etace.data.work import Step

SHEAR = ((1, 2), (0, 2), (0, 1))  # yz, xz, xy
NAMES = ("yz", "xz", "xy")
LEFT = 0.5  # of the residual, by another order of the shear components
LEAST = 2e-3  # eV, of energy differences that mean something


@dataclass(frozen=True)
class Line:
    """What makes a line of energies against work clear, and its slope sound.

    near: Å, an atom moves at most along an axis; ahead: frames from one to the other at most
    steps: at least
    """

    near: float
    ahead: int
    steps: int
    correlation: float
    slopes: tuple[float, float]


CLOSE = Line(0.3, 1, 10, 0.95, (0.7, 1.4))
ROUGH = Line(0.5, 8, 3, 0.9, (0.25, 4.0))
STRAIN = Line(0.5, 8, 5, 0.95, (0.5, 2.0))
OWN, OTHER, FEW = 0.7, 0.9, 6  # correlations and steps that tell forces of another frame
NONE, MANY = 0.4, 12  # that tell forces of nothing


@dataclass(frozen=True)
class Doubt:
    """kind: as above; value: slope, correlation, or shift; sources: of one step; detail: the order found"""

    kind: str
    value: float
    sources: tuple[str, ...] = ()
    detail: str = ""


def doubts(structures: Sequence[Labelled], steps: Sequence[Step]) -> list[Doubt]:
    energies = [s.energy for s in structures]
    found = _forces(structures, steps, energies)
    return found or _virials(structures, steps, energies)


def slope(
    structures: Sequence[Labelled], steps: Sequence[Step]
) -> tuple[float | None, tuple[float, float]]:
    """(dE over the work of forces, where it is sound): of consecutive frames, else of any that are near;
    None: too few, or no clear line."""
    energies = [s.energy for s in structures]
    for line in (CLOSE, ROUGH):
        x, y = _points(structures, [s for s in steps if s.b - s.a <= line.ahead], energies, line)
        found = _clear(x, y, line)
        if found is not None or line is ROUGH:
            return found, line.slopes
    raise AssertionError


def _points(
    structures: Sequence[Labelled],
    steps: Sequence[Step],
    energies: Sequence[float | None],
    line: Line,
    shift: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """(work of forces, change of energy), eV, of steps in one cell"""
    out = []
    for step in steps:
        if step.strained or step.moved > line.near:
            continue
        change, done = step.change(energies), step.by_forces(structures, shift)
        if change is not None and done is not None:
            out.append((done, change))
    x, y = np.array(out).reshape(-1, 2).T
    return x, y


def _clear(x: np.ndarray, y: np.ndarray, line: Line) -> float | None:
    if len(x) < line.steps or abs(_correlation(x, y)) < line.correlation:
        return None
    return float(x @ y / (x @ x))


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norm if norm > 0 else 0.0


def _forces(
    structures: Sequence[Labelled], steps: Sequence[Step], energies: Sequence[float | None]
) -> list[Doubt]:
    value, (low, high) = slope(structures, steps)
    if value is not None:
        return [] if low <= value <= high else [Doubt("slope", value)]
    for line in (CLOSE, ROUGH):
        own = [s for s in steps if s.b - s.a <= line.ahead and _has_force(structures, s)]
        x, y = _points(structures, own, energies, line)
        if len(x) < FEW or np.sqrt(np.mean(y**2)) < LEAST:
            continue
        fit = _correlation(x, y)
        for shift in (1, -1):
            theirs = _correlation(*_points(structures, own, energies, line, shift))
            if fit < OWN and theirs > OTHER:
                return [Doubt("shifted", shift, (structures[own[0].a].source,))]
        if len(x) >= MANY and abs(fit) < NONE and line is CLOSE:
            return [Doubt("unrelated", fit, (structures[own[0].a].source,))]
    return []


def _has_force(structures: Sequence[Labelled], step: Step) -> bool:
    """Where both frames have forces that do something."""
    both = (structures[step.a].forces, structures[step.b].forces)
    return all(f is not None and f.any() for f in both)


def _virials(
    structures: Sequence[Labelled], steps: Sequence[Step], energies: Sequence[float | None]
) -> list[Doubt]:
    found = []
    for step in steps:
        if not step.strained or step.moved > STRAIN.near:
            continue
        change, done = step.change(energies), step.by_forces(structures)
        by_virials = step.by_virials(structures)
        if change is not None and done is not None and by_virials is not None:
            found.append((step, change - done, by_virials))
    if len(found) < STRAIN.steps:
        return []
    y = np.array([rest for _, rest, _ in found])
    x = np.array([w.sum() for _, _, w in found])
    low, high = STRAIN.slopes
    value = _clear(x, y, STRAIN)
    if value is not None and not low <= value <= high:
        return [Doubt("virial_slope", value, (structures[found[0][0].a].source,))]
    return _voigt(structures, [step for step, _, _ in found], x, y)


def _voigt(
    structures: Sequence[Labelled], steps: Sequence[Step], x: np.ndarray, y: np.ndarray
) -> list[Doubt]:
    """Whether the shear components stand in another order."""
    mean = np.array([0.5 * (structures[s.a].virial + structures[s.b].virial) for s in steps])  # type: ignore[operator]
    strain = np.array([s.strain for s in steps])
    diagonal = -np.einsum("sii,sii->s", mean, strain)
    shear = [2 * strain[:, i, j] for i, j in SHEAR]
    stress = [mean[:, i, j] for i, j in SHEAR]
    own = (0, 1, 2)
    best, left = tuple(own), np.linalg.norm(y - x)
    if left < 0.1 * np.linalg.norm(y):
        return []
    for order in permutations(range(3)):
        work = diagonal - sum(shear[k] * stress[n] for k, n in enumerate(order))
        rest = np.linalg.norm(y - work)
        if rest < LEFT * left and _correlation(work, y) > STRAIN.correlation:
            best, left = order, rest
    if best == own:
        return []
    # the label's n-th place is read as SHEAR[n]: what it is
    truth = [NAMES[best.index(n)] for n in range(3)]
    return [Doubt("voigt", float(left), (structures[steps[0].a].source,), " ".join(truth))]
