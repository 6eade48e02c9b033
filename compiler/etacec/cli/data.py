"""`etace data`: what labelled structures hold, and what looks wrong with them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from etacec.cli.common import fail, replacing
from etacec.cli.fit import key


def command(
    files: Annotated[
        list[str],
        typer.Argument(help="Labelled structures, any format ASE reads.", show_default=False),
    ],
    energy_key: Annotated[str | None, key("energy")] = None,
    forces_key: Annotated[str | None, key("forces")] = None,
    virial_key: Annotated[str | None, key("virial")] = None,
    stress_key: Annotated[str | None, key("stress")] = None,
    group_key: Annotated[str | None, key("group")] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw it: .png, .svg or .pdf.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Count, measure and check labelled structures."""
    from etace.data import Keys, read
    from etace.data.census import census
    from etace.errors import EtaceError

    if plot is not None and plot.suffix not in (".png", ".svg", ".pdf"):
        fail(f"--plot draws .png, .svg or .pdf, not `{plot.name}`", 2)
    keys = Keys(energy_key, forces_key, virial_key, stress_key, group_key)
    try:
        data = read(files, keys)
        found = census(data)
        if as_json:
            typer.echo(json.dumps(_plain(found), indent=1, ensure_ascii=False))
        else:
            for file in data.found:
                typer.echo(str(file))
            _print(found)
        if plot is not None:
            from etace.report.census import draw

            with replacing(plot) as beside:
                draw(data, found, beside)
            typer.echo(f"written: {plot}", err=True)
    except EtaceError as error:
        fail(str(error), 1)


def _plain(found: Any) -> dict[str, Any]:
    out = asdict(found)
    out["shortest"] = {"-".join(p): v for p, v in found.shortest.items()}
    out["rdf"] = {"-".join(p): v.tolist() for p, v in found.rdf.items()}
    out["r"] = found.r.tolist()
    return out


def _print(found: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(soft_wrap=True, highlight=False, markup=False)
    table = Table(box=None, pad_edge=False)
    for title in ("config type", "structures", "atoms"):
        table.add_column(title, justify="left" if title == "config type" else "right")
    for group, (structures, atoms) in found.groups.items():
        table.add_row(group, str(structures), str(atoms))
    table.add_row("all", str(found.structures), str(found.atoms), style="bold")
    console.print(table)
    console.print("atoms: " + ", ".join(f"{s} {n}" for s, n in found.species.items()))
    table = Table(box=None, pad_edge=False)
    for title in ("per structure", "least", "mean", "most"):
        table.add_column(title, justify="left" if title == "per structure" else "right")
    for name, r in found.ranges.items():
        table.add_row(name, *(f"{x:.6g}" for x in (r.least, r.mean, r.most)))
    console.print(table)
    for pair, (r, source) in found.shortest.items():
        console.print(f"shortest {'-'.join(pair)}: {r:.3f} Å in {source}")
    for same in found.duplicates[:5]:
        console.print(f"one structure: {', '.join(same[:6])}")
    if len(found.duplicates) > 5:
        console.print(f"... and {len(found.duplicates) - 5} more that occur several times")
    for line in found.warnings:
        console.print(f"warning: {line}")
