"""One-sided expansions of formulas: Laurent series, exact wherever their coefficients are fractions.

What `contact.py` asks of a formula (order of a zero, leading power) is read off the first coefficient
that is not 0. Rational formulas, all named curves among them, have fractions for coefficients; those with
roots, exponentials or cosines have decimals of 60 digits, of which 40 must vanish to count as 0.
"""

from __future__ import annotations

import decimal
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, TypeAlias

from etacec.formula.nodes import Const, Fn, Neg, Node, Op, Pi, Var
from etacec.formula.work import Undecided, Work

TERMS = 40  # coefficients kept; a formula that is 0 to all of them counts as 0
FEW = 12  # enough for nearly all
_BITS = 20_000  # of an exact coefficient
_DIGITS = 60
_NOISE = Decimal("1e-40")
_LARGEST_ANGLE = 10**12  # beyond it too few digits of the 60 are left
_PI = Decimal(
    "3.14159265358979323846264338327950288419716939937510582097494459230781640628620899862803"
)
CONTEXT = decimal.Context(
    prec=_DIGITS,
    Emax=10**6,
    Emin=-(10**6),
    traps=[decimal.Overflow, decimal.InvalidOperation, decimal.DivisionByZero],
)

Coefficient: TypeAlias = Any
"""Fraction, or Decimal: of one kind in one expansion."""


class NotExact(Exception):
    """The coefficients are no short fractions: take decimals."""


class Branches(Exception):
    """The formula has a root of this order where it begins: expand in powers of a root of the distance."""

    def __init__(self, order: int):
        self.order = order


class NotFinite(Exception):
    """The formula is infinite, or not real, beside the point."""


class Exact:
    """Fractions; functions only where their values are fractions."""

    def of(self, value: Fraction) -> Coefficient:
        return value

    def total(self, terms: Sequence[Coefficient]) -> Coefficient:
        out = sum(terms, Fraction(0))
        if max(out.numerator.bit_length(), out.denominator.bit_length()) > _BITS:
            raise NotExact
        return out

    def pi(self) -> Coefficient:
        raise NotExact

    def exp(self, x: Coefficient) -> Coefficient:
        return self._known(x, 0, 1)

    def log(self, x: Coefficient) -> Coefficient:
        return self._known(x, 1, 0)

    def cos_sin(self, x: Coefficient) -> tuple[Coefficient, Coefficient]:
        return self._known(x, 0, 1), self._known(x, 0, 0)

    def power(self, x: Coefficient, exponent: Fraction) -> Coefficient:
        size = max(x.numerator.bit_length(), x.denominator.bit_length())
        if exponent.denominator != 1 or abs(exponent) * size > _BITS:
            raise NotExact
        return x ** int(exponent)

    def _known(self, x: Coefficient, argument: int, value: int) -> Coefficient:
        if x != argument:
            raise NotExact
        return Fraction(value)


class Decimals:
    """Decimals of `CONTEXT`, which must be the current one; what is left by cancelling digits is 0."""

    def of(self, value: Fraction) -> Coefficient:
        return Decimal(value.numerator) / Decimal(value.denominator)

    def total(self, terms: Sequence[Coefficient]) -> Coefficient:
        out = sum(terms, Decimal(0))
        return Decimal(0) if abs(out) <= _NOISE * max(map(abs, terms), default=out) else out

    def pi(self) -> Coefficient:
        return _PI

    def exp(self, x: Coefficient) -> Coefficient:
        return x.exp()

    def log(self, x: Coefficient) -> Coefficient:
        out = x.ln()
        return Decimal(0) if abs(out) < _NOISE else out

    def cos_sin(self, x: Coefficient) -> tuple[Coefficient, Coefficient]:
        if abs(x) > _LARGEST_ANGLE:
            raise Undecided("an angle is too large")
        x -= 2 * _PI * (x / (2 * _PI)).to_integral_value()
        sums, term, k = [Decimal(0), Decimal(0)], Decimal(1), 0
        while abs(term) > Decimal(10) ** -_DIGITS or k < 2:
            sums[k % 2] += term if k % 4 < 2 else -term
            k += 1
            term = term * x / k
        cos, sin = (Decimal(0) if abs(s) < _NOISE else s for s in sums)
        return cos, sin

    def power(self, x: Coefficient, exponent: Fraction) -> Coefficient:
        if exponent.denominator == 1:
            return x ** int(exponent)
        return x ** self.of(exponent)


