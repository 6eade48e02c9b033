"""Intervals that hold every value of a formula: float64, rounded outwards."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import TypeAlias

from etacec.formula.nodes import Const, Neg, Node, Op, Pi, Var
from etacec.formula.work import Work

Interval: TypeAlias = tuple[float, float]
WHOLE: Interval = (-math.inf, math.inf)
_ULPS = 8e-16  # more than the error of any operation here, relative
_TINY = 1e-300


def enclose(node: Node, x: Interval, work: Work) -> Interval:
    """Holds the formula's values for every value in `x` of its one variable, where it has one."""
    work.spend(3)
    if isinstance(node, Const):
        return _constant(node.value)
    if isinstance(node, Pi):
        return _outward(math.pi, math.pi)
    if isinstance(node, Var):
        return x
    if isinstance(node, Neg):
        a = enclose(node.operand, x, work)
        return -a[1], -a[0]
    if isinstance(node, Op):
        a = enclose(node.left, x, work)
        if node.operator == "^" and isinstance(node.right, Const):
            return power(a, node.right.value)
        b = enclose(node.right, x, work)
        return _OPERATIONS[node.operator](a, b)
    return _FUNCTIONS[node.name](*(enclose(a, x, work) for a in node.args))


def _constant(value: Fraction) -> Interval:
    try:
        return _outward(float(value), float(value))
    except OverflowError:
        return (1e308, math.inf) if value > 0 else (-math.inf, -1e308)


def _outward(low: float, high: float) -> Interval:
    if math.isnan(low) or math.isnan(high):
        return WHOLE
    return low - abs(low) * _ULPS - _TINY if math.isfinite(low) else low, (
        high + abs(high) * _ULPS + _TINY if math.isfinite(high) else high
    )


def _add(a: Interval, b: Interval) -> Interval:
    return _outward(a[0] + b[0], a[1] + b[1])


def _sub(a: Interval, b: Interval) -> Interval:
    return _outward(a[0] - b[1], a[1] - b[0])


def _mul(a: Interval, b: Interval) -> Interval:
    products = [0.0 if 0.0 in (x, y) else x * y for x in a for y in b]
    return _outward(min(products), max(products))


def _div(a: Interval, b: Interval) -> Interval:
    if b[0] <= 0 <= b[1]:
        return WHOLE
    return _mul(a, _outward(1 / b[1], 1 / b[0]))


def power(a: Interval, n: Fraction) -> Interval:
    """a^n; for an n that is no whole number of the part with a >= 0 only."""
    low, high = a
    if n.denominator != 1:
        low, high = max(low, 0.0), max(high, 0.0)
    if n < 0 and low <= 0 <= high:
        return WHOLE
    ends = [_pow(low, n), _pow(high, n)]
    if low < 0 < high and n.numerator % 2 == 0:
        ends.append(0.0)
    return _outward(min(ends), max(ends))


def _pow(x: float, n: Fraction) -> float:
    try:
        found = x ** int(n) if n.denominator == 1 else x ** float(n)
    except OverflowError:
        return -math.inf if x < 0 and n.numerator % 2 else math.inf
    return found


def _general_power(a: Interval, b: Interval) -> Interval:
    return _exp(_mul(_log(a), b))


def _exp(a: Interval) -> Interval:
    return max(_outward(_e(a[0]), _e(a[1]))[0], 0.0), _outward(_e(a[0]), _e(a[1]))[1]


def _e(x: float) -> float:
    return math.exp(x) if x < 709 else math.inf


def _log(a: Interval) -> Interval:
    ends = [-math.inf if x <= 0 else math.log(x) if math.isfinite(x) else math.inf for x in a]
    return _outward(ends[0] - 1e-15, ends[1] + 1e-15)


def _sqrt(a: Interval) -> Interval:
    low, high = _outward(math.sqrt(max(a[0], 0.0)), math.sqrt(max(a[1], 0.0)))
    return max(low, 0.0), high


def _cos(a: Interval) -> Interval:
    return _sin(_add(a, _outward(math.pi / 2, math.pi / 2)))


def _sin(a: Interval) -> Interval:
    low, high = a
    if not high - low < 6 or abs(low) > 1e8:
        return -1.0, 1.0
    ends = [math.sin(low), math.sin(high)]
    top = _holds(low, high, math.pi / 2)
    bottom = _holds(low, high, -math.pi / 2)
    out = (
        -1.0 if bottom else min(ends) - 1e-15,
        1.0 if top else max(ends) + 1e-15,
    )
    return max(out[0], -1.0), min(out[1], 1.0)


def _holds(low: float, high: float, point: float) -> bool:
    """Whether low..high, a hair wider, holds a `point` + 2 pi k."""
    slack = 1e-14 * (1 + abs(low) + abs(high))
    return math.floor((high + slack - point) / (2 * math.pi)) >= (low - slack - point) / (
        2 * math.pi
    )


def _abs(a: Interval) -> Interval:
    if a[0] <= 0 <= a[1]:
        return 0.0, max(-a[0], a[1])
    return min(map(abs, a)), max(map(abs, a))


def _min(a: Interval, b: Interval) -> Interval:
    return min(a[0], b[0]), min(a[1], b[1])


def _max(a: Interval, b: Interval) -> Interval:
    return max(a[0], b[0]), max(a[1], b[1])


def _clip(a: Interval, low: Interval, high: Interval) -> Interval:
    return _max(_min(a, high), low)


_OPERATIONS: dict[str, Callable[[Interval, Interval], Interval]] = {
    "+": _add,
    "-": _sub,
    "*": _mul,
    "/": _div,
    "^": _general_power,
}
_FUNCTIONS: dict[str, Callable[..., Interval]] = {
    "exp": _exp,
    "log": _log,
    "sqrt": _sqrt,
    "cos": _cos,
    "sin": _sin,
    "abs": _abs,
    "min": _min,
    "max": _max,
    "clip": _clip,
}
