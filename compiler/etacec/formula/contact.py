"""How smoothly a formula ends: the order of its zero beside a point, by series."""

from __future__ import annotations

import decimal
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from typing import TypeAlias

from etacec.formula.nodes import Const, Fn, Neg, Node, Op, substitute
from etacec.formula.series import (
    CONTEXT,
    FEW,
    TERMS,
    Branches,
    Decimals,
    Exact,
    Expansion,
    NotExact,
    NotFinite,
    Series,
)
from etacec.formula.work import Spent, Undecided, Work

DEEPEST = 8  # derivatives looked at
MOST_BRANCHES = 12  # order of the root of the distance in which a formula is expanded
QUESTION = 2_000_000  # steps of one question
Leading: TypeAlias = tuple[Fraction, int] | None
"""(power, sign of the coefficient) of the first term; None: 0 to all orders looked at."""
Question: TypeAlias = Callable[[Expansion], Leading]


@lru_cache(maxsize=4096)
def order_of_zero(node: Node, at: Fraction, side: int) -> int | None:
    """k such that node ~ c (r - at)^k from one side (side: -1 from below, 1 from above).

    0: a finite value other than 0. DEEPEST + 1: flatter than anything looked at. A power between two
    whole ones counts as the next. None: not finite, or not real. Raises Undecided.
    """
    try:
        found = _asked(lambda e: _leading(node, e), at, side)
    except NotFinite:
        return None
    return _order(found)


@lru_cache(maxsize=4096)
def flatness(node: Node, at: Fraction) -> int:
    """The order to which the formula stays at its value at `at`, from above; 0: it has none there.

    Raises Undecided.
    """

    def change(e: Expansion) -> Leading:
        found = e.of(node)
        first = found.leading()
        if first is None or first[0] > 0:
            return _of_series(found)
        if first[0] < 0:
            raise NotFinite
        k = next((k for k, c in enumerate(found.coefficients[1:], 1) if c), None)
        return None if k is None else (Fraction(k), 1)

    try:
        found = _order(_asked(change, at, 1))
    except NotFinite:
        return 0
    return found or 0


@lru_cache(maxsize=1024)
def power_at_zero(node: Node) -> tuple[Fraction, bool] | None:
    """(p, positive): node ~ c r^p for r -> 0 and the sign of c; None if it is no power."""
    try:
        found = _asked(lambda e: _leading(node, e), Fraction(0), 1)
    except (Undecided, NotFinite):
        return None
    return None if found is None else (found[0], found[1] > 0)


def _asked(ask: Question, at: Fraction, side: int) -> Leading:
    """In powers of the distance, or where these do not do of a root of it."""
    work = Work(QUESTION)
    root = 1
    while root <= MOST_BRANCHES:
        try:
            found = _with_numbers(ask, Expansion(at, side, Exact(), work, root=root))
        except Branches as branches:
            root *= branches.order
        else:
            return None if found is None else (found[0] / root, found[1])
    raise Undecided("it has a root of high order there")


def _with_numbers(ask: Question, e: Expansion) -> Leading:
    """With few terms, or where these do not tell with more; with fractions, or else with decimals."""
    for terms in (FEW * e.root, TERMS * e.root):
        try:
            found = ask(replace(e, terms=terms))
        except Spent:
            raise
        except Undecided:
            if terms == TERMS * e.root:
                raise
        except NotExact:
            break
        else:
            if found is not None or terms == TERMS * e.root:
                return found
    with decimal.localcontext(CONTEXT):
        try:
            return ask(replace(e, numbers=Decimals(), terms=TERMS * e.root))
        except decimal.DecimalException:
            raise Undecided("its numbers are too large") from None


def _order(leading: Leading) -> int | None:
    if leading is None:
        return DEEPEST + 1
    power, _ = leading
    return None if power < 0 else min(-(-power.numerator // power.denominator), DEEPEST + 1)


def _leading(node: Node, e: Expansion) -> Leading:
    """Of products, quotients and powers it is known from their parts, without a series."""
    if isinstance(node, Neg):
        found = _leading(node.operand, e)
        return None if found is None else (found[0], -found[1])
    if isinstance(node, Op) and node.operator in "*/":
        a, b = _leading(node.left, e), _leading(node.right, e)
        if node.operator == "/":
            b = _raised(b, Fraction(-1))
        return None if a is None or b is None else (a[0] + b[0], a[1] * b[1])
    if isinstance(node, Op) and node.operator == "^" and isinstance(node.right, Const):
        return _raised(_leading(node.left, e), node.right.value)
    if isinstance(node, Fn) and node.name == "sqrt":
        return _raised(_leading(node.args[0], e), Fraction(1, 2))
    return _of_series(e.of(node))


def _raised(leading: Leading, exponent: Fraction) -> Leading:
    if leading is None:
        if exponent > 0:
            return None
        raise Undecided("it divides by what vanishes to all orders looked at")
    power, sign = leading
    if sign < 0 and exponent.denominator != 1:
        raise NotFinite
    return power * exponent, sign if exponent.numerator % 2 else 1


def _of_series(series: Series) -> Leading:
    found = series.leading()
    return None if found is None else (Fraction(found[0]), 1 if found[1] > 0 else -1)


def at_bond(node: Node, lengths: Mapping[str, Fraction]) -> Node:
    """The formula with the lengths of one bond put in."""
    return substitute(node, {f"bond.{k}": Const(v) for k, v in lengths.items()})
