"""`etace fit`: from labelled structures to a fitted model, its settings and its errors."""

from __future__ import annotations

import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from etacec.cli.common import (
    BackendOption,
    Define,
    ForceOption,
    ModelOption,
    check_output,
    console,
    drop_output,
    exit_code,
    fail,
    input_files,
    overrides,
    replacing,
    say_written,
    stop_once,
    telling,
    write,
)
from etacec.cli.run import configure

Files = Annotated[
    list[str] | None,
    typer.Option(metavar="FILE", help="Labelled structures, any format ASE reads; again for more."),
]

OPTIONS = {
    "spec": "SPEC",
    "output": "-o",
    "prior.kind": "--prior",
    "prior.p": "--smoothness",
    "prior.n": "--prior-n",
    "kinds": "--energy, --forces and --virial",
    "train": "--train FILE",
    "overrides": "-D",
}


def key(name: str) -> Any:
    return typer.Option(
        f"--{name}-key", metavar="KEY", help=f"Where the {name} stands in the files."
    )


def command(
    context: typer.Context,
    spec: Annotated[
        Path | None,
        typer.Argument(
            metavar="[SPEC]",
            help="An .etace file, or the .fit.toml of a fit to repeat; or --elements.",
            show_default=False,
        ),
    ] = None,
    train: Files = None,
    test: Files = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The model file, .safetensors.")
    ] = None,
    elements: Annotated[
        str | None, typer.Option(metavar="Si,O", help="Write a default spec for these elements.")
    ] = None,
    size: Annotated[
        str,
        typer.Option(help="Of the default spec, what it may grow to: small, medium or large."),
    ] = "large",
    minutes: Annotated[
        float | None,
        typer.Option(
            min=0.1, help="About how long a fit of a default spec may take: bounds its size."
        ),
    ] = None,
    e0: Annotated[
        str,
        typer.Option(
            "--e0", help="Of the default spec: auto, isolated, lsq, zero, or Si=-1.0,O=-2.0 (eV)."
        ),
    ] = "auto",
    model: ModelOption = None,
    energy: Annotated[bool, typer.Option(help="Fit energies.")] = True,
    forces: Annotated[bool, typer.Option(help="Fit forces.")] = True,
    virial: Annotated[bool, typer.Option(help="Fit virials.")] = True,
    weight: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[TYPE:]KIND=W",
            help="Weight of energy, forces or virial, of one config type or all; default 30, 1, 1.",
        ),
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="The same as TOML: [default] energy = 30 ...; [TYPE] ...")
    ] = None,
    prior: Annotated[
        str,
        typer.Option(help="algebraic, exponential, gaussian, algebraic_ace1 or none."),
    ] = "algebraic",
    smoothness: Annotated[float, typer.Option(help="The p of an algebraic prior.")] = 4.0,
    prior_n: Annotated[
        str,
        typer.Option(
            help="n of one-hot radials in it: degree, or index as ACEpotentials.jl has it."
        ),
    ] = "degree",
    solver: Annotated[
        str, typer.Option(help="blr, qr, rrqr, tsvd, ard, lsqr, lsmr, omp or lars.")
    ] = "blr",
    solver_option: Annotated[
        list[str] | None, typer.Option("--solver-option", metavar="NAME=VALUE")
    ] = None,
    repulsion: Annotated[
        bool, typer.Option(help="Keep close atoms apart, by dimers and dense packings with ZBL.")
    ] = True,
    allow_holes: Annotated[
        bool,
        typer.Option(
            "--allow-holes",
            help="Accept a model that pulls atoms together where no data are; else exit code 3.",
        ),
    ] = False,
    tune_prior: Annotated[
        bool, typer.Option("--tune-prior", help="Choose the prior's numbers by evidence.")
    ] = False,
    noise_per_kind: Annotated[
        bool,
        typer.Option("--noise-per-kind", help="One noise scale for each kind; energies get worse."),
    ] = False,
    test_fraction: Annotated[
        float, typer.Option(help="Part of the training structures that becomes the test set.")
    ] = 0.0,
    valid_fraction: Annotated[
        float,
        typer.Option(
            "--valid-fraction",
            "--holdout",
            help="Part of the rest that is not fitted: by it solvers choose.",
        ),
    ] = 0.0,
    split_seed: Annotated[int, typer.Option(help="Of the draw of both.")] = 0,
    committee: Annotated[
        int, typer.Option(help="Members drawn from the posterior, carried in the model file.")
    ] = 0,
    calibrate: Annotated[
        bool,
        typer.Option(
            help="Scale the committee's spread to the errors that cross-validation finds."
        ),
    ] = True,
    extrapolation: Annotated[
        bool, typer.Option(help="Grades of atoms far from the training data, in the model file.")
    ] = True,
    md: Annotated[
        bool, typer.Option(help="Try the model in molecular dynamics, hotter and hotter.")
    ] = True,
    seed: Annotated[int, typer.Option(help="Of random starts, committee and MD.")] = 0,
    cores: Annotated[
        int | None, typer.Option("--cores", min=1, help="How many to use.", show_default="all")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Make the rows on a Dask cluster: tcp://HOST:8786."),
    ] = None,
    backend: BackendOption = "auto",
    report: Annotated[bool, typer.Option(help="Write an HTML report.")] = True,
    energy_key: Annotated[str | None, key("energy")] = None,
    forces_key: Annotated[str | None, key("forces")] = None,
    virial_key: Annotated[str | None, key("virial")] = None,
    stress_key: Annotated[str | None, key("stress")] = None,
    group_key: Annotated[str | None, key("group")] = None,
    weight_key: Annotated[str | None, key("weight")] = None,
    define: Define = None,
    force: ForceOption = False,
) -> None:
    """Fit a model's linear parameters: model file, settings, errors and report."""
    begun = time.perf_counter()
    keys = {
        "energy": energy_key, "forces": forces_key, "virial": virial_key, "stress": stress_key,
        "group": group_key, "weight": weight_key,
    }  # fmt: skip
    kinds = {"energy": energy, "forces": forces, "virial": virial}
    configure(None)
    from etace.fit.settings import from_toml

    with _failures(), ExitStack() as undo:
        if spec is not None and spec.suffix == ".toml":
            if more := _given(context):
                fail(f"a settings file is complete: it takes no {', '.join(more)}", 2)
            settings, data, choice = from_toml(spec), None, None
        else:
            given: dict[str, Any] = {
                "train": tuple(train or ()), "test": tuple(test or ()),
                "keys": {k: v for k, v in keys.items() if v is not None},
                "kinds": tuple(k for k, on in kinds.items() if on),
                "weights": _weights(weight, weights), "prior": {"kind": prior, "p": smoothness, "n": prior_n},
                "solver": solver, "solver_options": _options(solver, solver_option),
                "repulsion": repulsion, "allow_holes": allow_holes, "tune_prior": tune_prior,
                "noise_per_kind": noise_per_kind, "committee": committee,
                "test_fraction": test_fraction, "valid_fraction": valid_fraction,
                "split_seed": split_seed,
                "calibrate": "folds" if calibrate else "none", "extrapolation": extrapolation,
                "md": md, "seed": seed,
            }  # fmt: skip
            default = _Default(elements, size, e0, minutes, cores, backend)
            settings, data, choice = _settings(
                spec, output, default, model, define, given, undo, force
            )
        if report and find_spec("matplotlib") is None:
            report = False
            typer.echo("etace: no report without figures: pip install 'etace[plot]'", err=True)
        holes = _fit(
            settings,
            data,
            choice,
            (cores, scheduler, backend),
            report,
            begun,
            _repeated(spec),
            force,
        )
    if holes:
        fail(holes, 3)


