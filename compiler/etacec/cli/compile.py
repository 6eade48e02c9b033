"""`etace compile`: the generated JAX module."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from etacec.cli.common import (
    Define,
    DTypeOption,
    ForceOption,
    SpecPath,
    check_output,
    compiled,
    report,
    write,
)


def command(
    spec: SpecPath,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Module to write; default: SPEC with .py.")
    ] = None,
    define: Define = None,
    dtype: DTypeOption = "float64",
    force: ForceOption = False,
) -> None:
    """Compile a file to a readable JAX module."""
    path = output or spec.with_suffix(".py")
    check_output(path, force, [spec])
    done = compiled(spec, define, dtype)
    report(done.warnings, done.sources)
    write(path, done.module)
    from etace.words import plain

    from etacec.certificate import counts

    typer.echo(f"{plain(str(path))}: {'; '.join(counts(done.graph))}")
