"""Whether a committee's spread tells the size of errors: coverage on a test set, and a scale that mends it.

A posterior's spread is the uncertainty of the parameters alone; what no parameters could describe is not in it, so
the errors are usually larger. The scale is that at which 68.3 % of the errors are within one standard deviation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import erfinv

ONE, TWO = 0.6827, 0.9545  # of a normal distribution
NOMINAL = np.linspace(0.05, 0.95, 19)
UNSURE = 0.10  # a coverage this far from the nominal one is called off


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
    def off(self) -> bool:
        return abs(self.one - ONE) > UNSURE or abs(self.two - TWO) > UNSURE

    def __str__(self) -> str:
        verdict = "as it should be"
        if abs(self.one - ONE) > UNSURE:
            verdict = f"off: spread should be {self.scale:.3g} times this"
        elif self.off:
            verdict = "off: errors have longer tails than a normal distribution"
        return (
            f"{self.kind}: {100 * self.one:.0f} % within 1 sd (68 % expected), "
            f"{100 * self.two:.0f} % within 2 (95 %): {verdict}"
        )


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
