"""Text to syntax tree, and every syntax mistake in it to a diagnostic."""

from __future__ import annotations

import io
import json
import pickle
import re
import sys
import unicodedata
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Any

import lark
from etace.io.cache import code_folder, keep, kept
from lark import Lark, Token, Tree, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from etacec.diagnostics import MOST, Diagnostic, Mistakes, Report, Span, did_you_mean, shown
from etacec.syntax import ast
from etacec.syntax.build import DIGITS, Builder
from etacec.syntax.mistakes import BEFORE, CHARACTERS, KEYS_MEANT, KEYWORDS, MISTAKES, TWO, Mistake
from etacec.syntax.newlines import BINARY, Newlines
from etacec.words import same

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
_NOT_A_NAME = {"E106", "E109", "E110", "E111", "E113"}
OPTIONS: dict[str, Any] = {
    "parser": "lalr", "lexer": "basic", "propagate_positions": True, "maybe_placeholders": True,
}  # fmt: skip
LIMIT = 500_000  # characters, some five seconds of parsing; a model is a page


@cache
def parser() -> Lark:
    """Of the grammar, whose analysis takes Lark half a second: it is kept for this user."""
    grammar = files("etacec.syntax").joinpath("etace.lark").read_text(encoding="utf8")
    key = json.dumps([grammar, OPTIONS, lark.__version__, sys.version_info[:2]])
    folder = code_folder("grammar")
    path = folder.path / "etace.grammar" if folder.path else None
    if path is not None and (content := kept(path, key)) is not None:
        with suppress(Exception):  # whatever it holds: it is analysed anew
            return _restored(content)
    made = Lark(grammar, postlex=Newlines(), **OPTIONS)
    if path is not None and folder.writable:
        analysed = io.BytesIO()
        made.save(analysed, exclude_options=("postlex",))
        with suppress(OSError):
            keep(path, key, analysed.getvalue())
    return made


