"""What a fit knows of its coefficients: a normal distribution about their mean, as a root of its covariance.

The root is a matrix, or something that is quickly applied to vectors, as the inverse of a triangle is; draws
and spreads need no more.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

Apply = Callable[[np.ndarray], np.ndarray]


class Posterior(ABC):
    """Its covariance is root @ root.T, root: [P, numbers]."""

    @property
    @abstractmethod
    def numbers(self) -> int:
        """Independent normal numbers behind one draw."""

    @abstractmethod
    def times(self, x: np.ndarray) -> np.ndarray:
        """root @ x: for x of independent normal numbers, draws less their mean. x: [numbers, k]; result: [P, k]"""

    @abstractmethod
    def across(self, y: np.ndarray) -> np.ndarray:
        """root.T @ y. y: [P, k]; result: [numbers, k]"""

    def spread(self, rows: np.ndarray) -> np.ndarray:
        """[m], standard deviations of rows @ c. rows: [m, P]"""
        return np.asarray(np.linalg.norm(self.across(np.asarray(rows).T), axis=0))

    @property
    def root(self) -> np.ndarray:
        """[P, numbers], made anew: as large as all that was solved."""
        return self.times(np.eye(self.numbers))

    def mapped(self, there: Apply, back: Apply) -> Posterior:
        """Of M c. there: M @ x; back: M.T @ y"""
        return _Mapped(self, there, back)


@dataclass(frozen=True, eq=False)
class Matrix(Posterior):
    """matrix: [P, numbers], the root itself"""

    matrix: np.ndarray

    @property
    def numbers(self) -> int:
        return self.matrix.shape[1]

    def times(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.matrix @ x)

    def across(self, y: np.ndarray) -> np.ndarray:
        return np.asarray(self.matrix.T @ y)


@dataclass(frozen=True, eq=False)
class Triangular(Posterior):
    """Root: scale * T^-1. T: [P, P], upper triangular"""

    T: np.ndarray
    scale: float

    @property
    def numbers(self) -> int:
        return len(self.T)

    def times(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.scale * solve_triangular(self.T, x, check_finite=False))

    def across(self, y: np.ndarray) -> np.ndarray:
        return np.asarray(self.scale * solve_triangular(self.T, y, trans="T", check_finite=False))


@dataclass(frozen=True, eq=False)
class _Mapped(Posterior):
    inner: Posterior
    there: Apply
    back: Apply

    @property
    def numbers(self) -> int:
        return self.inner.numbers

    def times(self, x: np.ndarray) -> np.ndarray:
        return self.there(self.inner.times(x))

    def across(self, y: np.ndarray) -> np.ndarray:
        return self.inner.across(self.back(y))
