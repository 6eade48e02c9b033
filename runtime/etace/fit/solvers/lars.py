"""The lasso path: min |A c - y|^2 / 2 + mu |c|_1 for every mu, by homotopy (LARS with the lasso's drops).

Between two knots c moves on a line, and all columns in use have the same |A_i . residual| = mu
(Efron, Hastie, Johnstone, Tibshirani 2004; Osborne, Presnell, Turlach 2000).
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from etace.fit.factors import System
from etace.fit.solve import Solution
from etace.fit.solvers.choice import choose

DEPENDENT = 1e-7  # what is left of a column, at least, to be one of its own


def lars(
    system: System,
    validation: System | None = None,
    *,
    size: int | None = None,
    within: float = 1.0,
    max_size: int | None = None,
    rtol: float = 1e-15,
    refit: bool = False,
) -> Solution:
    """rtol: the path ends at this part of the first mu. refit: least squares on the columns in use at
    each knot, in place of the lasso's shrunk coefficients.

    size, within: which of the path to take, see `choice`; max_size: where the path ends.
    """
    found = _path(system, max_size or size, rtol)
    if refit:
        found = [_refitted(system, c) for c in found]
    return choose(system, validation, found, size, within)


def _path(system: System, end: int | None, rtol: float) -> list[np.ndarray]:
    """Knots from c = 0 on. end: stop when one more column would be in use."""
    R, z = system.R, system.z
    P = R.shape[1]
    c, own = np.zeros(P), list[int]()
    norms = np.linalg.norm(R, axis=0)
    blocked = norms == 0  # dependent on those in use
    out = [c.copy()]
    corr = R.T @ z
    mu = last = float(np.abs(np.where(blocked, 0, corr)).max(initial=0.0))
    left: int | None = None
    joining: int | None = int(np.argmax(np.where(blocked, -1.0, np.abs(corr)))) if mu > 0 else None
    for _ in range(8 * P):  # drops make a path longer than P; in practice by little
        if mu <= rtol * last or not P:
            break
        if joining is not None:
            if end is not None and len(own) == end:
                break
            own.append(joining)
        if not own:
            break
        T = np.asarray(np.linalg.qr(R[:, own], mode="r"))
        if joining is not None and abs(T[-1, -1]) <= DEPENDENT * norms[joining]:
            blocked[own.pop()] = True
            T = np.asarray(np.linalg.qr(R[:, own], mode="r"))
        corr = R.T @ (z - R @ c)
        sign = np.sign(corr[own])
        step = solve_triangular(T, solve_triangular(T, sign, trans="T"))
        along = R.T @ (R[:, own] @ step)
        barred = np.stack([blocked, blocked])
        barred[:, own] = True
        if left is not None:  # it stands at the bound that it leaves; the other one counts
            barred[0 if corr[left] > 0 else 1, left] = True
        gamma, joining, leaving = _knot(mu, corr, along, barred, -c[own] / step)
        c[own] += gamma * step
        mu -= gamma
        left = None if leaving is None else own.pop(leaving)
        if left is not None:
            c[left] = 0.0
        out.append(c.copy())
    return out


def _knot(
    mu: float, corr: np.ndarray, along: np.ndarray, barred: np.ndarray, zero: np.ndarray
) -> tuple[float, int | None, int | None]:
    """(length of the step, column that joins, place in use of the one that leaves).

    barred: [2, P], who may not join with a sign of + and of -; zero: steps at which coefficients in
    use would be 0
    """
    small = 1e-14 * mu
    with np.errstate(divide="ignore", invalid="ignore"):
        both = np.stack([(mu - corr) / (1 - along), (mu + corr) / (1 + along)])
    join = np.where(~barred & (both > small), both, np.inf).min(axis=0)
    zero = np.where(zero > small, zero, np.inf)
    first, gone = float(join.min(initial=np.inf)), float(zero.min(initial=np.inf))
    if gone < min(first, mu):
        return gone, None, int(np.argmin(zero))
    if first < mu:
        return first, int(np.argmin(join)), None
    return mu, None, None


def _refitted(system: System, c: np.ndarray) -> np.ndarray:
    used = np.flatnonzero(c)
    out = np.zeros(len(c))
    out[used] = np.linalg.lstsq(system.R[:, used], system.z, rcond=1e-13)[0]
    return out
