"""Whether transforms and envelopes are finite, real and without kinks at every distance that occurs.

A transform is asked of r between rin (or a thousandth of rcut) and rcut, an envelope of y between the
values of the transform there, an envelope of r down to that thousandth. What happens at rcut, at rin and
for r -> 0 is said by `smoothness.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

import numpy as np

from etacec.diagnostics import Report
from etacec.formula.contact import at_bond
from etacec.formula.curves import ENVELOPES, TRANSFORMS
from etacec.formula.finite import Place, places
from etacec.formula.nodes import Fn, Node, Op, evaluate, exact
from etacec.formula.work import Work
from etacec.model.spec import BondLengths, Curve, Radial, Spec

FORMULAS = 5_000_000  # steps for the formulas of a file
GRID = 400  # distances at which a formula is evaluated besides
CLOSEST = Fraction(1, 1000)  # of rcut: what is below counts as r -> 0
LARGEST = 1e150  # of a part: slopes hold squares of it
_HAIR = 1e-9  # of the range of y: by how much it is uncertain

_MESSAGES = {
    "not real": ("E410", "the {what} of `{name}` is not a finite number at {at}"),
    "infinite": ("E410", "the {what} of `{name}` is not a finite number at {at}"),
    "0/0": ("W609", "the {what} of `{name}` cannot be computed at {at}"),
    "undecided": ("W607", "cannot decide whether the {what} of `{name}` is finite and smooth near {at}"),
    "kink": ("W608", "the {what} of `{name}` has a kink at {at}: forces jump"),
}  # fmt: skip


def check_curves(spec: Spec, radial: Radial, work: Work, report: Report) -> None:
    """Finite at all distances; y within [-1, 1], where the polynomials are meant to live.

    work: of the file; what it does not suffice for is left open, with a warning.
    """
    low = high = 0.0
    said: set[tuple[str, str]] = set()
    for bond, names in bonds_alike(spec):
        lengths = {k: getattr(bond, k) for k in ("rin", "r0", "rcut")}
        t = at_bond(radial.transform.formula, lengths)
        e = at_bond(radial.envelope.formula, lengths)
        closest = CLOSEST * bond.rcut
        first = max(bond.rin, closest)
        r = np.linspace(float(first), float(bond.rcut), GRID + 1)[:-1]
        y = _values(t, {"r": r}, r)

        def tell(what: str, found: Place, at: float, names: tuple[str, ...] = names) -> None:
            code, message = _MESSAGES[found.kind]
            if (what, code) not in said:
                said.add((what, code))
                where = f"r = {at:.3g} Å of bond {names[0]}"
                message = message.format(what=what, name=radial.name, at=where)
                report.add(code, message, radial.span, help=found.why)

        for found in _asked(radial.transform, TRANSFORMS, t, first, bond.rcut, work):
            tell("transform", found, found.at)
        if ("transform", "E410") in said or not _finite("transform", y, r, names, radial, report):
            return
        if radial.envelope.argument == "r":
            distances = np.linspace(float(closest), float(bond.rcut), GRID + 1)[:-1]
            values = _values(e, {"r": distances}, r)
            for found in _asked(radial.envelope, ENVELOPES, e, closest, bond.rcut, work):
                tell("envelope", found, found.at)
        else:
            distances, values = r, _values(e, {"y": y}, r)
            least, most = _range(radial.transform, t, y, r, (first, bond.rcut))
            for found in _asked(radial.envelope, ENVELOPES, e, least, most, work):
                tell("envelope", found, _distance(t, found.at, y, r))
        if ("envelope", "E410") in said or not _finite(
            "envelope", values, distances, names, radial, report
        ):
            return
        low, high = min(low, float(y.min())), max(high, float(y.max()))
    if low < -1 - 1e-9 or high > 1 + 1e-9:
        report.add(
            "W605", f"the transform of `{radial.name}` runs from {low:.3g} to {high:.3g}", radial.span,
            help="polynomials are tame on [-1, 1] only",
        )  # fmt: skip


def bonds_alike(spec: Spec) -> list[tuple[BondLengths, tuple[str, ...]]]:
    """Bonds by their lengths: (one of them, the names of all)."""
    groups: dict[tuple[Fraction, ...], tuple[BondLengths, list[str]]] = {}
    for name, bond in zip(spec.bond_names(), spec.bonds, strict=True):
        key = (bond.rin, bond.r0, bond.rcut)
        groups.setdefault(key, (bond, []))[1].append(name)
    return [(bond, tuple(names)) for bond, names in groups.values()]


def _asked(
    curve: Curve,
    named: Mapping[str, object],
    formula: Node,
    low: Fraction,
    high: Fraction,
    work: Work,
) -> tuple[Place, ...]:
    """Places of a formula of the file; those of named curves are known to be none."""
    if curve.text.split("(")[0] in named or low >= high:
        return ()
    if work.spent > work.limit:
        return (
            Place(
                "undecided", float(low + high) / 2, "the formulas of this file take too much work"
            ),
        )
    found, steps = places(formula, low, high)
    work.spent += steps
    return found


def _values(formula: Node, at: Mapping[str, np.ndarray], r: np.ndarray) -> np.ndarray:
    """[GRID]; NaN where an exponential or power in it is too large for slopes, though what it becomes is not."""
    out = np.array(np.broadcast_to(evaluate(formula, at), r.shape))

    def note(part: Node, value: np.ndarray) -> None:
        if isinstance(part, Op) or (isinstance(part, Fn) and part.name == "exp"):
            out[np.broadcast_to(np.abs(value) > LARGEST, r.shape)] = np.nan

    evaluate(formula, at, note)
    return out


def _finite(
    what: str,
    values: np.ndarray,
    r: np.ndarray,
    names: tuple[str, ...],
    radial: Radial,
    report: Report,
) -> bool:
    """Whether the numbers on the grid are: exponentials may be too large without a pole."""
    bad = ~np.isfinite(values)
    if bad.any():
        at = f"r = {r[bad][0]:.3g} Å of bond {names[0]}"
        message = f"the {what} of `{radial.name}` is not a finite number at {at}"
        help = f"it, or an exponential or power in it, is above {LARGEST:g} or no number there"
        report.add("E410", message, radial.span, help=help)
    return not bad.any()


def _range(
    curve: Curve, formula: Node, y: np.ndarray, r: np.ndarray, ends_of_r: tuple[Fraction, Fraction]
) -> tuple[Fraction, Fraction]:
    """The open interval of y: values that it takes at the very ends of r are not inside."""
    if curve.text.split("(")[0] in TRANSFORMS:
        return Fraction(-1), Fraction(1)
    ends = [exact(formula, {"r": x}) for x in ends_of_r]
    if ends[-1] is None:
        at_cutoff = float(evaluate(formula, {"r": float(ends_of_r[1])}))
        y = np.append(y, at_cutoff) if np.isfinite(at_cutoff) else y
    hair = _HAIR * (float(y.max() - y.min()) + 1e-12)
    out = []
    for sign, k in ((-1.0, int(y.argmin())), (1.0, int(y.argmax()))):
        extreme = float(y[k])
        inside = 0 < k < GRID - 1
        if inside:
            near = np.linspace(r[k - 1], r[min(k + 1, GRID - 1)], 10 * GRID)
            extreme = sign * float(np.max(sign * evaluate(formula, {"r": near})))
        known = [x for x in ends if x is not None and sign * (float(x) - extreme) >= -hair]
        if known and not inside:
            out.append(max(known, key=lambda x: sign * x))
        else:
            out.append(Fraction(extreme + (hair if inside else -hair) * sign))
    return out[0], out[1]


def _distance(formula: Node, wanted: float, y: np.ndarray, r: np.ndarray) -> float:
    """A distance at which y is `wanted`."""

    def above(x: float) -> bool:
        return bool(evaluate(formula, {"r": x}) > wanted)

    crossing = np.flatnonzero((y[:-1] > wanted) != (y[1:] > wanted))
    if not len(crossing):
        return float(r[int(np.abs(y - wanted).argmin())])
    low, high = float(r[crossing[0]]), float(r[crossing[0] + 1])
    return _halved(above, low, high)


def _halved(above: Callable[[float], bool], low: float, high: float) -> float:
    at_low = above(low)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if above(middle) == at_low else (low, middle)
    return (low + high) / 2
