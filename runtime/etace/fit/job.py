"""The whole fit: read, assemble with a checkpoint, solve, judge, write. What `etace fit` runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace

import numpy as np

from etace import extrapolation
from etace.data import Dataset, Labelled
from etace.data.isolated import isolated
from etace.domain import Domain, Pair, Ranges, ranges
from etace.errors import ModelFileError, RequestError
from etace.fit import mending, odd, repulsion
from etace.fit.assemble import Joining, Plan, Target, assemble, plan, searched
from etace.fit.calibration import Coverage, judge, judge_held, rescaled
from etace.fit.checkpoint import Checkpoint, fingerprint
from etace.fit.cluster import assemble_on
from etace.fit.contradictions import contradictions
from etace.fit.crossvalidation import Held, draw, heldout
from etace.fit.dynamics.results import Trial
from etace.fit.dynamics.trial import tried
from etace.fit.factors import Factor, Key
from etace.fit.fitting import Solved, solve, targets
from etace.fit.folds import ALWAYS, folds, with_folds
from etace.fit.gather import check_species, gathered, suspicious
from etace.fit.holes import Hole, sentences
from etace.fit.nullspace import notes
from etace.fit.priors import Prior
from etace.fit.progress import Progress
from etace.fit.rules import SettingError
from etace.fit.scales import calibrated
from etace.fit.settings import Settings, beside
from etace.fit.size.choose import Choice
from etace.fit.solvers import has_posterior, solver
from etace.fit.split import Parts, held_out
from etace.fit.table import OLD_RULE
from etace.fit.tables import Comparison, compare
from etace.fit.tuning import NO_NOISE, tune_noise, tune_prior
from etace.fit.weights import Weights
from etace.inference.evaluator import available_cores
from etace.loading import load
from etace.model import Model
from etace.parallel import one_blas_thread
from etace.report.dimers import Dimer, dimers, remarks
from etace.report.grades import Grades, by_group, sentence
from etace.searched import in_order
from etace.telling import Lines
from etace.uncertainty import RAW, Calibration
from etace.words import count

SHOWN = 4  # lines on columns that cannot be told apart
PAIR_OF_FACTORS = 6000  # columns; of more, memory has no room for those of two folds
ROOM = 2_000_000_000  # bytes of a committee's parameters


@dataclass(frozen=True, eq=False, repr=False)
class Outcome:
    """model: fitted; solved: what the solver says; data: its training, validation and test structures
    train, valid, test: predictions beside labels
    dimers: with the distances in the training data
    coverage: of the spread of the committee, if there is one, on the test, validation or training set
    scale: by which that spread was scaled to the validation errors; None: it was not
    grades: of extrapolation, of the atoms of each set, if they were asked for
    trial: in molecular dynamics, if it was asked for
    warnings: what a user should know of the data and the fit
    choice: how the size of the default spec was chosen, if it was
    holes: where atoms pull together that should push
    """

    model: Model
    solved: Solved
    data: Parts
    dimers: list[Dimer]
    train: list[Comparison]
    valid: list[Comparison]
    test: list[Comparison]
    coverage: tuple[Coverage, ...] = ()
    scale: float | None = None
    grades: Mapping[str, Grades] = field(default_factory=dict)
    trial: Trial | None = None
    warnings: tuple[str, ...] = ()
    choice: Choice | None = None
    holes: tuple[Hole, ...] = ()

    @property
    def sets(self) -> dict[str, list[Comparison]]:
        """Predictions beside labels by set, of those there are."""
        named = {"train": self.train, "validation": self.valid, "test": self.test}
        return {name: own for name, own in named.items() if own}


@one_blas_thread
def run(
    settings: Settings,
    progress: Progress,
    cores: int | None = None,
    scheduler: str | None = None,
    backend: str = "auto",
    *,
    start: Model | None = None,
    data: Mapping[str, Dataset] | None = None,
    choice: Choice | None = None,
    keep: bool = True,
) -> Outcome:
    """Fit as the settings say; nothing is written but a checkpoint while rows are made.

    scheduler: address of a Dask scheduler whose workers make the rows
    backend: what makes rows and predictions, as of `etace.load`
    start: the model to fit, in place of the spec; data: `train` and `test`, in place of the files
    choice: how the size of the spec was chosen, for the report
    keep: whether a checkpoint is written

    Raises EtaceError in words; KeyboardInterrupt leaves the checkpoint, and the same settings go on.
    """
    cores = cores or available_cores()
    weights, prior = Weights(settings.weights), prior_of(settings)
    chosen = solver(settings.solver, **settings.solver_options)
    if settings.committee and not has_posterior(chosen):
        raise RequestError(
            f"solver {settings.solver} gives no posterior to draw a committee from: take blr or ard"
        )
    progress.begin("compile the spec")
    model = start or load(
        settings.spec, settings.model, seed=settings.seed, overrides=settings.overrides, cores=cores,
        backend=backend,
    )  # fmt: skip
    progress.done("compile the spec", f"{model!r}")
    _check_room(settings.committee, model.length_basis)
    # a C compiler works while data are read; where files are wrong, nobody waits for it to say so
    building = ThreadPoolExecutor(1, thread_name_prefix="etace").submit(model.build)
    parts, told = _read(model, settings, progress, data)
    train = parts.train.structures
    progress.begin("kernels")
    building.result()
    progress.note(f"design rows: {model.rows_in_use}")
    progress.done("kernels", model.rows_in_use)
    left_out, by_fold = folds(train, settings.split_seed), False
    dense = _core(settings) and settings.packings
    dealt: list[int] = []  # fold of each training structure, as far as anybody asks for them
    if settings.committee and settings.calibrate == "folds":
        dealt, by_fold = left_out, True
    elif dense and model.length_basis <= PAIR_OF_FACTORS:
        # by one fold `mending` sees what it does to data
        dealt = [0 if f == 0 else ALWAYS for f in left_out]
    sets = [own.structures for own in parts.sets.values()]
    once = searched(sets, model.length_basis + 1, dealt)
    model.search_once(once)
    progress.begin("distances")
    seen = _distances(model, parts.train)
    for other in (parts.valid, parts.test):
        if other:
            _distances(model, other)  # what is wrong with it is found now, not after the work
    progress.done("distances", "of all pairs")
    progress.begin("neighbour lists")
    goals = _goals(model, parts, seen, settings, weights)
    if dealt:
        goals = with_folds(goals, dealt)
    shape = plan(model, goals, weights)
    if by_fold and shape.joining is Joining.FOLDS:
        by_fold = False
        progress.note("warning: memory is not for folds: the committee stays uncalibrated")
    if shape.joining is not Joining.NONE:
        if settings.noise_per_kind:
            raise RequestError(NO_NOISE)
        progress.note(
            f"memory is for one factor of the rows {shape.joining.value}: weights stay as they are"
        )
    progress.done("neighbour lists", count(len(shape.tasks), "task"))
    factors = _factors(model, goals, shape, settings, progress, cores, scheduler, keep)
    progress.done("rows and QR", f"{sum(f.rows for f in factors.values())} rows")
    progress.begin("solve")
    weights, prior = tuned(model, factors, weights, prior, settings, progress)
    solved = solve(model, factors, weights, prior, chosen)
    model.set_linear_parameters(solved.c)
    if dense:
        progress.begin("close atoms")
        solved, factors = mending.mended(
            model, train, seen, factors, solved, weights, prior, chosen, cores
        )
        progress.done("close atoms", "kept apart")
    figures = ", ".join(f"{k} {v:.4g}" for k, v in solved.notes.items())
    progress.done("solve", figures)
    progress.note(f"{settings.solver}: {figures}")
    held: list[Held | None] = []
    if by_fold:
        progress.begin("cross-validation")
        held = heldout(
            model, factors, weights, prior, chosen, train, left_out,
            solved=solved, members=settings.committee, seed=settings.seed,
        )  # fmt: skip
        progress.done("cross-validation", f"{count(len(set(left_out) - {ALWAYS}), 'fold')}")
    del factors  # the largest arrays of a fit
    blind = _blind(model, solved, train, progress)
    if unused := int((solved.c == 0).sum()):
        progress.note(
            f"{unused} of {len(solved.c)} coefficients are 0: `etace prune` leaves them out"
        )
    model.domain = Domain.of(seen, [s.atoms for s in train])
    alone = [_no_pair(pair) for pair in model.domain.unseen(model)]
    for line in alone:
        progress.note(f"warning: {line}")
    grades = _grade(model, parts, left_out, progress) if settings.extrapolation else {}
    progress.begin("errors")
    compared = {name: compare(model, own.structures) for name, own in parts.sets.items()}
    progress.done("errors", f"of {', '.join(compared)} structures")
    calibration = calibrated(held, left_out) if by_fold else RAW
    covered, scale = _committee(model, solved, parts, settings, held, calibration, progress)
    doubts = _against(model, train, compared["train"], cores, progress)
    progress.begin("dimers")
    curves = dimers(model, seen)
    del once  # structures may change again
    progress.done("dimers", "of all pairs")
    progress.begin("holes")
    holes = mending.left(model, train, seen)
    progress.done("holes", str(len(holes)))
    for line in [*doubts, *sentences(holes)]:
        progress.note(f"warning: {line}")
    for line in remarks(curves):
        progress.note(line)
    trial = tried(model, train, settings.seed, progress) if settings.md else None
    return Outcome(
        model, solved, parts, curves,
        compared["train"], compared.get("validation", []), compared.get("test", []),
        covered, scale, grades, trial,
        (*told, *alone, *doubts, *(trial.warnings if trial else ()), *blind), choice, tuple(holes),
    )  # fmt: skip


def _read(
    model: Model, settings: Settings, progress: Progress, data: Mapping[str, Dataset] | None
) -> tuple[Parts, list[str]]:
    """The structures, and what is suspicious of them. data: in place of the files"""
    progress.begin("read the data")
    parts = gathered(settings, progress, data)
    told = suspicious(model.species, parts, Lines(progress.note))
    for line in told:
        progress.note(f"warning: {line}")
    check_species(model.species, parts)
    train = parts.train.structures
    sizes = {"structure": len(train), "atom": sum(len(s.atoms) for s in train)}
    progress.done("read the data", ", ".join(count(n, what) for what, n in sizes.items()))
    return parts, told


def _goals(
    model: Model, parts: Parts, seen: Ranges, settings: Settings, weights: Weights
) -> list[Target]:
    """All that rows are made of: training and validation structures, and dimers at short distances."""
    train, held = parts.train.structures, parts.valid.structures if parts.valid else ()
    walls = repulsion.dimers(model, seen) if _core(settings) else []
    goals = targets([*train, *held], settings.kinds, weights, walls)
    for k in range(len(train), len(train) + len(held)):
        goals[k] = replace(goals[k], split="validation")
    if settings.split_rule == OLD_RULE:
        return held_out(goals, settings.valid_fraction, settings.split_seed)
    return goals


def _core(settings: Settings) -> bool:
    """Whether the fit is taught what close atoms do; without energies nothing tells how much."""
    return settings.repulsion and "energy" in settings.kinds


def _blind(
    model: Model, solved: Solved, train: Sequence[Labelled], progress: Progress
) -> list[str]:
    """What the data do not determine, in words; the first lines are said."""
    progress.begin("columns that the data cannot tell apart")
    rank = int(solved.notes.get("rank", model.length_basis))
    blind = notes(model, solved.system, rank, train)
    for line in blind[:SHOWN]:
        progress.note(line)
    if len(blind) > SHOWN:
        progress.note(f"... and {len(blind) - SHOWN} more such lines (in the report)")
    progress.done("columns", f"{len(blind)} lines")
    return blind


def _against(
    model: Model,
    train: Sequence[Labelled],
    compared: Sequence[Comparison],
    cores: int,
    progress: Progress,
) -> list[str]:
    """What is likely wrong with labels, as the fit sees them."""
    progress.begin("labels against each other")
    against = contradictions(model, train, compared, cores, progress.note)
    progress.done("labels", "against each other")
    if not against:  # else the fit is too bad to ask it
        against = [*odd.sentences(compared), *_doubts(compared, _alone(model, train))]
    return [*against, *odd.zeros(compared)]


def _no_pair(pair: Pair) -> str:
    return f"no {'-'.join(pair)} pair is within the cutoff in any training structure: nothing is learned of it"


def _distances(model: Model, data: Dataset) -> Ranges:
    return ranges(model, [s.atoms for s in data.structures], [s.source for s in data.structures])


def _alone(model: Model, structures: Sequence[Labelled]) -> list[bool]:
    """Whether the atoms of each are out of each other's reach."""
    return [isolated(s.atoms, model.potential.cutoff_radius) for s in structures]


