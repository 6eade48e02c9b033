"""Automatic relevance determination: a prior scale for every column, by evidence.

y = A c + noise of precision b, c_i of precision a_i. With S = (b A^T A + diag a)^-1 and m = b S A^T y
the evidence is stationary where

    g_i = 1 - a_i S_ii,    a_i = g_i / m_i^2,    b = (rows - sum g) / |A m - y|^2

(MacKay 1992; Tipping 2001; the updates of scikit-learn's ARDRegression without its hyperpriors). They
are iterated from the solution of `blr`. Columns whose a_i grows beyond a threshold are left out for
good: their coefficients are exactly 0. All of it needs A^T A = R^T R, A^T y = R^T z, rows and rest only.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from etace.fit.factors import System
from etace.fit.posterior import Matrix
from etace.fit.solve import FLOOR, Solution, evidence
from etace.fit.solvers.figures import figures


def ard(
    system: System,
    validation: System | None = None,
    *,
    threshold: float = 1e4,
    tol: float = 1e-3,
    maxiter: int = 300,
) -> Solution:
    """threshold: a column is left out when its prior variance is this many times smaller than the
    common one of `blr`; tol: stop when a step moves the predictions by less than this part of the
    residual. The posterior has a root; columns left out have none."""
    P = system.R.shape[1]
    first = evidence(system)
    if "noise" not in first.notes:  # no column, or none that is not 0
        return first
    start = first.notes["prior scale"] ** -2
    own, a = np.arange(P), np.full(P, start)
    b = first.notes["noise"] ** -2
    R, z, rest = system.R, system.z, system.rest
    before = R @ first.c
    steps, moved = 0, np.inf
    sharpest = 1 / max(FLOOR * system.norm / system.rows, np.finfo(float).tiny)
    while True:
        m, root = _posterior(R, z, a, b)
        now = R @ m
        loss = float(np.sum((now - z) ** 2)) + rest
        moved = float(np.linalg.norm(now - before))
        if steps == maxiter or (steps > 0 and moved <= tol * np.sqrt(loss)):
            break
        before, steps = now, steps + 1
        g = np.clip(1 - a * np.sum(root * root, axis=1), 0.0, 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            a = np.where(g > 0, g / (m * m), np.inf)
        b = min(max(system.rows - float(g.sum()), 1.0) / loss if loss > 0 else np.inf, sharpest)
        kept = a <= threshold * start
        R, a, own = R[:, kept], a[kept], own[kept]
    c, whole_root = np.zeros(P), np.zeros((P, len(own)))
    c[own], whole_root[own] = m, root
    notes = {
        "noise": b**-0.5,
        "iterations": float(steps),
        "converged": float(moved <= tol * np.sqrt(loss)),
        "log evidence": _log_evidence(R, m, a, b, root, loss, system.rows),
    }
    return Solution(c, Matrix(whole_root), {**notes, **figures(system, c, validation)})


def _posterior(
    R: np.ndarray, z: np.ndarray, a: np.ndarray, b: float
) -> tuple[np.ndarray, np.ndarray]:
    """(mean, root of the covariance), by QR: forming R^T R would square the condition number."""
    if not len(a):
        return np.zeros(0), np.zeros((0, 0))
    stacked = np.concatenate([np.sqrt(b) * R / np.sqrt(a), np.eye(len(a))])
    Q, T = np.linalg.qr(stacked)
    mean = solve_triangular(T, Q[: len(R)].T @ (np.sqrt(b) * z)) / np.sqrt(a)
    root = solve_triangular(T, np.eye(len(a))) / np.sqrt(a)[:, None]
    return mean, root


def _log_evidence(
    R: np.ndarray, m: np.ndarray, a: np.ndarray, b: float, root: np.ndarray, loss: float, rows: int
) -> float:
    """log p(y), comparable with that of `blr`."""
    half = float(np.sum(np.log(np.abs(np.diag(root))))) if len(m) else 0.0
    fit = b * loss + float(np.sum(a * m * m))
    return -0.5 * (fit - float(np.sum(np.log(a))) - rows * np.log(b / (2 * np.pi))) + half
