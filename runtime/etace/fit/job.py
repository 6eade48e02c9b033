"""The whole fit: read, assemble with a checkpoint, solve, judge, write. What `etace fit` runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from etace import params
from etace.data import Dataset, Keys, read, warnings
from etace.errors import RequestError, StructureError
from etace.fit.assemble import Target, assemble, plan
from etace.fit.checkpoint import Checkpoint, fingerprint
from etace.fit.fitting import Solved, solve, targets
from etace.fit.priors import Prior
from etace.fit.progress import Progress
from etace.fit.settings import Settings, beside
from etace.fit.tables import Comparison, compare
from etace.fit.weights import Weights
from etace.inference.evaluator import available_cores
from etace.model import Model, load

WANT = {"energy": "energy", "forces": "forces", "virial": "virial"}


@dataclass(frozen=True, eq=False)
class Outcome:
    """model: fitted; solved: what the solver says; train, test: predictions beside labels
    members: [M, P], drawn from the posterior, or None; seconds: by step
    """

    model: Model
    solved: Solved
    train_data: Dataset
    test_data: Dataset | None
    train: list[Comparison]
    test: list[Comparison]
    members: np.ndarray | None
    seconds: dict[str, float] = field(default_factory=dict)


def run(settings: Settings, progress: Progress, cores: int | None = None) -> Outcome:
    """Fit as the settings say; nothing is written but a checkpoint while rows are made.

    Raises EtaceError in words; KeyboardInterrupt leaves the checkpoint, and the same settings go on.
    """
    cores = cores or available_cores()
    weights, prior = Weights(settings.weights), prior_of(settings)
    model = load(
        settings.spec, settings.model, seed=settings.seed, overrides=settings.overrides, cores=cores
    )
    progress.done("compile the spec", f"{model!r}")
    train = read(settings.train, keys_of(settings), settings.kinds)
    test = read(settings.test, keys_of(settings), settings.kinds) if settings.test else None
    for found in (*train.found, *(test.found if test else ())):
        progress.note(str(found))
    for warning in warnings(train):
        progress.note(f"warning: {warning}")
    _check_species(model, [*train.structures, *(test.structures if test else ())])
    atoms = sum(len(s.atoms) for s in train.structures)
    progress.done("read the data", f"{len(train.structures)} structures, {atoms} atoms")

    goals = targets(model, train.structures, settings.kinds, weights)
    goals = hold_out(goals, settings.holdout, settings.seed)
    progress.done("fixed part", "energies, forces and virials that no parameter changes")
    shape = plan(model, goals)
    progress.done("neighbour lists", f"{len(shape.tasks)} tasks")
    checkpoint = Checkpoint(
        beside(settings.output, ".checkpoint"), fingerprint(model, goals, shape)
    )
    start, factors = checkpoint.load()
    if start:
        progress.note(f"going on after task {start} of {len(shape.tasks)}: {checkpoint.path.name}")
    sizes = np.cumsum([0, *shape.atoms_of])
    progress.start("rows and QR", int(sizes[-1]), int(sizes[start]))

    def done(count: int, total: Any) -> None:
        checkpoint.keep(count, total)
        progress.at(int(sizes[count]))

    try:
        factors = assemble(model, goals, shape, cores, start, factors, done)
    except BaseException:
        checkpoint.write()
        raise
    progress.done("rows and QR", f"{sum(f.rows for f in factors.values())} rows")
    solved = solve(model, factors, weights, prior)
    model.set_linear_parameters(solved.c)
    progress.done("solve", f"rank {solved.notes.get('rank', 0):.0f} of {model.length_basis}")
    compared = compare(model, train.structures)
    judged = compare(model, test.structures) if test else []
    members = draw(solved, settings.committee, settings.seed)
    progress.done("errors", "of training and test structures")
    return Outcome(model, solved, train, test, compared, judged, members, dict(progress.seconds))


def prior_of(settings: Settings) -> Prior:
    known = {"kind", "p", "wl", "wn", "blocks"}
    if unknown := sorted(set(settings.prior) - known):
        raise RequestError(
            f"unknown settings of the prior: {', '.join(unknown)}; there are: {', '.join(sorted(known))}"
        )
    return Prior(**settings.prior)


def keys_of(settings: Settings) -> Keys:
    try:
        return Keys(**settings.keys)
    except TypeError:
        raise RequestError(
            f"keys name labels, {', '.join(sorted(Keys.__dataclass_fields__))}, not "
            f"{', '.join(sorted(set(settings.keys) - set(Keys.__dataclass_fields__)))}"
        ) from None


def hold_out(goals: list[Target], fraction: float, seed: int) -> list[Target]:
    """The same with a part of each config type marked as validation, drawn from the seed."""
    if not fraction:
        return goals
    draws = params.normal(seed, "hold-out", (len(goals),))
    out = list(goals)
    for group in sorted({t.group for t in goals}):
        own = [k for k, t in enumerate(goals) if t.group == group]
        chosen = sorted(own, key=lambda k: draws[k])[: round(fraction * len(own))]
        for k in chosen:
            out[k] = replace(out[k], split="validation")
    return out


def draw(solved: Solved, size: int, seed: int) -> np.ndarray | None:
    """Members of a committee: [size, P], from the posterior about its mean."""
    if not size:
        return None
    if solved.root is None:
        raise RequestError("this solver gives no posterior to draw a committee from: take blr")
    z = params.normal(seed, "committee", (size, solved.root.shape[1]))
    members: np.ndarray = solved.c + z @ solved.root.T
    return members


def _check_species(model: Model, structures: Sequence[Any]) -> None:
    known = set(model.species)
    for s in structures:
        unknown = sorted(set(s.atoms.get_chemical_symbols()) - known)
        if unknown:
            raise StructureError(
                f"{s.source} contains {', '.join(unknown)}, but the model knows only "
                f"{', '.join(model.species)}"
            )
