"""What the subcommands share: options, reading a spec, reporting what is wrong with it."""

from __future__ import annotations

import codecs
import io
import os
import signal
import sys
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from etace.telling import Lines, Tell

if TYPE_CHECKING:
    from rich.console import Console

    from etacec.pipeline import Compilation

ENDLESS = 10_000  # columns: more than any line has

SpecPath = Annotated[
    Path, typer.Argument(metavar="SPEC", help="An .etace file.", show_default=False)
]
AnyPath = Annotated[
    Path,
    typer.Argument(
        metavar="SPEC_OR_MODEL",
        help="An .etace file, or a .safetensors model file.",
        show_default=False,
    ),
]
Define = Annotated[
    list[str] | None,
    typer.Option("-D", metavar="NAME=VALUE", help="Set a `param` of the file; may be given again."),
]
DTypeOption = Annotated[str, typer.Option("--dtype", help="float64 or float32.")]
BackendOption = Annotated[
    str,
    typer.Option(
        "--backend", help="jax; native: C kernels; auto: native where they can be built, else jax."
    ),
]
ModelOption = Annotated[
    str | None, typer.Option("--model", metavar="NAME", help="Which model of the file.")
]


def fail(message: str | Exception, code: int) -> NoReturn:
    """One line on stderr, whatever names are in it; only what is wrong with a spec takes several.

    code: 1: the file is invalid, 2: the command is
    """
    from etace.errors import SpecError
    from etace.words import plain

    text = str(message)
    lines = text.split("\n") if isinstance(message, SpecError) else [text]
    typer.echo(f"etace: {chr(10).join(map(plain, lines))}", err=True)
    raise typer.Exit(code)


def say_written(*paths: str | Path, more: str = "", err: bool = False) -> None:
    """Names of files, on one line, and what more is to say."""
    from etace.words import plain

    typer.echo(f"written: {', '.join(plain(str(p)) for p in paths)}{more}", err=err)


