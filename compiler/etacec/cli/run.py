"""`etace run`: energies, forces and pressures of structures."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import repeat
from pathlib import Path
from typing import Annotated, Any

import typer

from etacec.cli.common import (
    AnyPath,
    BackendOption,
    Define,
    DTypeOption,
    ForceOption,
    ModelOption,
    check_output,
    console,
    dtype_of,
    exit_code,
    fail,
    input_files,
    overrides,
    say_written,
    telling,
    write,
)

SHOWN = 40  # rows of the table; the file written with -o has all


def command(
    path: AnyPath,
    structures: Annotated[
        list[str],
        typer.Argument(
            help="Files of any format ASE reads; also `a.xyz@0:10` and patterns.",
            show_default=False,
        ),
    ],
    model: ModelOption = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write results: .xyz (extended) or .json.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of random starts.")] = 0,
    params: Annotated[
        Path | None, typer.Option("--params", help="A model file to take parameters from.")
    ] = None,
    dtype: DTypeOption = "float64",
    device: Annotated[
        str | None, typer.Option("--device", help="cpu, gpu or tpu; default: the best there is.")
    ] = None,
    cores: Annotated[
        int | None, typer.Option("--cores", min=1, help="How many to use.", show_default="all")
    ] = None,
    splines: Annotated[
        int | None,
        typer.Option("--splines", min=2, help="Knots of splined radials.", show_default="exact"),
    ] = None,
    extrapolation: Annotated[
        bool,
        typer.Option("--extrapolation", help="How far every atom is from the fit's training data."),
    ] = False,
    plain_names: Annotated[
        bool,
        typer.Option(
            "--plain-names",
            help="Write `energy`, `forces`, ... for `etace_energy`, ...; labels of the input are left out.",
        ),
    ] = False,
    backend: BackendOption = "auto",
    define: Define = None,
    force: ForceOption = False,
) -> None:
    """Evaluate a model on structures: a table, and a file with -o.

    In an .xyz file what the model says is called `etace_energy`, `etace_forces`, ..., beside the labels of the input.
    """
    if output is not None:
        if output.suffix not in (".xyz", ".extxyz", ".json"):
            fail(f"-o writes .xyz or .json, not `{output.name}`", 2)
        check_output(output, force, [path, *input_files(structures)])
    kind = dtype_of(dtype)
    from etace.errors import EtaceError

    try:
        frames, names = read_frames(structures)
    except EtaceError as error:
        fail(error, exit_code(error))
    configure(device)
    from etace.loading import load
    from etace.report.card import uncalibrated

    try:
        loaded = load(
            path, model, seed=seed, params=params, overrides=overrides(define),
            dtype=None if path.suffix == ".safetensors" and dtype == "float64" else kind, cores=cores,
            splines=splines, backend=backend,
        )  # fmt: skip
    except EtaceError as error:
        fail(error, exit_code(error) if path.exists() else 2)
    try:
        committee = loaded.committee is not None
        gaps: list[tuple[int, Any]] = []
        evaluate = loaded.committee_many if committee else loaded.evaluate_many
        found = evaluate(frames, told=lambda frame, gap: gaps.append((frame, gap)))
        grades = loaded.extrapolation_grades(frames) if extrapolation else repeat(None)
        results = list(_progress(found, len(frames)))
        more = [_more(r, own) for r, own in zip(results, grades)]  # noqa: B905 (repeat has no end)
    except EtaceError as error:
        fail(_which(loaded, frames, names, str(error)), 1)
    if loaded.unfitted:
        typer.echo(f"etace: note: {loaded.unfitted}", err=True)
    for line in _beyond(gaps, names):
        typer.echo(f"warning: {line}", err=True)
    _table(frames, names, results, more)
    if committee and uncalibrated(loaded):
        typer.echo(
            "note: E std and F std are the uncalibrated posterior spread, usually much smaller than the errors",
            err=True,
        )
    if backend != "jax":
        typer.echo(f"backend: {loaded.backend_in_use}", err=True)
    for how_far in loaded.evaluator.spline_errors:
        typer.echo(str(how_far))
    if output is not None:
        _write(output, frames, names, results, more, plain_names)
        say_written(output)


def read_frames(files: list[str]) -> tuple[list[Any], list[str]]:
    """All frames of all files, each with a name: without folders, unless two files would look alike."""
    from etace.data.frames import frames, shown
    from etace.data.reading import expand

    expanded = expand(files)
    short = [os.path.basename(shown(name)) for _, name, _ in expanded]
    alike = len(set(short)) < len({name for _, name, _ in expanded})
    structures: list[Any] = []
    names: list[str] = []
    remarks: dict[str, str] = {}
    with telling() as tell:
        for (_, name, index), last in zip(expanded, short, strict=True):
            marks = []
            for frame in frames(name, index):
                structures.append(frame.atoms)
                marks.append(frame.source)
                for text in frame.remarks:
                    remarks.setdefault(text, frame.source)
                tell("reading", len(structures), None)
            label = shown(name) if alike else last
            alone = len(marks) == 1 and not index
            names += [label if alone else label + mark.removeprefix(shown(name)) for mark in marks]
    for text, first in remarks.items():
        typer.echo(f"warning: {first}: {text}", err=True)
    return structures, names


def configure(device: str | None) -> None:
    """The device, and JAX's compilation cache on disk: for this command only."""
    import jax

    if device is not None:
        try:
            jax.config.update("jax_platforms", {"gpu": "cuda"}.get(device, device))
            jax.devices()
        except Exception:
            fail(f"there is no device `{device}` here", 2)
    folder = _cache_folder()
    if folder is not None:
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _cache_folder() -> Path | None:
    """One folder per jaxlib and kind of CPU (code for one may not run on another); None: no cache."""
    import hashlib
    import platform

    import jaxlib
    from etace.io.cache import code_folder

    features = platform.machine() + platform.processor()
    with suppress(OSError):
        text = Path("/proc/cpuinfo").read_text()
        features += next((line for line in text.split("\n") if line.startswith("flags")), "")
    key = hashlib.sha256(f"{jaxlib.__version__}/{features}".encode()).hexdigest()[:16]
    found = code_folder("xla")
    if found.path is None or not found.writable:
        return None
    folder = found.path / key
    try:
        folder.mkdir(exist_ok=True)
    except OSError:
        return None
    return folder