@contextmanager
def _failures() -> Iterator[None]:
    from etace.errors import EtaceError
    from etace.fit.rules import SettingError

    try:
        yield
    except SettingError as error:
        fail(f"{_option(error.key)} {error.what}", 2)
    except EtaceError as error:
        fail(error, exit_code(error))


def _given(context: typer.Context) -> list[str]:
    """Options on the command line that a settings file has itself."""
    free = {"spec", "cores", "scheduler", "backend", "report", "force"}
    found = {p: context.get_parameter_source(p) for p in context.params if p not in free}
    return [
        f"--{p.replace('_', '-')}"
        for p, source in sorted(found.items())
        if source is not None and source.name == "COMMANDLINE"
    ]


@dataclass(frozen=True)
class _Default:
    """What the command line says of the default spec."""

    elements: str | None
    size: str
    e0: str
    minutes: float | None
    cores: int | None
    backend: str

    def spec(self, train: Any, settings: Any, tell: Callable[[str], None]) -> tuple[str, Any, Any]:
        """Its text, made for the structures that are fitted, how it was chosen, and settings for it."""
        from etace.fit.size import default_spec
        from etace.inference.evaluator import available_cores

        return default_spec(
            str(self.elements).split(","), train, settings, self.size, self.e0,
            cores=self.cores or available_cores(), backend=self.backend, minutes=self.minutes,
            tell=tell,
        )  # fmt: skip


