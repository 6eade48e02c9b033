"""Whether the standard deviations of a committee tell the size of errors: coverage on structures with labels.

A posterior's spread is the uncertainty of the parameters alone; what no parameters could describe is not in it, so
the errors are usually larger. `fit.scales` finds by cross-validation what they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import erfinv

from etace.committee import CommitteeResult
from etace.fit.crossvalidation import Held
from etace.fit.factors import KINDS
from etace.fit.scales import errors, free
from etace.inference.form import VOIGT
from etace.searched import in_order
from etace.uncertainty import LEVELS, Calibration

ONE, TWO, THREE = 0.6827, 0.9545, 0.9973  # of a normal distribution
NOMINAL = np.linspace(0.05, 0.95, 19)
UNSURE = 0.10  # a coverage this far from the nominal one is called off
TAIL = 0.05  # enough within 2 sd, of so many errors that it is no chance
HELD = "cross-validation"  # the structures that were left out
SIGMAS = 3  # of the chance in a count, that are no reason to call it off


@dataclass(frozen=True)
class Coverage:
    """Of one kind. one, two, three: fraction of errors within 1, 2 and 3 standard deviations
    scale: by which these would have to be multiplied for `one` to be 68.3 %
    curve: fraction within the intervals of probability `nominal`; bound: within the bound of 95.4 %
    of: which structures, such as `test set`; count: of errors, those fixed by symmetry left out"""

    kind: str
    count: int
    one: float
    two: float
    three: float
    scale: float
    curve: tuple[float, ...]
    bound: float | None = None
    of: str = ""

    @property
    def nominal(self) -> np.ndarray:
        return NOMINAL

    @property
    def verdict(self) -> str:
        if not self.count:
            return "no label to judge by"
        if self._far(self.one, ONE, UNSURE):
            return f"off: spread should be {self.scale:.3g} times this"
        if self.off:
            return "off: errors have longer tails than a normal distribution"
        return "as it should be"

    @property
    def off(self) -> bool:
        scatter = SIGMAS * self.chance(TWO)
        return self._far(self.one, ONE, UNSURE) or abs(self.two - TWO) > min(
            UNSURE, max(TAIL, scatter)
        )

    def as_json(self) -> dict[str, Any]:
        """Without the curve."""
        own = {k: v for k, v in asdict(self).items() if k != "curve"}
        return own if self.count else {"kind": self.kind, "of": self.of, "count": 0}

    def chance(self, p: float) -> float:
        """Standard error of a fraction p of so many errors, were they independent."""
        return math.sqrt(p * (1 - p) / max(self.count, 1))

    def _far(self, found: float, p: float, least: float) -> bool:
        return abs(found - p) > max(least, SIGMAS * self.chance(p))

    def __str__(self) -> str:
        where = f"{self.kind}, {self.of}" if self.of else self.kind
        if not self.count:
            return f"{where}: {self.verdict}"
        shown = (
            f"{where}: {100 * self.one:.0f} % within 1 sd (68 % expected), {100 * self.two:.0f} % within 2 "
            f"(95 %), {100 * self.three:.1f} % within 3 (99.7 %)"
        )
        if self.bound is not None:
            shown += f", {100 * self.bound:.0f} % within the 95 % bound"
        return f"{shown}: {self.verdict}"


def judge(model: Any, structures: Sequence[Any], of: str = "") -> list[Coverage]:
    """Coverage by the model's committee, of each kind that has labels; structures: `etace.data.Labelled`"""
    found: dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]] = {k: [] for k in KINDS}
    order = in_order([s.atoms for s in structures], model.batches)
    results = model.committee_many([structures[k].atoms for k in order])
    for s, r in zip((structures[k] for k in order), results, strict=True):
        for kind in KINDS:
            if getattr(s, kind) is not None:
                found[kind].append(_beside(kind, s, r))
    calibration = model.calibration
    return [
        coverage(
            kind, *(list(x) for x in zip(*own, strict=True)),
            bound=calibration.bound(kind, 0.954) if kind in calibration.scales else None, of=of,
        )
        for kind, own in found.items() if own
    ]  # fmt: skip


def judge_held(held: Sequence[Held | None], calibration: Calibration) -> list[Coverage]:
    """The same of the structures that were left out, by the committees of their folds. Within 1 standard deviation
    are 68 to 71 % by construction."""
    own = [h for h in held if h is not None and h.spread is not None]
    out = []
    for kind, scale in calibration.scales.items():
        x = errors(kind, own)
        sigma = np.hypot(scale.spread / calibration.grown * x.s, scale.misfit * x.f)
        out.append(
            coverage(
                kind,
                [x.e],
                [sigma],
                [x.s],
                bound=scale.bounds[LEVELS.index(0.954)],
                of=HELD,
            )
        )
    return out


def _beside(kind: str, s: Any, r: CommitteeResult) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(errors, standard deviations, spreads) [n] of one structure."""
    gap, sigma, spread = getattr(r, kind) - getattr(s, kind), getattr(r, f"{kind}_std"), r.spread
    every = (np.atleast_1d(x) for x in (gap, sigma, getattr(spread, kind)))
    if kind == "virial":
        every = (np.array([x[a, b] for a, b in VOIGT]) for x in every)
    error, std, own = (np.ravel(x) for x in every)
    return error, std, own


def coverage(
    kind: str,
    errors: Sequence[np.ndarray],
    stds: Sequence[np.ndarray],
    spreads: Sequence[np.ndarray] | None = None,
    *,
    bound: float | None = None,
    of: str = "",
) -> Coverage:
    """errors, stds: pieces of any shape, the same unit; spreads: of the members, which are 0 where symmetry fixes
    an error (these are left out); default: stds. bound: that of 95.4 %, in standard deviations"""
    e = np.abs(np.concatenate([np.ravel(x) for x in errors]))
    s = np.concatenate([np.ravel(x) for x in stds])
    own = s if spreads is None else np.concatenate([np.ravel(x) for x in spreads])
    kept = free(own) & (s > 0)
    e, s = e[kept], s[kept]
    if not len(e):
        nothing = float("nan")
        return Coverage(
            kind, 0, nothing, nothing, nothing, 1.0, (nothing,) * len(NOMINAL), None, of
        )
    ratio = e / s
    scale = float(np.quantile(ratio, ONE))
    curve = tuple(float(np.mean(ratio <= k)) for k in math.sqrt(2) * erfinv(NOMINAL))
    one, two, three = (float(np.mean(ratio <= k)) for k in (1, 2, 3))
    within = None if bound is None else float(np.mean(ratio <= bound))
    return Coverage(kind, len(e), one, two, three, scale, curve, within, of)


def rescaled(mean: np.ndarray, members: np.ndarray, scale: float) -> np.ndarray:
    """Members with their distance from the mean scaled: [M, P]."""
    out: np.ndarray = mean + scale * (members - mean)
    return out
