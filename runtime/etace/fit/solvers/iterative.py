"""LSQR and LSMR: Krylov iterations for min |A c - y|^2 + damp^2 |c|^2.

With a last row (0, sqrt(rest)) the iterates are those on the rows of the data themselves.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import linalg

from etace.fit.factors import System
from etace.fit.solve import Solution
from etace.fit.solvers.figures import figures


def lsqr(
    system: System,
    validation: System | None = None,
    *,
    damp: float = 5e-3,
    atol: float = 1e-6,
    conlim: float = 1e8,
    maxiter: int = 100_000,
) -> Solution:
    """By LSQR (Paige and Saunders 1982). Stops early on an ill-conditioned system: `conlim`."""
    R, z = _rows(system)
    found = linalg.lsqr(R, z, damp=damp, atol=atol, btol=atol, conlim=conlim, iter_lim=maxiter)
    return _solution(system, validation, found[0], found[1], found[2])


def lsmr(
    system: System,
    validation: System | None = None,
    *,
    damp: float = 5e-3,
    atol: float = 1e-6,
    conlim: float = 1e8,
    maxiter: int = 100_000,
) -> Solution:
    """By LSMR (Fong and Saunders 2011), whose |A^T r| falls at every step."""
    R, z = _rows(system)
    found = linalg.lsmr(R, z, damp=damp, atol=atol, btol=atol, conlim=conlim, maxiter=maxiter)
    return _solution(system, validation, found[0], found[1], found[2])


def _rows(system: System) -> tuple[np.ndarray, np.ndarray]:
    R = np.pad(system.R, ((0, 1), (0, 0)))
    return R, np.append(system.z, np.sqrt(system.rest))


def _solution(
    system: System, validation: System | None, c: np.ndarray, stop: int, steps: int
) -> Solution:
    notes = {"iterations": float(steps), "converged": float(stop in (0, 1, 2, 4, 5))}
    return Solution(c, None, {**notes, **figures(system, c, validation)})
