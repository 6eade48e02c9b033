"""`etace prune`: a fitted model without the functions whose coefficients are 0."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from etacec.cli.common import (
    ForceOption,
    check_output,
    exit_code,
    fail,
    replacing,
    say_written,
    write,
)


def command(
    path: Annotated[
        Path, typer.Argument(metavar="MODEL", help="A model file.", show_default=False)
    ],
    output: Annotated[
        Path,
        typer.Option("-o", "--output", help="The smaller model, .safetensors; its spec beside it."),
    ],
    force: ForceOption = False,
) -> None:
    """Write a smaller spec and model: without functions that a sparse fit gave no weight."""
    if path.suffix != ".safetensors":
        fail(f"a fitted model is pruned, a .safetensors file, not `{path.name}`", 2)
    if output.suffix != ".safetensors":
        fail(f"-o writes .safetensors, not `{output.name}`", 2)
    spec = output.with_suffix(".etace")
    for file in (output, spec):
        check_output(file, force, [path])
    from etace.errors import EtaceError
    from etace.loading import load

    from etacec.pruned import prune

    try:
        model = load(path)
        made = prune(model, model.get_linear_parameters() != 0)
        _hand_on(model, made)
        with replacing(output) as beside:
            made.model.save(beside)
    except EtaceError as error:
        fail(error, exit_code(error) if path.exists() else 2)
    write(spec, made.text)
    typer.echo(
        f"{len(made.kept)} of {model.length_basis} linear parameters are left"
        + (f", {made.extra} of them 0: other species or couplings need them" if made.extra else "")
    )
    say_written(output, spec)


def _hand_on(model: Any, made: Any) -> None:
    """Committee, domain and card of the old model; its extrapolation grades are of another basis."""
    if model.committee is not None:
        made.model.set_committee(model.committee[:, made.kept])
    made.model.domain = model.domain
    if model.card is not None:
        from etace.report.card import card

        own = card(made.model)
        made.model.card = {
            **model.card,
            **{key: own[key] for key in ("functions", "parameters")},
            "pruned_from": {key: model.card[key] for key in ("model", "functions", "parameters")},
        }
