"""Expression nodes of r, y and the bond's lengths. Constructors fold constants exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np


@dataclass(frozen=True)
class Const:
    value: Fraction


@dataclass(frozen=True)
class Pi:
    pass


@dataclass(frozen=True)
class Var:
    """`r` (Å), `y` (transformed distance), `bond.rin`, `bond.r0`, `bond.rcut` (Å)."""

    name: str


@dataclass(frozen=True)
class Op:
    """`+ - * / ^` of two nodes."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Neg:
    operand: Node


@dataclass(frozen=True)
class Fn:
    """exp, log, sqrt, cos, sin, abs, min, max, or clip(x, low, high)."""

    name: str
    args: tuple[Node, ...]


Node: TypeAlias = Const | Pi | Var | Op | Neg | Fn
ZERO, ONE, TWO = Const(Fraction(0)), Const(Fraction(1)), Const(Fraction(2))
FUNCTIONS = {
    "exp": 1,
    "log": 1,
    "sqrt": 1,
    "cos": 1,
    "sin": 1,
    "abs": 1,
    "min": 2,
    "max": 2,
    "clip": 3,
}
_NUMPY: dict[str, Any] = {
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "cos": np.cos,
    "sin": np.sin,
    "abs": np.abs,
    "min": np.minimum,
    "max": np.maximum,
    "clip": np.clip,
}
_BITS = 4096  # of a constant; sums, products and powers that are longer stay what they are


def const(value: int | str | Fraction) -> Const:
    return Const(Fraction(value))


def _bits(value: Fraction) -> int:
    return max(value.numerator.bit_length(), value.denominator.bit_length())


def _short(a: Const, b: Const) -> bool:
    """Whether their sum, product or quotient is no long number."""
    return _bits(a.value) + _bits(b.value) <= _BITS


def add(a: Node, b: Node) -> Node:
    if isinstance(a, Const) and isinstance(b, Const) and _short(a, b):
        return Const(a.value + b.value)
    if a == ZERO:
        return b
    if b == ZERO:
        return a
    return Op("+", a, b)


def sub(a: Node, b: Node) -> Node:
    if isinstance(a, Const) and isinstance(b, Const) and _short(a, b):
        return Const(a.value - b.value)
    if b == ZERO:
        return a
    return neg(b) if a == ZERO else Op("-", a, b)


def mul(a: Node, b: Node) -> Node:
    if isinstance(a, Const) and isinstance(b, Const) and _short(a, b):
        return Const(a.value * b.value)
    if ZERO in (a, b):
        return ZERO
    if a == ONE:
        return b
    if b == ONE:
        return a
    return Op("*", a, b)


def div(a: Node, b: Node) -> Node:
    if isinstance(b, Const) and b.value:
        if isinstance(a, Const) and _short(a, b):
            return Const(a.value / b.value)
        if b == ONE:
            return a
    return Op("/", a, b)


def power(a: Node, b: Node) -> Node:
    if isinstance(b, Const):
        if b.value == 0:
            return ONE
        if b.value == 1:
            return a
        whole = b.value.denominator == 1
        if (
            isinstance(a, Const)
            and whole
            and (a.value or b.value > 0)
            and abs(b.value) * _bits(a.value) <= _BITS
        ):
            return Const(a.value ** int(b.value))
    return Op("^", a, b)


def neg(a: Node) -> Node:
    if isinstance(a, Const):
        return Const(-a.value)
    return a.operand if isinstance(a, Neg) else Neg(a)


OPERATORS = {"+": add, "-": sub, "*": mul, "/": div, "^": power}


def children(node: Node) -> tuple[Node, ...]:
    if isinstance(node, Op):
        return (node.left, node.right)
    if isinstance(node, Neg):
        return (node.operand,)
    return node.args if isinstance(node, Fn) else ()


def rebuild(node: Node, parts: tuple[Node, ...]) -> Node:
    """The same node with other children, folded again."""
    if isinstance(node, Op):
        return OPERATORS[node.operator](*parts)
    if isinstance(node, Neg):
        return neg(*parts)
    return Fn(node.name, parts) if isinstance(node, Fn) else node


def substitute(node: Node, values: Mapping[str, Node]) -> Node:
    if isinstance(node, Var):
        return values.get(node.name, node)
    return rebuild(node, tuple(substitute(c, values) for c in children(node)))


