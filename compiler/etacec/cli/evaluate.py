"""`etace eval`: errors of a model on labelled data: a table, a report, numbers for scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from etacec.cli.common import (
    AnyPath,
    BackendOption,
    Define,
    ForceOption,
    ModelOption,
    check_output,
    console,
    exit_code,
    fail,
    input_files,
    overrides,
    say_written,
    telling,
    write,
)
from etacec.cli.fit import key
from etacec.cli.run import configure


def command(
    path: AnyPath,
    data: Annotated[
        list[str],
        typer.Argument(help="Labelled structures, any format ASE reads.", show_default=False),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write a report, .html.")
    ] = None,
    as_json: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the errors, .json.")
    ] = None,
    model: ModelOption = None,
    params: Annotated[
        Path | None, typer.Option("--params", help="A model file to take parameters from.")
    ] = None,
    extrapolation: Annotated[
        bool,
        typer.Option("--extrapolation", help="How far the atoms are from the fit's training data."),
    ] = False,
    energy: Annotated[bool, typer.Option(help="Compare energies.")] = True,
    forces: Annotated[bool, typer.Option(help="Compare forces.")] = True,
    virial: Annotated[bool, typer.Option(help="Compare virials.")] = True,
    device: Annotated[
        str | None, typer.Option("--device", help="cpu, gpu or tpu; default: the best there is.")
    ] = None,
    cores: Annotated[
        int | None, typer.Option("--cores", min=1, help="How many to use.", show_default="all")
    ] = None,
    backend: BackendOption = "auto",
    energy_key: Annotated[str | None, key("energy")] = None,
    forces_key: Annotated[str | None, key("forces")] = None,
    virial_key: Annotated[str | None, key("virial")] = None,
    stress_key: Annotated[str | None, key("stress")] = None,
    group_key: Annotated[str | None, key("group")] = None,
    define: Define = None,
    force: ForceOption = False,
) -> None:
    """Errors of a model on labelled structures: a table, and a report with -o."""
    for file, suffix, flag in ((output, ".html", "-o"), (as_json, ".json", "--json")):
        if file is not None and file.suffix != suffix:
            fail(f"{flag} writes {suffix}, not `{file.name}`", 2)
        if file is not None:
            check_output(file, force, [path, *input_files(data)])
    kinds = [k for k, on in (("energy", energy), ("forces", forces), ("virial", virial)) if on]
    if not kinds:
        fail("nothing is left to compare", 2)
    keys = {
        "energy": energy_key, "forces": forces_key, "virial": virial_key, "stress": stress_key,
        "group": group_key,
    }  # fmt: skip
    configure(device)
    from etace.errors import EtaceError
    from etace.loading import load

    try:
        if output is not None:
            from etace.report.style import matplotlib

            matplotlib()  # to say so now if it is missing, not after the work
        loaded = load(
            path, model, params=params, overrides=overrides(define), cores=cores,
            backend=backend,
        )  # fmt: skip
        if loaded.unfitted:
            typer.echo(f"etace: note: {loaded.unfitted}", err=True)
        if extrapolation:
            loaded.extrapolation_grades([])  # to say so now that it has none
        _evaluate(loaded, data, keys, kinds, extrapolation, output, as_json)
    except EtaceError as error:
        fail(error, exit_code(error) if path.exists() else 2)


def _evaluate(
    model: Any,
    files: list[str],
    keys: dict[str, str | None],
    kinds: list[str],
    extrapolation: bool,
    output: Path | None,
    as_json: Path | None,
) -> None:
    import time

    from etace.data import Keys, read
    from etace.fit.calibration import judge
    from etace.fit.tables import compare
    from etace.io.jsontext import as_text
    from etace.report import Report, errors
    from etace.report.card import card, part
    from etace.report.grades import by_group, sentence
    from etace.report.terminal import error_table
    from etace.words import plain

    begun = time.perf_counter()
    with telling() as tell:
        data = read(files, Keys(**keys), kinds, tell)
    seconds = {"read the data": time.perf_counter() - begun}
    for found in data.found:
        typer.echo(plain(str(found)), err=True)
    for remark in data.remarks:
        typer.echo(plain(f"warning: {remark}"), err=True)
    begun = time.perf_counter()
    compared = compare(model, data.structures)
    covered = [] if model.committee is None else judge(model, data.structures)
    seconds["evaluate"] = time.perf_counter() - begun
    own = card(model, test=compared, test_files=files, test_digest=data.digest)["data"]["test"]
    name, said = part(model.card, data.digest, own["files"])
    console().print(error_table({name: compared}), highlight=False)
    for text in said:
        typer.echo(f"note: {text}", err=True)
    for c in covered:
        typer.echo(f"committee, {c}")
    grades = {}
    if extrapolation:
        begun = time.perf_counter()
        each = model.extrapolation_grades([s.atoms for s in data.structures])
        grades = {name: by_group(data.structures, each)}
        seconds["extrapolation"] = time.perf_counter() - begun
        typer.echo(f"extrapolation grade: {sentence(grades[name])}")
    if as_json is not None:
        rows = [
            {k: v for k, v in row.items() if k != "set"} for row in errors.as_json({"": compared})
        ]
        write(as_json, as_text(rows) + "\n")
        say_written(as_json)
    if output is not None:
        compared_as: dict[str, Any] = {name: compared}
        report = Report(
            title=f"{model.name} on {', '.join(f.file for f in data.found)}",
            model=model,
            **compared_as,
            warnings=said,
            calibration=covered,
            grades=grades,
            seconds=seconds,
        )
        write(output, _page(report, data, own))
        say_written(output)


def _page(report: Any, data: Any, evaluated: dict[str, Any]) -> str:
    """The page of a report to which card, dimers and spec are added. evaluated: what the card says of data"""
    from dataclasses import replace

    from etace.domain import ranges
    from etace.fit.holes import of_dimers
    from etace.report import page
    from etace.report.card import card
    from etace.report.dimers import dimers, remarks

    model = report.model
    curves = dimers(model, ranges(model, [s.atoms for s in data.structures]))
    holes = of_dimers(curves)
    for hole in holes:
        typer.echo(f"warning: {hole}", err=True)
    for text in remarks(curves):
        typer.echo(f"note: {text}", err=True)
    texts = model.origin["sources"]
    found = model.card or {**card(model), "date": None}  # of a fit nobody told of
    return page(
        replace(
            report,
            card={**found, "data": {**found.get("data", {}), "evaluated": evaluated}},
            dimers=curves,
            holes=holes,
            spec_text=texts[model.origin["root"]],
        )
    )