@contextmanager
def warnings_in_a_line() -> Iterator[None]:
    """Our own warnings are notes on stderr, without the line of code that gave them."""
    from etace.errors import EtaceWarning

    with warnings.catch_warnings():
        otherwise = warnings.showwarning

        def show(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
            if issubclass(category, EtaceWarning):
                typer.echo(f"etace: note: {message}", err=True)
            else:
                otherwise(message, category, *where, **more)

        warnings.showwarning = show
        warnings.simplefilter("default", EtaceWarning)
        yield


def exit_code(error: Exception) -> int:
    """2: the command asks for what is not there; 1: a file is invalid."""
    from etace.errors import RequestError

    return 2 if isinstance(error, RequestError) else 1


def stop_once(*_: object) -> NoReturn:
    """What a signal does: stop in good order, and let no further one disturb that."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def writable(path: Path) -> None:
    """Fail now, not after the work, if no file can be written at `path`."""
    from etace.io.replace import check_writable

    try:
        check_writable(path)
    except OSError as error:
        fail(f"cannot write {path}: {(error.strerror or str(error)).lower()}", 2)


ForceOption = Annotated[
    bool, typer.Option("--force", help="Replace files that etace did not write, inputs too.")
]


def check_output(path: Path, force: bool, inputs: Iterable[str | Path] = ()) -> None:
    """Fail now, not after the work, if no file can be written at `path`, or if one would be lost: an input, or
    one that etace did not write as it is."""
    from etace.io.ours import is_one_of, is_ours

    if not force and is_one_of(path, inputs):
        fail(f"{path} is one of the inputs: name another output (--force replaces it)", 2)
    if not force and path.is_file() and not is_ours(path):
        fail(
            f"{path} is there already, and not as etace wrote it: name another output (--force "
            "replaces it)", 2,
        )  # fmt: skip
    writable(path)


def input_files(structures: Iterable[str]) -> list[str]:
    """The files that `a.xyz@0:10`, patterns and plain names stand for; of those there are."""
    from etace.data.reading import expand
    from etace.errors import EtaceError

    found: list[str] = []
    for given in structures:
        with suppress(EtaceError):  # said when they are read
            found += [name for _, name, _ in expand([given]) if "://" not in name]
    return found


def overrides(define: list[str] | None) -> dict[str, str]:
    out: dict[str, str] = {}
    for item in define or []:
        name, equals, value = item.partition("=")
        if not equals or not name.strip() or not value.strip():
            fail(f"-D takes NAME=VALUE, not `{item}`", 2)
        out[name.strip()] = value.strip()
    return out


def dtype_of(text: str) -> Any:
    if text not in ("float64", "float32"):
        fail(f"--dtype is float64 or float32, not `{text}`", 2)
    return text


def compiled(
    path: Path, define: list[str] | None, dtype: str = "float64", *, as_json: bool = False
) -> Compilation:
    """The compilation; prints what was found and exits with 1 if there are errors."""
    from etacec.cli.waiting import waiting
    from etacec.coupling import cache_folder
    from etacec.diagnostics import Mistakes
    from etacec.pipeline import compile_file

    given = overrides(define)
    kind = dtype_of(dtype)
    try:
        with waiting(f"compiling {path.name}") as at:
            done = compile_file(path, overrides=given, dtype=kind, cache=cache_folder(), at=at)
    except OSError as error:
        fail(f"{path}: {(error.strerror or 'cannot be read').lower()}", 2)
    except UnicodeDecodeError:
        fail(f"{path}: not UTF-8 text, so not an .etace file", 1)
    except Mistakes as mistakes:
        report(mistakes.diagnostics, mistakes.sources, as_json)
        raise typer.Exit(1) from None
    return done


def report(diagnostics: Any, sources: Any, as_json: bool = False) -> None:
    """Findings, to stderr for people or to stdout as JSON for programs."""
    from etacec.diagnostics import render_all, to_json

    if as_json:
        from etace.io.jsontext import as_text

        typer.echo(as_text(to_json(diagnostics)))
    elif diagnostics:
        text = render_all(diagnostics, sources)
        if sys.stderr.isatty():
            text = text.replace("error[", "\033[31;1merror\033[0m[").replace(
                "warning[", "\033[33;1mwarning\033[0m["
            )
        typer.echo(text, err=True)


def console() -> Console:
    """Where tables go: as wide as the terminal, or as they need where there is none to read them.

    Names of files and config types are no markup, and no names of pictures.
    """
    from rich.console import Console

    found = Console(markup=False, emoji=False)
    return found if found.is_terminal else Console(width=ENDLESS, markup=False, emoji=False)


@contextmanager
def telling(what: str = "structure") -> Iterator[Tell]:
    """Takes (step, done, total or None) of steps that may take long: shown as they go on a terminal, else
    as a line on stderr now and then."""
    if not sys.stderr.isatty():
        yield Lines(lambda text: typer.echo(text, err=True), what)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{what}s"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=None)

        def tell(step: str, done: int, total: int | None) -> None:
            shown.update(task, description=step, completed=done, total=total)

        yield tell


def plain_characters() -> None:
    """Output in an encoding without Å or … gets their nearest plain letters, and never fails for it; in
    ASCII, which nobody chooses any more, it is UTF-8, as Python does by itself."""
    codecs.register_error("etace", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            ascii_only = codecs.lookup(stream.encoding).name == "ascii"
            stream.reconfigure(encoding="utf-8" if ascii_only else None, errors="etace")


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    out = [unicodedata.normalize("NFKD", c).encode("ascii", "ignore").decode() or "?" for c in text]
    return "".join(out), error.end


def drop_output() -> None:
    """What is left of the output goes nowhere: it could not be written, and Python would try again at its end."""
    with suppress(OSError, AttributeError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, renamed to `path` at the end: never a half file."""
    from etace.io import replace

    try:
        with replace.replacing(path) as beside:
            yield beside
    except OSError as error:
        fail(f"cannot write {path}: {error.strerror or error}", 2)


def write(path: Path, content: bytes | str) -> None:
    """A file that tells whether somebody changed it since (`etace.io.ours`)."""
    from etace.io.ours import sealed

    with replacing(path) as beside:
        beside.write_bytes(sealed(content, path.suffix))
