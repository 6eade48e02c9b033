"""Every wrong file in `bad/` gets the message recorded beside it, and never a traceback.

A line `# -D name=value` in a file is an override given on the command line.
`pytest tests/language --rewrite` records anew; read the difference before committing it.
"""

from __future__ import annotations

import ast
import builtins
import random
import re
from pathlib import Path

import etacec
import pytest
from etacec import Mistakes, compile_file, compile_text, render_all
from etacec.codes import CODES

BAD = Path(__file__).parent / "bad"
OVERRIDE = re.compile(r"^# -D (\w+)=(.*)$", re.MULTILINE)


def explained(path: Path) -> str:
    """What the user sees: errors, or the warnings of a file that compiles."""
    text = path.read_bytes().decode("utf8")
    overrides = {name: value.replace("\\n", "\n") for name, value in OVERRIDE.findall(text)}
    try:
        done = compile_file(path, overrides=overrides)
    except Mistakes as mistakes:
        return render_all(mistakes.diagnostics, mistakes.sources)
    return render_all(done.warnings, done.sources)


@pytest.mark.parametrize("path", sorted(BAD.glob("*.etace")), ids=lambda p: p.stem)
def test_message_is_the_recorded_one(path: Path, rewrite: bool) -> None:
    shown = explained(path)
    assert shown, "a wrong file is not wrong"
    recorded = path.with_suffix(".expected")
    if rewrite:
        recorded.write_text(shown, encoding="utf8", newline="\n")
    assert recorded.is_file(), f"no {recorded.name}: record it with --rewrite, and read it"
    assert shown == recorded.read_bytes().decode("utf8")


@pytest.mark.parametrize(
    "path", sorted(BAD.glob("[ew][0-9][0-9][0-9]_*.etace")), ids=lambda p: p.stem
)
def test_file_is_named_after_its_code(path: Path) -> None:
    codes = re.findall(
        r"^\w+\[(\w+)\]", path.with_suffix(".expected").read_text("utf8"), re.MULTILINE
    )
    assert path.stem.split("_")[0].upper() in codes


def test_no_record_without_its_file() -> None:
    recorded = {p.stem for p in BAD.glob("*.expected")}
    assert recorded == {p.stem for p in BAD.glob("*.etace")}


def test_messages_speak_the_users_language() -> None:
    """No vocabulary of Python or of the parser."""
    jargon = re.compile(
        r"_NL|LPAR|RPAR|LSQB|RSQB|RBRACE|LBRACE|\$END|DOTDOT|\bNone\b|Traceback|Error\b|object at 0x|"
        r"\bint\b|\bstr\b|\bfloat\b|\btuple\b|\bdict\b|errno|Errno"
    )
    for path in BAD.glob("*.expected"):
        shown = path.read_text("utf8").split("\n")
        for line in shown:
            if re.match(r"(error|warning|help|\s+\| .*\^)", line):
                assert not jargon.search(line), f"{path.name}: {line}"


# ---------------------------------------------------------------- code that tries to get in

NAMES = ("class", "lambda", "None", "import", "__import__", "__builtins__", "exec", "jnp", "np", "init",
         "MODELS", "R²", "ρ", "α2", "Ⅻ", "ﬁt", "print", "match", "R_transform", "self", "params", "graph")  # fmt: skip
WHOLE = """etace 1
species Si, O
radial {R}[n in 1..2, l in 0..1] {{
  transform   = agnesi(p = 2, q = 2)
  envelope(y) = (1 - y^2)^2
  polynomials = legendre(2)
}}
angular {Y}[l in 0..1] {{ harmonics = solid }}
basis {B} {{ factors = {R} * {Y}, order = 1..2 }}
readout {V} {{ from = {B} }}
onebody {E} {{ Si = 0 eV, O = 0 eV }}
model {m} = {V} + {E}
"""
PLAIN = dict(zip("RYBVEm", ("Ra", "Ya", "Ba", "Va", "Ea", "ma"), strict=True))


def calls(module: str) -> set[str]:
    """Everything that is called or imported in a module."""
    found = set()
    for node in ast.walk(ast.parse(module)):
        if isinstance(node, ast.Call):
            found.add(ast.unparse(node.func))
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.add(ast.unparse(node))
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", "RVm")
def test_any_name_becomes_a_safe_identifier(name: str, kind: str) -> None:
    module = compile_text(WHOLE.format(**{**PLAIN, kind: name})).module
    plain = compile_text(WHOLE.format(**PLAIN)).module
    assert len(calls(module)) == len(calls(plain))
    compile(module, "module", "exec")
    defined = {n.name for n in ast.parse(module).body if isinstance(n, ast.FunctionDef)}
    assert not {d for d in defined if hasattr(builtins, d) or d.startswith("__")}