@dataclass(frozen=True)
class Series:
    """sum of coefficients[k] s^(start + k), exact up to and without s^(start + len)."""

    start: int
    coefficients: tuple[Coefficient, ...]

    def leading(self) -> tuple[int, Coefficient] | None:
        """(power, coefficient) of the first term that is not 0; None if all kept ones are."""
        for k, c in enumerate(self.coefficients):
            if c:
                return self.start + k, c
        return None


@dataclass(frozen=True)
class Expansion:
    """Expands formulas of r in s on one side of `at`: r = at + side s^root (side: 1 or -1)."""

    at: Fraction
    side: int
    numbers: Exact | Decimals
    work: Work
    terms: int = TERMS
    root: int = 1

    def of(self, node: Node) -> Series:
        """Raises NotExact, NotFinite or Undecided."""
        self.work.spend(self.terms)
        if isinstance(node, Const):
            return self._constant(self.numbers.of(node.value))
        if isinstance(node, Pi):
            return self._constant(self.numbers.pi())
        if isinstance(node, Var):
            if node.name != "r":
                raise Undecided(f"{node.name} has no value here")
            c = [self._zero] * self.terms
            c[0], c[self.root] = self.numbers.of(self.at), self.numbers.of(Fraction(self.side))
            return Series(0, tuple(c))
        if isinstance(node, Neg):
            return _negated(self.of(node.operand))
        if isinstance(node, Op):
            return self._operation(node)
        return self._function(node)

    @property
    def _zero(self) -> Coefficient:
        return self.numbers.of(Fraction(0))

    def _constant(self, value: Coefficient) -> Series:
        return Series(0, (value, *([self._zero] * (self.terms - 1))))

    def _operation(self, node: Op) -> Series:
        a = self.of(node.left)
        if node.operator == "^":
            if isinstance(node.right, Const):
                return self.power(a, node.right.value)
            return self._exponential(self._product(self._logarithm(a), self.of(node.right)))
        b = self.of(node.right)
        if node.operator == "*":
            return self._product(a, b)
        if node.operator == "/":
            return self._product(a, self.power(b, Fraction(-1)))
        return self._sum(a, b if node.operator == "+" else _negated(b))

    def _function(self, node: Fn) -> Series:
        args = [self.of(a) for a in node.args]
        if node.name == "abs":
            return args[0] if self._sign(args[0]) >= 0 else _negated(args[0])
        if node.name == "clip":
            return self._larger(self._larger(args[0], args[2], least=True), args[1])
        if node.name in ("min", "max"):
            return self._larger(args[0], args[1], least=node.name == "min")
        if node.name == "sqrt":
            return self.power(args[0], Fraction(1, 2))
        if node.name == "exp":
            return self._exponential(args[0])
        if node.name == "log":
            return self._logarithm(args[0])
        cos, sin = self._circle(args[0])
        return cos if node.name == "cos" else sin

    def _larger(self, a: Series, b: Series, least: bool = False) -> Series:
        """The one that is larger (or smaller) just beside the point."""
        above = self._sign(self._sum(a, _negated(b))) >= 0
        return a if above != least else b

    def _sum(self, a: Series, b: Series) -> Series:
        start = min(a.start, b.start)
        end = min(a.start + len(a.coefficients), b.start + len(b.coefficients))
        out = []
        for k in range(start, end):
            terms = [s.coefficients[k - s.start] for s in (a, b) if k >= s.start]
            out.append(self.numbers.total(terms))
        return Series(start, tuple(out))

    def _product(self, a: Series, b: Series) -> Series:
        n = min(len(a.coefficients), len(b.coefficients))
        xs, ys = a.coefficients[:n], b.coefficients[:n]
        inside = [i for i, x in enumerate(xs) if x]
        out = []
        for k in range(n):
            out.append(self._dot([(xs[i], ys[k - i]) for i in inside if i <= k]))
        return Series(a.start + b.start, tuple(out))

    def _dot(self, pairs: Sequence[tuple[Coefficient, Coefficient]]) -> Coefficient:
        terms = [x * y for x, y in pairs if x and y]
        self.work.spend(len(terms) + 1)
        return self.numbers.total(terms) if terms else self._zero

    def power(self, a: Series, exponent: Fraction) -> Series:
        """a^exponent by Miller's recurrence, whatever the exponent; it is never multiplied out."""
        found = a.leading()
        if found is None:
            if exponent > 0:
                return a
            raise Undecided("it divides by what vanishes to all orders looked at")
        start = found[0] * exponent
        if start.denominator != 1:
            raise Branches(start.denominator)
        if found[1] < 0 and exponent.denominator != 1:
            raise NotFinite
        c = a.coefficients[found[0] - a.start :]
        inverse = 1 / c[0]
        q = self.numbers.of(exponent)
        out = [self.numbers.power(c[0], exponent)]
        inside = [j for j in range(1, len(c)) if c[j]]
        for n in range(1, len(c)):
            pairs = [((q * j - (n - j)) * c[j], out[n - j]) for j in inside if j <= n]
            out.append(self._dot(pairs) * inverse / n)
        return Series(int(start), tuple(out))

    def _exponential(self, a: Series) -> Series:
        found = a.leading()
        if found is not None and found[0] < 0:
            if found[1] > 0:
                raise NotFinite
            return self._constant(self._zero)  # flatter than any power
        c = self._from_zero(a)
        out = [self.numbers.exp(c[0])]
        for n in range(1, len(c)):
            out.append(self._dot([(j * c[j], out[n - j]) for j in range(1, n + 1)]) / n)
        return Series(0, tuple(out))

    def _logarithm(self, a: Series) -> Series:
        found = a.leading()
        if found is None or found[0] != 0:
            raise Undecided("it has a logarithm of what vanishes or grows there")
        if found[1] < 0:
            raise NotFinite
        c = self._from_zero(a)
        out = [self.numbers.log(c[0])]
        for n in range(1, len(c)):
            inner = self._dot([(-j * out[j], c[n - j]) for j in range(1, n)])
            out.append(self.numbers.total([c[n], inner / n]) / c[0])
        return Series(0, tuple(out))

    def _circle(self, a: Series) -> tuple[Series, Series]:
        """(cos, sin)."""
        found = a.leading()
        if found is not None and found[0] < 0:
            raise Undecided("it oscillates ever faster there")
        c = self._from_zero(a)
        first = self.numbers.cos_sin(c[0])
        cos, sin = [first[0]], [first[1]]
        for n in range(1, len(c)):
            range_ = range(1, n + 1)
            cos.append(self._dot([(-j * c[j], sin[n - j]) for j in range_]) / n)
            sin.append(self._dot([(j * c[j], cos[n - j]) for j in range_]) / n)
        return Series(0, tuple(cos)), Series(0, tuple(sin))

    def _sign(self, a: Series) -> int:
        """Sign just beside the point; 0 where the series is 0."""
        found = a.leading()
        if found is None and self.terms < TERMS * self.root:
            raise Undecided("more terms are needed")
        return 0 if found is None else 1 if found[1] > 0 else -1

    def _from_zero(self, a: Series) -> list[Coefficient]:
        """Coefficients from s^0 on, of a series without negative powers. Raises Undecided: none is known."""
        skip = -a.start if a.start < 0 else 0
        if skip >= len(a.coefficients):
            raise Undecided("what is left of it there is beyond the terms looked at")
        pad = [self._zero] * min(max(a.start, 0), self.terms)
        return [*pad, *a.coefficients[skip:]][: self.terms]


def _negated(a: Series) -> Series:
    return Series(a.start, tuple(-c for c in a.coefficients))