class _Inert(pickle.Unpickler):
    """Of numbers, texts, lists and tables alone: nothing in what was kept can be called."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a grammar")


def _restored(content: bytes) -> Lark:
    return Lark._load_from_dict(**_Inert(io.BytesIO(content)).load(), postlex=Newlines())


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
    first, *more = file.declarations
    assert isinstance(first, ast.Param)
    if more:
        raise Mistakes([Diagnostic("E100", "one value is wanted", Span(name))])
    return first.value


def _refuse_the_unreadable(text: str, name: str) -> None:
    if len(text) > LIMIT:
        raise Mistakes(
            [
                Diagnostic(
                    "E101", f"this file has {len(text)} characters; a model is a page", Span(name)
                )
            ]
        )


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
            found = _explain(error, name, piece)
            span = replace(found.span, line=found.span.line + blank)
            report.add(found.code, found.message, span, found.label, found.help)
            if len(report.found) > MOST:
                break
    if not report.found:  # pieces parse alone but not together: two declarations on one line
        try:
            return [parser().parse(text)]
        except UnexpectedInput as error:
            found = _explain(error, name, text)
            report.add(found.code, found.message, found.span, found.label, found.help)
    raise Mistakes(report.found, {name: text})


def _explain(error: UnexpectedInput, name: str, text: str) -> Diagnostic:
    """What is wrong with `text`, counted from its first line."""
    if isinstance(error, UnexpectedCharacters):
        character = text[error.pos_in_stream or 0]
        return Diagnostic(
            "E101",
            f"unexpected character {_character(character)}",
            Span(name, error.line, error.column),
            help=CHARACTERS.get(character, ""),
        )
    assert isinstance(error, UnexpectedToken)
    spelled = _decimal_comma(error, name, text) or _misspelt(error, name, text)
    if spelled is not None:
        return spelled
    if _at_end(error) and _unclosed(text):
        return _open_block(name, text)
    span = _span(error, name, text)
    accepts = error.accepts or set()
    if {"COMMA", "RBRACE"} <= accepts and error.token.type in {"NAME", "WEIGHTS", "WHERE"}:
        return Diagnostic(
            "E107",
            "two fields need a comma or a new line between them",
            span,
            help=f"write `, {shown(error.token)} ...`",
        )
    bracket = _open_bracket(error, name, text)
    if bracket is not None:
        return bracket
    mistake = _known_mistake(error)
    reserved = str(error.token).isidentifier() and "NAME" in accepts
    if reserved and {"RBRACE", "WEIGHTS"} <= accepts and error.token in KEYWORDS:
        head = _open_head(text[: error.token.start_pos])
        key = KEYS_MEANT.get((head.split(" ")[0], str(error.token)))
        if key is not None:
            message = f"a block has no key `{error.token}`"
            return Diagnostic("E201", message, span, help=f"did you mean `{key}`?")
        return Diagnostic(
            "E100",
            f"a `{error.token}` cannot stand inside a block",
            span,
            help="close the block first: `}`",
        )
    if (
        reserved
        and not (mistake and mistake.code in _NOT_A_NAME)
        and not _first_on_line(error, text)
    ):
        mistake = next(m for m in MISTAKES if m.code == "E112")
    if mistake is not None and (mistake.code != "E112" or str(error.token).isidentifier()):
        help = mistake.help
        if mistake.code == "E109":
            help = _declaration_help(error, text, help)
        if mistake.code == "E102":
            span = _after_equals(error, name, text)
        return Diagnostic(mistake.code, mistake.message, span, help=help)
    found = "the end of the file" if _at_end(error) else f"`{shown(str(error.token).strip())}`"
    if error.token.type == "_NL":
        found = "the line to end"
    return Diagnostic(
        "E100", f"did not expect {found} here", span, help=f"expected {_expected(error)}"
    )


def _place(error: UnexpectedToken) -> tuple[object, int, frozenset[str]]:
    """Where the parser was: its state, the depth of its stack, and what it would have taken."""
    stack = error.state.state_stack
    return stack[-1], len(stack), frozenset(error.accepts or ())


@cache
def _examples() -> dict[tuple[object, int, frozenset[str]], list[tuple[str, Mistake]]]:
    """Place of each example's mistake -> (the unexpected word, the mistake), in the table's order.

    lark's own match_examples does this too, but parses the table anew at each mistake.
    """
    out: dict[tuple[object, int, frozenset[str]], list[tuple[str, Mistake]]] = {}
    for mistake in MISTAKES:
        for example in (before + e for e in mistake.examples for before in BEFORE):
            try:
                parser().parse(example)
            except UnexpectedToken as error:
                out.setdefault(_place(error), []).append((str(error.token), mistake))
    return out


def _known_mistake(error: UnexpectedToken) -> Mistake | None:
    found = _examples().get(_place(error), [])
    same = [mistake for word, mistake in found if word == str(error.token)]
    return same[0] if same else found[0][1] if found else None


def _character(character: str) -> str:
    if character.isprintable():
        return f"`{character}`"
    return f"U+{ord(character):04X} ({unicodedata.name(character, 'a control character').lower()})"


def _misspelt(error: UnexpectedToken, name: str, text: str) -> Diagnostic | None:
    """Spellings of other languages that are words of this one: `//`, `**`, `.5`, `4.`."""
    if _at_end(error) or error.token.start_pos is None:
        return None
    at = error.token.start_pos
    for written, help in TWO.items():
        for start in (at - 1, at):
            if text[max(start, 0) : start + 2] == written:
                span = Span(name, error.line, error.column - at + start, 2)
                return Diagnostic("E101", f"unexpected `{written}`", span, help=help)
    if error.token == "." or re.search(r"[0-9]\.$", text[:at]):
        start = at if error.token == "." else at - 1
        span = Span(name, error.line, error.column - at + start)
        return Diagnostic("E101", "unexpected character `.`", span, help=CHARACTERS["."])
    return None


def _decimal_comma(error: UnexpectedToken, name: str, text: str) -> Diagnostic | None:
    """`5,5` where a comma cannot stand between two numbers."""
    at = len(text) if _at_end(error) else error.token.start_pos or 0
    for found in re.finditer(r"(?<![\w.,])[0-9]+,[0-9]+(?![.,])", text[: at + DIGITS]):
        if found.start() <= at <= found.end():
            start, whole = found.start(), found[0].replace(",", ".")
            line = text.count("\n", 0, start)
            span = Span(name, line + 1, start - (text.rfind("\n", 0, start) + 1) + 1, len(found[0]))
            message = f"`{shown(found[0])}` is no number: decimals take a point"
            return Diagnostic("E101", message, span, help=f"write `{shown(whole)}`")
    return None


def _open_bracket(error: UnexpectedToken, name: str, text: str) -> Diagnostic | None:
    """A `(` or `[` left open, seen where a brace, a field or the end comes."""
    at = len(text) if _at_end(error) else error.token.start_pos or 0
    open_: list[tuple[str, int]] = []
    for found in re.finditer(r'"[^"\n]*"|#[^\n]*|[()\[\]]', text[:at]):
        if found[0] in ("(", "["):
            open_.append((found[0], found.start()))
        elif found[0] in (")", "]") and open_:
            open_.pop()
    if not open_:
        return None
    bracket, start = open_[-1]
    if "\n" not in text[start:at] and not _at_end(error) and error.token not in ("{", "}"):
        return None
    line = text.count("\n", 0, start)
    span = Span(name, line + 1, start - (text.rfind("\n", 0, start) + 1) + 1)
    closing = {"(": ")", "[": "]"}[bracket]
    return Diagnostic(
        "E104", f"this `{bracket}` is not closed", span, help=f"add the missing `{closing}`"
    )


def _first_on_line(error: UnexpectedToken, text: str) -> bool:
    at = error.token.start_pos or 0
    return not text[text.rfind("\n", 0, at) + 1 : at].strip()


def _after_equals(error: UnexpectedToken, name: str, text: str) -> Span:
    """Where the value should stand: behind the `=`."""
    at = len(text) if _at_end(error) else error.token.start_pos or 0
    equals = text.rfind("=", 0, at)
    line = text.count("\n", 0, equals)
    return Span(name, line + 1, equals - (text.rfind("\n", 0, equals) + 1) + 2)


def _declaration_help(error: UnexpectedToken, text: str, otherwise: str) -> str:
    word = str(error.token)
    known = same(word, KEYWORDS)
    if known is not None:
        return f"did you mean `{known}`?"
    if re.match(r"[ \t]*=", text[(error.token.end_pos or 0) :]):
        return f"a parameter is written: param {shown(word)} = ..."
    return did_you_mean(word.lower(), (*KEYWORDS, "etace"), otherwise)


def _unclosed(text: str) -> bool:
    return bool(_open_braces(text))


def _open_braces(text: str) -> list[int]:
    """Where the `{` stand that have no `}`."""
    out: list[int] = []
    for found in re.finditer(r'"[^"\n]*"|#[^\n]*|[{}]', text):
        if found[0] == "{":
            out.append(found.start())
        elif found[0] == "}" and out:
            out.pop()
    return out


def _open_head(text: str) -> str:
    """`radial R`: the first words of the last block that is open."""
    start = _open_braces(text)[-1]
    line = text[text.rfind("\n", 0, start) + 1 : start]
    return re.split(r"[\[{]", line)[0].strip()


def _open_block(name: str, text: str) -> Diagnostic:
    """A block without an end, told by its first words."""
    start = _open_braces(text)[-1]
    begin = text.rfind("\n", 0, start) + 1
    head = _open_head(text)
    column = start - begin + 1
    span = Span(name, text.count("\n", 0, start) + 1, column)
    what = f"the block `{shown(head)}`" if head else "this block"
    return Diagnostic("E104", f"{what} is not closed", span, help="add the missing `}`")


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
    if set(accepts) == {"INT", "NAME"}:  # in place of an element a number is understood, not meant
        accepts = {"NAME"}
    operators = _OPERATORS if set(accepts) & (BINARY - {"COMPARE"}) else set()
    words = sorted(
        {"an operator" if name in operators else _spelling(name) for name in accepts}
        - {"the end of the file"}
    )
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " or " + words[-1]


def _spelling(terminal: str) -> str:
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
