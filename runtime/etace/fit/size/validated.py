"""Cross-validated errors of a candidate: ridge regression without each fold in turn, judged on that fold."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from threadpoolctl import threadpool_limits

from etace.fit.factors import KINDS
from etace.fit.size.moments import Moments
from etace.fit.weights import Weights

TINY = 1e-13  # of a diagonal of ones: the least that keeps a Cholesky factor real
MANY = 1500  # columns from which a rough answer takes one fold, not two
LEAST = 1e-14  # relative ridge: products of columns know no better
RIDGES = tuple(float(q) for q in np.geomspace(1e-13, 1e-3, 6))  # where nothing is known


@dataclass(frozen=True, eq=False)
class Errors:
    """Of labels left out: rmse by kind; median of |energy|; residuals, (config type, kind) -> of the rows that
    were kept; loss: the weighted sum of all squares. train: rmse of labels that were fitted.

    eV / sqrt(N) for energies and virials, eV/Å for forces. ridge: relative
    """

    rmse: Mapping[str, float]
    train: Mapping[str, float]
    median: float
    residuals: Mapping[tuple[str, str], np.ndarray]
    loss: float
    ridge: float


def few(columns: np.ndarray) -> int:
    """Folds for a rough answer."""
    return 1 if len(columns) > MANY else 2


class Validation:
    """Sums of each fold, weighted and by kind, ready for any candidate. gamma: [P], of the prior"""

    def __init__(self, moments: Moments, weights: Weights, gamma: np.ndarray, cores: int = 1):
        self.moments, self.gamma, self.cores = moments, gamma, cores
        self.folds = sorted({k.fold for k in moments if k.fold >= 0})
        self.rows: dict[tuple[int, str], int] = defaultdict(int)
        self.kinds: dict[tuple[int, str], np.ndarray] = {}
        self.weighted: dict[int, np.ndarray] = {}  # where config types have weights of their own
        self.factors = {k.kind: weights(k.group, k.kind) ** 2 for k in moments}
        alike = all(weights(k.group, k.kind) ** 2 == self.factors[k.kind] for k in moments)
        for key, own in moments.items():
            at = key.fold, key.kind
            self.rows[at] += own.rows
            self.kinds[at] = own.square if at not in self.kinds else self.kinds[at] + own.square
            if not alike:
                square = weights(key.group, key.kind) ** 2 * own.square
                self.weighted[key.fold] = self.weighted.get(key.fold, 0.0) + square
        self.whole = np.zeros_like(next(iter(self.kinds.values())))
        for square in self.weighted.values():
            self.whole += square
        for (_, kind), square in self.kinds.items() if alike else ():
            self.whole += self.factors[kind] * square

    def best(self, columns: np.ndarray) -> Errors:
        """With the ridge that suits best, whatever it is."""
        return min((self.errors(columns, q) for q in RIDGES), key=lambda e: e.loss)

    def better(self, columns: np.ndarray, ridge: float) -> Errors:
        """With this ridge, or one ten times as large or small if that is better."""
        near = sorted({max(ridge * f, LEAST) for f in (1.0, 0.1, 10.0)})
        brief = {q: self.errors(columns, q, few(columns)).loss for q in near}
        return self.errors(columns, min(near, key=lambda q: brief[q]))

    def errors(self, columns: np.ndarray, ridge: float, folds: int | None = None) -> Errors:
        """columns: [p], places; ridge: relative; folds: so many alone, roughly and fast"""
        both = np.append(columns, len(self.gamma))
        at = np.ix_(both, both)
        g2 = self.gamma[columns] ** 2
        chosen = self.folds[:folds]
        kinds = {k: square[at] for k, square in self.kinds.items() if k[0] in chosen}
        weighted = {f: square[at] for f, square in self.weighted.items() if f in chosen}
        if not weighted:
            for (fold, kind), square in kinds.items():
                weighted[fold] = weighted.get(fold, 0.0) + self.factors[kind] * square
        whole = self.whole[at]
        strength = ridge * (float(np.mean(np.diag(whole)[:-1] / g2)) or 1.0) * g2

        def without(fold: int) -> tuple[np.ndarray, float]:
            own = weighted[fold]
            x = np.append(_solve(whole - own, strength), -1.0)
            return x, max(float(x @ own @ x), 0.0)

        with threadpool_limits(self.cores, user_api="blas"):
            found = {fold: without(fold) for fold in chosen}
        X = np.array([x for x, _ in found.values()])
        left: dict[str, float] = defaultdict(float)
        seen: dict[str, float] = defaultdict(float)
        rows: dict[str, int] = defaultdict(int)
        for (own, kind), square in kinds.items():
            sums = np.maximum(np.einsum("ki,ki->k", X @ square, X), 0.0)
            rows[kind] += self.rows[own, kind]
            for fold, value in zip(chosen, sums, strict=True):
                out = left if own == fold else seen
                out[kind] += float(value)
        residuals: dict[tuple[str, str], list[np.ndarray]] = defaultdict(list)
        for key, moment in self.moments.items():
            if key.fold in found:
                residuals[key.group, key.kind].append(moment.some[:, both] @ found[key.fold][0])
        joined = {k: np.concatenate(v) for k, v in sorted(residuals.items())}
        energies = [np.abs(v) for (_, kind), v in joined.items() if kind == "energy"]
        there, others = [k for k in KINDS if k in left], len(chosen) - 1
        return Errors(
            {k: float(np.sqrt(left[k] / rows[k])) for k in there},
            {k: float(np.sqrt(seen[k] / (others * rows[k]))) for k in there if others},
            float(np.median(np.concatenate(energies))) if energies else float("nan"),
            joined, sum(loss for _, loss in found.values()), ridge,
        )  # fmt: skip


def _solve(square: np.ndarray, ridge: np.ndarray) -> np.ndarray:
    """(A + ridge) c = b of [[A, b], [b, .]]."""
    A, b = square[:-1, :-1].copy(), square[:-1, -1]
    d = np.diag(A) + ridge
    size = np.sqrt(np.where(d > 0, d, 1.0))
    A /= np.outer(size, size)
    least = TINY
    while True:
        np.fill_diagonal(A, 1.0 + least)
        try:
            factor = cho_factor(A, lower=True, check_finite=False)
            return np.asarray(cho_solve(factor, b / size) / size)
        except LinAlgError:
            least *= 10
