"""`etace check`: is the file right, how smooth is it, and is every basis complete?"""

from __future__ import annotations

from typing import Annotated

import typer

from etacec.cli.common import Define, SpecPath, compiled, fail, report


def command(
    spec: SpecPath,
    define: Define = None,
    prove: Annotated[
        bool, typer.Option("--prove", help="Print the certificate of every basis.")
    ] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Refuse a file with a warning too: exit code 1.")
    ] = False,
    format: Annotated[str, typer.Option("--format", help="text or json (for editors).")] = "text",
) -> None:
    """Check a file: language, units, physics, smoothness."""
    if format not in ("text", "json"):
        fail(f"--format is text or json, not `{format}`", 2)
    done = compiled(spec, define, as_json=format == "json")
    report(done.warnings, done.sources, format == "json")
    if format == "json":
        _refuse(strict and bool(done.warnings))
        return
    from etacec.certificate import certificate, counts

    typer.echo(
        f"{done.file.name}: {', '.join(done.spec.species)}; " + "; ".join(counts(done.graph))
    )
    for contact in done.contacts:
        typer.echo(f"  {contact}")
    if prove:
        for line in certificate(done.graph):
            typer.echo(line)
    _refuse(strict and bool(done.warnings))


def _refuse(wanted: bool) -> None:
    if wanted:
        raise typer.Exit(1)
