"""The whole fit: read, assemble with a checkpoint, solve, judge, write. What `etace fit` runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from etace import extrapolation, params
from etace.data import Dataset, Keys, read, warnings
from etace.data.duplicates import duplicates
from etace.errors import ModelFileError, RequestError, StructureError
from etace.fit import odd, repulsion
from etace.fit.assemble import Plan, Target, assemble, plan
from etace.fit.calibration import Coverage, judge, rescaled
from etace.fit.checkpoint import Checkpoint, fingerprint
from etace.fit.cluster import assemble_on
from etace.fit.contradictions import contradictions
from etace.fit.factors import Factor, Key
from etace.fit.fitting import Solved, solve, targets
from etace.fit.nullspace import null_space
from etace.fit.priors import Prior
from etace.fit.progress import Progress
from etace.fit.rules import SettingError
from etace.fit.settings import Settings, beside
from etace.fit.solvers import has_posterior, solver
from etace.fit.tables import Comparison, compare
from etace.fit.tuning import tune_noise, tune_prior
from etace.fit.weights import Weights
from etace.inference.evaluator import available_cores
from etace.loading import load
from etace.model import Model
from etace.parallel import one_blas_thread
from etace.report.dimers import Dimer, Ranges, dimers, holes, ranges
from etace.report.grades import Grades, by_group, sentence
from etace.telling import Lines
from etace.words import count

SHOWN = 4  # lines on columns that cannot be told apart
ROOM = 2_000_000_000  # bytes of a committee's parameters
IN_WORDS = 1200  # columns of which the dependences are looked for block by block


@dataclass(frozen=True, eq=False)
class Outcome:
    """model: fitted; solved: what the solver says; train, test: predictions beside labels
    dimers: with the distances in the training data
    coverage: of the spread of the committee, if there is one, on the test (or training) set
    scale: by which that spread was scaled to the errors; None: it was not
    grades: of extrapolation, of the atoms of each set, if they were asked for
    warnings: what a user should know of the data and the fit
    """

    model: Model
    solved: Solved
    train_data: Dataset
    test_data: Dataset | None
    dimers: list[Dimer]
    train: list[Comparison]
    test: list[Comparison]
    coverage: tuple[Coverage, ...] = ()
    scale: float | None = None
    grades: Mapping[str, Grades] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@one_blas_thread
def run(
    settings: Settings,
    progress: Progress,
    cores: int | None = None,
    scheduler: str | None = None,
    backend: str = "auto",
) -> Outcome:
    """Fit as the settings say; nothing is written but a checkpoint while rows are made.

    scheduler: address of a Dask scheduler whose workers make the rows
    backend: what makes rows and predictions, as of `etace.load`

    Raises EtaceError in words; KeyboardInterrupt leaves the checkpoint, and the same settings go on.
    """
    cores = cores or available_cores()
    weights, prior = Weights(settings.weights), prior_of(settings)
    chosen = solver(settings.solver, **settings.solver_options)
    if settings.committee and not has_posterior(chosen):
        raise RequestError(
            f"solver {settings.solver} gives no posterior to draw a committee from: take blr or ard"
        )
    model = load(
        settings.spec, settings.model, seed=settings.seed, overrides=settings.overrides, cores=cores,
        backend=backend,
    )  # fmt: skip
    progress.done("compile the spec", f"{model!r}")
    _check_room(settings.committee, model.length_basis)
    # a C compiler works while data are read; where they are wrong, nobody waits for it to say so
    building = ThreadPoolExecutor(1, thread_name_prefix="etace").submit(model.build)
    train, test, suspicious = _data(model, settings, progress)
    seen = _distances(model, train)
    if test:
        _distances(model, test)  # what is wrong with it is found now, not after the work
    progress.done("distances", "of all pairs")
    building.result()
    progress.note(f"design rows: {model.rows_in_use}")
    progress.done("kernels", model.rows_in_use)
    core = settings.repulsion and "energy" in settings.kinds
    walls = repulsion.dimers(model, seen) if core else []
    goals = targets(train.structures, settings.kinds, weights, walls)
    goals = hold_out(goals, settings.holdout, settings.seed)
    shape = plan(model, goals)
    progress.done("neighbour lists", count(len(shape.tasks), "task"))
    factors = _factors(model, goals, shape, settings, progress, cores, scheduler)
    progress.done("rows and QR", f"{sum(f.rows for f in factors.values())} rows")
    weights, prior = tuned(model, factors, weights, prior, settings, progress)
    solved = solve(model, factors, weights, prior, chosen)
    del factors  # the largest arrays of a fit
    blind = [f"columns that the data cannot tell apart: {line}" for line in _blind(model, solved)]
    for line in blind[:SHOWN]:
        progress.note(line)
    if len(blind) > SHOWN:
        progress.note(f"... and {len(blind) - SHOWN} more such lines (in the report)")
    model.set_linear_parameters(solved.c)
    figures = ", ".join(f"{k} {v:.4g}" for k, v in solved.notes.items())
    progress.done("solve", figures)
    progress.note(f"{settings.solver}: {figures}")
    if unused := int((solved.c == 0).sum()):
        progress.note(
            f"{unused} of {len(solved.c)} coefficients are 0: `etace prune` leaves them out"
        )
    grades = _grade(model, train, test, progress) if settings.extrapolation else {}
    compared = compare(model, train.structures)
    judged = compare(model, test.structures) if test else []
    covered, scale = _committee(model, solved, (test or train).structures, settings, progress)
    progress.done("errors", "of training and test structures")
    curves = dimers(model, seen)
    progress.done("dimers", "of all pairs")
    against = contradictions(model, train.structures, compared, cores, progress.note)
    progress.done("labels", "against each other")
    if not against:  # else the fit is too bad to ask it
        against = [*odd.sentences(compared), *_doubts(compared)]
    doubts = [*against, *odd.zeros(compared)]
    for line in [*doubts, *holes(curves)]:
        progress.note(f"warning: {line}")
    told = (*suspicious, *doubts, *blind)
    return Outcome(
        model, solved, train, test, curves, compared, judged, covered, scale, grades, told
    )


def _data(
    model: Model, settings: Settings, progress: Progress
) -> tuple[Dataset, Dataset | None, list[str]]:
    """(train, test, what is suspicious), with labels found and species known to the model."""
    keys, tell = keys_of(settings), Lines(progress.note)
    train = read(settings.train, keys, settings.kinds, tell)
    test = read(settings.test, keys, settings.kinds, tell) if settings.test else None
    for file in (*train.found, *(test.found if test else ())):
        progress.note(str(file))
    suspicious = [*warnings(train, tell), *_unseen(model, train)]
    if test:
        suspicious += [f"test set: {line}" for line in warnings(test, tell)]
        suspicious += _known(train, test)
    for line in suspicious:
        progress.note(f"warning: {line}")
    _check_species(model, [*train.structures, *(test.structures if test else ())])
    sizes = {
        "structure": len(train.structures),
        "atom": sum(len(s.atoms) for s in train.structures),
    }
    progress.done("read the data", ", ".join(count(n, what) for what, n in sizes.items()))
    return train, test, suspicious


def _unseen(model: Model, train: Dataset) -> list[str]:
    """Species of the model that no training structure holds."""
    unseen = ", ".join(s for s in model.species if s not in train.species)
    return [f"no training structure has {unseen}: nothing is learned of it"] if unseen else []


def _known(train: Dataset, test: Dataset) -> list[str]:
    """Test structures that are training structures too."""
    both = [*train.structures, *test.structures]
    first = len(train.structures)
    again = sum(
        sum(k >= first for k in group)
        for group in duplicates(both)
        if any(k < first for k in group)
    )
    whole = len(test.structures)
    return [f"{again} of {whole} test structures are in the training set too"] if again else []


def _distances(model: Model, data: Dataset) -> Ranges:
    return ranges(model, [s.atoms for s in data.structures], [s.source for s in data.structures])


def _doubts(found: Sequence[Comparison]) -> list[str]:
    """What of a finished fit should make one look at labels, units and E0."""
    out = []
    single = [c for c in found if c.atoms == 1 and len(e := c.errors("energy")) and abs(e[0]) > 50]
    if single:
        off = 1e-3 * float(np.max([np.abs(c.errors("energy")) for c in single]))
        out.append(
            f"{count(len(single), 'structure')} of one atom, such as {single[0].source}: off by up to "
            f"{off:.3g} eV; does E0 fit these labels?"
        )
    forces = [c for c in found if c.forces is not None]
    if forces:
        size = np.concatenate([np.ravel(c.forces[0]) for c in forces if c.forces is not None])
        error = np.concatenate([c.errors("forces") for c in forces])
        rms, rmse = (float(np.sqrt(np.mean(np.square(x)))) for x in (size, error))
        if rmse > 0.5 * rms > 0:
            out.append(
                f"forces are off by {rmse:.3g} eV/Å (RMSE), and are {rms:.3g} themselves: are units "
                "and signs of all labels as they should be?"
            )
    return out


def _grade(
    model: Model, train: Dataset, test: Dataset | None, progress: Progress
) -> dict[str, Grades]:
    """Set the model's extrapolation grades, and say what those of the test set are."""
    L, own = extrapolation.learned(model, [s.atoms for s in train.structures])
    model.set_extrapolation(L)
    found = {"train": by_group(train.structures, own)}
    if test:
        own = [*model.extrapolation_grades([s.atoms for s in test.structures])]
        found["test"] = by_group(test.structures, own)
        progress.note(f"extrapolation grade of the test set: {sentence(found['test'])}")
    progress.done("extrapolation", "1 for the oddest atom of each species in the training set")
    return found


