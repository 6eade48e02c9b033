"""Ways to solve a weighted system, by name: `SOLVERS["qr"](system, validation, lambda_=0.1)`.

All work on the triangle R alone, in unknowns already scaled by the prior, and give the same bits every
time. `solver(name, **options)` is one with its options set, checked before any work is done.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from etace.errors import RequestError
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
SOLVERS: Mapping[str, Callable[..., Solution]] = {
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


def options(name: str) -> tuple[str, ...]:
    """Names of the options of a solver. Python's own words have an underscore: `lambda_`."""
    if name not in SOLVERS:
        raise RequestError(f"there is no solver `{name}`; there is: {', '.join(SOLVERS)}")
    parameters = inspect.signature(SOLVERS[name]).parameters.values()
    return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


def solver(name: str, **given: Any) -> Solver:
    """The solver with these options. Raises RequestError: an unknown name or a wrong value."""
    known = options(name)
    own = {f"{k}_" if f"{k}_" in known else k: v for k, v in given.items()}
    for key in own:
        if key not in known:
            raise RequestError(
                f"solver `{name}` has no option `{key}`; there is: {', '.join(known)}"
            )
    made = partial(SOLVERS[name], **own)
    made(ONE, ONE)  # a wrong value is found here, not after hours of assembly
    return made


def has_posterior(made: Solver) -> bool:
    """Whether its solutions come with a covariance."""
    return made(ONE, ONE).root is not None


def named(given: str | Solver) -> Solver:
    """A solver from its name, or as it is given."""
    return solver(given) if isinstance(given, str) else given