@pytest.mark.parametrize("name", ["½", "a½", "x·y"])
def test_a_name_that_is_no_identifier_is_refused(name: str) -> None:
    with pytest.raises(Mistakes):
        compile_text(WHOLE.format(**{**PLAIN, "R": name}))


DOCS = (
    'a """ b', 'ends with "', "ends with \\", r"\N{BELL} \x41 \u0041 \101", "'''", "{jnp} {0} %s",
    "one\u2028import os", "one\u2029import os", "one\x0cimport os", "one\rimport os", "one\x0bimport os",
    "one\x85import os", "one\x1cimport os", "one\x1dx", "one\x1ex", "nul \x00 x", "\u202eright to left",
    '""")\nimport os\n("""', "# type: ignore", "-*- coding: utf7 -*-", "fmt: on",
)  # fmt: skip


@pytest.mark.parametrize("doc", DOCS, ids=range(len(DOCS)))
@pytest.mark.parametrize("place", ["file", "radial", "basis", "readout", "onebody", "model"])
def test_a_doc_comment_stays_a_comment(doc: str, place: str) -> None:
    plain = WHOLE.format(**PLAIN)
    text = "\n".join(f"## {line}" for line in doc.split("\n")) + "\n"
    if place == "file":
        noted = plain.replace("etace 1\n", f"etace 1\n\n{text}\n")
    else:
        noted = plain.replace(f"\n{place} ", f"\n{text}{place} ")
    assert noted != plain
    try:
        module = compile_text(noted).module
    except Mistakes:  # the doc comment did not stay one in the file itself: refused, and fine
        assert "\n" in doc
        return
    bare = compile_text(plain).module
    assert calls(module) == calls(bare)
    assert len(ast.parse(module).body) == len(ast.parse(bare).body)
    compile(module, "module", "exec")


# ---------------------------------------------------------------- large and strange texts


def hopeless() -> dict[str, str]:
    junk = random.Random(1)
    return {
        "garbage": "".join(chr(junk.randrange(1, 0xD7FF)) for _ in range(3000)),
        "bytes": bytes(range(256)).decode("latin1") * 10,
        "a megabyte on a line": "etace 1\n" + "x" * 1_000_000,
        "a comment of a megabyte": "etace 1\n# " + "x" * 900_000,
        "open brackets": "etace 1\nparam a = " + "(" * 20_000,
        "closed brackets": "etace 1\nparam a = " + ")" * 20_000,
        "lists": "etace 1\nparam a = " + "[" * 5_000 + "]" * 5_000,
        "calls": "etace 1\nparam a = " + "abs(" * 3_000 + "1" + ")" * 3_000,
        "members": "etace 1\nmodel m = a" + ".a" * 5_000,
        "braces": "etace 1\n" + "{" * 5_000,
        "newlines": "\n" * 100_000,
        "declarations": "etace 1\n" + "species Si O\n" * 50,
        "long name": "etace 1\nspecies Si\nparam " + "a" * 100_000 + " = b",
        "version": "etace " + "9" * 10_000,
        "quotes": 'etace 1\nuse "' + "a" * 100_000,
    }


@pytest.mark.parametrize("what", hopeless())
def test_hopeless_texts_are_refused_in_words(what: str) -> None:
    with pytest.raises(Mistakes) as caught:
        compile_text(hopeless()[what])
    shown = render_all(caught.value.diagnostics, caught.value.sources)
    assert max(map(len, shown.split("\n"))) < 500


@pytest.mark.parametrize(
    "value", ["1e300 * 1e300", "1e-300 * 1e-300", "1e300", "(1e300)^3", "1e-300^20"]
)
def test_huge_and_tiny_numbers_in_formulas(value: str) -> None:
    text = WHOLE.format(**PLAIN).replace(
        "(1 - y^2)^2", f"(1 - y^2)^2 * ({value}) * (1 + {value} * y)"
    )
    shown = ""
    try:
        compile(compile_text(text).module, "module", "exec")
    except Mistakes as mistakes:
        shown = render_all(mistakes.diagnostics, mistakes.sources)
        codes = {d.code for d in mistakes.diagnostics}
    assert not shown or codes <= {"E307", "E410"}


def test_every_code_is_explained_and_every_explanation_used() -> None:
    folder = Path(etacec.__file__).parent
    used: set[str] = set()
    for path in folder.rglob("*.py"):
        if path.name != "codes.py":
            used |= set(re.findall(r'"([EW]\d{3})[":]', path.read_text("utf8")))
    assert used == set(CODES)
    for code, text in CODES.items():
        assert 1 <= len(text.split("\n")) <= 5, code


def test_explanations_quote_messages_that_exist() -> None:
    recorded = "".join(p.read_text("utf8") for p in BAD.glob("*.expected"))
    untested = {c for c in CODES if c not in recorded}
    assert untested <= {"E901"}