def walk(node: Node) -> Iterator[Node]:
    yield node
    for child in children(node):
        yield from walk(child)


def variables(node: Node) -> set[str]:
    return {n.name for n in walk(node) if isinstance(n, Var)}


def polynomial_degree(node: Node, variable: str) -> int | None:
    """The degree (or a bound of it) of a formula that is a polynomial of one variable, else None."""
    if isinstance(node, Const | Pi):
        return 0
    if isinstance(node, Var):
        return 1 if node.name == variable else None
    if isinstance(node, Fn):
        return None
    degrees = [polynomial_degree(c, variable) for c in children(node)]
    known = [d for d in degrees if d is not None]
    if len(known) < len(degrees):
        return None
    if isinstance(node, Neg):
        return known[0]
    a, b = known
    if node.operator in "+-":
        return max(a, b)
    if node.operator == "*":
        return a + b
    if node.operator == "/":
        return a if b == 0 else None
    exponent = node.right.value if isinstance(node.right, Const) else None
    whole = exponent is not None and exponent.denominator == 1 and exponent >= 0
    return a * int(exponent) if exponent is not None and whole else None


def evaluate(
    node: Node, values: Mapping[str, Any], note: Callable[[Node, Any], None] | None = None
) -> Any:
    """The formula in float64; `values`: variable -> number or array. NaN and inf are let through.
    note: takes every part of the formula that is a function or power, and its value"""
    if isinstance(node, Const):
        try:
            return np.float64(node.value)
        except OverflowError:
            return np.float64(np.inf)
    if isinstance(node, Pi):
        return np.float64(np.pi)
    if isinstance(node, Var):
        return np.asarray(values[node.name], np.float64)
    with np.errstate(all="ignore"):
        parts = [evaluate(c, values, note) for c in children(node)]
        if isinstance(node, Neg):
            return -parts[0]
        if isinstance(node, Op) and node.operator != "^":
            return _arithmetic(node.operator, *parts)
        found = _NUMPY[node.name](*parts) if isinstance(node, Fn) else _arithmetic("^", *parts)
        if note is not None:
            note(node, found)
        return found


def _arithmetic(operator: str, a: Any, b: Any) -> Any:
    if operator == "+":
        return a + b
    if operator == "-":
        return a - b
    if operator == "*":
        return a * b
    return np.divide(a, b) if operator == "/" else np.power(a, b)


def exact(node: Node, values: Mapping[str, Fraction]) -> Fraction | None:
    """The exact value where the formula is rational in `values`, else None."""
    folded = substitute(node, {k: Const(v) for k, v in values.items()})
    return folded.value if isinstance(folded, Const) else None


def text(node: Node) -> str:
    """In the language's own notation, with only the parentheses that are needed."""
    return _text(node)[0]


_LEVEL = {"+": 1, "-": 1, "*": 2, "/": 2, "^": 4}


def number_text(value: Fraction) -> str:
    """A fraction as a decimal where that is exact and short, else as a quotient."""
    if value.denominator == 1:
        return str(value.numerator)
    decimal = repr(float(value))
    if "e" not in decimal and Fraction(decimal) == value:
        return decimal
    return f"{value.numerator}/{value.denominator}"


def _text(node: Node) -> tuple[str, int]:
    if isinstance(node, Const):
        s = number_text(node.value)
        return s, 2 if "/" in s else (3 if s.startswith("-") else 5)
    if isinstance(node, Pi):
        return "pi", 5
    if isinstance(node, Var):
        return node.name, 5
    if isinstance(node, Fn):
        return f"{node.name}({', '.join(text(a) for a in node.args)})", 5
    if isinstance(node, Neg):
        s, level = _text(node.operand)
        return ("-" + (s if level >= 3 else f"({s})")), 3
    level = _LEVEL[node.operator]
    left, l = _text(node.left)
    right, r = _text(node.right)
    if l < level or (node.operator == "^" and l == level):
        left = f"({left})"
    if r < level or (r == level and node.operator in "-/") or (r == 3 and level < 3):
        right = f"({right})"
    space = "" if node.operator == "^" else " "
    return f"{left}{space}{node.operator}{space}{right}", level
