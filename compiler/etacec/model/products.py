"""Which products a basis holds: multisets of one-particle factors that satisfy its `where`.

A bound on a sum of non-negative terms, such as `sum(n + 1.5 * l) <= 10`, prunes the search as it
goes; every other condition is asked of each product that is left. All comparisons are exact
between fractions, so that ties at the bound do not depend on rounding.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from etacec.diagnostics import Span
from etacec.model.values import Fault, Real, Scope, Value, holds, number, truth
from etacec.syntax import ast

LIMIT = 3_000_000  # products looked at, per order


@dataclass(frozen=True)
class Budget:
    """cost[f] of each factor, and the bound on their sum (strict: `<`)."""

    costs: tuple[Real, ...]
    bound: Real
    strict: bool

    def allows(self, spent: Real) -> bool:
        return holds("<" if self.strict else "<=", spent, self.bound)


def products(
    factors: Sequence[Mapping[str, Value]],
    ls: Sequence[int],
    order: int,
    L: Sequence[int],
    conditions: Sequence[ast.Expr],
    scope: Scope,
    span: Span,
) -> list[tuple[int, ...]]:
    """Ascending index tuples of length `order`, lexicographic. ls: l of each factor.

    Kept if the conditions hold and the ls can couple to one of `L` at all (parity, triangle).
    """
    budgets: list[Budget] = []
    others: list[ast.Expr] = []
    for condition in conditions:
        budget = _budget(condition, factors, scope)
        if budget is None:
            others.append(condition)
        else:
            budgets.append(budget)
    if not budgets and math.comb(len(factors) + order - 1, order) > LIMIT:
        raise _too_many(order, span)
    out = []
    seen = 0
    for block in _search(len(factors), order, budgets):
        seen += 1
        if seen > LIMIT:
            raise _too_many(order, span)
        if not couples([ls[f] for f in block], L):
            continue
        inside = Scope(scope.names, scope.bond, tuple(factors[f] for f in block), scope.hint)
        if all(truth(c, inside) for c in others):
            out.append(block)
    return sorted(out)


def _too_many(order: int, span: Span) -> Fault:
    return Fault(
        "E402",
        f"more than {LIMIT} products of order {order} would have to be looked at",
        span,
        help="bound them by a sum: for example `where sum(n + 1.5 * l) <= 10`",
    )


def couples(ls: Sequence[int], L: Sequence[int]) -> bool:
    """Necessary, not sufficient: even sum of all, and no l longer than the others together."""
    total, longest = sum(ls), max(ls)
    return any((total + M) % 2 == 0 and 2 * max(longest, M) <= total + M for M in L)


def conjuncts(expr: ast.Expr) -> Iterator[ast.Expr]:
    """`a and b and c`, and chained comparisons, taken apart."""
    if isinstance(expr, ast.Binary) and expr.operator == "and":
        yield from conjuncts(expr.left)
        yield from conjuncts(expr.right)
    elif isinstance(expr, ast.Compare) and len(expr.operators) > 1:
        for k, operator in enumerate(expr.operators):
            yield ast.Compare(expr.operands[k : k + 2], (operator,), span=expr.span)
    else:
        yield expr


def _budget(
    condition: ast.Expr, factors: Sequence[Mapping[str, Value]], scope: Scope
) -> Budget | None:
    """`sum(e) <= bound` or `sqrt(sum(e)) <= bound` with e >= 0 on every factor; else None."""
    if not isinstance(condition, ast.Compare) or len(condition.operators) != 1:
        return None
    (left, right), (operator,) = condition.operands, condition.operators
    if operator in (">=", ">"):
        left, right, operator = right, left, {">=": "<=", ">": "<"}[operator]
    if operator not in ("<=", "<"):
        return None
    root = isinstance(left, ast.Call) and left.name == "sqrt" and len(left.args) == 1
    inner = left.args[0] if root and isinstance(left, ast.Call) else left
    if not (isinstance(inner, ast.Call) and inner.name == "sum" and len(inner.args) == 1):
        return None
    try:
        bound = number(right, scope)
    except Fault:
        return None  # the right side speaks of factors too: ask product by product
    terms = [number(inner.args[0], Scope({**scope.names, **f}, scope.bond)) for f in factors]
    if any(t.value < 0 or t.dimension != bound.dimension for t in terms):
        return None
    limit = bound.value
    if root:
        if limit < 0:
            return None
        limit = limit * limit
    return Budget(tuple(t.value for t in terms), limit, strict=operator == "<")


def _search(n: int, order: int, budgets: Sequence[Budget]) -> Iterator[tuple[int, ...]]:
    """Multisets of `order` of the factors 0..n-1 within every budget, each as an ascending tuple."""
    if not budgets:
        yield from itertools.combinations_with_replacement(range(n), order)
        return
    first, rest = budgets[0], budgets[1:]
    ranked = sorted(range(n), key=lambda f: first.costs[f])

    def grow(chosen: tuple[int, ...], start: int, spent: Real) -> Iterator[tuple[int, ...]]:
        left = order - len(chosen)
        if not left:
            if all(b.allows(sum(b.costs[f] for f in chosen)) for b in rest):
                yield tuple(sorted(chosen))
            return
        for k in range(start, n):
            cost = first.costs[ranked[k]]
            if not first.allows(spent + left * cost):
                return  # all that follow cost at least as much
            yield from grow((*chosen, ranked[k]), k, spent + cost)

    yield from grow((), 0, 0)
