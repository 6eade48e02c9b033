"""`fit`: from a model and labelled structures to its linear parameters."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from etace.domain import ranges
from etace.errors import RequestError
from etace.fit.assemble import MANY, Target, assemble, plan, searched
from etace.fit.factors import JOINED, Factor, Factors, Key, System, eliminate, system
from etace.fit.posterior import Posterior
from etace.fit.priors import Prior, gamma
from etace.fit.repulsion import dimers
from etace.fit.solve import Path
from etace.fit.solvers import Solver, named
from etace.fit.table import SETTINGS
from etace.fit.weights import Weights
from etace.inference.evaluator import available_cores
from etace.parallel import one_blas_thread


@dataclass(frozen=True, eq=False)
class Fit:
    """What a fit found.

    c: [P], linear parameters; posterior: about them, or None
    gamma: [P], of the prior; factors: as assembled; system: weighted
    path: of a sparse solver, or None; seconds: by step
    """

    c: np.ndarray
    posterior: Posterior | None
    gamma: np.ndarray
    notes: dict[str, float]
    factors: dict[Key, Factor]
    system: System
    path: Path | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def root(self) -> np.ndarray | None:
        """[P, r], whose product with its transpose is the posterior covariance."""
        return None if self.posterior is None else self.posterior.root


def fit(
    model: Any,
    structures: Sequence[Any],
    *,
    weights: Weights = Weights(),  # noqa: B008 (frozen)
    prior: Prior = Prior(),  # noqa: B008
    kinds: Sequence[str] = ("energy", "forces", "virial"),
    solver: str | Solver = "blr",
    validation: Sequence[Any] = (),
    repulsion: bool = False,
    cores: int | None = None,
) -> Fit:
    """Fit a model's linear parameters to `etace.data.Labelled` structures, and set them.

    Rows, weights and prior are those of ACEpotentials.jl; the default solver is Bayesian linear
    regression by evidence, others are in `etace.fit.solvers`. validation: structures that are not
    fitted, from which some solvers choose. repulsion: with dimers at short distances
    (`etace.fit.repulsion`). Raises EtaceError for what cannot be fitted.
    """
    solver, kinds = named(solver), SETTINGS["kinds"].check("kinds", kinds)
    if not structures:
        raise RequestError("there are no structures to fit")
    seconds: dict[str, float] = {}
    clock = _Clock(seconds)
    _ = model.row_kernel  # which lists neighbours
    once = searched([structures, validation], model.length_basis + 1)
    model.search_once(once)
    walls = dimers(model, ranges(model, [s.atoms for s in structures])) if repulsion else []
    goals = targets([*structures, *validation], kinds, weights, walls)
    held = slice(len(structures), len(structures) + len(validation))
    goals[held] = [replace(t, split="validation") for t in goals[held]]
    shape = plan(model, goals, weights)
    clock("neighbour lists")
    factors = assemble(model, goals, shape, cores or available_cores())
    del once  # structures may change again
    clock("rows and QR")
    done = solve(model, factors, weights, prior, solver)
    clock("solve")
    model.set_linear_parameters(done.c)
    return Fit(
        done.c, done.posterior, done.gamma, done.notes, factors, done.system, done.path, seconds
    )


def targets(
    structures: Sequence[Any],
    kinds: Sequence[str],
    weights: Weights,
    more: Sequence[Target] = (),
) -> list[Target]:
    """What is fitted, `more` last. Config types beyond the first `MANY` without weights of their own
    share a factor."""
    groups = {s.group for s in (*structures, *more)}
    weights.check(groups)
    share = len(groups) > MANY
    out = []
    for s in structures:
        group = s.group if not share or s.group in weights.groups else "default"
        out.append(
            Target(
                s.atoms,
                s.energy if "energy" in kinds else None,
                s.forces if "forces" in kinds else None,
                s.virial if "virial" in kinds else None,
                group,
                s.weight,
                "train",
                s.source,
            )
        )
    if not any(t.energy is not None or t.forces is not None or t.virial is not None for t in out):
        raise RequestError(f"no structure has a label of {', '.join(kinds)}")
    if not any(
        t.weight and weights(t.group, k) for t in out for k in kinds if getattr(t, k) is not None
    ):
        raise RequestError("all weights of the labels there are are 0: nothing is left to fit")
    return [*out, *more]


@dataclass(frozen=True, eq=False)
class Solved:
    c: np.ndarray
    posterior: Posterior | None
    gamma: np.ndarray
    notes: dict[str, float]
    system: System
    path: Path | None = None


@one_blas_thread
def solve(
    model: Any,
    factors: Factors,
    weights: Weights,
    prior: Prior,
    solver: str | Solver = "blr",
) -> Solved:
    """Weights, prior and solver applied to the factors: no second pass over the data.

    Raises RequestError: the solution is not finite.
    """
    whole = of_split(factors, weights, "train")
    held = of_split(factors, weights, "validation")
    g = gamma(model.potential, prior)
    reduced = eliminate(whole, g == 0)
    scale = g[reduced.others]
    validation = reduced.seen(held).scaled(scale) if held.rows else None
    found = named(solver)(reduced.rest.scaled(scale), validation)
    if not np.isfinite(found.c).all():
        raise RequestError(
            "the solution is not finite: weights or labels are out of all proportion"
        )
    posterior = found.posterior and found.posterior.mapped(
        lambda x: reduced.back_moves(x / scale[:, None]),
        lambda y: reduced.across(y) / scale[:, None],
    )
    path = found.path
    if path is not None:
        path = replace(path, c=np.array([reduced.back(c / scale) for c in path.c]))
    return Solved(reduced.back(found.c / scale), posterior, g, found.notes, whole, path)


def of_split(factors: Factors, weights: Weights, split: str) -> System:
    """The weighted system of the training or validation rows."""

    def weight(key: Key) -> float:
        if key.split != split:
            return 0.0
        return 1.0 if key.kind == JOINED else weights(key.group, key.kind)

    return system(factors, weight)


class _Clock:
    def __init__(self, seconds: dict[str, float]):
        self.seconds, self.last = seconds, time.perf_counter()

    def __call__(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = now - self.last
        self.last = now
