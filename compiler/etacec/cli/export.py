"""`etace export`: a fitted model as a C library with no dependencies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from etacec.cli.common import (
    AnyPath,
    Define,
    DTypeOption,
    ForceOption,
    ModelOption,
    check_output,
    dtype_of,
    fail,
    overrides,
    say_written,
)
from etacec.cli.common import write as write_text

KINDS = ("c",)


def command(
    path: AnyPath,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="Folder to write to; made if it is not there."),
    ],
    to: Annotated[str, typer.Option("--to", help="What to write: c.")] = "c",
    name: Annotated[
        str | None,
        typer.Option("--name", help="Of files and functions.", show_default="the model's"),
    ] = None,
    model: ModelOption = None,
    params: Annotated[
        Path | None, typer.Option("--params", help="A model file to take parameters from.")
    ] = None,
    dtype: DTypeOption = "float64",
    define: Define = None,
    force: ForceOption = False,
) -> None:
    """Write a potential that any program can link: NAME.c, NAME.h, and main.c, an example."""
    if to not in KINDS:
        fail(f"--to is one of {', '.join(KINDS)}, not `{to}`", 2)
    kind = dtype_of(dtype)
    import numpy as np
    from etace.errors import EtaceError, RequestError
    from etace.loading import load

    from etacec.codegen.native.export import export, is_name

    if name is not None and not is_name(name):
        fail(f"--name is letters, digits and _, begins with a letter and is not main: `{name}`", 2)
    try:
        loaded = load(
            path, model, params=params, overrides=overrides(define),
            dtype=None if path.suffix == ".safetensors" and dtype == "float64" else kind,
        )  # fmt: skip
        program, coefficients = loaded.native_program()
    except RequestError as error:
        fail(error, 2)
    except EtaceError as error:
        fail(error, 1 if path.exists() else 2)
    if not np.isfinite(coefficients).all():
        fail(f"{path}: not all parameters are finite numbers", 1)
    name = name or loaded.name
    if not is_name(name):
        fail(f"a C file cannot be named after the model `{name}`: use --name", 2)
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"cannot write to {output}: {error.strerror or error}", 2)
    texts = export(program, coefficients, loaded.potential.cutoffs, name)
    for file in texts:
        check_output(output / file, force, [path])
    for file, text in texts.items():
        write_text(output / file, text)
        say_written(output / file)
    if loaded.unfitted:
        typer.echo(f"etace: note: {loaded.unfitted}", err=True)