def _settings(
    spec: Path | None,
    output: Path | None,
    default: _Default,
    model: str | None,
    define: list[str] | None,
    given: dict[str, Any],
    undo: ExitStack,
    force: bool,
) -> tuple[Any, Any, Any]:
    """Settings of a spec that is given, or of the default one for elements, which is written; the data if they
    were read for it, and how its size was chosen. undo: on what brings back a spec that stood there, should
    the fit fail.
    """
    from etace.fit.gather import files, parts_of
    from etace.fit.progress import Progress
    from etace.fit.settings import Settings, beside

    if output is None:
        fail("where to write the model: -o NAME.safetensors", 2)
    if output.suffix != ".safetensors":
        fail(f"-o writes .safetensors, not `{output.name}`", 2)
    if (spec is None) == (default.elements is None):
        fail("give either a SPEC or --elements", 2)
    if default.elements is None:
        settings = Settings(
            spec=str(spec), output=str(output), model=model, overrides=overrides(define), **given
        )
        return settings, None, None
    path = beside(output, ".etace")
    settings = Settings(output=str(output), spec=str(path), **given)
    check_output(path, force, input_files([*settings.train, *settings.test]))
    with telling() as tell:
        data = files(settings, tell)
    with Progress(lambda line: typer.echo(line, err=True)) as progress:
        progress.begin("choose the default spec")
        train = parts_of(settings, data).train.structures
        text, choice, settings = default.spec(train, settings, progress.note)
    undo.enter_context(_written(path, text))
    return settings, data, choice


def _repeated(spec: Path | None) -> Path | None:
    """The settings file of a fit that is repeated, which may stand where its settings are written."""
    return spec if spec is not None and spec.suffix == ".toml" else None


@contextmanager
def _written(path: Path, text: str) -> Iterator[None]:
    """A text in a file; after a failure what was there before."""
    before = path.read_bytes() if path.is_file() else None
    write(path, text)
    try:
        yield
    except BaseException:
        if before is not None:
            with suppress(OSError, typer.Exit), replacing(path) as beside:
                beside.write_bytes(before)
        raise


