"""From a fit of the data to one whose atoms push each other apart: dense packings, then the holes that are left.

Each round adds rows for what is wrong, as strong as the data let them be, and solves again. Every round looks at
packings of its own, and so does whoever asks afterwards (`left`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from etace.data import Labelled
from etace.domain import Ranges
from etace.fit import compression
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

ROUNDS = 3  # that mend holes
SEED = 40  # of the packings of the first
FRESH = 60  # of those that nothing was mended by
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
    found = _holes(model, each, seen, SEED)
    for k in range(ROUNDS + 1):
        rows = compression.rows(model, more, cores)
        strength = (
            compression.strength(model, data, factors, rows, weights, prior, first) if found
            else compression.WEAK  # no more than a fit without holes needs
        )  # fmt: skip
        if not strength:
            break
        factors = compression.joined(factors, rows, strength)
        solved = solve(model, factors, weights, prior, solver)
        model.set_linear_parameters(solved.c)
        found = _holes(model, each, seen, SEED + k + 1) if k < ROUNDS else []
        if not found:
            break
        more = [t for h in found for t in _against(h, each, bound)]
    return solved, dict(factors)


def left(model: Any, train: Sequence[Labelled], seen: Ranges) -> list[Hole]:
    """Holes in packings that nothing was mended by, and in dimers."""
    return _holes(model, species_of(model, train), seen, FRESH)


def _holes(model: Any, each: Mapping[str, float], seen: Ranges, seed: int) -> list[Hole]:
    return [*of_dimers(dimers(model, seen)), *of_packings(model, each, seed)]


def _against(hole: Hole, each: Mapping[str, float], bound: float) -> list[compression.Target]:
    """What repels where the hole is, and further in."""
    if hole.part is None:
        r = hole.atoms.get_distance(0, 1)
        return [dimer(tuple(hole.atoms.get_chemical_symbols()), part * r) for part in CLOSER]
    inward = [compressed(hole.atoms, each, part) for part in PARTS if part <= hole.part]
    made = [compression.labelled(atoms, bound) for atoms in inward]
    return [replace(t, weight=HARDER * t.weight) for t in made]