def _committee(
    model: Model,
    solved: Solved,
    structures: Sequence[Any],
    settings: Settings,
    progress: Progress,
) -> tuple[tuple[Coverage, ...], float | None]:
    """Draw the committee that was asked for, and say how its spread covers the errors; its scale, if
    it was scaled."""
    members = draw(solved, settings.committee, settings.seed)
    if members is None:
        return (), None
    scale = None
    model.set_committee(members)
    covered = judge(model, structures)
    if settings.calibrate and covered:
        scale = covered[-1].scale  # of forces, where there are any
        model.set_committee(rescaled(solved.c, members, scale))
        progress.note(f"committee's spread scaled by {scale:.4g}")
        covered = judge(model, structures)
    for found in covered:
        progress.note(f"committee, {found}")
    if any(c.off for c in covered) and not settings.calibrate:
        progress.note("--calibrate scales the spread to the errors")
    return tuple(covered), scale


def _factors(
    model: Model,
    goals: list[Target],
    shape: Plan,
    settings: Settings,
    progress: Progress,
    cores: int,
    scheduler: str | None,
) -> dict[Key, Factor]:
    sizes = np.cumsum([0, *shape.atoms_of])
    if scheduler is not None:
        progress.start("rows and QR", int(sizes[-1]))
        return assemble_on(scheduler, model, goals, shape, lambda k: progress.at(int(sizes[k])))
    checkpoint = Checkpoint(
        beside(settings.output, ".checkpoint"), fingerprint(model, goals, shape)
    )
    start, factors = checkpoint.load()
    if checkpoint.unused:
        progress.note(f"the fit starts anew, without {checkpoint.path.name}: {checkpoint.unused}")
    if start:
        progress.note(f"going on after task {start} of {len(shape.tasks)}: {checkpoint.path.name}")
    progress.start("rows and QR", int(sizes[-1]), int(sizes[start]))

    def done(count: int, total: dict[Key, Factor]) -> None:
        checkpoint.keep(count, total)
        progress.at(int(sizes[count]))

    try:
        return assemble(model, goals, shape, cores, start, factors, done)
    except BaseException:
        with suppress(ModelFileError):  # a checkpoint is a convenience
            checkpoint.write()
        raise


