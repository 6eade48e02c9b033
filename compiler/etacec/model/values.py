"""Values of expressions: exact numbers with a dimension, lists, truth, text."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import TypeAlias

from etacec.diagnostics import Diagnostic, Span, did_you_mean, shown
from etacec.model.units import LIST, NUMBER, OTHERS, UNITS, Dimension, describe, example
from etacec.syntax import ast

Real: TypeAlias = Fraction | float


@dataclass(frozen=True)
class Amount:
    value: Real
    dimension: Dimension = NUMBER


@dataclass(frozen=True)
class Broken:
    """What a name stands for whose declaration has a mistake: whoever reads it meets the same one."""

    mistake: Diagnostic


Value: TypeAlias = Amount | bool | tuple["Value", ...]
Known: TypeAlias = Value | Broken


class Fault(Exception):
    """One mistake in one expression; caught where the declaration is resolved."""

    def __init__(self, code: str, message: str, span: Span, label: str = "", help: str = ""):
        super().__init__(message)
        self.diagnostic = Diagnostic(code, message, span, label, help)


# Words with a meaning of their own inside expressions.
AGGREGATES = ("sum", "max", "min", "count")
FUNCTIONS = ("abs", "ceil", "cos", "exp", "floor", "log", "sin", "sqrt")
CONSTANTS = ("pi", "order", "n_species", "bond_length", "max_bond_length")
WORDS = frozenset(AGGREGATES + FUNCTIONS + CONSTANTS)
_TOLERANCE = 1e-9  # of comparisons that involve a rounded number (a root, an exponential)
_BITS = 4096
_LARGEST = 1000  # power of 2: a float64 ends at 1024


@dataclass(frozen=True)
class Scope:
    """What names mean here.

    names: parameters and indices; bond: values of bond.*; factors: inside `sum(...)` and its
    like, the indices of each factor of a product (None: there are no factors here).
    """

    names: Mapping[str, Known]
    bond: Mapping[str, Value] = field(default_factory=dict)
    factors: tuple[Mapping[str, Value], ...] | None = None
    hint: str = ""

    def known(self) -> list[str]:
        return sorted({*self.names, *(f"bond.{b}" for b in self.bond)})


def evaluate(expr: ast.Expr, scope: Scope) -> Value:
    match expr:
        case ast.Number(value):
            return Amount(value)
        case ast.Quantity():
            return quantity(expr, scope)
        case ast.Name(name):
            return _name(expr, name, scope)
        case ast.OfBond(name):
            if name not in scope.bond:
                known = [f"bond.{b}" for b in scope.bond]
                help = (
                    did_you_mean(f"bond.{name}", known)
                    if known
                    else "bonds have lengths in formulas"
                )
                raise Fault("E205", f"`bond.{shown(name)}` is not known here", expr.span, help=help)
            return scope.bond[name]
        case ast.Unary("-", operand):
            a = number(operand, scope)
            return Amount(-a.value, a.dimension)
        case ast.Unary(_, operand):
            return not truth(operand, scope)
        case ast.Binary("and", left, right):
            return truth(left, scope) and truth(right, scope)
        case ast.Binary("or", left, right):
            return truth(left, scope) or truth(right, scope)
        case ast.Binary():
            return _arithmetic(expr, number(expr.left, scope), number(expr.right, scope))
        case ast.Compare():
            return _compare(expr, scope)
        case ast.ListOf(items):
            return tuple(evaluate(x, scope) for x in items)
        case ast.Element(owner, index):
            return _element(expr, evaluate(owner, scope), integer(index, scope))
        case ast.Call():
            return _call(expr, scope)
        case _:
            raise Fault(
                "E304", "this is not a number", expr.span, help="a number, list or formula is meant"
            )


def quantity(expr: ast.Quantity, scope: Scope | None = None) -> Amount:
    if expr.unit not in UNITS:
        help = did_you_mean(expr.unit, UNITS, LIST) if len(expr.unit) > 1 else LIST
        if expr.unit in OTHERS:
            unit, factor = OTHERS[expr.unit]
            help = f"write `{_decimal(expr.value * factor)} {unit}`" + (
                " (or `angstrom`)" if unit == "Å" else ""
            )
        if scope is not None and (expr.unit in scope.names or expr.unit in WORDS):
            help = f"to multiply write `{_plain(expr.value)} * {expr.unit}`"
        raise Fault("E302", f"unknown unit `{shown(expr.unit)}`", expr.unit_span, help=help)
    factor, dimension = UNITS[expr.unit]
    return Amount(expr.value * factor, dimension)


def _plain(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else repr(float(value))


def number(expr: ast.Expr, scope: Scope) -> Amount:
    value = evaluate(expr, scope)
    if isinstance(value, Amount):
        return value
    what = "a list" if isinstance(value, tuple) else "true or false"
    raise Fault("E304", f"a number is needed here, but this is {what}", expr.span)


def truth(expr: ast.Expr, scope: Scope) -> bool:
    value = evaluate(expr, scope)
    if isinstance(value, bool):
        return value
    raise Fault(
        "E305", "a condition is needed here", expr.span, help="for example: n + 1.5 * l <= 10"
    )


def integer(expr: ast.Expr, scope: Scope) -> int:
    a = number(expr, scope)
    if a.dimension != NUMBER or a.value != int(a.value):
        raise Fault(
            "E303", "a whole number is needed here", expr.span, label=f"this is {show(a)}",
            help="use `floor(...)` or `ceil(...)`",
        )  # fmt: skip
    return int(a.value)


def with_dimension(expr: ast.Expr, scope: Scope, wanted: Dimension, what: str) -> Real:
    """The number of Å or eV of an expression that must be a length, an energy or a plain number."""
    a = number(expr, scope)
    if a.dimension != wanted:
        found = describe(a.dimension)
        unit = example(wanted)
        message = f"`{what}` is {describe(wanted)}, but this is {found}"
        help = (
            f"give it in {unit}: `{what} = {_decimal(a.value)} {unit}`" if unit else "drop the unit"
        )
        if isinstance(expr, ast.Quantity):
            message = f"`{what}` is {describe(wanted)}, but `{expr.unit}` is {found}"
        raise Fault("E301", message, expr.span, label=found, help=help)
    return a.value


def show(a: Amount) -> str:
    return f"{_decimal(a.value)} {example(a.dimension)}".strip()


def _decimal(value: Real) -> str:
    return f"{float(value):.10g}" if float(value) != int(value) else f"{float(value):.1f}"


def _name(expr: ast.Name, name: str, scope: Scope) -> Value:
    if name in scope.names:
        return intact(scope.names[name])
    if name == "pi":
        return Amount(math.pi)
    help = scope.hint
    if not help:
        help = unknown(name, {*scope.names, "pi"})
    raise Fault("E205", f"`{shown(name)}` is not known here", expr.span, help=help)


def intact(value: Known) -> Value:
    if isinstance(value, Broken):
        raise Fault(*value.mistake.parts)
    return value


def unknown(name: str, known: Iterable[str]) -> str:
    """Help for a name nobody has declared."""
    if not name.isidentifier():  # y²: a letter to the eye, a name to the lexer
        return "a power is written `^`: `y^2`"
    return did_you_mean(name, known)


def _arithmetic(expr: ast.Binary, a: Amount, b: Amount) -> Amount:
    x, y = a.value, b.value
    if expr.operator in "+-":
        if a.dimension != b.dimension:
            raise Fault(
                "E306",
                f"{describe(a.dimension)} and {describe(b.dimension)} cannot be added",
                expr.span,
            )
        return Amount(_finite(lambda: x + y if expr.operator == "+" else x - y, expr), a.dimension)
    if expr.operator in "*/":
        sign = 1 if expr.operator == "*" else -1
        if sign < 0 and y == 0:
            raise Fault("E307", "division by zero", expr.right.span)
        dimension = Dimension(
            a.dimension.length + sign * b.dimension.length,
            a.dimension.energy + sign * b.dimension.energy,
        )
        return Amount(_finite(lambda: x * y if sign > 0 else x / y, expr), dimension)
    return _power(expr, a, b)


def _power(expr: ast.Binary, a: Amount, b: Amount) -> Amount:
    if b.dimension != NUMBER:
        raise Fault("E306", "an exponent is a plain number", expr.right.span)
    x, y = a.value, b.value
    if a.dimension != NUMBER and y != int(y):
        raise Fault("E306", "a quantity takes whole powers only", expr.right.span)
    if x == 0 and y < 0:
        raise Fault("E307", "division by zero", expr.span)
    if x < 0 and y != int(y):
        raise Fault("E307", "a negative number takes whole powers only", expr.span)
    dimension = Dimension(a.dimension.length * int(y), a.dimension.energy * int(y))
    if isinstance(x, Fraction) and y == int(y):
        size = max(x.numerator.bit_length(), x.denominator.bit_length())
        if abs(int(y)) * size > _BITS:
            raise Fault("E307", "this number is too large", expr.span)
        return Amount(_finite(lambda: Fraction(x ** int(y)), expr), dimension)
    return Amount(_finite(lambda: float(x) ** float(y), expr), dimension)


def _finite(compute: Callable[[], Real], expr: ast.Expr) -> Real:
    try:
        value = compute()
    except (OverflowError, ValueError):
        value = math.inf
    if isinstance(value, float) and not math.isfinite(value):
        raise Fault("E307", "this is not a finite number", expr.span)
    if isinstance(value, Fraction):
        if value.denominator.bit_length() > _BITS:
            raise Fault("E307", "this number is too long", expr.span)
        if value.numerator.bit_length() - value.denominator.bit_length() > _LARGEST:
            raise Fault("E307", "this number is too large", expr.span)
    return value


def _compare(expr: ast.Compare, scope: Scope) -> bool:
    values = [number(x, scope) for x in expr.operands]
    for a, b in pairwise(values):
        if a.dimension != b.dimension:
            raise Fault(
                "E306",
                f"{describe(a.dimension)} and {describe(b.dimension)} cannot be compared",
                expr.span,
            )
    pairs = zip(expr.operators, values, values[1:], strict=False)
    return all(holds(op, a.value, b.value) for op, a, b in pairs)


def holds(operator: str, a: Real, b: Real) -> bool:
    """Exact between fractions; where a rounded number takes part, ties are ties to 1e-9."""
    slack = 0.0
    if isinstance(a, float) or isinstance(b, float):
        slack = _TOLERANCE * max(1.0, abs(float(a)), abs(float(b)))
    equal = a == b if not slack else abs(float(a) - float(b)) <= slack
    return {
        "<=": a <= b or equal,
        ">=": a >= b or equal,
        "<": a < b and not equal,
        ">": a > b and not equal,
        "==": equal,
        "!=": not equal,
    }[operator]


def _element(expr: ast.Element, owner: Value, index: int) -> Value:
    if isinstance(owner, Amount):
        return owner  # one number stands for every entry
    if isinstance(owner, bool):
        raise Fault("E304", "this is not a list", expr.owner.span)
    if not 1 <= index <= len(owner):
        raise Fault(
            "E308",
            f"there is no entry {index}",
            expr.index.span,
            label=f"the list has {len(owner)} entries, counted from 1",
            help="a single number stands for every entry",
        )
    return owner[index - 1]


def _call(expr: ast.Call, scope: Scope) -> Value:
    name = expr.name
    if expr.keywords:
        raise Fault("E206", f"`{shown(name)}` takes no named arguments here", expr.keywords[0].span)
    if name in AGGREGATES:
        return _aggregate(expr, scope)
    if name not in FUNCTIONS:
        help = did_you_mean(name, AGGREGATES + FUNCTIONS)
        raise Fault("E205", f"there is no function `{shown(name)}`", expr.span, help=help)
    if len(expr.args) != 1:
        raise Fault(
            "E206", f"`{name}` takes one argument", expr.span, help=decimal_comma(expr.args)
        )
    a = number(expr.args[0], scope)
    if name == "abs":
        return Amount(-a.value if a.value < 0 else a.value, a.dimension)
    if a.dimension != NUMBER:
        raise Fault("E306", f"`{name}` takes a plain number", expr.args[0].span)
    x = a.value
    if name in ("floor", "ceil"):
        # A rounded number a hair below a whole one counts as that whole one.
        nearest = round(x)
        if isinstance(x, float) and holds("==", x, nearest):
            return Amount(Fraction(nearest))
        return Amount(Fraction(math.floor(x) if name == "floor" else math.ceil(x)))
    if name == "sqrt" and isinstance(x, Fraction) and x >= 0:
        root = Fraction(math.isqrt(x.numerator), math.isqrt(x.denominator))
        if root * root == x:
            return Amount(root)
    function: Callable[[float], float] = getattr(math, name)
    return Amount(_finite(lambda: function(float(x)), expr))


def _aggregate(expr: ast.Call, scope: Scope) -> Value:
    if len(expr.args) != 1:
        if expr.name in ("max", "min") and len(expr.args) > 1:
            return _extreme(expr.name, [number(a, scope) for a in expr.args], expr)
        raise Fault(
            "E206", f"`{expr.name}` takes one argument", expr.span, help=decimal_comma(expr.args)
        )
    (inner,) = expr.args
    if scope.factors is None:
        if expr.name in ("max", "min"):
            value = evaluate(inner, scope)
            items = list(value) if isinstance(value, tuple) else [value]
            if items and all(isinstance(x, Amount) for x in items):
                return _extreme(expr.name, items, expr)  # type: ignore[arg-type]
        raise Fault(
            "E207",
            f"`{expr.name}` runs over the factors of a product, and there are none here",
            expr.span,
            help="it belongs in the `where` of a basis",
        )
    inside = [Scope({**scope.names, **f}, scope.bond) for f in scope.factors]
    if expr.name == "count":
        return Amount(Fraction(sum(truth(inner, s) for s in inside)))
    values = [evaluate(inner, s) for s in inside]
    if expr.name in ("max", "min") and all(isinstance(v, tuple) for v in values):
        return _aggregate(expr, Scope(scope.names, scope.bond))
    amounts = [number(inner, s) for s in inside]
    if expr.name == "sum":
        total: Real = Fraction(0)
        for a in amounts:
            total = total + a.value
        return Amount(total, amounts[0].dimension)
    return _extreme(expr.name, amounts, expr)


def decimal_comma(args: Sequence[ast.Expr]) -> str:
    """Help where two arguments look like one number, as in `sum(n + 1,5 * l)`; else empty."""
    for a, b in pairwise(args):
        last, first = _outermost(a, -1), _outermost(b, 0)
        if (
            isinstance(last, ast.Number)
            and isinstance(first, ast.Number | ast.Quantity)
            and last.value.denominator == first.value.denominator == 1
            and a.span.line == b.span.line
            and last.span.column + last.span.width + 1 == first.span.column
        ):
            return f"decimals take a point: `{last.value}.{first.value}`"
    return ""


def _outermost(expr: ast.Expr, side: int) -> ast.Expr:
    """The first (0) or last (-1) number or name of an expression as it is written."""
    while isinstance(expr, ast.Binary | ast.Unary | ast.Compare):
        if isinstance(expr, ast.Compare):
            expr = expr.operands[side]
        elif isinstance(expr, ast.Unary):
            if not side:
                break
            expr = expr.operand
        else:
            expr = expr.right if side else expr.left
    return expr


def _extreme(name: str, amounts: list[Amount], expr: ast.Expr) -> Amount:
    if len({a.dimension for a in amounts}) > 1:
        raise Fault("E306", "these cannot be compared: their units differ", expr.span)
    choose = max if name == "max" else min
    return choose(amounts, key=lambda a: a.value)