def _fit(
    settings: Any,
    data: Any,
    choice: Any,
    how: tuple[int | None, str | None, str],
    report: bool,
    begun: float,
    repeated: Path | None,
    force: bool,
) -> str:
    """Fit and write. What a default model is refused for, or empty."""
    from etace.fit.job import run
    from etace.fit.output import HOLES, write_outcome
    from etace.fit.progress import Progress
    from etace.fit.settings import beside
    from etace.io.ours import is_one_of
    from etace.report.terminal import error_table
    from etace.words import count

    words = ["etace", *sys.argv[1:]]
    folder = Path(settings.output).parent
    if not folder.is_dir():
        fail(f"{folder}: no such folder", 2)
    endings = [".safetensors", ".fit.toml", ".progress.jsonl", ".checkpoint", HOLES]
    endings += [".html"] * report + [".md.xyz"] * settings.md
    for ending in endings:
        path = beside(settings.output, ending)
        if not is_one_of(path, [repeated] if repeated else []):
            check_output(
                path, force, [settings.spec, *input_files([*settings.train, *settings.test])]
            )
    # what a batch system sends before it kills is as good as Ctrl-C
    before = signal.signal(signal.SIGTERM, stop_once)
    try:
        with (
            _bar() as (bar, say),
            Progress(say, bar, beside(settings.output, ".progress.jsonl")) as progress,
        ):
            outcome = run(settings, progress, *how, data=data, choice=choice)
            files = list(write_outcome(outcome, settings, progress, begun, report, words, force))
            took = time.perf_counter() - begun
        try:
            console().print(error_table(outcome.sets), highlight=False)
            if sys.stdout is not None:
                sys.stdout.flush()
        except OSError:  # a full or closed output is no reason to fail: the files are there
            drop_output()
        say_written(*files, more=f" in {took:.1f} s", err=True)
        if not outcome.holes or settings.allow_holes:
            return ""
        said = (
            f"{count(len(outcome.holes), 'hole')}, where atoms pull together that should push: look at "
            f"{beside(settings.output, HOLES)}"
        )
        if choice is None:  # a spec is its user's: what it cannot do is said
            typer.echo(f"etace: {said}", err=True)
            return ""
        return f"{said}; --allow-holes accepts the model as it is"
    except KeyboardInterrupt:
        kept = beside(settings.output, ".checkpoint")
        more = f"the same command goes on ({kept.name} keeps what is done)"
        typer.echo(f"stopped; {more if kept.exists() else 'nothing is kept'}", err=True)
        raise
    except OSError as error:
        fail(f"cannot write {error.filename or folder}: {error.strerror or error}", 2)
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _bar() -> Iterator[tuple[Callable[[int, int], None], Callable[[str], None]]]:
    """A bar with rate and time left on a terminal, and a way to print above it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)
    columns = (
        TextColumn("{task.description}"), BarColumn(),
        TextColumn("{task.completed}/{task.total} atoms, {task.fields[rate]} atoms/s, left"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as p:
        tasks: list[Any] = []
        start = [0.0, 0]

        def bar(done: int, total: int) -> None:
            if not tasks:
                tasks.append(p.add_task("rows", total=total, rate="-"))
                start[:] = [time.perf_counter(), done]
            took = time.perf_counter() - start[0]
            rate = f"{(done - start[1]) / took:.0f}" if took > 0.1 else "-"
            p.update(tasks[0], completed=done, rate=rate)

        yield bar, console.print


def _weights(pairs: list[str] | None, file: Path | None) -> dict[str, dict[str, float]]:
    """config type -> kind -> weight: those of the file, and over them the options'."""
    from etace.errors import RequestError
    from etace.fit.rules import SettingError
    from etace.fit.table import WEIGHTS, parse_weight
    from etace.io.toml import read_toml

    out: dict[str, dict[str, float]] = {}
    if file is not None:
        try:
            out = WEIGHTS.check("weights", read_toml(file))
        except SettingError as error:
            raise RequestError(f"{file}: {error}") from None
    for pair in pairs or []:
        left, equals, value = pair.rpartition("=")
        group, colon, kind = left.rpartition(":")
        if not equals or not kind:
            fail(f"--weight takes [TYPE:]KIND=NUMBER, not `{pair}`", 2)
        name = group if colon else "default"
        out.setdefault(name, {})[kind] = parse_weight(name, kind, value)
    return out


def _options(solver: str, pairs: list[str] | None) -> dict[str, Any]:
    from etace.fit.table import parse_option

    out: dict[str, Any] = {}
    for pair in pairs or []:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            fail(f"--solver-option takes NAME=VALUE, not `{pair}`", 2)
        out[name] = parse_option(solver, name, value)
    return out


def _option(key: str) -> str:
    """What of the command line sets a setting: `prior.p` is --smoothness."""
    head, _, rest = key.partition(".")
    if key in OPTIONS:
        return OPTIONS[key]
    if head == "keys":
        return f"--{rest}-key"
    if head == "solver_options":
        return f"--solver-option {rest}"
    if head == "weights":
        group, _, kind = rest.rpartition(".")
        return f"--weight {group}:{kind}"
    return "--" + re.sub(r"\[\d+\]$", "", key).replace("_", "-")
