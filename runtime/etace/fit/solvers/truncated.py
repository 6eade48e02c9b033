"""Truncated SVD: least squares on the leading singular vectors."""

from __future__ import annotations

import numpy as np

from etace.fit.factors import System
from etace.fit.solve import Solution
from etace.fit.solvers.figures import figures

EPS = 1e-15  # singular values below this times the largest are noise


def tsvd(
    system: System, validation: System | None = None, *, rtol: float | None = None
) -> Solution:
    """rtol: singular values below it times the largest are left out.

    Without one: as many as predict the validation rows best, or 1e-9 where there are none.
    """
    U, s, Vt = np.linalg.svd(system.R, full_matrices=False)
    n = int((s > EPS * s.max(initial=0.0)).sum())
    weights = (U[:, :n].T @ system.z) / s[:n]
    if rtol is None and validation is not None:
        steps = np.cumsum((validation.R @ Vt[:n].T) * weights, axis=1) - validation.z[:, None]
        found = np.sum(np.concatenate([-validation.z[:, None], steps], axis=1) ** 2, axis=0)
        n = int(np.argmin(found))
    else:
        n = int((s[:n] > (1e-9 if rtol is None else rtol) * s.max(initial=0.0)).sum())
    c = Vt[:n].T @ weights[:n]
    cut = {"rank": float(n), "rtol": float(s[n - 1] / s[0]) if n else 1.0}
    return Solution(c, None, {**cut, **figures(system, c, validation)})
