"""Figures that every solver tells."""

from __future__ import annotations

import numpy as np

from etace.fit.factors import System


def figures(system: System, c: np.ndarray, validation: System | None = None) -> dict[str, float]:
    """Root mean squares of the weighted residuals, and how many coefficients are not 0."""
    out = {"residual": rms(system, c), "nonzero": float(np.count_nonzero(c))}
    if validation is not None:
        out["validation residual"] = rms(validation, c)
    return out


def rms(system: System, c: np.ndarray) -> float:
    return float(np.sqrt(system.loss(c) / max(system.rows, 1)))


def losses(system: System, C: np.ndarray) -> np.ndarray:
    """|A c - y|^2 for every row of C: [k]. C: [k, P]"""
    d = C @ system.R.T - system.z
    found: np.ndarray = np.sum(d * d, axis=1) + system.rest
    return found
