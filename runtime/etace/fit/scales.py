"""A committee's calibration (`etace.uncertainty`), from structures that were left out.

For each kind of label the two numbers of sigma^2 = (spread * s)^2 + (misfit * f)^2 have the greatest likelihood under
Student's t of 4 degrees of freedom: a few large errors do not set the scale of all. Then both are multiplied so that
68.3 % of the errors are within sigma; where their tails are longer than those of a normal distribution, by up to `WIDER`
more, so that 1, 2 and 3 sigma are all nearly right. At last `spread` takes sqrt(K / (K - 1)): with the K-th fold the posterior
narrows by that, but not the errors, which no posterior of these parameters holds.

Bounds are split-conformal: of n errors over sigma the one of rank ceil((n + 1) p), so that a new one of the same
kind is within it with probability p at least; infinite where the rank is beyond n.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from etace.fit.crossvalidation import Held
from etace.fit.factors import KINDS
from etace.inference.form import VOIGT
from etace.uncertainty import LEVELS, Calibration, Scale

TAILS = 4  # degrees of freedom
FEW = 20  # errors that two numbers are found of, at least; of fewer one
MANY = 20_000  # that the likelihood is made of, at most
WIDER = 1.05  # takes 2 % of the errors into 1 sigma, and 1 % into 2
ROUNDING = 1e-6  # of the usual spread: a component with less is fixed by symmetry
FLOOR = 0.01  # of the usual error: what is smaller counts as this


@dataclass(frozen=True, eq=False)
class Errors:
    """Of one kind: sizes of errors, spreads beside them, sizes of forces (`etace.uncertainty`): [n] each."""

    e: np.ndarray
    s: np.ndarray
    f: np.ndarray


def calibrated(held: Sequence[Held | None], folds: Sequence[int]) -> Calibration:
    """held: as of `heldout` with members; folds: of the structures"""
    own = [h for h in held if h is not None and h.spread is not None]
    count = len({k for k, h in zip(folds, held, strict=True) if h is not None})
    if count < 2:
        return Calibration()
    grow = Calibration(folds=count).grown
    found = {kind: errors(kind, own) for kind in KINDS}
    scales = {kind: scale(x, grow) for kind, x in found.items() if len(x.e)}
    return Calibration(scales, count, len(own))


def errors(kind: str, held: Iterable[Held]) -> Errors:
    """Without components that symmetry fixes: they have no error and no spread."""
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for h in held:
        c, spread = h.found, h.spread
        pair = getattr(c, kind)
        if pair is None or spread is None or spread.forces is None or spread.virial is None:
            continue
        size = math.sqrt(c.atoms) * h.excitation
        if kind == "energy":
            e, s = c.atoms * np.atleast_1d(pair[1] - pair[0]), np.atleast_1d(spread.energy)
        elif kind == "forces":
            e, s, size = (pair[1] - pair[0]).ravel(), spread.forces.ravel(), h.excitation
        else:
            e = c.atoms * (pair[1] - pair[0])
            s = np.array([spread.virial[a, b] for a, b in VOIGT])
        parts.append((np.abs(e), s, np.full(len(e), size)))
    if not parts:
        return Errors(*(np.zeros(0) for _ in range(3)))
    found = Errors(*(np.concatenate(x) for x in zip(*parts, strict=True)))
    kept = free(found.s) & np.isfinite(found.e)
    return Errors(found.e[kept], found.s[kept], found.f[kept])


def free(spreads: np.ndarray) -> np.ndarray:
    """Which of the spreads are more than rounding."""
    usual = np.sqrt(np.mean(np.square(spreads))) if len(spreads) else 0.0
    found: np.ndarray = spreads > ROUNDING * usual
    return found


def scale(x: Errors, grow: float) -> Scale:
    """grow: what the spread takes at last"""
    a, b = _likeliest(x) if len(x.e) >= FEW else (1.0, 0.0)
    ratio = np.sort(x.e / np.hypot(a * x.s, b * x.f))
    one = min(_rank(len(ratio), LEVELS[0]), len(ratio))
    q = max(float(ratio[one - 1]), np.finfo(float).tiny)
    if (two := _rank(len(ratio), LEVELS[2])) <= len(ratio):
        q *= float(np.clip(math.sqrt(ratio[two - 1] / (2 * q)), 1, WIDER))
    bounds = (
        float(ratio[k - 1]) / q if (k := _rank(len(ratio), p)) <= len(ratio) else math.inf
        for p in LEVELS
    )  # fmt: skip
    return Scale(grow * q * a, q * b, tuple(bounds), len(ratio))


def _rank(n: int, p: float) -> int:
    return math.ceil((n + 1) * p)


def _likeliest(x: Errors) -> tuple[float, float]:
    step = -(-len(x.e) // MANY)
    e, s, f = (v[::step] for v in (x.e, x.s, x.f))
    floor = max(FLOOR * float(np.median(e)), np.finfo(float).tiny)
    # in units of the usual sizes
    unit_s, unit_f = (float(np.median(e) / m) if (m := np.median(v)) > 0 else 1.0 for v in (s, f))
    unit_s, unit_f = max(unit_s, 1e-100), max(unit_f, 1e-100)

    def loss(logs: np.ndarray) -> float:
        a, b = np.exp(np.clip(logs, -30, 30))
        sigma = np.sqrt((a * unit_s * s) ** 2 + (b * unit_f * f) ** 2 + floor**2)
        t = np.log1p(np.square(e / sigma) / TAILS)
        return float(np.mean(np.log(sigma) + 0.5 * (TAILS + 1) * t))

    tries = [minimize(loss, start, method="Nelder-Mead") for start in ((0.0, -3.0), (-3.0, 0.0))]
    best = min(tries, key=lambda found: float(found.fun))
    a, b = np.exp(np.clip(best.x, -30, 30))
    return float(a * unit_s), float(b * unit_f)