def _progress(results: Iterator[Any], total: int) -> Iterator[Any]:
    import sys

    if total < 20 or not sys.stderr.isatty():
        yield from results
        return
    from rich.console import Console
    from rich.progress import track

    yield from track(
        results, "evaluating", total=total, console=Console(stderr=True), transient=True
    )


def _which(loaded: Any, frames: list[Any], names: list[str], message: str) -> str:
    """The message with the structure it is about."""
    from etace.errors import EtaceError

    for atoms, name in zip(frames, names, strict=True):
        try:
            loaded.graph(atoms)
        except EtaceError as error:
            return f"{name}: {error}"
    return message


def pressure(atoms: Any, virial: Any) -> float | None:
    """GPa, without the kinetic part; None without a periodic cell."""
    from ase.units import GPa

    if atoms.cell.rank < 3 or not atoms.pbc.any():
        return None
    return float(virial.trace() / (3 * atoms.get_volume()) / GPa)


def _more(r: Any, grades: Any) -> dict[str, Any]:
    """What only some models know: spreads of a committee, grades of every atom."""
    from etace.committee import CommitteeResult

    found = {}
    if isinstance(r, CommitteeResult):
        found = {
            "energy_std": r.energy_std,
            "energy_bound95": r.bound("energy", 0.954),
            "forces_std": r.forces_std,
            "forces_bound95": r.bound("forces", 0.954),
            "virial_std": r.virial_std,
        }
    if grades is not None:
        found["extrapolation_grade"] = grades
    return found


# title of a column, and its text
COLUMNS: dict[str, tuple[str, Callable[[Any, int], str]]] = {
    "energy_std": ("E std, meV/atom", lambda value, n: f"{1000 * value / n:.3f}"),
    "energy_bound95": ("E 95 %, meV/atom", lambda value, n: f"{1000 * value / n:.3f}"),
    "forces_std": ("max F std, eV/Å", lambda value, n: f"{value.max():.4f}"),
    "forces_bound95": ("max F 95 %, eV/Å", lambda value, n: f"{value.max():.4f}"),
    "extrapolation_grade": ("max grade", lambda value, n: f"{value.max():.3g}"),
}


