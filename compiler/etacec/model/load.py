"""A file and all it uses, parsed: a tree of units, each with its own names."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from etacec.diagnostics import Mistakes, Report, Span, did_you_mean, shown
from etacec.model.files import Files, NoFile, presets
from etacec.model.values import WORDS, Known
from etacec.syntax import ast
from etacec.syntax.parse import parse

DEEPEST = 8  # files that use files


@dataclass
class Unit:
    """One file in its place: `prefix` is `ace.` for a file used `as ace`, empty for the root."""

    file: ast.File
    prefix: str
    depth: int
    parent: Unit | None = None
    use: ast.Use | None = None
    children: dict[str, Unit] = field(default_factory=dict)
    params: dict[str, Known] = field(default_factory=dict)
    # Overrides from `-D` or from the braces of `use`: name -> (expression, the unit it is read in).
    given: dict[str, tuple[ast.Expr, Unit | None]] = field(default_factory=dict)

    def all(self) -> Iterator[Unit]:
        yield self
        for child in self.children.values():
            yield from child.all()

    def of(self, kind: type) -> list:
        return [d for d in self.file.declarations if isinstance(d, kind)]


def load(file: ast.File, files: Files, report: Report) -> Unit:
    """The tree of units below a parsed file. Mistakes go into the report."""
    root = Unit(file, "", 0)
    _check_version(file, report)
    _fill(root, files, report)
    return root


def _check_version(file: ast.File, report: Report) -> None:
    versions = [d for d in file.declarations if isinstance(d, ast.Version)]
    if not versions or file.declarations[0] is not versions[0]:
        span = Span(file.name, 1, 1)
        report.add("E501", "the first line names the language", span, help="start with `etace 1`")
    for v in versions:
        if v.number != 1:
            report.add(
                "E502",
                f"this file is written in etace {v.number}; this compiler reads etace 1",
                v.span,
            )
    for v in versions[1:]:
        report.add("E202", "the language is named twice", v.span, help="keep the first line")


def _fill(unit: Unit, files: Files, report: Report) -> None:
    _check_names(unit, report)
    for use in unit.of(ast.Use):
        if unit.depth >= DEEPEST:
            report.add(
                "E503",
                f"more than {DEEPEST} files use one another",
                use.span,
                help="put some of them into one file",
            )
            return
        alias = use.name or use.source.rsplit("/", 1)[-1].removesuffix(".etace")
        if not alias.isidentifier():
            report.add(
                "E504", "this file needs a name here", use.span, help='write: use "..." as name'
            )
            continue
        if alias in unit.children:
            continue  # reported with the names
        try:
            name, text = files.text(use.source, use.quoted, unit.file.name)
        except NoFile as error:
            kind = "file" if use.quoted else "preset"
            help = "" if use.quoted else did_you_mean(use.source, presets())
            if not use.quoted:
                help += f' (a file is written in quotes: use "{shown(use.source)}.etace")'
            report.add(
                "E505", f"cannot use the {kind} `{shown(use.source)}`: {error}", use.span, help=help
            )
            continue
        if name in _above(unit):
            report.add("E503", f"`{shown(name)}` uses itself", use.span, help="remove this line")
            continue
        try:
            parsed = parse(text, name)
        except Mistakes as mistakes:
            report.found.extend(mistakes.diagnostics)
            report.add("E506", f"`{shown(use.source)}` has mistakes of its own", use.span)
            continue
        _check_version(parsed, report)
        child = Unit(parsed, f"{unit.prefix}{alias}.", unit.depth + 1, unit, use)
        for entry in use.entries:
            if isinstance(entry, ast.Field) and entry.argument is None:
                if entry.key in child.given:
                    report.add("E202", f"`{entry.key}` is given twice", entry.span)
                child.given[entry.key] = (entry.value, unit)
            else:
                report.add(
                    "E201",
                    "only parameters can be given here",
                    entry.span,
                    help="write `name = value`",
                )
        unit.children[alias] = child
        _fill(child, files, report)


def _above(unit: Unit) -> list[str]:
    """The names of this file and of those that use it."""
    return [unit.file.name, *(_above(unit.parent) if unit.parent else [])]


def _check_names(unit: Unit, report: Report) -> None:
    """Every name once, also under Unicode NFKC (two such names are one Python identifier)."""
    seen: dict[str, str] = {}
    for d in unit.file.declarations:
        name = getattr(d, "name", None)
        if isinstance(d, ast.Use):
            name = d.name or d.source.rsplit("/", 1)[-1].removesuffix(".etace")
        if not isinstance(name, str) or isinstance(d, ast.Version | ast.Species | ast.Bond):
            continue
        key = unicodedata.normalize("NFKC", name).replace(".", "_")
        if not key.isidentifier():
            help = "names are letters, digits and `_`, and start with a letter"
            report.add("E204", f"`{shown(name)}` cannot be a name", d.span, help=help)
        elif name in WORDS:
            report.add(
                "E204", f"`{name}` is a word of the language", d.span, help="choose another name"
            )
        elif key in seen:
            other = seen[key]
            message = f"`{name}` is declared twice"
            if other != name:
                message = f"`{name}` and `{other}` are one name (equal under Unicode NFKC)"
            report.add("E202", message, d.span, help="choose another name")
        seen.setdefault(key, name)
