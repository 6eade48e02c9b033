"""Text to syntax tree, and every syntax mistake in it to a diagnostic."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from functools import cache
from importlib.resources import files

from lark import Lark, Token, Tree, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from etacec.diagnostics import Diagnostic, Mistakes, Report, Span, did_you_mean, shown
from etacec.syntax import ast
from etacec.syntax.build import Builder
from etacec.syntax.mistakes import BEFORE, CHARACTERS, KEYWORDS, MISTAKES
from etacec.syntax.newlines import BINARY, Newlines

_START = re.compile(rf"[ \t]*(?:(?:learnable|frozen)[ \t]+)?(?:etace|{'|'.join(KEYWORDS)})\b")
_OPERATORS = BINARY | {"DOT", "LSQB", "LPAR"}
_WORDS = {
    "NAME": "a name",
    "INT": "a number",
    "FLOAT": "a number",
    "STRING": "a string",
    "_NL": "a new line",
    "$END": "the end of the file",
}
LIMIT = 1_000_000  # characters; a model is a page
DEPTH = 100  # brackets, signs and powers inside one another


@cache
def parser() -> Lark:
    grammar = files("etacec.syntax").joinpath("etace.lark").read_text(encoding="utf8")
    return Lark(
        grammar,
        parser="lalr",
        lexer="basic",
        propagate_positions=True,
        maybe_placeholders=True,
        postlex=Newlines(),
    )


def parse(text: str, name: str) -> ast.File:
    """The syntax tree of a file; raises `Mistakes` with every syntax error found."""
    text = normal(text)
    _refuse_the_unreadable(text, name)
    try:
        trees = [parser().parse(text)]
    except UnexpectedInput:
        trees = _parse_in_pieces(text, name)
    builder = Builder(name, _doc_comments(text))
    declarations = tuple(builder.declaration(d) for t in trees for d in t.children)  # type: ignore[arg-type]
    return ast.File(name, declarations, _file_doc(text))


def normal(text: str) -> str:
    """NFC (so that the Angstrom sign U+212B is the letter Å), `\\n` ends, no byte-order mark."""
    return unicodedata.normalize("NFC", text.removeprefix("\ufeff")).replace("\r\n", "\n")


def parse_value(text: str, name: str) -> ast.Expr:
    """One expression, as in `-D name=value`."""
    file = parse(f"param value = {text}", name)
    (param,) = file.declarations
    assert isinstance(param, ast.Param)
    return param.value


def _refuse_the_unreadable(text: str, name: str) -> None:
    if len(text) > LIMIT:
        raise Mistakes(
            [
                Diagnostic(
                    "E101", f"this file has {len(text)} characters; a model is a page", Span(name)
                )
            ]
        )
    for number, line in enumerate(text.split("\n"), 1):
        code = line.split("#", 1)[0]
        depth = max((len(run) for run in re.findall(r"[-^\s(\[]{2,}", code)), default=0)
        depth = max(depth, code.count("("), code.count("["), code.count("^"))
        depth = max(depth, len(re.findall(r"\bnot\b", code)))
        if depth > DEPTH:
            span = Span(name, number, 1, len(line))
            raise Mistakes([Diagnostic("E101", "this line nests too deeply to be read", span)])


def _parse_in_pieces(text: str, name: str) -> list[Tree[Token]]:
    """Each declaration parsed by itself, so that one mistake does not hide the next."""
    lines = text.split("\n")
    starts = [i for i, line in enumerate(lines) if _START.match(line)]
    if not starts or starts[0] != 0:
        starts = [0, *starts]
    report = Report()
    for first, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        blank = next((k for k in range(first, end) if lines[k].strip()), first)
        piece = "\n".join(lines[blank:end])
        try:
            parser().parse(piece)
        except UnexpectedInput as error:
            found = _explain(error, name, piece, lines[end] if end < len(lines) else None)
            span = replace(found.span, line=found.span.line + blank)
            report.add(found.code, found.message, span, found.label, found.help)
    if not report.found:  # pieces parse alone but not together: two declarations on one line
        try:
            return [parser().parse(text)]
        except UnexpectedInput as error:
            found = _explain(error, name, text, None)
            report.add(found.code, found.message, found.span, found.label, found.help)
    raise Mistakes(report.found, {name: text})


def _explain(error: UnexpectedInput, name: str, text: str, following: str | None) -> Diagnostic:
    """What is wrong with `text`, counted from its first line; `following`: the line after it."""
    if isinstance(error, UnexpectedCharacters):
        character = text[error.pos_in_stream or 0]
        return Diagnostic(
            "E101",
            f"unexpected character `{shown(character)}`",
            Span(name, error.line, error.column),
            help=CHARACTERS.get(character, ""),
        )
    assert isinstance(error, UnexpectedToken)
    if _at_end(error) and _unclosed(text):
        span = _span(error, name, text)
        if following is not None:
            start = len(following) - len(following.lstrip())
            end = text.count("\n") + 2
            span = Span(name, end, start + 1, len(following.split()[0]))
        return Diagnostic("E104", "this block is not closed", span, help="add the missing `}`")
    span = _span(error, name, text)
    accepts = error.accepts or set()
    if {"COMMA", "RBRACE"} <= accepts and error.token.type in {"NAME", "WEIGHTS", "WHERE"}:
        return Diagnostic(
            "E107",
            "two fields need a comma or a new line between them",
            span,
            help=f"write `, {shown(error.token)} ...`",
        )
    known = {m: [before + e for e in m.examples for before in BEFORE] for m in MISTAKES}
    mistake = error.match_examples(parser().parse, known, use_accepts=True)
    if mistake is not None and (mistake.code != "E112" or str(error.token).isidentifier()):
        help = mistake.help
        if mistake.code == "E109":
            help = did_you_mean(str(error.token), KEYWORDS, help)
        return Diagnostic(mistake.code, mistake.message, span, help=help)
    found = "the end of the file" if _at_end(error) else f"`{shown(str(error.token).strip())}`"
    if error.token.type == "_NL":
        found = "the line to end"
    return Diagnostic(
        "E100", f"did not expect {found} here", span, help=f"expected {_expected(error)}"
    )


def _unclosed(text: str) -> bool:
    code = "\n".join(re.sub(r'"[^"\n]*"', "", line).split("#", 1)[0] for line in text.split("\n"))
    return code.count("{") > code.count("}")


def _span(error: UnexpectedToken, name: str, text: str) -> Span:
    if _at_end(error):
        lines = text.rstrip().split("\n") or [""]
        return Span(name, len(lines), len(lines[-1]) + 1)
    if error.token.type == "_NL":
        return Span(name, error.line, error.column)
    return Span(name, error.line, error.column, len(error.token))


def _at_end(error: UnexpectedToken) -> bool:
    return error.token.type == "$END"


def _expected(error: UnexpectedToken) -> str:
    accepts = error.accepts or error.expected
    words = sorted({_spelling(name) for name in accepts} - {"the end of the file"})
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def _spelling(terminal: str) -> str:
    if terminal in _OPERATORS:
        return "an operator"
    if terminal in _WORDS:
        return _WORDS[terminal]
    pattern = next(t.pattern for t in parser().terminals if t.name == terminal)
    return f"`{pattern.value}`" if pattern.type == "str" else terminal.lower().strip("_")


# ---------------------------------------------------------------- doc comments


def _doc_comments(text: str) -> dict[int, str]:
    """Last line number of each run of `##` lines -> its text."""
    docs: dict[int, str] = {}
    run: list[str] = []
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if line.lstrip().startswith("##"):
            run.append(line.strip().lstrip("#").strip())
        elif run:
            docs[number - 1] = "\n".join(run)
            run = []
    return docs


def _file_doc(text: str) -> str:
    """The first doc comment, if a blank line follows it: it speaks of the whole file."""
    lines = text.split("\n")
    for last, doc in sorted(_doc_comments(text).items()):
        return doc if last >= len(lines) or not lines[last].strip() else ""
    return ""


def completions(text: str) -> list[str]:
    """The keywords that may come next after `text`: what an editor offers."""
    interactive = parser().parse_interactive(text)
    for _ in interactive.iter_parse():
        pass
    return sorted(
        _spelling(name).strip("`")
        for name in interactive.accepts()
        if name.isupper() and name not in _WORDS
    )
