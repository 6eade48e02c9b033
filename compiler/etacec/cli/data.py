"""`etace data`: what labelled structures hold, before a fit."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from etacec.cli.common import (
    ForceOption,
    check_output,
    exit_code,
    fail,
    input_files,
    replacing,
    say_written,
    telling,
)
from etacec.cli.fit import key


def command(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE...",
            help="Labelled structures, any format ASE reads; also `a.xyz@0:10` and patterns.",
            show_default=False,
        ),
    ],
    energy_key: Annotated[str | None, key("energy")] = None,
    forces_key: Annotated[str | None, key("forces")] = None,
    virial_key: Annotated[str | None, key("virial")] = None,
    stress_key: Annotated[str | None, key("stress")] = None,
    group_key: Annotated[str | None, key("group")] = None,
    energy: Annotated[bool, typer.Option(help="Look for energies.")] = True,
    forces: Annotated[bool, typer.Option(help="Look for forces.")] = True,
    virial: Annotated[bool, typer.Option(help="Look for virials and stresses.")] = True,
    cutoff: Annotated[float, typer.Option(min=0.5, max=20, help="Of distances and g(r), Å.")] = 6.0,
    plot: Annotated[
        Path | None, typer.Option(help="Draw energies, forces and g(r): .png, .svg or .pdf.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="All numbers, for programs.")] = False,
    force: ForceOption = False,
) -> None:
    """Count, measure and question labelled structures."""
    from etace.data import Keys, read
    from etace.data.census import census
    from etace.data.census_text import CONVENTION, lines
    from etace.errors import EtaceError

    if plot is not None:
        if plot.suffix not in (".png", ".svg", ".pdf"):
            fail(f"--plot draws .png, .svg or .pdf, not `{plot.name}`", 2)
        _needs_matplotlib()
        check_output(plot, force, input_files(files))
    keys = Keys(energy_key, forces_key, virial_key, stress_key, group_key)
    wanted = {"energy": energy, "forces": forces, "virial": virial}
    want = tuple(kind for kind, on in wanted.items() if on)
    try:
        with telling() as tell:
            dataset = read(files, keys, want, tell, survey=True)
            counted = census(dataset, cutoff, tell)
    except EtaceError as error:
        fail(error, exit_code(error))
    if as_json:
        from etace.data.census_json import as_dict
        from etace.io.jsontext import as_text

        typer.echo(as_text(as_dict(counted, dataset)))
    else:
        found = [str(f) for f in dataset.found]
        remarks = [f"warning: {r}" for r in dataset.remarks]
        typer.echo("\n".join([*found, *remarks, CONVENTION, "", *lines(counted)]))
    if plot is not None:
        from etace.data.census_plot import draw

        with replacing(plot) as beside:
            draw(dataset, counted, beside)
        say_written(plot, err=as_json)


def _needs_matplotlib() -> Any:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        fail("--plot needs matplotlib: pip install 'etace[plot]'", 2)
