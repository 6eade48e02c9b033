"""From a fit of the data to one whose atoms push each other apart: dense packings, then the holes that are left.

Dense packings get the smallest weight that leaves no hole. Where that is more than the data bear, rounds add rows for
the holes that are left, as strong as the data let them be. Every solution is judged by packings of its own, and so does
whoever asks afterwards (`left`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from etace.data import Labelled
from etace.domain import Ranges
from etace.fit import compression
from etace.fit.crossvalidation import fixed
from etace.fit.factors import Factor, Factors, Key
from etace.fit.fitting import Solved, solve
from etace.fit.holes import PARTS, Hole, of_dimers, of_packings
from etace.fit.packings import compressed
from etace.fit.priors import Prior
from etace.fit.repulsion import dimer
from etace.fit.solvers import Solver
from etace.fit.volumes import volumes
from etace.fit.weights import Weights
from etace.report.dimers import dimers

ROUNDS = 5  # that mend holes
SETS = 2  # of packings that each looks at, so that fewer are left for others to find
FRESH = 39  # of packings that nothing was mended by
SEED = FRESH + 1  # of the first that something may be; others follow
HARDER = 3.0  # weight of a hole over that of other packings
CLOSER = (1.0, 0.8, 0.6)  # distances of a dimer that falls


def species_of(model: Any, train: Sequence[Labelled]) -> dict[str, float]:
    """Å³ by species, of those in the data."""
    there = [s for s in model.species if any(s in x.atoms.symbols for x in train)]
    return volumes(there, [x.atoms for x in train])


def mended(
    model: Any,
    train: Sequence[Labelled],
    seen: Ranges,
    factors: Factors,
    solved: Solved,
    weights: Weights,
    prior: Prior,
    solver: Solver,
    cores: int,
) -> tuple[Solved, dict[Key, Factor]]:
    """(solved again with what keeps atoms apart, factors with its rows); the model has the parameters.

    solved: of the factors alone, whose parameters the model has
    """
    if any(f.packed is not None for f in factors.values()):  # memory has no room for more
        return solved, dict(factors)
    each = species_of(model, train)
    bound = compression.bound(model, train)
    more = compression.targets(model, train, each)
    data, first = factors, solved
    # noise and prior scale are those of the data: rows of packings are many, and fitted all too well
    again = fixed(solver, first)

    seeds = itertools.count(SEED)

    def solve_with(more: Factors, strength: float) -> list[Hole]:
        nonlocal solved, factors
        factors = compression.joined(factors, more, strength)
        solved = solve(model, factors, weights, prior, again)
        model.set_linear_parameters(solved.c)
        return _holes(model, each, seen, itertools.islice(seeds, SETS))

    def bearable(more: Factors) -> float:
        return compression.strength(model, data, factors, more, weights, prior, first)

    found = _holes(model, each, seen, itertools.islice(seeds, SETS))
    rows = compression.rows(model, more, cores)
    most = bearable(rows) if found else compression.WEAK  # a fit without holes needs no more
    for strength in sorted(s for s in compression.STRENGTHS if s <= most):
        factors = data
        found = solve_with(rows, strength)
        if not found:
            break
    for _ in range(ROUNDS):
        if not found or not most:
            break
        rows = compression.rows(model, [t for h in found for t in _against(h, each, bound)], cores)
        most = bearable(rows)
        if most:
            found = solve_with(rows, most)
    return replace(solved, notes={**solved.notes, **first.notes}), dict(factors)


def left(model: Any, train: Sequence[Labelled], seen: Ranges) -> list[Hole]:
    """Holes in packings that nothing was mended by, and in dimers."""
    return _holes(model, species_of(model, train), seen, (FRESH,))


def _holes(model: Any, each: Mapping[str, float], seen: Ranges, seeds: Iterable[int]) -> list[Hole]:
    """In dimers, and in the packings of these seeds."""
    found = [h for seed in seeds for h in of_packings(model, each, seed)]
    return [*of_dimers(dimers(model, seen)), *found]


def _against(hole: Hole, each: Mapping[str, float], bound: float) -> list[compression.Target]:
    """What repels where the hole is, and further in."""
    if hole.part is None:
        r = hole.atoms.get_distance(0, 1)
        return [dimer(tuple(hole.atoms.get_chemical_symbols()), part * r) for part in CLOSER]
    inward = [compressed(hole.atoms, each, part) for part in PARTS if part <= hole.part]
    made = [compression.labelled(atoms, bound) for atoms in inward]
    return [replace(t, weight=HARDER * t.weight) for t in made]
