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
LEFT = 0.7  # of the residual, by another order of the shear components
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
STRAINED = Line(0.5, 8, 5, 0.9, (0.5, 2.0))  # where forces do little
BOTH, KNOWN = 20, 0.15  # steps that tell two slopes at once, and the part to which they are known
OF_FORCES, OF_VIRIALS = (0.1, 10.0), (0.25, 4.0)  # their limits: wide, as such steps are not short
OTHER, BETTER, FEW = 0.9, 0.5, 6  # what tells forces of another frame: correlation, residual, steps
NONE, MANY = 0.4, 12  # what tells forces of nothing: correlation, steps
SMALL = 0.05  # strain of steps that tell it, of those between cells


@dataclass(frozen=True)
class Doubt:
    """kind: as above; value: slope, correlation, or shift; sources: of one step
    detail: the order of shear components, or what else has such a slope: `energies per atom`, ...
    """

    kind: str
    value: float
    sources: tuple[str, ...] = ()
    detail: str = ""


@dataclass(frozen=True, eq=False)
class Points:
    """Of steps with all that is needed: change of energy, work of forces and of virials, [steps], eV"""

    steps: list[Step]
    change: np.ndarray
    forces: np.ndarray
    virials: np.ndarray


def doubts(structures: Sequence[Labelled], steps: Sequence[Step]) -> list[Doubt]:
    still = [s for s in steps if not s.strained]
    value, (low, high) = slope(structures, still)
    if value is not None and not low <= value <= high:
        return [_slope(structures, still[0], value)]
    close = [s for s in still if s.b - s.a <= CLOSE.ahead and s.moved < CLOSE.near]
    between = [s for s in steps if s.moved < CLOSE.near and np.abs(s.strain).max() < SMALL]
    return (
        _other_forces(structures, close, NONE)
        or _other_forces(structures, still, 0.0)
        or _virials(structures, steps)
        or _other_forces(structures, between, NONE / 2)
    )


def slope(
    structures: Sequence[Labelled], steps: Sequence[Step]
) -> tuple[float | None, tuple[float, float]]:
    """(dE over the work of forces, where it is sound): of consecutive frames, else of any that are near;
    None: too few, or no clear line. steps: in one cell"""
    for line in (CLOSE, ROUGH):
        near = [s for s in steps if s.b - s.a <= line.ahead and s.moved < line.near]
        own = _points(structures, near)
        found = _clear(own.forces, own.change, line)
        if found is not None or line is ROUGH:
            return found, line.slopes
    raise AssertionError


def _slope(structures: Sequence[Labelled], step: Step, value: float) -> Doubt:
    atoms = len(structures[step.a].atoms)
    return Doubt("slope", value, detail="energies per atom" if _near(value, 1 / atoms) else "")


def _near(value: float, other: float) -> bool:
    return 1 / 1.3 < value / other < 1.3


def _points(structures: Sequence[Labelled], steps: Sequence[Step], shift: int = 0) -> Points:
    """shift: of the frames whose forces count"""
    energies = [s.energy for s in structures]
    own, rows = [], []
    for step in steps:
        change, done = step.change(energies), step.by_forces(structures, shift)
        virials = step.by_virials(structures)
        if change is not None and done is not None and virials is not None:
            own.append(step)
            rows.append((change, done, virials.sum()))
    return Points(own, *np.array(rows).reshape(-1, 3).T)


def _clear(x: np.ndarray, y: np.ndarray, line: Line) -> float | None:
    if len(x) < line.steps or abs(_correlation(x, y)) < line.correlation:
        return None
    return float(x @ y / (x @ x))


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    norm = float(np.linalg.norm(x) * np.linalg.norm(y))
    return float(x @ y) / norm if norm > 0 else 0.0


def _other_forces(
    structures: Sequence[Labelled], steps: Sequence[Step], none: float
) -> list[Doubt]:
    """Whether energies follow forces of other frames; or, with a correlation below `none`, no forces."""
    moving = [s for s in steps if _has_force(structures, s)]
    own = _points(structures, moving)
    rest = own.change - own.virials
    if len(rest) < FEW or min(_size(rest), _size(own.forces)) < LEAST:
        return []
    if _size(own.virials) > 2 * _size(
        own.forces
    ):  # whose error may be as large as what is looked for
        return []
    fit, first = _correlation(own.forces, rest), (structures[own.steps[0].a].source,)
    for shift in (1, -1):
        other = _points(structures, own.steps, shift)
        theirs = other.change - other.virials
        left = _size(theirs - other.forces)
        clear = len(theirs) >= FEW and _correlation(other.forces, theirs) > OTHER
        if clear and left < BETTER * _size(rest - own.forces):
            return [Doubt("shifted", shift, first)]
    return [Doubt("unrelated", fit, first)] if len(rest) >= MANY and abs(fit) < none else []


