"""Cross-validation: what a fit says of structures that it was not fitted to.

For each fold the coefficients without it are a solve on the factors of the others: no rows are made again. The
structures of the fold are then evaluated, which costs far less than their rows. Weights, prior and solver are those
of the whole fit; so are noise and prior scale of `blr`, which one fifth of the data hardly moves.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from etace import params
from etace.committee import CommitteeResult, Spread
from etace.data import Labelled
from etace.fit.factors import JOINED, Factor, Factors, Key, joined
from etace.fit.fitting import Solved, solve
from etace.fit.folds import ALWAYS
from etace.fit.priors import Prior
from etace.fit.solve import known
from etace.fit.solvers import Solver
from etace.fit.tables import Comparison, beside
from etace.fit.weights import Weights
from etace.searched import in_order
from etace.uncertainty import excitation


@dataclass(frozen=True, eq=False)
class Held:
    """A structure and what the model without its fold says of it. spread: of that model's committee, or None
    excitation: of the model's forces (`etace.uncertainty`), eV/Å"""

    found: Comparison
    spread: Spread | None
    excitation: float


def heldout(
    model: Any,
    factors: Factors,
    weights: Weights,
    prior: Prior,
    solver: Solver,
    structures: Sequence[Labelled],
    folds: Sequence[int],
    *,
    solved: Solved | None = None,
    members: int = 0,
    seed: int = 0,
    done: Callable[[int], None] = lambda fold: None,
) -> list[Held | None]:
    """Of each structure, in their order; None for what is left out with no fold.

    factors: by fold; folds: of each structure; solved: the whole fit, whose noise and prior scale are taken where it
    has both; members: of a committee that each fold's posterior gives; done: called after each fold

    Raises RequestError: a solution that is not finite.
    """
    solver = solver if solved is None else fixed(solver, solved)
    out: list[Held | None] = [None] * len(structures)
    other = copy.copy(model)
    each = by_fold(factors, weights)  # else every fold would join the factors of all kinds anew
    for fold in sorted(set(folds) - {ALWAYS}):
        rest = {key: own for key, own in each.items() if key.fold != fold}
        part = solve(model, rest, weights, prior, solver)
        other.set_linear_parameters(part.c)
        other.set_committee(draw(part, members, seed))
        places = [k for k, f in enumerate(folds) if f == fold]
        places = [places[j] for j in in_order([structures[k].atoms for k in places], other.batches)]
        atoms = [structures[k].atoms for k in places]
        found = other.committee_many(atoms) if members else other.evaluate_many(atoms)
        for k, r in zip(places, found, strict=True):
            spread = r.spread if isinstance(r, CommitteeResult) else None
            out[k] = Held(beside(structures[k], r), spread, excitation(r.forces))
        done(fold)
    return out


def by_fold(factors: Factors, weights: Weights) -> dict[Key, Factor]:
    """One factor for each fold, of its rows times their weights."""
    out: dict[Key, Factor] = {}
    for split, fold in sorted({(key.split, key.fold) for key in factors}):
        own = {k: f for k, f in factors.items() if (k.split, k.fold) == (split, fold)}
        out |= joined(own, lambda k: weights(k.group, k.kind), Key(split, "", JOINED, fold))
    return out


def fixed(solver: Solver, solved: Solved) -> Solver:
    """A solver whose noise and prior scale are those that a fit has found; the solver itself where it has not both."""
    noise, scale = (solved.notes.get(name) for name in ("noise", "prior scale"))
    if solved.posterior is None or noise is None or scale is None:
        return solver
    return partial(known, noise=noise, prior_scale=scale)


def draw(solved: Solved, size: int, seed: int) -> np.ndarray | None:
    """Members of a committee: [size, P], from the posterior about its mean."""
    if not size:
        return None
    assert solved.posterior is not None
    z = params.normal(seed, "committee", (size, solved.posterior.numbers))
    members: np.ndarray = solved.c + solved.posterior.times(z.T).T
    return members
