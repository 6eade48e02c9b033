"""The shape of the default model, chosen from the training data by cross-validation.

Three questions, in this order: how much l should count, and whether a longer cutoff pays (small models, compared at
the same number of columns); how large the model should be (it grows one thing at a time, `fit.size.path`); and
whether each config type wants weights of its own. What is answered with is never a test set.

A model of a size holds all smaller ones. So there is one pass over the data for each of the sizes small, medium
and large, and the next only where the last one ended and still got better.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from etace import params
from etace.data import Labelled
from etace.domain import ranges
from etace.fit import repulsion
from etace.fit.assemble import plan
from etace.fit.factors import KINDS
from etace.fit.fitting import targets
from etace.fit.folds import ALWAYS, folds, ranks, with_folds
from etace.fit.priors import Prior, gamma
from etace.fit.size.columns import Columns
from etace.fit.size.moments import Moments, moments
from etace.fit.size.path import Step, grow, slope, smallest
from etace.fit.size.validated import Validation
from etace.fit.size.weighting import by_config_type
from etace.fit.weights import Weights
from etace.loading import compiler, from_text
from etace.parallel import one_blas_thread
from etace.words import count

L_WEIGHTS = (1.5, 1.0, 0.75)
LONGER = 1.2  # a cutoff that is tried, times the default one
GAIN = 0.05  # by which the logarithm of errors must fall for it
SAME = 1.1  # columns that count as as many
SCOUT = 100  # functions of each species of the models that answer the first questions, for each neighbour species
ATOMS = 20_000  # that are looked at; of more, a part of every config type is drawn
FEWEST = 8  # structures to divide into folds
GROWING = 0.05  # power of the columns by which errors still must fall for a larger size
FULL = 0.5  # part of the columns of a size from which it counts as used up
SHARE = 0.5  # of the minutes: the rest is for the fit itself
ROOM = 3_000_000_000  # bytes of sums by config type


@dataclass(frozen=True, eq=False)
class Stage:
    """steps: of one pass over the data; what: in words; l_weight, reach: of its models"""

    what: str
    l_weight: float
    reach: float
    steps: tuple[Step, ...]


@dataclass(frozen=True, eq=False)
class Choice:
    """shape: `etacec.defaults.Shape`; step: its errors, or None where nothing could be compared
    weights: of config types, or those that were given; stages: all that was tried
    told: lines for people; structures: how many were looked at
    """

    shape: Any
    step: Step | None
    weights: Mapping[str, Mapping[str, float]]
    stages: tuple[Stage, ...] = ()
    told: tuple[str, ...] = ()
    structures: int = 0


@dataclass(eq=False)
class _Search:
    elements: Sequence[str]
    energies: Mapping[str, float]
    data: Sequence[Labelled]
    places: Sequence[int]
    kinds: Sequence[str]
    prior: Prior
    repulsion: bool
    cores: int
    backend: str
    tell: Callable[[str], None]
    until: float
    weights: Weights
    rows: int
    stages: list[Stage] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def say(self, line: str) -> None:
        self.told.append(line)
        self.tell(line)

    def late(self) -> bool:
        return time.monotonic() > self.until


@one_blas_thread
def choose(
    elements: Sequence[str],
    energies: Mapping[str, float],
    structures: Sequence[Labelled],
    bound: str = "large",
    *,
    kinds: Sequence[str] = KINDS,
    prior: Prior = Prior(),  # noqa: B008 (frozen)
    weights: Weights | None = None,
    repulsion: bool = True,
    seed: int = 0,
    cores: int = 1,
    backend: str = "auto",
    minutes: float | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Choice:
    """The shape for these training structures, and weights of config types if they were not given.

    energies: of single atoms, eV; bound: small, medium or large, what it may grow to; seed: of folds and of
    what is drawn from many structures; minutes: that the whole fit may take, half of it for the choice, which then
    tries nothing larger
    """
    defaults = compiler("defaults")

    size = defaults.size_of(bound)
    some = _sample(structures, seed)
    places = folds(some, seed)
    rows = sum(_rows(s, kinds) for s in some)
    until = math.inf if minutes is None else time.monotonic() + SHARE * 60 * minutes
    search = _Search(
        elements, energies, some, places, kinds, prior, repulsion, cores, backend, tell, until,
        weights or Weights(), rows,
    )  # fmt: skip
    if len(some) < len(structures):
        search.say(f"size: looked at {len(some)} of {len(structures)} structures")
    if sum(f != ALWAYS for f in places) < FEWEST or len({f for f in places if f >= 0}) < 2:
        few = max(rows // (4 * len(elements)), 1)
        shape = defaults.top(elements, min(few, 60), min(size.order, 3), 1.0)
        search.say(
            f"size: {count(len(some), 'structure')} are too few to compare sizes; {shape}, with "
            f"{defaults.functions(elements, shape) * len(elements)} columns for {rows} rows"
        )
        return Choice(shape, None, search.weights.groups, (), tuple(search.told), len(some))
    l_weight, reach, start = _scouted(search, size)
    step = _sized(search, bound, l_weight, reach, start, weights is None)
    shape = defaults.Shape(step.degrees, l_weight, reach)
    search.say(f"size: {shape}, {step.columns} columns: {_errors(step)}")
    return Choice(
        shape, step, search.weights.groups, tuple(search.stages), tuple(search.told), len(some)
    )


def _scouted(search: _Search, size: Any) -> tuple[float, float, Step]:
    """(l weight, reach, step) of small models, compared at one number of columns."""
    defaults = compiler("defaults")

    species = len(search.elements)
    most = min(size.functions, SCOUT * (1 + species) // 2, search.rows // (2 * species))

    def walked(l_weight: float, reach: float) -> list[Step]:
        top = defaults.top(search.elements, most, min(size.order, 3), l_weight)
        own = _pass(search, replace(top, reach=reach), f"l weight {l_weight:g}")
        path = grow(own[0], own[1], top.degrees, patience=math.inf)
        search.stages.append(Stage("scout", l_weight, reach, tuple(path)))
        return path

    tried = {w: walked(w, 1.0) for w in L_WEIGHTS if not (search.stages and search.late())}
    where = min(path[-1].columns for path in tried.values())
    best = min(tried, key=lambda w: _best(tried[w], where).score)
    shown = ", ".join(f"{w:g}: {1e3 * _best(p, where).force:.4g}" for w, p in tried.items())
    search.say(f"size: error of up to {where} columns by l weight: {shown} {_unit(search)}")
    path, reach = tried[best], 1.0
    if not search.late():
        longer = walked(best, LONGER)
        where = min(path[-1].columns, longer[-1].columns)
        if _best(longer, where).score < _best(path, where).score - GAIN:
            path, reach = longer, LONGER
            search.say(f"size: a cutoff {LONGER:g} times as long is better by more than 5 %")
    return best, reach, smallest(path)


def _sized(
    search: _Search, bound: str, l_weight: float, reach: float, start: Step, weigh: bool
) -> Step:
    defaults = compiler("defaults")

    names = list(defaults.SIZES)
    path: list[Step] = []
    for name in names[: names.index(bound) + 1]:
        size, species = defaults.SIZES[name], len(search.elements)
        most = species * min(size.functions, min(size.columns, search.rows) // species)
        if path:
            shape = defaults.Shape(start.degrees, l_weight, reach)
            top = defaults.grown(search.elements, shape, size, search.rows)
            most = species * defaults.functions(search.elements, top)
            if most <= start.columns:
                continue
        else:
            wide = defaults.top(search.elements, most // species, size.order, l_weight)
            top = replace(wide, reach=reach)
        began = time.monotonic()
        columns, validation, sums, g = _pass(search, top, f"size {name}")
        first = start if fits(start, top.degrees) and start.columns <= most else None
        own = grow(columns, validation, top.degrees, first, most=most, stop=search.late)
        if weigh and not path:
            better = by_config_type(sums, columns.of(smallest(own).degrees), validation, g)
            if better is not None:
                search.weights, line = better
                search.say(line)
                validation = Validation(sums, search.weights, g, search.cores)
                own = grow(columns, validation, top.degrees, most=most, stop=search.late)
        path = [s for s in path if s.columns < own[0].columns] + own
        search.stages.append(Stage(name, l_weight, reach, tuple(own)))
        start = smallest(path)
        if start.columns < FULL * most or slope(own) < GROWING:
            break
        left, took = search.until - time.monotonic(), time.monotonic() - began
        if name != bound and 4 * took > left:
            search.say(f"size: no time for more than {name}")
            break
    return start


def fits(step: Step, top: Sequence[int]) -> bool:
    """Whether a model of the degrees `top` holds that of a step."""
    return len(step.degrees) <= len(top) and all(
        a <= b for a, b in zip(step.degrees, top, strict=False)
    )


def _pass(
    search: _Search, shape: Any, what: str
) -> tuple[Columns, Validation, Moments, np.ndarray]:
    """One pass over the data with a model that holds all smaller ones."""
    defaults = compiler("defaults")

    text = defaults.spec(search.elements, search.energies, shape)
    model = from_text(text, "default.etace")
    model.cores, model.backend = search.cores, search.backend
    g = gamma(model.potential, search.prior)
    seen = ranges(model, [s.atoms for s in search.data])
    walls = repulsion.dimers(model, seen) if search.repulsion and "energy" in search.kinds else []
    goals = targets(search.data, search.kinds, search.weights, walls)
    goals = with_folds(goals, search.places)
    groups = {t.group for t in goals}
    keys = len(groups) * len({t.fold for t in goals}) * len(search.kinds)
    if keys * 8 * model.length_basis**2 > ROOM:
        goals = [replace(t, group=_alike(search.weights, t.group)) for t in goals]
    search.tell(f"size: {what}, up to {model.length_basis} columns")
    sums = moments(model, goals, plan(model, goals), search.cores)
    return (
        Columns(model, shape.l_weight),
        Validation(sums, search.weights, g, search.cores),
        sums,
        g,
    )


def _alike(weights: Weights, group: str) -> str:
    """One name for all config types without weights of their own."""
    return group if group in weights.groups or group == repulsion.GROUP else "default"


def _sample(structures: Sequence[Labelled], seed: int) -> list[Labelled]:
    """All, or of each config type the part that leaves about `ATOMS`; not less than `FEWEST` of any."""
    atoms = sum(len(s.atoms) for s in structures)
    if atoms <= ATOMS:
        return list(structures)
    draws, rank = params.normal(seed, "size", (len(structures),)), ranks(structures)
    kept: set[int] = set()
    for group in sorted({s.group for s in structures}):
        own = sorted(
            (k for k, s in enumerate(structures) if s.group == group), key=lambda k: draws[rank[k]]
        )
        kept.update(own[: max(FEWEST, math.ceil(len(own) * ATOMS / atoms))])
    return [structures[k] for k in sorted(kept)]


def _rows(s: Labelled, kinds: Sequence[str]) -> int:
    own = {"energy": 1, "forces": 3 * len(s.atoms), "virial": 6}
    return sum(n for kind, n in own.items() if kind in kinds and getattr(s, kind) is not None)


def _best(path: Sequence[Step], columns: int) -> Step:
    """The step of the least score, of so many columns at most."""
    few = [s for s in path if s.columns <= SAME * columns] or [path[0]]
    return min(few, key=lambda s: s.score)


def _unit(search: _Search) -> str:
    labelled = any(s.forces is not None for s in search.data)
    return "meV/Å" if labelled and "forces" in search.kinds else "meV/√N"


def _errors(step: Step) -> str:
    e = step.errors
    parts = []
    if "forces" in e.rmse:
        parts.append(
            f"forces {1e3 * e.rmse['forces']:.3g} meV/Å (fitted {1e3 * e.train['forces']:.3g})"
        )
    if e.median == e.median:
        parts.append(f"median energy {1e3 * e.median:.3g} meV/√N")
    return "cross-validated " + ", ".join(parts)
