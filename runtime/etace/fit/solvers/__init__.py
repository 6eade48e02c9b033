"""Ways to solve a weighted system, by name: `SOLVERS["qr"](system, validation, lambda_=0.1)`.

All work on the triangle R alone, in unknowns already scaled by the prior, and give the same bits every
time. `solver(name, **options)` is one with its options set, checked before any work is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, wraps
from keyword import iskeyword
from typing import Any

import numpy as np

from etace.fit import table
from etace.fit.factors import System
from etace.fit.solve import Solution, evidence
from etace.fit.solvers.ard import ard
from etace.fit.solvers.iterative import lsmr, lsqr
from etace.fit.solvers.lars import lars
from etace.fit.solvers.omp import omp
from etace.fit.solvers.pivoted import rrqr
from etace.fit.solvers.tikhonov import tikhonov
from etace.fit.solvers.truncated import tsvd

__all__ = ["SOLVERS", "Solution", "Solver", "has_posterior", "named", "options", "solver"]

Solver = Callable[[System, System | None], Solution]

ONE = System(np.eye(1), np.ones(1), 1.0, 3)  # the smallest there is


def _checked(name: str, solve: Callable[..., Solution]) -> Callable[..., Solution]:
    """The same, with its options checked against the table."""

    @wraps(solve)
    def checked(system: System, validation: System | None = None, **given: Any) -> Solution:
        return solve(system, validation, **_own(name, given))

    return checked


def _own(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Options as Python calls them."""
    return {f"{k}_" if iskeyword(k) else k: v for k, v in table.options(name, given).items()}


WAYS: Mapping[str, Callable[..., Solution]] = {
    "blr": evidence,
    "qr": tikhonov,
    "rrqr": rrqr,
    "tsvd": tsvd,
    "ard": ard,
    "lsqr": lsqr,
    "lsmr": lsmr,
    "omp": omp,
    "lars": lars,
}
SOLVERS = {name: _checked(name, solve) for name, solve in WAYS.items()}


def options(name: str) -> tuple[str, ...]:
    """Names of the options of a solver."""
    table.options(name, {})
    return tuple(table.SOLVERS[name])


def solver(name: str, **given: Any) -> Solver:
    """The solver with these options. Raises SettingError: an unknown name or a wrong value."""
    own = _own(name, given)
    return partial(SOLVERS[name], **own)


def has_posterior(made: Solver) -> bool:
    """Whether its solutions come with a covariance."""
    return made(ONE, ONE).posterior is not None


def named(given: str | Solver) -> Solver:
    """A solver from its name, or as it is given."""
    return solver(given) if isinstance(given, str) else given
