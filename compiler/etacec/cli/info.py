"""`etace info`: what is in a file, for people and (`--json`) for scripts."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from etacec.cli.common import AnyPath, Define, compiled, fail


def command(
    path: AnyPath,
    define: Define = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Species, cutoffs, functions and parameters, per model and per block."""
    facts = _of_model(path) if path.suffix == ".safetensors" else _of_spec(path, define)
    if as_json:
        typer.echo(json.dumps(facts, indent=1, ensure_ascii=False))
    else:
        _print(facts)


def _of_spec(path: Any, define: list[str] | None) -> dict[str, Any]:
    return facts(compiled(path, define))


def facts(done: Any) -> dict[str, Any]:
    from etacec.certificate import parameters, per_model

    return {
        "name": done.spec.name,
        "sha256": done.digest,
        "species": list(done.spec.species),
        "cutoffs": {
            n: float(b.rcut) for n, b in zip(done.spec.bond_names(), done.spec.bonds, strict=True)
        },
        "models": per_model(done.graph),
        "blocks": parameters(done.graph),
        "smoothness": [str(c) for c in done.contacts],
    }


def _of_model(path: Any) -> dict[str, Any]:
    from etace.errors import EtaceError
    from etace.io.model_file import read_model

    try:
        tensors, metadata = read_model(path)
    except EtaceError as error:
        fail(str(error), 1)
    return {
        "name": metadata.get("model"),
        "sha256": metadata.get("spec_sha256"),
        "species": metadata.get("species"),
        "cutoffs": {"longest": metadata.get("cutoff")},
        "dtype": metadata.get("dtype"),
        "versions": metadata.get("versions"),
        "overrides": metadata.get("overrides"),
        "linear_parameters": len(metadata.get("linear_parameters", [])),
        "tensors": {name: list(array.shape) for name, array in sorted(tensors.items())},
        "card": metadata.get("card"),
    }


def _print(facts: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    console.print(f"[bold]{facts['name']}[/]: {', '.join(facts['species'] or [])}", highlight=False)
    cutoffs = ", ".join(f"{k} {v:g} Å" for k, v in facts["cutoffs"].items())
    console.print(f"cutoffs: {cutoffs}", highlight=False)
    if "blocks" not in facts:
        for key in ("dtype", "linear_parameters", "overrides", "versions", "tensors"):
            console.print(f"{key}: {facts[key]}", highlight=False, markup=False)
        if isinstance(facts["card"], dict):
            _card(console, facts["card"])
        return
    table = Table("", "kind", "functions", "linear parameters", "other parameters", box=None)
    for name, row in facts["models"].items():
        table.add_row(
            name,
            "model",
            "",
            str(row["linear_parameters"]),
            str(row["other_parameters"]),
            style="bold",
        )
    for name, row in facts["blocks"].items():
        table.add_row(
            name,
            row["kind"],
            str(row["functions"]),
            str(row["linear_parameters"]),
            str(row["other_parameters"]),
        )
    console.print(table)
    for line in facts["smoothness"]:
        console.print(line, highlight=False, markup=False)


def _card(console: Any, card: dict[str, Any]) -> None:
    """How the parameters were found. A file may say anything: nothing is taken for granted."""
    from etace.report.card import lines
    from etace.report.terminal import error_table_of, plain
    from rich.table import Table
    from rich.text import Text

    table = Table("", "", box=None, show_header=False, pad_edge=False, title_justify="left")
    for name, text in lines(card):
        table.add_row(
            Text(plain(name), style="bold"), Text("\n".join(map(plain, text.split("\n"))))
        )
    console.print("card:", style="bold")
    console.print(table)
    errors = error_table_of(card.get("errors"))
    if errors is not None:
        console.print(errors)