def _doubts(found: Sequence[Comparison], alone: Sequence[bool]) -> list[str]:
    """What of a finished fit should make one look at labels, units and E0. alone: of each, isolated atoms"""
    out = []
    single = [
        c for c, free in zip(found, alone, strict=True)
        if free and len(e := c.errors("energy")) and abs(e[0]) > 50
    ]  # fmt: skip
    if single:
        off = 1e-3 * float(np.max([np.abs(c.errors("energy")) for c in single]))
        out.append(
            f"{count(len(single), 'structure')} of isolated atoms, such as {single[0].source}: off by up to "
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
    model: Model, parts: Parts, left_out: Sequence[int], progress: Progress
) -> dict[str, Grades]:
    """Set the model's extrapolation grades, and say what those of the test set are."""
    progress.begin("extrapolation")
    train = parts.train.structures
    L, own = extrapolation.learned(model, [s.atoms for s in train], left_out)
    model.set_extrapolation(L, extrapolation.HELD_OUT)
    found = {"train": by_group(train, own)}
    if parts.test:
        order = in_order([s.atoms for s in parts.test.structures], model.batches)
        test = [parts.test.structures[k] for k in order]
        own = [*model.extrapolation_grades([s.atoms for s in test])]
        found["test"] = by_group(test, own)
        progress.note(f"extrapolation grade of the test set: {sentence(found['test'])}")
    progress.done("extrapolation", "1 beyond 99.9 % of atoms that were left out, of each species")
    return found


