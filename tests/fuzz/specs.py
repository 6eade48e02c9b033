"""Specs that were damaged or written to hurt, through the checks; one in four is compiled to a module.

An accepted spec resolves and has finite formulas; a refused one has findings that all point into its text.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from etacec import Mistakes, compile_text, render_all
from etacec.model.files import Files
from etacec.model.resolve import resolve
from etacec.model.smoothness import smoothness
from etacec.syntax.parse import normal, parse

from .harness import ACCEPTED, Case, Fault

ROOT = Path(__file__).parents[2]
WORD = re.compile(r"[^\W\d]\w*|\d+\.\d+|\d+|\.\.|[<>=!]=|\S|\n")
NUMBERS = (
    "0", "1", "2", "-1", "0.5", "1.5", "3", "7", "8", "20", "21", "100", "200", "1000", "20000", "1000000000", "1e999",
    "1e-300", "1e300", "10^10^10", "9" * 70, "1 / 3", "1,5", "1 / 0", "0.37", "2^0.5", "-0.0", "1e16", "0.1 Å", "5 eV",
)  # fmt: skip
WORDS = (
    "species", "radial", "bond", "basis", "pair", "learnable", "frozen", "where", "Å", "eV", "nm", "pm", "Si", "O", "D", "*",
    "bond.rcut", "r", "y", "n", "l", "order", "pi", "sum", "max", "min", "count", "sqrt", "log", "{", "}", "(", ")", "[", "]",
    ",", "..", "=", "^", "/", "<=", "and", "or", "not", "use", "\n", "#", "##", '"', "\ufeff", "\u00a0", "\u2028", "\x00",
)  # fmt: skip
FUNCTIONS = ("exp", "log", "sqrt", "cos", "sin", "abs")
WHOLE = """etace 1
species Si, O
param a = 0.5
param top = 4
bond *-* {{ rin = {rin} Å, r0 = 2 Å, rcut = 5 Å }}
onebody E0 {{ Si = -1 eV, O = a * 1 eV }}
zbl core {{ inner = 0.5 Å }}
radial R[n in 1..{n}, l in 0..{l}] {{
  where n + l <= top + {n}
  transform{transform}
  envelope{envelope}
  polynomials = {polynomials}
}}
radial Q[n in 1..3] {{ transform = agnesi(p = 1, q = 3), envelope = inverse_power(p = 1), polynomials = legendre(3) }}
angular Y[l in 0..{l}] {{ harmonics = solid }}
basis B {{
  factors = R * Y
  order   = 1..{order}
  where {where}
}}
readout V {{ from = B }}
pair P {{ from = Q }}
model m = E0 + V + a * P + core
"""


@cache
def texts() -> tuple[str, ...]:
    """Good specs of the project, and one with a block of every kind."""
    found = sorted((ROOT / "specs").glob("*.etace"))
    found += sorted((ROOT / "compiler/etacec/presets").glob("*.etace"))
    small = [p.read_text("utf8") for p in found if "large" not in p.name]
    return (*small, whole(random.Random(0)), whole(random.Random(1)))


def whole(draw: random.Random) -> str:
    """A spec with formulas, degrees and ranges drawn at random; most are wrong."""
    transform = draw.choice(
        [" = agnesi(p = 2, q = 4)", f"(r) = {formula(draw, 'r')}", "(r) = 1 - 2 * r / bond.rcut"]
    )
    ends = draw.choice(["(1 - y^2)^2", "(1 - y)^2", "(1 - y^2)^1000", "exp(-1 / (1 - y^2))", "1"])
    joined = draw.choice([" * ", " / ", " + "])
    envelope = draw.choice(
        [" = two_sided", "(y) = (1 - y^2)^2", f"(y) = {ends}{joined}({formula(draw, 'y')})"]
    )
    degree = draw.choice(
        ["sum(n + l)", "sum(n^2 + l^2)", "sqrt(sum(n + l))", "max(n)", "count(l > 0)"]
    )
    return WHOLE.format(
        rin=draw.choice(["0", "0.5"]),
        n=draw.choice([1, 2, 4, 9, 40, 900]),
        l=draw.choice([0, 1, 2, 6, 20]),
        transform=transform,
        envelope=envelope,
        polynomials=draw.choice(
            ["legendre(4)", "jacobi(3, 1, 1)", "chebyshev(top)", "bernstein(200)"]
        ),
        order=draw.choice([1, 2, 3, 5, 8]),
        where=f"{degree} <= {draw.choice(['top', '4', '6', '12', '100', 'top + order'])}",
    )


def formula(draw: random.Random, variable: str, depth: int | None = None) -> str:
    """A formula of one variable."""
    depth = draw.choice([1, 2, 3, 5]) if depth is None else depth
    if not depth:
        return draw.choice(
            [variable] * 4 + ["0.37", "2", "1", "0.5", "pi", "a", "bond.rcut", "1000", "1e-3"]
        )
    if draw.random() < 0.4:
        return f"{draw.choice(FUNCTIONS)}({formula(draw, variable, depth - 1)})"
    operator = draw.choice(["+", "-", "*", "/", "/", "^"])
    left = formula(draw, variable, depth - 1)
    right = formula(draw, variable, draw.randrange(depth))
    if operator == "^" and draw.random() < 0.7:
        right = draw.choice(["2", "3", "1000", "0.5", "-1", "2.37", "1e9"])
    return f"({left} {operator} {right})"


def cases(seed: int) -> Iterator[Case]:
    draw = random.Random(seed)
    made: tuple[Callable[[random.Random], str], ...] = (
        _words,
        _words,
        _words,
        _characters,
        _lines,
        whole,
        whole,
        _hostile,
    )
    while True:
        make = draw.choice(made)
        text = make(draw)
        name = make.__name__.strip("_")
        yield Case(
            name, (text, draw.random() < 0.25), {"case.etace": text.encode("utf8", "replace")}
        )


def _words(draw: random.Random) -> str:
    """Up to four words deleted, doubled, swapped, or others in their places."""
    text = draw.choice(texts())
    for _ in range(draw.randint(1, 4)):
        words = list(WORD.finditer(text))
        k = draw.randrange(len(words) - 1)
        start, end = words[k].span()
        after = words[k + 1].span()
        number = words[k][0][0].isdigit()
        new = draw.choice([
            "", words[k][0] * 2, f"{words[k][0]} {words[k][0]}", draw.choice(NUMBERS if number else WORDS),
            draw.choice(NUMBERS), draw.choice(WORDS), f"({formula(draw, draw.choice('rynl'))})",
        ])  # fmt: skip
        if draw.random() < 0.15:
            new, end = text[after[0] : after[1]] + text[end : after[0]] + words[k][0], after[1]
        text = text[:start] + new + text[end:]
    return text


def _characters(draw: random.Random) -> str:
    text = list(draw.choice(texts()))
    for _ in range(draw.randint(1, 6)):
        k = draw.randrange(len(text))
        text[k] = draw.choice(
            ["", text[k] * 2, chr(draw.randrange(128)), chr(draw.randrange(0x2FFF)), *"{}()[],=^."]
        )
    return "".join(text)


def _lines(draw: random.Random) -> str:
    """Lines of two specs, mixed."""
    lines = draw.choice(texts()).split("\n")
    others = draw.choice(texts()).split("\n")
    for _ in range(draw.randint(1, 5)):
        k = draw.randrange(len(lines))
        lines[k : k + draw.randint(0, 2)] = draw.sample(others, draw.randint(0, 2))
    return "\n".join(lines)


def _hostile(draw: random.Random) -> str:
    """Much of something."""
    many = draw.choice([10, 100, 1000, 3000])
    head = "etace 1\nspecies Si, O\n"
    deep = draw.choice(["(", "[", "-", "exp(", "(1 + ", "2^", "{", "not ", "abs("])
    return draw.choice([
        head + "param a = " + deep * many + "1" + ")" * many,
        head + "param a0 = 3\n" + "".join(f"param a{k + 1} = a{k}{draw.choice(['^2', ' + 1', ' / 7', ' * a0'])}\n" for k in range(many)),
        head + "bond Si-O { rcut = 5 Å }\n" * many,
        head + "param a = " + draw.choice([" + ", ", ", " * ", "^", " or "]).join(["1"] * many),
        head + f"radial R[n in 1..{10**draw.randint(1, 12)}, l in 0..{draw.choice([1, 20, 10**9])}] {{ transform = agnesi(2, 2), envelope = two_sided, polynomials = legendre({many}) }}\npair P {{ from = R }}\nmodel m = P",
        "etace 1\nspecies " + ", ".join(["Si", "O", "29", "D"] * many),
        head + "".join(f"model m{k} = m{k - 1} * 2\n" for k in range(many)),
        head + "## doc\n" * many + "onebody E { Si = 0 eV, O = 0 eV }\nmodel m = E",
        head + "radial R[n in 1..2] {\n" * many,
        head + f"param {'a' * many} = {'9' * many}.{'9' * many}e{'9' * draw.randint(1, 6)}",
        whole(draw).replace("(1 - y^2)^2", "(1 - y^2)^2 * " + " * ".join(f"abs(y - {k / many})" for k in range(min(many, 100)))),
    ])  # fmt: skip


def check(case: Case) -> str:
    text, compiled = case.data
    files = Files()
    try:
        if compiled:
            compile(compile_text(text, "case.etace", files=files).module, "module", "exec")
        else:
            spec, found = resolve(parse(text, "case.etace"), files)
            _, more = smoothness(spec)
            errors = [d for d in more if d.severity == "error"]
            if errors:
                raise Mistakes([*found, *more])
    except Mistakes as mistakes:
        sources = {"case.etace": normal(text), **files.texts}
        for d in mistakes.diagnostics:
            lines = sources.get(d.span.file, "").split("\n")
            if d.span.file and not 1 <= d.span.line <= len(lines):
                raise Fault(f"{d.code} points at line {d.span.line} of {len(lines)}") from None
        if not render_all(mistakes.diagnostics, sources).strip():
            raise Fault("refused without words") from None
        raise
    return ACCEPTED
