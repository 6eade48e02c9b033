"""`etace.fit_model`: the whole of `etace fit` as one function."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etace.data import Dataset, Labelled, read
from etace.data.memory import from_atoms
from etace.errors import RequestError
from etace.fit.factors import KINDS
from etace.fit.gather import keys_of, parts_of
from etace.fit.holes import Hole, sentences
from etace.fit.job import Outcome, run
from etace.fit.output import HOLES, card_of, page_of, write_outcome
from etace.fit.progress import Progress
from etace.fit.settings import Settings, beside, to_toml
from etace.fit.size import default_spec
from etace.fit.tables import TOTAL, UNITS
from etace.inference.evaluator import available_cores
from etace.io.ours import write_sealed
from etace.io.replace import check_writable
from etace.loading import from_text
from etace.model import Model
from etace.report.errors import as_json, figure
from etace.words import count

if TYPE_CHECKING:
    from ase import Atoms

    Structures = str | Path | Sequence[str | Path] | Sequence[Atoms] | Sequence[Labelled]

NOWHERE = "model.safetensors"  # the name of a model that no file holds


@dataclass(frozen=True, eq=False, repr=False)
class FitReport:
    """What is to be known of a fit.

    settings: all of them, defaults too; notes: figures of the solver, by name, such as `rank`
    warnings: what is likely wrong with data and model, one sentence each
    seconds: of each step
    """

    settings: Settings
    notes: Mapping[str, float]
    warnings: tuple[str, ...]
    seconds: Mapping[str, float]
    outcome: Outcome
    _progress: Progress

    def __repr__(self) -> str:
        """The errors of each set on one line, and how many warnings there are."""
        rows = [
            f"{row['set']} {row['kind']} RMSE {figure(row['rmse'], row['count'])} {UNITS[row['kind']]}"
            for row in self.errors
            if row["group"] == TOTAL
        ]
        return f"<etace.fit.FitReport: {'; '.join(rows)}; {count(len(self.warnings), 'warning')}>"

    @property
    def errors(self) -> list[dict[str, Any]]:
        """Rows: set (train, validation, test), group (config type, `all`), kind, count of structures,
        rmse, mae, largest; energies and virials in meV/atom, forces in eV/Å."""
        return as_json(self.outcome.sets)

    @property
    def holes(self) -> tuple[Hole, ...]:
        """Structures in which the model pulls atoms together that should push, `atoms` of each."""
        return self.outcome.holes

    @property
    def settings_text(self) -> str:
        """The settings as a `.fit.toml` file holds them."""
        return to_toml(self.settings, {})

    def rmse(self, kind: str, of: str = "test", group: str = "all") -> float:
        """Root mean square error of a kind of label, meV/atom or eV/Å.

        kind: energy, forces or virial; of: train, validation or test; group: a config type
        Raises RequestError: there is no such row.
        """
        for row in self.errors:
            if (row["set"], row["kind"], row["group"]) == (of, kind, group):
                return float(row["rmse"])
        there = sorted({(str(r["set"]), str(r["kind"]), str(r["group"])) for r in self.errors})
        raise RequestError(
            f"no {kind} errors of {group} in the {of} set; there is: "
            f"{'; '.join(' '.join(x) for x in there)}"
        )

    def html(self) -> str:
        """The report as a page that needs no other file. Needs matplotlib."""
        return page_of(self.outcome, self.settings, self._progress)

    def write_html(self, path: str | Path) -> None:
        """The page in a file, which is replaced. Raises OSError."""
        write_sealed(Path(path), self.html())

    def __str__(self) -> str:
        """The table of errors, what came out of the test MD, and the warnings."""
        head = ("set", "config type", "kind", "count", "RMSE", "MAE", "largest")
        rows = [
            (r["set"], r["group"], r["kind"], str(r["count"]),
             *(f"{r[k]:.4g}" for k in ("rmse", "mae", "largest")))
            for r in self.errors
        ]  # fmt: skip
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = [
            "  ".join(x.ljust(w) for x, w in zip(row, widths, strict=True)).rstrip()
            for row in (head, *rows)
        ]
        trial = self.outcome.trial
        md = [f"test MD: {trial.sentence}"] if trial else []
        return "\n".join([*lines, *md, *(f"warning: {w}" for w in self.warnings)])


@dataclass(frozen=True, eq=False)
class FitResult:
    """model: fitted, ready for `model.energy(atoms)` and `model.calculator()`; report: on the fit
    files: those that were written, none without `output`"""

    model: Model
    report: FitReport
    files: tuple[Path, ...] = ()


def fit_model(
    spec: str | Path | None = None,
    train: Structures = (),
    *,
    elements: str | Sequence[str] | None = None,
    size: str = "large",
    minutes: float | None = None,
    e0: str = "auto",
    test: Structures = (),
    test_fraction: float = 0.0,
    valid_fraction: float = 0.0,
    split_seed: int = 0,
    output: str | Path | None = None,
    write_report: bool = True,
    model: str | None = None,
    overrides: Mapping[str, str] | None = None,
    keys: Mapping[str, str] | None = None,
    kinds: Sequence[str] = KINDS,
    weights: Mapping[str, Mapping[str, float]] | None = None,
    prior: str = "algebraic",
    smoothness: float = 4.0,
    prior_n: str = "degree",
    solver: str = "blr",
    solver_options: Mapping[str, Any] | None = None,
    repulsion: bool = True,
    allow_holes: bool = False,
    tune_prior: bool = False,
    noise_per_kind: bool = False,
    committee: int = 0,
    calibrate: bool = True,
    extrapolation: bool = True,
    md: bool = True,
    seed: int = 0,
    cores: int | None = None,
    scheduler: str | None = None,
    backend: str = "auto",
    say: Callable[[str], None] | None = None,
) -> FitResult:
    """Fit the linear parameters of a model to labelled structures: all of `etace fit`.

        found = etace.fit_model(elements="Si,O", train="train.xyz", test_fraction=0.1)
        print(found.report)                    # errors of each config type, warnings
        found.model.save("sio.safetensors")
        atoms.calc = found.model.calculator()

    spec: an `.etace` file; or elements, `"Si,O"` or a list, for a default model, as large as the data
        are good for, size (small, medium, large) at most, and about minutes of work; with e0: auto, isolated, lsq, zero, or `"Si=-1.0,O=-2.0"` (eV)
    train, test: files, as for `etace.data.read`, or lists of `ase.Atoms` with labels in their
        calculator, `info` or `arrays` (energy eV, forces [N, 3] eV/Å, virial [3, 3] eV or stress eV/Å³),
        or of `etace.data.Labelled`
    test_fraction: of the training structures, in place of `test`; valid_fraction: of the rest, not
        fitted, by which solvers choose; split_seed: of both draws, and of folds
    output: a `.safetensors` file; settings, progress and (write_report) an HTML page are written beside
        it. Without it nothing is written
    model, overrides: which model of the spec, and values of its params, as text
    keys: label (energy, forces, virial, stress, group, weight) -> key in the data
    kinds: labels to fit; weights: config type or `default` -> kind -> weight; default 30, 1, 1
    prior: algebraic, exponential, gaussian, algebraic_ace1 or none; smoothness: its p; prior_n: `degree`, or
        `index` as ACEpotentials.jl has it
    solver, solver_options: blr, qr, rrqr, tsvd, ard, lsqr, lsmr, omp or lars, and its options
    repulsion: keep close atoms apart, by dimers and dense packings with the energies of ZBL
    allow_holes: structures in which the model pulls atoms together that should push are in `report.holes`
        and, with `output`, beside it; without allow_holes they are warnings too
    tune_prior, noise_per_kind: choose the prior's numbers, one noise for each kind, by evidence
    committee: members drawn from the posterior; calibrate: their spread to the errors, by cross-validation
    extrapolation: grades of atoms unlike the training data, in the model
    md: try the model in molecular dynamics, from its data's temperature upwards
    seed: of random starts, committee and MD; cores, scheduler (address of Dask), backend: see `etace.load`
    say: takes a line for people now and then, such as `print`; default: silent

    Raises EtaceError (RequestError, DataError, ...), in words; OSError where `output` cannot be written.
    """
    begun = time.perf_counter()
    if (spec is None) == (elements is None):
        raise RequestError("give either a spec or elements")
    given = {"train": train, "test": test}
    settings = Settings(
        spec=str(spec) if spec is not None else str(beside(output or NOWHERE, ".etace")),
        output=str(output or NOWHERE),
        train=_names(train, "train"),
        test=_names(test, "test"),
        model=model,
        overrides=dict(overrides or {}),
        keys=dict(keys or {}),
        kinds=tuple(kinds),
        weights=weights or {},
        prior={"kind": prior, "p": smoothness, "n": prior_n},
        solver=solver,
        solver_options=dict(solver_options or {}),
        repulsion=repulsion,
        allow_holes=allow_holes,
        tune_prior=tune_prior,
        noise_per_kind=noise_per_kind,
        test_fraction=test_fraction,
        valid_fraction=valid_fraction,
        split_seed=split_seed,
        committee=committee,
        calibrate="folds" if calibrate else "none",
        extrapolation=extrapolation,
        md=md,
        seed=seed,
    )
    endings = [
        ".safetensors",
        ".fit.toml",
        ".progress.jsonl",
        HOLES,
        *([".html"] if write_report else []),
    ]
    endings += [".etace"] if elements is not None else []
    endings += [".md.xyz"] if md else []
    for ending in endings if output is not None else ():
        check_writable(beside(settings.output, ending))
    data = {
        name: _dataset(own, name, settings) for name, own in given.items() if len(_names(own, name))
    }
    log = beside(settings.output, ".progress.jsonl") if output is not None else None
    with Progress(say or (lambda text: None), log=log) as progress:
        start, choice = None, None
        if elements is not None:
            names = elements.split(",") if isinstance(elements, str) else list(elements)
            text, choice, settings = default_spec(
                names,
                parts_of(settings, data).train.structures,
                settings,
                size,
                e0,
                cores=cores or available_cores(),
                backend=backend,
                minutes=minutes,
                tell=progress.note,
            )
            start = from_text(text, Path(settings.spec).name)
            start.cores, start.backend = cores, backend
            if output is not None:
                write_sealed(Path(settings.spec), text)
        outcome = run(
            settings, progress, cores, scheduler, backend, start=start, data=data, choice=choice,
            keep=output is not None,
        )  # fmt: skip
        files: tuple[Path, ...] = ()
        if output is not None:
            files = tuple(
                map(Path, write_outcome(outcome, settings, progress, begun, write_report))
            )
        else:
            outcome.model.card = card_of(outcome, settings, datetime.datetime.now().astimezone())
    told = () if allow_holes else tuple(sentences(outcome.holes))
    report = FitReport(
        settings, outcome.solved.notes, (*told, *outcome.warnings), dict(progress.seconds), outcome,
        progress,
    )  # fmt: skip
    return FitResult(outcome.model, report, files)


def _in_memory(given: Any) -> bool:
    return not isinstance(given, str | Path) and not all(isinstance(x, str | Path) for x in given)


def _names(given: Any, name: str) -> tuple[str, ...]:
    """Of files; structures in memory have the name of their set."""
    if isinstance(given, str | Path):
        return (str(given),)
    return (f"{name} in memory",) if _in_memory(given) else tuple(map(str, given))


def _dataset(given: Any, name: str, settings: Settings) -> Dataset:
    if _in_memory(given):
        own = [given] if hasattr(given, "numbers") else list(given)
        return from_atoms(own, keys_of(settings), settings.kinds, name)
    return read(_names(given, name), keys_of(settings), settings.kinds)
