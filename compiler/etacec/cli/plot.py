"""`etace plot`: dimers, radial functions and the graph of a model as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from etacec.cli.common import (
    AnyPath,
    Define,
    ForceOption,
    ModelOption,
    check_output,
    compiled,
    exit_code,
    fail,
    overrides,
    say_written,
    write,
)
from etacec.cli.run import configure

PICTURES = ("dimers", "radial", "graph")
FORMATS = (".svg", ".png", ".pdf")


def command(
    what: Annotated[
        str, typer.Argument(help=f"One of: {', '.join(PICTURES)}.", show_default=False)
    ],
    path: AnyPath,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="Write .svg, .png or .pdf.", show_default="NAME_WHAT.svg"
        ),
    ] = None,
    model: ModelOption = None,
    params: Annotated[
        Path | None, typer.Option("--params", help="A model file to take parameters from.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", help="Of random starts.")] = 0,
    define: Define = None,
    force: ForceOption = False,
) -> None:
    """Draw dimer curves, all radial functions of every bond, or the model graph."""
    if what not in PICTURES:
        fail(f"there are pictures of {', '.join(PICTURES)}, not `{what}`", 2)
    if output is None:
        output = Path(f"{path.stem}_{what}.svg")
    if output.suffix not in FORMATS:
        fail(f"-o writes {', '.join(FORMATS)}, not `{output.name}`", 2)
    check_output(output, force, [path, *([params] if params else [])])
    from etace.errors import EtaceError

    try:
        if what == "graph":
            data = _graph(path, define, output.suffix[1:])
        else:
            from etace.loading import load
            from etace.report.style import matplotlib

            matplotlib()  # to say so now if it is missing
            configure(None)
            given = overrides(define)
            loaded = load(path, model, seed=seed, params=params, overrides=given)
            data = _curves(what, loaded, output.suffix[1:])
    except EtaceError as error:
        fail(error, exit_code(error) if path.exists() else 2)
    write(output, data)
    say_written(output)


def _curves(what: str, model: Any, format: str) -> bytes:
    from etace.errors import RequestError
    from etace.fit.holes import of_dimers
    from etace.report import curves, style
    from etace.report.dimers import dimers
    from etace.report.radials import radials

    with style.styled():
        if what == "radial":
            scans = radials(model)
            if not scans:
                raise RequestError(f"`{model.name}` has no radial functions")
            return style.saved(curves.radial_figure(scans), format)
        found = dimers(model)
        if not found:
            raise RequestError(f"`{model.name}` has no bonds")
        for hole in of_dimers(found):
            typer.echo(f"warning: {hole}", err=True)
        return style.saved(curves.dimer_figure(found), format)


def _graph(path: Path, define: list[str] | None, format: str) -> bytes:
    from etacec.ir import drawing, picture

    if path.suffix == ".safetensors":
        if define:
            fail("a model file is complete: its params cannot be overridden", 2)
        graph = _carried(path)
    else:
        graph = compiled(path, define).graph
    if format == "svg":
        return picture.svg(graph).encode()
    return drawing.drawn(graph, format)


def _carried(path: Path) -> Any:
    """The graph that a model file's own texts compile to, its parameters those of the file."""
    from dataclasses import replace
    from fractions import Fraction

    from etace.io.model_file import read_model
    from etace.loading import compilation, from_tensors

    from etacec.ir import nodes as op
    from etacec.model.spec import CARRIED

    tensors, metadata = read_model(path)
    from_tensors(tensors, metadata, str(path))  # that parameters fit the spec

    def set_by_the_file(node: str, o: op.Op) -> op.Op:
        match o:
            case op.Readout() | op.SelectLinear() if o.weights.learnable:
                return replace(o, weights=replace(o.weights, init=CARRIED))
            case op.SelectConstant() if o.learnable:
                energies = tensors.get(f"params/{node}/energies", ())
                return replace(o, energies=tuple(Fraction(float(e)) for e in energies))
        return o

    return compilation(tensors, metadata, str(path)).graph.mapped(set_by_the_file)
