"""Whether a committee's spread tells the size of errors: coverage on a test set, and a scale that mends it.

A posterior's spread is the uncertainty of the parameters alone; what no parameters could describe is not in it, so
the errors are usually larger. The scale is that at which 68.3 % of the errors are within one standard deviation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import erfinv

from etace.searched import in_order

ONE, TWO = 0.6827, 0.9545  # of a normal distribution
NOMINAL = np.linspace(0.05, 0.95, 19)
UNSURE = 0.10  # a coverage this far from the nominal one is called off
TAIL = 0.05  # enough within 2 sd, of so many errors that it is no chance


@dataclass(frozen=True)
class Coverage:
    """Of one kind. one, two: fraction of errors within 1 and 2 standard deviations; scale: see above
    curve: fraction within the intervals of probability `nominal`"""

    kind: str
    count: int
    one: float
    two: float
    scale: float
    curve: tuple[float, ...]

    @property
    def nominal(self) -> np.ndarray:
        return NOMINAL

    @property
    def verdict(self) -> str:
        if abs(self.one - ONE) > UNSURE:
            return f"off: spread should be {self.scale:.3g} times this"
        if self.off:
            return "off: errors have longer tails than a normal distribution"
        return "as it should be"

    @property
    def off(self) -> bool:
        scatter = 3 * math.sqrt(TWO * (1 - TWO) / max(self.count, 1))
        return abs(self.one - ONE) > UNSURE or abs(self.two - TWO) > min(UNSURE, max(TAIL, scatter))

    def __str__(self) -> str:
        return (
            f"{self.kind}: {100 * self.one:.0f} % within 1 sd (68 % expected), "
            f"{100 * self.two:.0f} % within 2 (95 %): {self.verdict}"
        )


def judge(model: Any, structures: Sequence[Any]) -> list[Coverage]:
    """Coverage of energies and forces by the spread of the model's committee; structures: `etace.data.Labelled`"""
    order = in_order([s.atoms for s in structures], model.batches)
    found = model.committee_many([structures[k].atoms for k in order])
    pairs = [(structures[k], r) for k, r in zip(order, found, strict=True)]
    out = []
    for kind in ("energy", "forces"):
        own = [(s, r) for s, r in pairs if getattr(s, kind) is not None]
        if own:
            errors = [np.atleast_1d(getattr(r, kind) - getattr(s, kind)) for s, r in own]
            spreads = [np.atleast_1d(getattr(r, f"{kind}_std")) for _, r in own]
            out.append(coverage(kind, errors, spreads))
    return out


def coverage(kind: str, errors: Sequence[np.ndarray], spreads: Sequence[np.ndarray]) -> Coverage:
    """errors, spreads: pieces of any shape, the same unit; spreads of 0 (by symmetry) are left out."""
    e = np.abs(np.concatenate([np.ravel(x) for x in errors]))
    s = np.concatenate([np.ravel(x) for x in spreads])
    e, s = e[s > 0], s[s > 0]
    if not len(e):
        nothing = float("nan")
        return Coverage(kind, 0, nothing, nothing, 1.0, (nothing,) * len(NOMINAL))
    ratio = e / s
    scale = float(np.quantile(ratio, ONE))
    curve = tuple(float(np.mean(ratio <= k)) for k in math.sqrt(2) * erfinv(NOMINAL))
    within = float(np.mean(ratio <= 1)), float(np.mean(ratio <= 2))
    return Coverage(kind, len(e), *within, scale, curve)


def rescaled(mean: np.ndarray, members: np.ndarray, scale: float) -> np.ndarray:
    """Members with their distance from the mean scaled: [M, P]."""
    out: np.ndarray = mean + scale * (members - mean)
    return out
