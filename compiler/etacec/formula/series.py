"""Exact one-sided expansions of rational formulas: Laurent series with fractions for coefficients.

What `contact.py` asks of a formula (order of a zero, sign beside a point, leading power) is read off
the first coefficient that is not 0. All named curves are rational, so this is the usual way; formulas
with roots, exponentials or cosines go to sympy.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from etacec.formula.nodes import Const, Fn, Neg, Node, Op, Var

TERMS = 40  # coefficients kept; a formula that is 0 to all of them counts as 0
_LARGEST_POWER = 64


class NotRational(Exception):
    """The formula has no such expansion: ask sympy."""


@dataclass(frozen=True)
class Series:
    """sum of coefficients[k] t^(start + k), exact up to and without t^(start + len)."""

    start: int
    coefficients: tuple[Fraction, ...]

    def leading(self) -> tuple[int, Fraction] | None:
        """(power, coefficient) of the first term that is not 0; None if all kept ones are."""
        for k, c in enumerate(self.coefficients):
            if c:
                return self.start + k, c
        return None


def expand(node: Node, at: Fraction, side: int) -> Series:
    """The formula of r in t = r - at, on the side given (1: above, -1: below)."""
    if isinstance(node, Const):
        return _constant(node.value)
    if isinstance(node, Var) and node.name == "r":
        return Series(0, (at, Fraction(1), *([Fraction(0)] * (TERMS - 2))))
    if isinstance(node, Neg):
        return _scaled(expand(node.operand, at, side), Fraction(-1))
    if isinstance(node, Op):
        return _operation(node, at, side)
    if isinstance(node, Fn):
        return _branch(node, at, side)
    raise NotRational


def _constant(value: Fraction) -> Series:
    return Series(0, (value, *([Fraction(0)] * (TERMS - 1))))


def _operation(node: Op, at: Fraction, side: int) -> Series:
    a = expand(node.left, at, side)
    if node.operator == "^":
        exponent = node.right
        if not isinstance(exponent, Const) or exponent.value.denominator != 1:
            raise NotRational
        return _power(a, int(exponent.value))
    b = expand(node.right, at, side)
    if node.operator == "*":
        return _product(a, b)
    if node.operator == "/":
        return _product(a, _inverse(b))
    return _sum(a, b if node.operator == "+" else _scaled(b, Fraction(-1)))


def _branch(node: Fn, at: Fraction, side: int) -> Series:
    """clip, min, max, abs: the argument that holds just beside the point."""
    if node.name not in ("clip", "min", "max", "abs"):
        raise NotRational
    args = [expand(a, at, side) for a in node.args]
    if node.name == "abs":
        return args[0] if sign(args[0], side) >= 0 else _scaled(args[0], Fraction(-1))
    if node.name == "clip":
        return _larger(_larger(args[0], args[2], side, least=True), args[1], side)
    return _larger(args[0], args[1], side, least=node.name == "min")


def _larger(a: Series, b: Series, side: int, least: bool = False) -> Series:
    above = sign(_sum(a, _scaled(b, Fraction(-1))), side) >= 0
    return a if above != least else b


def sign(a: Series, side: int) -> int:
    """Sign just beside the point; 0 where the series is 0."""
    found = a.leading()
    if found is None:
        return 0
    power, c = found
    return (1 if c > 0 else -1) * (side if power % 2 else 1)


def _scaled(a: Series, factor: Fraction) -> Series:
    return Series(a.start, tuple(factor * c for c in a.coefficients))


def _sum(a: Series, b: Series) -> Series:
    start = min(a.start, b.start)
    end = min(a.start + len(a.coefficients), b.start + len(b.coefficients))
    out = [Fraction(0)] * (end - start)
    for s in (a, b):
        for k, c in enumerate(s.coefficients):
            if s.start + k < end:
                out[s.start + k - start] += c
    return Series(start, tuple(out))


def _trimmed(a: Series) -> Series:
    """Leading zeros off, so that quotients start at a term that is not 0."""
    found = a.leading()
    if found is None:
        raise NotRational
    skip = found[0] - a.start
    return Series(found[0], a.coefficients[skip:])


def _product(a: Series, b: Series) -> Series:
    n = min(len(a.coefficients), len(b.coefficients))
    out = [Fraction(0)] * n
    for i, x in enumerate(a.coefficients[:n]):
        if x:
            for j, y in enumerate(b.coefficients[: n - i]):
                if y:
                    out[i + j] += x * y
    return Series(a.start + b.start, tuple(out))


def _inverse(a: Series) -> Series:
    a = _trimmed(a)
    first = a.coefficients[0]
    out: list[Fraction] = [1 / first]
    for k in range(1, len(a.coefficients)):
        total = sum((a.coefficients[j] * out[k - j] for j in range(1, k + 1)), Fraction(0))
        out.append(-total / first)
    return Series(-a.start, tuple(out))


def _power(a: Series, n: int) -> Series:
    if abs(n) > _LARGEST_POWER:
        raise NotRational
    if n < 0:
        return _power(_inverse(a), -n)
    out = _constant(Fraction(1))
    for _ in range(n):
        out = _product(out, a)
    return out
