"""`fit`: from a model and labelled structures to its linear parameters."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from etace.errors import RequestError
from etace.fit.assemble import MANY, Target, assemble, plan
from etace.fit.factors import Factor, Key, System, eliminate, system
from etace.fit.priors import Prior, gamma
from etace.fit.solve import Solution, evidence
from etace.fit.weights import Weights
from etace.inference.evaluator import available_cores


@dataclass(frozen=True, eq=False)
class Fit:
    """What a fit found.

    c: [P], linear parameters; root: [P, r], root @ root.T is their posterior covariance, or None
    gamma: [P], of the prior; factors: as assembled; system: weighted
    seconds: by step
    """

    c: np.ndarray
    root: np.ndarray | None
    gamma: np.ndarray
    notes: dict[str, float]
    factors: dict[Key, Factor]
    system: System
    seconds: dict[str, float] = field(default_factory=dict)


def fit(
    model: Any,
    structures: Sequence[Any],
    *,
    weights: Weights = Weights(),  # noqa: B008 (frozen)
    prior: Prior = Prior(),  # noqa: B008
    kinds: Sequence[str] = ("energy", "forces", "virial"),
    solver: Callable[[System], Solution] = evidence,
    cores: int | None = None,
) -> Fit:
    """Fit a model's linear parameters to `etace.data.Labelled` structures, and set them.

    Rows, weights and prior are those of ACEpotentials.jl; the default solver is Bayesian linear
    regression by evidence. Raises EtaceError for what cannot be fitted.
    """
    if not structures:
        raise RequestError("there are no structures to fit")
    seconds: dict[str, float] = {}
    clock = _Clock(seconds)
    goals = targets(model, structures, kinds, weights)
    clock("fixed part")
    shape = plan(model, goals)
    clock("neighbour lists")
    factors = assemble(model, goals, shape, cores or available_cores())
    clock("rows and QR")
    done = solve(model, factors, weights, prior, solver)
    clock("solve")
    model.set_linear_parameters(done.c)
    return Fit(done.c, done.root, done.gamma, done.notes, factors, done.system, seconds)


def targets(
    model: Any, structures: Sequence[Any], kinds: Sequence[str], weights: Weights
) -> list[Target]:
    """Labels less the fixed part. Config types beyond the first `MANY` without weights of their own
    share a factor."""
    groups = {s.group for s in structures}
    weights.check(groups)
    share = len(groups) > MANY
    kept, given = model.params, model.potential.fixed(model.params)
    try:
        model.params = given
        fixed = model.evaluate_many([s.atoms for s in structures])
        out = []
        for s, f in zip(structures, fixed, strict=True):
            group = s.group if not share or s.group in weights.groups else "default"
            out.append(
                Target(
                    s.atoms,
                    s.energy - f.energy if "energy" in kinds and s.energy is not None else None,
                    s.forces - f.forces if "forces" in kinds and s.forces is not None else None,
                    s.virial - f.virial if "virial" in kinds and s.virial is not None else None,
                    group, s.weight, "train", s.source,
                )
            )  # fmt: skip
    finally:
        model.params = kept
    if not any(t.energy is not None or t.forces is not None or t.virial is not None for t in out):
        raise RequestError(f"no structure has a label of {', '.join(kinds)}")
    return out


@dataclass(frozen=True, eq=False)
class Solved:
    c: np.ndarray
    root: np.ndarray | None
    gamma: np.ndarray
    notes: dict[str, float]
    system: System


def solve(
    model: Any,
    factors: dict[Key, Factor],
    weights: Weights,
    prior: Prior,
    solver: Callable[[System], Solution] = evidence,
) -> Solved:
    """Weights, prior and solver applied to the factors: no second pass over the data."""
    whole = system(factors, lambda k: weights(k.group, k.kind) if k.split == "train" else 0.0)
    g = gamma(model.potential, prior)
    reduced = eliminate(whole, g == 0)
    scale = g[reduced.others]
    found = solver(reduced.rest.scaled(scale))
    root = None if found.root is None else reduced.back(found.root / scale[:, None])
    return Solved(reduced.back(found.c / scale), root, g, found.notes, whole)


class _Clock:
    def __init__(self, seconds: dict[str, float]):
        self.seconds, self.last = seconds, time.perf_counter()

    def __call__(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] = now - self.last
        self.last = now
