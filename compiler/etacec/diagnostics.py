"""What is wrong with a file, where, and what to write instead; and how that is printed.

A mistake is a value, never a traceback: stages return `Diagnostic`s, `render` and `to_json` lay
them out, in one place, for people and for editors.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from etacec.words import meant


@dataclass(frozen=True, order=True)
class Span:
    """A stretch of one source line; lines and columns count from 1, in characters."""

    file: str = ""
    line: int = 1
    column: int = 1
    width: int = 1


@dataclass(frozen=True)
class Diagnostic:
    """One finding. `code` is stable and documented (`codes.py`); `label` sits beside the carets."""

    code: str
    message: str
    span: Span
    label: str = ""
    help: str = ""

    @property
    def parts(self) -> tuple[str, str, Span, str, str]:
        """All of it, in the order of `Report.add`."""
        return self.code, self.message, self.span, self.label, self.help

    @property
    def severity(self) -> str:
        return "warning" if self.code.startswith("W") else "error"


class Mistakes(Exception):
    """Raised by a stage that cannot go on; carries everything found so far."""

    def __init__(self, diagnostics: Iterable[Diagnostic], sources: Mapping[str, str] | None = None):
        self.diagnostics = tuple(diagnostics)
        self.sources = dict(sources or {})
        said = [d.message for d in self.diagnostics[:FIRST]]
        more = len(self.diagnostics) - len(said)
        super().__init__("; ".join([*said, *([f"and {more} more"] if more else [])]))


class CompilerBug(AssertionError):
    """Our fault, not the user's: says the stage, and what to send (code E901)."""

    def __init__(self, stage: str, what: str):
        super().__init__(
            f"E901: a bug in etace, in stage `{stage}`: {what}. "
            "Please report it together with the .etace file."
        )


@dataclass
class Report:
    """Collects what a stage finds, so that everything is reported at once."""

    found: list[Diagnostic] = field(default_factory=list)
    _seen: set[Diagnostic] = field(default_factory=set)

    def add(self, code: str, message: str, span: Span, label: str = "", help: str = "") -> None:
        diagnostic = Diagnostic(code, message, span, label, help)
        if diagnostic not in self._seen:
            self._seen.add(diagnostic)
            self.found.append(diagnostic)

    @property
    def errors(self) -> list[Diagnostic]:
        return [d for d in self.found if d.severity == "error"]

    def raise_errors(self, sources: Mapping[str, str] | None = None) -> None:
        if self.errors:
            raise Mistakes(in_order(self.found), sources)


def in_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """By place, the root file's order of lines; each once."""
    return sorted(dict.fromkeys(diagnostics), key=lambda d: (d.span, d.code, d.message))


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """``did you mean `polynomials`?``, or the list of what is there."""
    known = sorted(known)
    close = meant(word, known)
    if close is not None:
        return f"did you mean `{close}`?"
    if otherwise:
        return otherwise
    return "there is: " + ", ".join(known) if known else "there is none"


def shown(text: str, limit: int = 60) -> str:
    """User text made safe to print inside a message: one line, no control characters, not long."""
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


FIRST = 10  # findings that an exception names
MOST = 100  # findings that are printed
WIDEST = 120  # characters of a source line that are shown


def _window(source: str, column: int) -> tuple[str, int]:
    """A long line cut to the surroundings of `column`, and the column within the cut."""
    if len(source) <= WIDEST:
        return source, column
    start = max(0, min(column - 1 - WIDEST // 2, len(source) - WIDEST))
    cut = source[start : start + WIDEST]
    if start:
        cut = "…" + cut[1:]
    if start + WIDEST < len(source):
        cut = cut[:-1] + "…"
    return cut, column - start


def _line(source: str) -> str:
    return "".join(
        c if c == "\t" or c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in source
    )


@lru_cache(maxsize=8)
def _lines(text: str) -> list[str]:
    return text.split("\n")


def render(diagnostic: Diagnostic, sources: Mapping[str, str]) -> str:
    """A diagnostic under its source line, as rustc and Ruff print it. No colour: the caller adds it."""
    span = diagnostic.span
    head = f"{diagnostic.severity}[{diagnostic.code}]: {diagnostic.message}"
    lines = _lines(sources.get(span.file) or "")
    source = lines[span.line - 1].rstrip("\r") if span.line <= len(lines) else ""
    source, column = _window(source, span.column)
    out = [head]
    if span.file:
        gutter = " " * len(str(span.line))
        # Tabs are copied, so the carets stay under the text whatever the tab width.
        indent = "".join("\t" if c == "\t" else " " for c in source[: column - 1])
        room = max(1, len(source) - column + 1)
        carets = "^" * max(1, min(span.width, room))
        out += [
            f"{gutter}--> {_line(span.file)}:{span.line}:{span.column}",
            f"{gutter} |",
            f"{span.line} | {_line(source)}",
            f"{gutter} | {indent}{carets} {diagnostic.label}".rstrip(),
        ]
        if diagnostic.help:
            out.append(f"{gutter} |")
    if diagnostic.help:
        out.append(f"help: {diagnostic.help}")
    return "\n".join(out) + "\n"


def render_all(diagnostics: Sequence[Diagnostic], sources: Mapping[str, str]) -> str:
    ordered = in_order(diagnostics)
    out = [render(d, sources) for d in ordered[:MOST]]
    if len(ordered) > MOST:
        out.append(f"... and {len(ordered) - MOST} more\n")
    return "\n".join(out)


def to_json(diagnostics: Sequence[Diagnostic]) -> list[dict[str, Any]]:
    """For editors and scripts: one object per finding."""
    return [
        {
            "code": d.code,
            "severity": d.severity,
            "message": d.message,
            "label": d.label,
            "help": d.help,
            "file": d.span.file,
            "line": d.span.line,
            "column": d.span.column,
            "width": d.span.width,
        }
        for d in in_order(diagnostics)
    ]
