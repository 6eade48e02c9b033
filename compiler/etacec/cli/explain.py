"""`etace explain E301`: what a code means and how to mend it."""

from __future__ import annotations

from typing import Annotated

import typer

from etacec.cli.common import fail


def command(
    code: Annotated[
        str | None,
        typer.Argument(
            help="A code such as E301; without one, all are listed.", show_default=False
        ),
    ] = None,
) -> None:
    """Explain a code of a message."""
    from etacec.codes import CODES

    if code is None:
        for known in sorted(CODES):
            typer.echo(f"{known}  {CODES[known].strip().splitlines()[0]}")
        return
    found = code.upper()
    if found not in CODES:
        fail(f"there is no code `{code}`; `etace explain` lists them", 2)
    typer.echo(f"{found}: {CODES[found].strip()}")
