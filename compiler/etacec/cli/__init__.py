"""The command `etace`: one short file per subcommand; parsing and exit codes only.

Exit codes: 0 clean, 1 the file is invalid or the output cannot be written, 2 the command is.
"""

from __future__ import annotations

import signal
import sys

import typer

from etacec.cli import (
    bench,
    check,
    compile,
    data,
    evaluate,
    explain,
    export,
    fit,
    info,
    plot,
    prune,
    run,
    show,
)
from etacec.cli.common import drop_output, plain_characters, stop_once, warnings_in_a_line

app = typer.Typer(
    name="etace",
    help="Write, check, compile and run potentials of the Atomic Cluster Expansion.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("check")(check.command)
app.command("compile")(compile.command)
app.command("show")(show.command)
app.command("data")(data.command)
app.command("fit")(fit.command)
app.command("eval")(evaluate.command)
app.command("prune")(prune.command)
app.command("run")(run.command)
app.command("plot")(plot.command)
app.command("bench")(bench.command)
app.command("export")(export.command)
app.command("info")(info.command)
app.command("explain")(explain.command)


def version(value: bool) -> None:
    if value:
        from etace import __version__

        typer.echo(f"etace {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    show_version: bool = typer.Option(
        False, "--version", callback=version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Write, check, compile and run potentials of the Atomic Cluster Expansion."""
    context.with_resource(warnings_in_a_line())


def main() -> None:
    plain_characters()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not under nohup
        signal.signal(signal.SIGINT, stop_once)
    try:
        try:
            app()
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # what fails, fails now and not when Python ends
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except OSError as error:
        drop_output()
        what = error.filename or "cannot write the output"
        typer.echo(f"etace: {what}: {(error.strerror or str(error)).lower()}", err=True)
        sys.exit(1)
