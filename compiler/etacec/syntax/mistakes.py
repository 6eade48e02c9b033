"""Syntax mistakes people make, known by examples of each: the table the parser itself uses.

lark compares the parser's state (and the depth of its stack) at the error with the state at the
error of each example; so a new message needs only a new example.
"""

from __future__ import annotations

from dataclasses import dataclass

KEYWORDS = (
    "param",
    "species",
    "bond",
    "use",
    "onebody",
    "zbl",
    "radial",
    "angular",
    "pair",
    "basis",
    "readout",
    "model",
)


@dataclass(frozen=True)
class Mistake:
    code: str
    message: str
    help: str
    examples: tuple[str, ...]


MISTAKES = (
    Mistake(
        "E102",
        "a value is missing after `=`",
        "write the value on the same line",
        (
            "param a =",
            "param a =\nparam b = 1",
            "param a =\nspecies b",
            "model m =\nmodel n = A",
            "radial R[n in 1..2] { a = }",
            "radial R[n in 1..2] { a = 1, b = }",
            "readout V { a = \n }",
        ),
    ),
    Mistake(
        "E103",
        "a range needs two ends",
        "write `1..6`; both ends are included",
        (
            "radial R[n in 1..] { }",
            "radial R[n in 6] { }",
            "radial R[n in 6, l in 1..2] { }",
            "radial R[n in 1..2, l in 6] { }",
            "radial R[n in 1..2, l in 1..] { }",
        ),
    ),
    Mistake(
        "E105",
        "weights are `learnable` or `frozen`",
        "for example: weights = learnable per species",
        tuple(
            f"readout V {{ {field}weights = {value} }}"
            for field in ("", "from = B, ", "from = B, x = 1, ")
            for value in ("trainable", "3", "")
        ),
    ),
    Mistake(
        "E106",
        "weights are shared per `pair` or per `species`",
        "for example: weights = learnable per pair",
        tuple(
            f"readout V {{ {field}weights = learnable per {value} }}"
            for value in ("atom", "")
            for field in ("", "from = B, ", "from = B, x = 1, ")
        ),
    ),
    Mistake(
        "E108",
        "two potentials need a `+` between them",
        "for example: model m = E0 + V",
        ("model m = A B", "model m = A + B C"),
    ),
    Mistake(
        "E109",
        "no declaration starts with this word",
        "a line starts with one of: " + ", ".join(KEYWORDS),
        ("parameter a = 1", "species a\nparameter b = 1"),
    ),
    Mistake(
        "E110",
        "this block needs its indices",
        "for example: radial R[n in 1..6, l in 0..4] { ... }",
        ("radial R { a = 1 }", "angular Y { a = 1 }", "radial R\nparam a = 1"),
    ),
    Mistake(
        "E111",
        "this declaration needs a name",
        "for example: readout V { ... }",
        (
            "readout { from = B }",
            "basis { L = 0 }",
            "pair { from = R }",
            "onebody { Si = 1 eV }",
            "zbl { a = 1 }",
        ),
    ),
    Mistake(
        "E112",
        "this word belongs to the language and cannot be a name",
        "choose another name",
        (
            "param species = 1",
            "param pair = 1",
            "readout basis { from = B }",
            "basis model { L = 0 }",
            "readout V { from = pair }",
            "model pair = A",
            "model m = species",
        ),
    ),
    Mistake(
        "E113",
        "a bond is written with two elements",
        "for example: bond Si-O { rcut = 5 Å }   or   bond *-* { rcut = 5 Å }",
        (
            "bond Si { rcut = 1 }",
            "bond Si O { rcut = 1 }",
            "bond { rcut = 1 }",
            "bond Si- { a = 1 }",
        ),
    ),
)

# A keyword in place of a key: (kind of block, keyword) -> the key.
KEYS_MEANT = {
    ("readout", "basis"): "from",
    ("pair", "radial"): "from",
    ("pair", "basis"): "from",
    ("radial", "basis"): "polynomials",
    ("basis", "radial"): "factors",
    ("basis", "angular"): "factors",
    ("angular", "basis"): "harmonics",
}

# lark tells two errors apart by the depth of the parser's stack too, and a first, second and
# later declaration sit at different depths; so each example is tried in all three places.
BEFORE = ("", "etace 1\n", "etace 1\nspecies a\n")

CHARACTERS = {
    ":": "a range is written `1..6`, a field `key = value`",
    ";": "end the line, or separate fields with a comma",
    "'": 'write text in double quotes: "..."',
    '"': "text ends on the line where it begins",
    "%": "a comment starts with `#`",
    "!": "not equal is written `!=`, negation `not`",
    "&": "write `and`",
    "|": "write `or`",
    ".": "a number has digits on both sides of the point: `0.5`, `1.0`; a range is `1..6`",
    "\N{MULTIPLICATION SIGN}": "multiplication is written `*`",
    "\N{MINUS SIGN}": "the minus sign of the keyboard is meant: `-`",
    "\N{EN DASH}": "the minus sign of the keyboard is meant: `-`",
    "\N{LESS-THAN OR EQUAL TO}": "write `<=`",
    "\N{GREATER-THAN OR EQUAL TO}": "write `>=`",
    "\N{NOT EQUAL TO}": "write `!=`",
    "\N{MIDDLE DOT}": "multiplication is written `*`",
    "\N{LEFT DOUBLE QUOTATION MARK}": 'write text in plain quotes: "..."',
    "\N{NO-BREAK SPACE}": "write a plain space",
    "\N{ZERO WIDTH SPACE}": "delete this invisible character",
    "\N{ZERO WIDTH NO-BREAK SPACE}": "delete this invisible character, the start of another file",
}
TWO = {
    "//": "a comment starts with `#`",
    "**": "a power is written `^`: `y^2`",
    "&&": "write `and`",
    "||": "write `or`",
}