def tuned(
    model: Model,
    factors: dict[Key, Factor],
    weights: Weights,
    prior: Prior,
    settings: Settings,
    progress: Progress,
) -> tuple[Weights, Prior]:
    """Weights and prior with what the evidence was asked to choose."""
    if settings.noise_per_kind:
        noise = tune_noise(model, factors, weights, prior)
        weights = noise.weights
        found = ", ".join(f"{k} {v:.4g}" for k, v in noise.relative.items())
        progress.note(f"noise per kind, relative: {found}")
    if settings.tune_prior:
        prior = tune_prior(model, factors, weights, prior).prior
        progress.note(f"prior by evidence: p = {prior.p:.4g}, wl = {prior.wl}, wn = {prior.wn}")
    return weights, prior


def prior_of(settings: Settings) -> Prior:
    return Prior(**settings.prior)


def keys_of(settings: Settings) -> Keys:
    return Keys(**settings.keys)


def hold_out(goals: list[Target], fraction: float, seed: int) -> list[Target]:
    """The same with a part of each config type marked as validation, drawn from the seed; core
    repulsion is never held out."""
    if not fraction:
        return goals
    draws = params.normal(seed, "hold-out", (len(goals),))
    out = list(goals)
    for group in sorted({t.group for t in goals}):
        own = [k for k, t in enumerate(goals) if t.group == group and not t.bound]
        chosen = sorted(own, key=lambda k: draws[k])[: round(fraction * len(own))]
        for k in chosen:
            out[k] = replace(out[k], split="validation")
    if all(t.bound or t.split == "validation" for t in out):
        raise RequestError(f"a hold-out of {fraction} leaves no structure to fit")
    return out


def _blind(model: Model, solved: Solved) -> list[str]:
    """The null space in words; of large models only its size."""
    rank = int(solved.notes.get("rank", model.length_basis))
    if model.length_basis <= IN_WORDS:
        return null_space(solved.system, model.potential)
    return [f"all columns: {model.length_basis}, rank {rank}"] if rank < model.length_basis else []


def draw(solved: Solved, size: int, seed: int) -> np.ndarray | None:
    """Members of a committee: [size, P], from the posterior about its mean."""
    if not size:
        return None
    assert solved.root is not None
    z = params.normal(seed, "committee", (size, solved.root.shape[1]))
    members: np.ndarray = solved.c + z @ solved.root.T
    return members


def _check_room(members: int, parameters: int) -> None:
    """Raises SettingError: a committee that memory is not for."""
    size = 8 * members * parameters
    if size > ROOM:
        raise SettingError(
            "committee",
            f"of {members} members with {count(parameters, 'parameter')} takes {size / 1e9:.2g} GB; "
            f"the limit is {ROOM / 1e9:g} GB, so {ROOM // (8 * parameters)} members",
        )


def _check_species(model: Model, structures: Sequence[Any]) -> None:
    known = set(model.species)
    for s in structures:
        unknown = sorted(set(s.atoms.get_chemical_symbols()) - known)
        if unknown:
            raise StructureError(
                f"{s.source} contains {', '.join(unknown)}, but the model knows only "
                f"{', '.join(model.species)}"
            )
