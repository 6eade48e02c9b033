"""Tikhonov: min |A c - y|^2 + lambda^2 |c|^2, the solver `qr`."""

from __future__ import annotations

import numpy as np

from etace.fit.factors import System
from etace.fit.solve import Solution
from etace.fit.solvers.figures import figures


def tikhonov(
    system: System, validation: System | None = None, *, lambda_: float = 0.0, rtol: float = 1e-13
) -> Solution:
    """lambda_ = 0: the shortest of all least-squares solutions; singular values below rtol times the
    largest count as 0 there, so dependent columns do no harm.

    By the SVD of R, equal to QR of R with rows lambda I below it, and exact for lambda = 0 too.
    """
    U, s, Vt = np.linalg.svd(system.R, full_matrices=False)
    keep = s > rtol * s.max(initial=0.0)
    U, kept, Vt = U[:, keep], s[keep], Vt[keep]
    c = Vt.T @ (kept / (kept**2 + lambda_**2) * (U.T @ system.z))
    notes = {"rank": float(keep.sum()), **figures(system, c, validation)}
    return Solution(c, None, notes)