def _beyond(gaps: list[tuple[int, Any]], names: list[str]) -> Iterator[str]:
    """What the training data had not, each with the structure where it is worst."""
    from etace.words import count

    by_names: dict[tuple[str, ...], list[tuple[int, Any]]] = {}
    for frame, gap in gaps:
        by_names.setdefault(gap.names, []).append((frame, gap))
    for own in by_names.values():
        frame, worst = min(own, key=lambda found: found[1].distance)
        more = f" (and so in {count(len(own) - 1, 'more structure')})" if len(own) > 1 else ""
        yield f"{names[frame]}: {worst}{more}"


def _table(
    frames: list[Any],
    names: list[str],
    results: list[Any],
    more: list[dict[str, Any]],
) -> None:
    import numpy as np
    from etace.words import plain
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("structure", overflow="fold")
    titles = ["atoms", "E, eV", "E/atom, eV", "max |F|, eV/Å", "P, GPa"]
    shown = [name for name in more[0] if name in COLUMNS]
    titles += [COLUMNS[name][0] for name in shown]
    for title in titles:
        table.add_column(title, justify="right", no_wrap=True)
    for atoms, name, r, own in list(zip(frames, names, results, more, strict=True))[:SHOWN]:
        largest = float(np.linalg.norm(r.forces, axis=1).max())
        p = pressure(atoms, r.virial)
        table.add_row(
            plain(name), str(len(atoms)), f"{r.energy:.6f}", f"{r.energy / len(atoms):.6f}", f"{largest:.6f}",
            "-" if p is None else f"{p:.4f}",
            *(COLUMNS[kind][1](own[kind], len(atoms)) for kind in shown),
        )  # fmt: skip
    out = console()
    out.print(table, highlight=False)
    if len(frames) > SHOWN:
        per_atom = np.array([r.energy / len(a) for a, r in zip(frames, results, strict=True)])
        out.print(
            f"... and {len(frames) - SHOWN} more; E/atom of all {len(frames)}: "
            f"{per_atom.min():.6f} to {per_atom.max():.6f} eV (-o FILE writes all)",
            highlight=False,
            soft_wrap=True,
        )


def _write(
    path: Path,
    frames: list[Any],
    names: list[str],
    results: list[Any],
    more: list[dict[str, Any]],
    plain_names: bool,
) -> None:
    if path.suffix != ".json":
        write(path, _as_xyz(frames, results, more, plain_names))
        return
    import numpy as np
    from etace.io.jsontext import as_text

    rows = [
        {
            "structure": name,
            "energy": r.energy,
            "energies": r.energies.tolist(),
            "forces": r.forces.tolist(),
            "virial": r.virial.tolist(),
            "pressure_GPa": pressure(atoms, r.virial),
            **{k: v if np.isscalar(v) else v.tolist() for k, v in own.items()},
        }
        for atoms, name, r, own in zip(frames, names, results, more, strict=True)
    ]
    write(path, as_text(rows))


def _in_place_of_labels(atoms: Any, found: dict[str, Any]) -> None:
    """Results under the names of labels, of which none of the input is left."""
    from ase.calculators.singlepoint import SinglePointCalculator
    from etace.data.labels import NAMES
    from etace.predictions import put

    labels = {x for kind in ("energy", "forces", "virial", "stress") for x in NAMES[kind]}
    for held in (atoms.info, atoms.arrays):
        for name in [k for k in held if k.lower() in labels | {"free_energy", "energies"}]:
            del held[name]
    plain = {k: v for k, v in found.items() if k in ("energy", "energies", "forces", "stress")}
    atoms.calc = SinglePointCalculator(atoms, **plain)
    put(atoms, {k: v for k, v in found.items() if k not in plain}, prefix="")


def _as_xyz(
    frames: list[Any],
    results: list[Any],
    more: list[dict[str, Any]],
    plain_names: bool,
) -> str:
    from ase.io import write
    from etace.predictions import drop, put

    out, text = [], io.StringIO()
    for atoms, r, own in zip(frames, results, more, strict=True):
        copy = atoms.copy()
        drop(copy)
        found = {"energy": r.energy, "virial": r.virial, "energies": r.energies, "forces": r.forces}
        if pressure(atoms, r.virial) is not None:
            found["stress"] = -r.virial / atoms.get_volume()
        found |= own
        if plain_names:
            _in_place_of_labels(copy, found)
        else:
            copy.calc = atoms.calc
            put(copy, found)
        out.append(copy)
    write(text, out, format="extxyz")
    return text.getvalue()
