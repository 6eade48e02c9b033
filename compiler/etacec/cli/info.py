"""`etace info`: what is in a file, for people and (`--json`) for scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from etacec.cli.common import AnyPath, Define, compiled, console, fail

if TYPE_CHECKING:
    from rich.console import Console


def command(
    path: AnyPath,
    define: Define = None,
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """Species, cutoffs, functions and parameters, per model and per block."""
    from etace.io.jsontext import as_text

    facts = _of_model(path) if path.suffix == ".safetensors" else _of_spec(path, define)
    if as_json:
        typer.echo(as_text(facts))
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
    from etace.extrapolation import TRAINING
    from etace.io import schema
    from etace.io.model_file import read_model

    try:
        tensors, metadata = read_model(path)
        schema.model(tensors, metadata, str(path))
    except EtaceError as error:
        fail(error, 1 if path.exists() else 2)
    return {
        "name": metadata.get("model"),
        "sha256": metadata.get("spec_sha256"),
        "species": metadata.get("species"),
        "cutoffs": {"longest": metadata.get("cutoff")},
        "dtype": metadata.get("dtype"),
        "versions": metadata.get("versions"),
        "overrides": metadata.get("overrides"),
        "linear_parameters": len(metadata.get("linear_parameters", [])),
        "committee": len(tensors["committee"]) if "committee" in tensors else None,
        "calibration": metadata.get("calibration"),
        "extrapolation": "extrapolation" in tensors,
        "graded_by": metadata.get("graded_by", TRAINING) if "extrapolation" in tensors else None,
        "tensors": {name: list(array.shape) for name, array in sorted(tensors.items())},
        "card": metadata.get("card"),
    }


def _print(facts: dict[str, Any]) -> None:
    out = console()
    out.print(f"{facts['name']}: {', '.join(facts['species'] or [])}", style="bold", markup=False)
    cutoffs = ", ".join(f"{k} {v:g} Å" for k, v in facts["cutoffs"].items() if v is not None)
    out.print(f"cutoffs: {cutoffs}", highlight=False)
    if "blocks" in facts:
        _blocks(out, facts)
    else:
        _file(out, facts)


def _blocks(out: Console, facts: dict[str, Any]) -> None:
    from rich.table import Table

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
    out.print(table)
    for line in facts["smoothness"]:
        out.print(line, highlight=False, markup=False)


def _file(out: Console, facts: dict[str, Any]) -> None:
    """What a model file holds, then its card."""
    from etace.report.card import committee

    members = facts["committee"]
    said = facts["card"].get("committee") if isinstance(facts["card"], dict) else None
    scale = said.get("scale") if isinstance(said, dict) else None
    _pairs(
        out,
        [
            ("numbers", str(facts["dtype"])),
            ("linear parameters", str(facts["linear_parameters"])),
            (
                "committee",
                "none" if members is None else committee(members, facts["calibration"], scale),
            ),
            ("extrapolation grades", _graded(facts)),
            ("params set by -D", _named(facts["overrides"])),
            ("written by", _named(facts["versions"])),
        ],
    )
    out.print("tensors:", style="bold")
    shapes = {k: " × ".join(map(str, shape)) for k, shape in facts["tensors"].items()}
    _pairs(out, list(shapes.items()))
    if isinstance(facts["card"], dict):
        _card(out, facts["card"])


def _card(out: Console, card: dict[str, Any]) -> None:
    """How the parameters were found. A file may say anything: nothing is taken for granted."""
    from etace.report.card import lines
    from etace.report.terminal import error_table_of

    out.print("card:", style="bold")
    _pairs(out, lines(card))
    errors = error_table_of(card.get("errors"))
    if errors is not None:
        out.print("errors:", style="bold")
        out.print(errors)


def _graded(facts: dict[str, Any]) -> str:
    if not facts["extrapolation"]:
        return "none"
    from etace.extrapolation import TRAINING

    if facts["graded_by"] == TRAINING:
        return "yes; 1: the oddest atom of its species in training, as versions before had it"
    return "yes; 1: beyond 99.9 % of the atoms that cross-validation left out"


def _named(found: Any) -> str:
    """A dict, as a file should have it, in words."""
    if not isinstance(found, dict):
        return str(found)
    return ", ".join(f"{k} {v}" for k, v in found.items()) or "none"


def _pairs(out: Console, found: list[tuple[str, str]]) -> None:
    """Names beside their texts, of which nothing is cut off; names and texts come from a file."""
    from etace.words import plain
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in found:
        table.add_row(Text(plain(name)), Text("\n".join(map(plain, text.split("\n")))))
    out.print(table)
