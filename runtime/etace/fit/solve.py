"""Bayesian linear regression by evidence, on the R factor.

y = A c + noise of variance ve, c' = gamma c of variance v0: the posterior mean minimises
|A c - y|^2 / ve + |c'|^2 / v0. Both variances maximise the evidence (MacKay 1992; the objective of
ACEfit.jl): with the singular values s of R = U S V^T (gamma is in it) and b = U^T z,

    log p(y) = -1/2 [ sum b_i^2 / (v0 s_i^2 + ve) + rest / ve
                      + sum log(v0 s_i^2 + ve) + (rows - r) log ve + rows log 2 pi ].

With ve = q v0 the best v0 for a given q is known, so what is searched is a curve of one variable: on a
grid first, so that the best of several maxima is found, and the same one every time. With one of the
two variances given, q alone gives the other.

No singular vector is made: s and b come from `triangle.spectrum`, and with T of the QR of [R; sqrt(q) I]
the mean solves a triangular system, and sqrt(ve) T^-1 is a root of the covariance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from etace.fit.factors import System
from etace.fit.posterior import Posterior, Triangular
from etace.fit.triangle import absorb_diagonal, spectrum

AT_ONCE = 1 << 18  # numbers
STEPS = 256  # of log q, for each factor e: the evidence is flat, and finer digits of its maximum are rounding
FLOOR = 1e-20  # of the noise, relative to the mean square of the labels: noiseless data have none


@dataclass(frozen=True, eq=False)
class Path:
    """Solutions with more and more coefficients that are not 0.

    c: [k, P]; sizes: [k], how many are not 0; train, validation: [k], root mean squares of the
    weighted residuals; chosen: place of the one that was taken
    """

    c: np.ndarray
    sizes: np.ndarray
    train: np.ndarray
    validation: np.ndarray | None
    chosen: int


@dataclass(frozen=True, eq=False)
class Solution:
    """c: [P]; posterior: about it, or None; notes: figures for people, by name; path: of a sparse solver, else None"""

    c: np.ndarray
    posterior: Posterior | None
    notes: dict[str, float]
    path: Path | None = None

    @property
    def root(self) -> np.ndarray | None:
        """[P, r], whose product with its transpose is the posterior covariance."""
        return None if self.posterior is None else self.posterior.root


def evidence(
    system: System,
    validation: System | None = None,
    *,
    noise: float | None = None,
    prior_scale: float | None = None,
) -> Solution:
    """Mean and covariance in the unknowns of the system (already scaled by the prior).

    noise, prior_scale: standard deviations sqrt(ve), sqrt(v0); None: by evidence. Weighted rows have
    noise 1 times `noise`. The validation rows are not looked at.
    """
    rows, own = system.rows, system.beside()
    P = len(own)
    s, b = spectrum(own[:, :P], own[:, P])
    r = int((s > s.max(initial=0.0) * np.finfo(float).eps * P).sum())
    if r == 0 or rows <= 0:
        return Solution(np.zeros(P), None, {"rank": 0.0})
    s, b = s[:r], b[:r]
    rest = max(system.norm - float(b @ b), 0.0)
    b2, s2 = b * b, s * s
    floor = max(FLOOR * system.norm / rows, np.finfo(float).tiny)

    def best(q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(log evidence, v0) for ve = q v0. q: [k]; both [k]"""
        if prior_scale is not None:
            v0 = np.full(len(q), prior_scale**2)
        elif noise is not None:
            v0 = noise**2 / q
        else:
            v0 = (np.sum(b2 / (s2 + q[:, None]), axis=1) + rest / q) / rows
            v0 = np.maximum(v0, floor / q)
        v, ve = v0[:, None] * (s2 + q[:, None]), q * v0
        log = np.sum(b2 / v + np.log(v), axis=1) + rest / ve + (rows - r) * np.log(ve)
        return -0.5 * (log + rows * np.log(2 * np.pi)), v0

    def one(x: float) -> float:
        return float(best(np.exp([x]))[0][0])

    if noise is not None and prior_scale is not None:
        q = (noise / prior_scale) ** 2
    else:
        lo, hi = np.log(s2[-1]) - 40, np.log(s2[0]) + 12
        if noise is not None:  # the prior scale may be all that one coefficient wants
            lo = min(lo, 2 * np.log(noise) - np.log(max(float((b2 / s2).max()), floor)))
        if prior_scale is not None:  # the noise may be anything down to the floor
            lo = min(lo, np.log(floor / prior_scale**2))
        grid = np.linspace(lo, hi, 401)
        parts = np.array_split(np.exp(grid), 1 + len(grid) * r // AT_ONCE)
        k = int(np.argmax(np.concatenate([best(part)[0] for part in parts])))
        ends = grid[max(k - 1, 0)], grid[min(k + 1, len(grid) - 1)]
        q = float(np.exp(round(golden(one, *ends) * STEPS) / STEPS))
    log_evidence, v0 = (float(found[0]) for found in best(np.array([q])))
    notes = {
        "rank": float(r),
        "condition": float(s[0] / s[-1]),
        "effective parameters": float(np.sum(s2 / (s2 + q))),
        "noise": float(np.sqrt(q * v0)),
        "prior scale": float(np.sqrt(v0)),
        "log evidence": log_evidence,
    }
    return _posterior(system.beside(own), q, float(np.sqrt(q * v0)), float(s[0]), r < P, notes)


def known(
    system: System, validation: System | None = None, *, noise: float, prior_scale: float
) -> Solution:
    """The same where both standard deviations are known: one QR, and no evidence, rank or condition."""
    R = system.beside()
    notes = {"noise": noise, "prior scale": prior_scale}
    largest = float(np.linalg.norm(R[:, :-1]))
    return _posterior(R, (noise / prior_scale) ** 2, noise, largest, True, notes)


def _posterior(
    T: np.ndarray, q: float, noise: float, largest: float, singular: bool, notes: dict[str, float]
) -> Solution:
    """T: [R, z], overwritten; largest: singular value of R; singular: whether some are rounding"""
    # (R^T R / ve + 1 / v0)^-1 = ve (T^T T)^-1; what is below the rank is rounding, and stays 0
    P = len(T)
    least = largest * np.finfo(float).eps * P if singular else 0.0
    absorb_diagonal(T, np.full(P, max(np.sqrt(q), least)))
    c = solve_triangular(T[:, :P], T[:, P], check_finite=False)
    return Solution(c, Triangular(T[:, :P], noise), notes)


def golden(f: Callable[[float], float], a: float, b: float, steps: int = 60) -> float:
    """Where f is largest between a and b, by sections of the golden ratio."""
    ratio = (5**0.5 - 1) / 2
    c, d = b - ratio * (b - a), a + ratio * (b - a)
    fc, fd = f(c), f(d)
    for _ in range(steps):
        if fc >= fd:
            b, d, fd = d, c, fc
            c = b - ratio * (b - a)
            fc = f(c)
        else:
            a, c, fc = c, d, fd
            d = a + ratio * (b - a)
            fd = f(d)
    return (a + b) / 2
