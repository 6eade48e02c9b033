"""`etace bench`: how long a model takes here, by JAX and by its native kernel."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from etacec.cli.common import (
    AnyPath,
    Define,
    ModelOption,
    console,
    dtype_of,
    exit_code,
    fail,
    overrides,
)

BACKENDS = ("jax", "native")
TITLES = {
    "evaluation": "E + F + V, list given, µs/atom",
    "list": "list of neighbours, µs/atom",
    "step": "step in ASE, list kept, µs/atom",
}


def command(
    path: AnyPath,
    structure: Annotated[
        Path | None,
        typer.Argument(
            help="A file of structures; its first frame is taken.",
            show_default="a rattled crystal of about 512 atoms",
        ),
    ] = None,
    model: ModelOption = None,
    dtype: Annotated[
        str | None, typer.Option("--dtype", help="float64 or float32.", show_default="the model's")
    ] = None,
    cores: Annotated[int, typer.Option("--cores", min=1, help="CPU cores to use.")] = 1,
    rounds: Annotated[
        int, typer.Option("--rounds", min=1, help="Print medians over so many rounds.")
    ] = 9,
    atoms: Annotated[
        int, typer.Option("--atoms", min=1, help="Atoms of the crystal, about.")
    ] = 512,
    seed: Annotated[
        int, typer.Option("--seed", help="Seed of the crystal, and of parameters drawn at random.")
    ] = 0,
    define: Define = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False,
) -> None:
    """Time a model by JAX and by its native kernel: evaluation, list of neighbours, a whole step in ASE."""
    kind = None if dtype is None else dtype_of(dtype)
    import numpy as np
    from etace.bench.measure import Runner, disagreement, measure
    from etace.bench.structure import crystal
    from etace.errors import EtaceError, RequestError
    from etace.loading import load
    from rich.console import Console

    from etacec.cli.run import read_frames

    try:
        given: Any = read_frames([str(structure)])[0][0] if structure is not None else None
    except EtaceError as error:
        fail(error, exit_code(error))
    runners: list[Runner] = []
    missing: dict[str, str] = {}
    # on a terminal; what moves too often would be timed
    with Console(stderr=True).status("compiling", refresh_per_second=1) as status:
        for backend in BACKENDS:
            status.update(f"compiling: {backend}")
            try:
                loaded = load(
                    path, model, dtype=kind, overrides=overrides(define), cores=cores,
                    backend=backend,
                )  # fmt: skip
                if given is None:
                    given = crystal(loaded.species, seed, atoms)
                drawn = _draw(loaded, np.random.default_rng(seed))
                runners.append(Runner(loaded, given))
            except EtaceError as error:
                if not runners or isinstance(error, RequestError):
                    status.stop()
                    fail(error, exit_code(error) if path.exists() else 2)
                missing[backend] = str(error)
        status.update(f"timing: {rounds} rounds")
        measure(runners, rounds)
    first = runners[0]
    found = {
        **_of_model(first.model),
        "drawn_parameters": drawn,
        "structure": structure.name if structure is not None else "rattled crystal",
        "seed": seed,
        "atoms": len(given),
        "neighbours": len(first.model.paired(given).pairs.i) / len(given),
        "cores": cores,
        "rounds": rounds,
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "missing": missing,
        "backends": {
            name: {
                **_of_backend(r.measured, len(given), cores),
                "disagreement": disagreement(r.measured.result, first.measured.result),
            }
            for name, r in zip(BACKENDS, runners, strict=False)
        },
    }
    if as_json:
        from etace.io.jsontext import as_text

        typer.echo(as_text(found))
    else:
        _print(found)


def _of_model(model: Any) -> dict[str, Any]:
    return {
        "model": model.name,
        "species": list(model.species),
        "dtype": str(model.potential.dtype),
        "linear_parameters": model.length_basis,
        "functions": model.potential.site_columns.shape[1],
    }


def _of_backend(measured: Any, atoms: int, cores: int) -> dict[str, Any]:
    return {
        "name": measured.name,
        "build_seconds": measured.build,
        "lines": measured.lines,
        "us_per_atom": {k: 1e6 * s / atoms for k, s in measured.seconds.items()},
        "fastest": {k: 1e6 * s / atoms for k, s in measured.fastest.items()},
        "shares": measured.stages,
        "operations": _operations(measured, atoms, cores),
    }


def _operations(measured: Any, atoms: int, cores: int) -> dict[str, Any] | None:
    """What was counted, and how fast it was done; None: nothing was."""
    found = measured.operations
    if found is None:
        return {"uncounted": measured.uncounted} if measured.uncounted else None
    parts = measured.fractions(cores)
    return {
        "per_atom": found.total / atoms,
        "kinds": found.kinds,
        "useful": found.useful / found.total,
        "lanes_in_use": {"edges": found.rows, "blocks": found.atoms},
        "gflops": 1e-9 * measured.rate(),
        "peak_gflops": None if parts is None else 1e-9 * cores * measured.peak,
        "fraction_of_peak": None if parts is None else parts.pop(None),
        "stages": parts or {},
    }


def _draw(loaded: Any, rng: Any) -> bool:
    """Random linear parameters where all are zero: whether they were."""
    import numpy as np

    if not loaded.length_basis or np.any(loaded.get_linear_parameters()):
        return False
    loaded.set_linear_parameters(0.01 * rng.normal(size=loaded.length_basis))
    return True


def _print(found: dict[str, Any]) -> None:
    from rich.table import Table

    def say(text: str) -> None:
        typer.echo(text)

    say(
        f"{found['model']}: {', '.join(found['species'])}; {found['functions']} functions, "
        f"{found['linear_parameters']} linear parameters"
        f"{' (drawn at random)' if found['drawn_parameters'] else ''}; {found['dtype']}"
    )
    seeded = f" (seed {found['seed']})" if found["structure"] == "rattled crystal" else ""
    load = "" if found["load"] is None else f"; load {found['load']:.1f}"
    say(
        f"{found['structure']}{seeded}: {found['atoms']} atoms, {found['neighbours']:.1f} neighbours each; "
        f"{found['cores']} core{'s' if found['cores'] > 1 else ''}; medians of {found['rounds']} rounds (fastest calls){load}"
    )
    backends = found["backends"]
    table = Table("", box=None, pad_edge=False)
    for name in backends:
        table.add_column(name, justify="right")
    for task, title in TITLES.items():
        cells = ((b["us_per_atom"][task], b["fastest"][task]) for b in backends.values())
        table.add_row(title, *(f"{middle:.3g} ({least:.3g})" for middle, least in cells))
    table.add_row("built in, s", *(f"{b['build_seconds']:.2g}" for b in backends.values()))
    table.add_row(
        "forces differ by",
        *(f"{b['disagreement']['forces']:.0e}" if k else "-" for k, b in enumerate(backends.values())),
    )  # fmt: skip
    console().print(table, highlight=False)
    for b in backends.values():
        if b["shares"]:
            shares = ", ".join(f"{name} {100 * x:.0f} %" for name, x in b["shares"].items())
            say(f"{b['name']}; {b['lines']} lines of C; {shares}")
        if b["operations"]:
            _print_operations(b["operations"], found["cores"], say)
    for name, why in found["missing"].items():
        say(f"{name}: {why}")


def _print_operations(o: dict[str, Any], cores: int, say: Any) -> None:
    if "uncounted" in o:
        say(f"operations not counted: {o['uncounted']}")
        return
    lanes = o["lanes_in_use"]
    say(
        f"{o['per_atom']:,.0f} operations/atom, {100 * o['useful']:.0f} % of use "
        f"(lanes in use: edges {100 * lanes['edges']:.0f} %, blocks {100 * lanes['blocks']:.0f} %)"
    )
    if o["fraction_of_peak"] is None:
        say(
            f"{o['gflops']:.3g} GFLOP/s; the peak could not be measured: something else keeps this machine "
            "busy (the loop that measures it was slower than the kernel)"
        )
        return
    stages = ", ".join(f"{name} {100 * x:.0f} %" for name, x in o["stages"].items())
    what = f"{cores} cores" if cores > 1 else "one core"
    say(
        f"{o['gflops']:.3g} GFLOP/s, {100 * o['fraction_of_peak']:.0f} % of the "
        f"{o['peak_gflops']:.3g} GFLOP/s that {what} can do, measured here ({stages})"
    )
