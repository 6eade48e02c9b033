"""From the spread of a committee to the size of errors: what cross-validation has found of the two.

    sigma^2 = (spread * s)^2 + (misfit * f)^2

s: standard deviation of the members about the mean; it is large where the data leave the parameters open, and
shrinks with more data. f: size of the model's forces, which errors of the basis grow with, whatever the data:
root mean square of their components in the structure, and sqrt(N) times that for energy and virial of N atoms.

Two numbers for each kind of label, such that 68.3 % of the errors of structures that were left out are within sigma.
Bounds are multiples of sigma that held so many of these errors, without a word on how they are distributed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from etace.errors import RequestError

LEVELS = (0.683, 0.9, 0.954, 0.99, 0.997)  # probabilities that there are bounds of
NORMAL = (1.0, 1.645, 2.0, 2.576, 3.0)  # the same of errors as of a normal distribution, rounded


@dataclass(frozen=True)
class Scale:
    """Of one kind of label. spread, misfit: see above; energies and virials in eV, forces in eV/Å
    bounds: multiples of sigma, of `LEVELS`; infinite: of more errors than there were; count: of errors"""

    spread: float
    misfit: float
    bounds: tuple[float, ...]
    count: int

    def sigma(self, s: Any, f: float) -> np.ndarray:
        """s: standard deviations of the members; f: of the forces, as above"""
        found: np.ndarray = np.hypot(self.spread * np.asarray(s), self.misfit * f)
        return found


@dataclass(frozen=True)
class Calibration:
    """scales: of energy, forces and virial, those there were labels of; folds, structures: of the cross-validation"""

    scales: Mapping[str, Scale] = field(default_factory=dict)
    folds: int = 0
    structures: int = 0

    def sigma(self, kind: str, s: Any, forces: np.ndarray) -> np.ndarray:
        """s: standard deviations of the members; forces: [N, 3], of the model, eV/Å

        A kind that had no labels takes the largest `spread` of the others, or s as it is where there are none.
        """
        if kind not in self.scales:
            return max((own.spread for own in self.scales.values()), default=1.0) * np.asarray(s)
        size = excitation(forces)
        return self.scales[kind].sigma(
            s, size if kind == "forces" else size * math.sqrt(len(forces))
        )

    def bound(self, kind: str, probability: float) -> float:
        """The multiple of sigma that bounds errors with this probability. Raises RequestError: none of `LEVELS`."""
        if probability not in LEVELS:
            raise RequestError(
                f"there are bounds of probability {', '.join(map(str, LEVELS))}, not {probability}"
            )
        own = self.scales.get(kind)
        return (NORMAL if own is None else own.bounds)[LEVELS.index(probability)]

    @property
    def grown(self) -> float:
        """What `spread` of a scale is over that of the folds: the posterior of all data is narrower by that."""
        return math.sqrt(self.folds / (self.folds - 1)) if self.folds > 1 else 1.0

    def as_json(self) -> dict[str, Any]:
        scales = {
            kind: {
                "spread": s.spread,
                "misfit": s.misfit,
                "bounds": [b if math.isfinite(b) else None for b in s.bounds],
                "count": s.count,
            }
            for kind, s in self.scales.items()
        }
        return {"scales": scales, "folds": self.folds, "structures": self.structures}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Calibration:
        """The inverse of `as_json`, which `io.schema` has checked."""
        scales = {
            kind: Scale(
                float(s["spread"]),
                float(s["misfit"]),
                tuple(math.inf if b is None else float(b) for b in s["bounds"]),
                int(s["count"]),
            )
            for kind, s in found["scales"].items()
        }
        return cls(scales, int(found["folds"]), int(found["structures"]))


RAW = Calibration()  # of a committee that nobody calibrated


def excitation(forces: np.ndarray) -> float:
    """Root mean square of the components of forces, eV/Å."""
    return float(np.sqrt(np.mean(np.square(forces)))) if len(forces) else 0.0