def _size(x: np.ndarray) -> float:
    """Root mean square"""
    return float(np.sqrt(np.mean(x**2))) if len(x) else 0.0


def _has_force(structures: Sequence[Labelled], step: Step) -> bool:
    """Where both frames have forces that do something."""
    both = (structures[step.a].forces, structures[step.b].forces)
    return all(f is not None and f.any() for f in both)


def _virials(structures: Sequence[Labelled], steps: Sequence[Step]) -> list[Doubt]:
    own = _points(structures, [s for s in steps if s.strained and s.moved < STRAINED.near])
    y, (low, high) = own.change, STRAINED.slopes
    if len(y) < STRAINED.steps:
        return []
    if _size(own.forces) < 0.1 * _size(y):
        value = _clear(own.virials, y, STRAINED)
        if value is not None and not low <= value <= high:
            return [_virial_slope(structures, own.steps[0], value)]
    elif len(y) >= BOTH:
        by_forces, by_virials = _two_slopes(own)
        if by_virials is not None and not OF_VIRIALS[0] <= by_virials <= OF_VIRIALS[1]:
            return [_virial_slope(structures, own.steps[0], by_virials)]
        if by_forces is not None and not OF_FORCES[0] <= by_forces <= OF_FORCES[1]:
            return [_slope(structures, own.steps[0], by_forces)]
    return _voigt(structures, own) if len(y) >= BOTH else []


def _two_slopes(own: Points) -> list[float | None]:
    """dE over the work of forces and that of virials, together; None: not known well, or 1 does nearly as
    well"""
    a, y = np.stack([own.forces, own.virials], axis=1), own.change
    if not a.any(axis=0).all():
        return [None, None]
    c = np.linalg.lstsq(a, y, rcond=None)[0]
    left = float(np.linalg.norm(y - a @ c))
    error = left / np.sqrt(len(a) - 2) * np.sqrt(np.diag(np.linalg.pinv(a.T @ a)))
    out: list[float | None] = []
    for k, (value, own_error) in enumerate(zip(c, error, strict=True)):
        x, rest = a[:, 1 - k], y - a[:, k]
        with_one = float(np.linalg.norm(rest - x * (x @ rest) / (x @ x)))
        clear = own_error < KNOWN * abs(value) and left < BETTER * with_one
        out.append(float(value) if clear else None)
    return out


def _virial_slope(structures: Sequence[Labelled], step: Step, value: float) -> Doubt:
    first = structures[step.a]
    atoms, volume = len(first.atoms), float(first.atoms.cell.volume)
    known = {
        "energies per atom": 1 / atoms, "virials per atom": atoms, "virials per volume": volume,
        "stresses under the name of virials": -volume,
        "virials under the name of stresses": -1 / volume,
    }  # fmt: skip
    detail = " or ".join(what for what, slope in known.items() if _near(value, slope))
    return Doubt("virial_slope", value, (first.source,), detail)


def _voigt(structures: Sequence[Labelled], own: Points) -> list[Doubt]:
    """Whether the shear components stand in another order."""
    labels = [(structures[s.a].virial, structures[s.b].virial) for s in own.steps]
    mean = np.array([0.5 * (a + b) for a, b in labels if a is not None and b is not None])
    strain = np.array([s.strain for s in own.steps])
    y = own.change - own.forces
    diagonal = -np.einsum("sii,sii->s", mean, strain)
    place = (0, 1, 2)
    best, left = tuple(place), _size(y - own.virials)
    if left < 0.1 * _size(y):
        return []
    for order in permutations(range(3)):
        shear = sum(2 * strain[:, *SHEAR[k]] * mean[:, *SHEAR[n]] for k, n in enumerate(order))
        rest = _size(y - diagonal + shear)
        if rest < LEFT * left and _correlation(diagonal - shear, y) > OTHER:
            best, left = order, rest
    if best == place:
        return []
    truth = [NAMES[best.index(n)] for n in place]  # of what is read as yz xz xy
    return [Doubt("voigt", left, (structures[own.steps[0].a].source,), " ".join(truth))]