def _committee(
    model: Model,
    solved: Solved,
    parts: Parts,
    settings: Settings,
    held: Sequence[Held | None],
    calibration: Calibration,
    progress: Progress,
) -> tuple[tuple[Coverage, ...], float | None]:
    """Draw the committee that was asked for, and say how its standard deviations cover the errors; by what its
    members were scaled, if they were. The test set has no say in that, but by the rule of 0.1."""
    progress.begin("committee")
    members = draw(solved, settings.committee, settings.seed)
    if members is None:
        return (), None
    scale = None
    model.set_committee(members, calibration)
    asked = "validation"
    if settings.split_rule == OLD_RULE:
        asked = "test" if parts.test else "train"
    if settings.calibrate == "validation":
        of = {c.kind: c.scale for c in judge(model, parts.sets[asked].structures)}
        scale = of.get("forces", of.get("energy", 1.0))
        model.set_committee(rescaled(solved.c, members, scale))
        progress.note(f"committee's spread scaled by {scale:.4g} to the {asked} errors")
    if settings.calibrate == "folds" and not calibration.scales:
        progress.note(
            "warning: too few structures to cross-validate: the committee's spread is that of the posterior, which is "
            "usually much smaller than the errors"
        )
    name = list(parts.sets)[-1]
    covered = judge_held(held, calibration)
    if name != "train" or not covered:
        covered += judge(model, parts.sets[name].structures, f"{name} set")
    for found in covered:
        progress.note(f"committee, {found}")
    progress.done("committee", f"{settings.committee} members")
    return tuple(covered), scale


def _factors(
    model: Model,
    goals: list[Target],
    shape: Plan,
    settings: Settings,
    progress: Progress,
    cores: int,
    scheduler: str | None,
    keep: bool,
) -> dict[Key, Factor]:
    sizes = np.cumsum([0, *shape.atoms_of])
    if scheduler is not None:
        progress.start("rows and QR", int(sizes[-1]))
        return assemble_on(scheduler, model, goals, shape, lambda k: progress.at(int(sizes[k])))
    if not keep:
        progress.start("rows and QR", int(sizes[-1]))
        told = lambda k, total: progress.at(int(sizes[k]))  # noqa: E731
        return assemble(model, goals, shape, cores, done=told)
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


def _check_room(members: int, parameters: int) -> None:
    """Raises SettingError: a committee that memory is not for."""
    size = 8 * members * parameters
    if size > ROOM:
        raise SettingError(
            "committee",
            f"of {members} members with {count(parameters, 'parameter')} takes {size / 1e9:.2g} GB; "
            f"the limit is {ROOM / 1e9:g} GB, so {ROOM // (8 * parameters)} members",
        )
