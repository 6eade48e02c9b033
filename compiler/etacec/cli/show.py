"""`etace show`: every stage of the compiler in a form people read; the graph as DOT or as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from etacec.cli.common import (
    Define,
    DTypeOption,
    ForceOption,
    SpecPath,
    check_output,
    compiled,
    fail,
    write,
)

STAGES = ("source", "ast", "model", "graph", "passes", "module", "inference", "native", "rows")


def command(
    spec: SpecPath,
    stage: Annotated[str, typer.Option("--stage", help=f"One of: {', '.join(STAGES)}.")] = "graph",
    format: Annotated[
        str, typer.Option("--format", help="text; of the graph also dot and svg.")
    ] = "text",
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File to write.")] = None,
    define: Define = None,
    dtype: DTypeOption = "float64",
    force: ForceOption = False,
) -> None:
    """Show what the compiler makes of a file, stage by stage."""
    if stage not in STAGES:
        fail(f"--stage is one of {', '.join(STAGES)}, not `{stage}`", 2)
    if format not in ("text", "dot", "svg") or (format != "text" and stage != "graph"):
        fail("--format is text, or for the graph dot or svg", 2)
    if output is not None:
        check_output(output, force, [spec])
    done = compiled(spec, define, dtype)
    from etacec.ir import picture, show

    if stage == "source":
        text = "\n".join(
            f"# {n}\n\n{t}" if len(done.sources) > 1 else t for n, t in done.sources.items()
        )
    elif stage == "ast":
        text = show.tree(done.file)
    elif stage == "model":
        text = show.tree(done.spec)
    elif stage == "module":
        text = done.module
    elif stage == "inference":
        text = _inference(done)
    elif stage == "native":
        text = "\n".join(done.native(m).text for m in done.graph.models)
    elif stage == "rows":
        text = "\n".join(done.native_rows(m).text for m in done.graph.models)
    elif stage == "passes":
        text = show.passes(done.stages)
    else:
        text = {"text": show.graph, "dot": show.dot, "svg": picture.svg}[format](done.graph)
    if output is None:
        typer.echo(text.rstrip("\n"))
    else:
        write(output, text)


def _inference(done: Any) -> str:
    """What the fast form of each model does, and why so."""
    from etace.loading import run_module

    module = run_module(done.module, done.spec.name)
    return "\n\n".join(f"{n}\n{p.inference.explain()}" for n, p in module.MODELS.items())
