"""Which products a basis holds: multisets of one-particle factors that satisfy its `where`.

A bound on a sum of non-negative terms, such as `sum(n + 1.5 * l) <= 10`, prunes the search as it
goes; every other condition is asked of each product that is left. All comparisons are exact
between fractions, so that ties at the bound do not depend on rounding.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from etacec.diagnostics import Span
from etacec.formula.work import Work
from etacec.model.entries import STEP
from etacec.model.values import Fault, Real, Scope, Value, holds, number, truth
from etacec.syntax import ast

MOST = 100_000  # products of all bases of a file
STEPS = 6_000_000  # for looking at products, of a file
_ONE = 8  # steps for a product besides its conditions
_LONGEST = 300  # sums of costs that are told apart in counting
_FEW = 20_000  # products that are looked at without counting them first


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
    work: Work,
) -> list[tuple[int, ...]]:
    """Ascending index tuples of length `order`, lexicographic. ls: l of each factor.

    Kept if the conditions hold and the ls can couple to one of `L` at all (parity, triangle).
    work: of the file, for all products that are looked at.
    """
    budgets: list[Budget] = []
    others: list[ast.Expr] = []
    each = _ONE
    for condition in conditions:
        each += STEP * ast.operations(condition) * order
        work.spend(STEP * ast.operations(condition) * len(factors))
        budget = _budget(condition, factors, scope)
        if budget is None:
            others.append(condition)
        else:
            budgets.append(budget)
    if len(budgets) > 1:  # the tightest leads the search
        counts = {b: _count(b, order) for b in budgets}
        budgets.sort(key=lambda b: math.inf if (n := counts[b]) is None else n)
    all_of_them = math.comb(len(factors) + order - 1, order)
    several: int | None = all_of_them
    if budgets and all_of_them > _FEW:
        several = _count(budgets[0], order)
    if several is not None and several * _ONE > work.limit - work.spent:
        raise too_many(order, span, several)
    out = []
    for block in _search(len(factors), order, budgets, work):
        work.spend(_ONE)
        if not couples([ls[f] for f in block], L):
            continue
        if others:
            work.spend(each)
            inside = Scope(scope.names, scope.bond, tuple(factors[f] for f in block), scope.hint)
            if not all(truth(c, inside) for c in others):
                continue
        out.append(block)
    return sorted(out)


def too_many(order: int, span: Span, several: int | None = None) -> Fault:
    """several: how many there are, if that is known."""
    number = "too many" if several is None else f"about {float(f'{several:.2g}'):.0f}"
    return Fault(
        "E402",
        f"{number} products of order {order} would have to be looked at",
        span,
        help="bound them by a sum: for example `where sum(n + 1.5 * l) <= 10`",
    )


def _count(budget: Budget, order: int) -> int | None:
    """How many multisets of `order` factors a budget allows; None where that cannot be counted by steps.

    Factors of equal cost are taken together: of m of them, k can be chosen in (m + k - 1 over k) ways.
    """
    costs = [c for c in budget.costs if isinstance(c, Fraction)]
    if len(costs) < len(budget.costs) or not isinstance(budget.bound, Fraction):
        return None
    unit = math.lcm(*(c.denominator for c in costs), budget.bound.denominator)
    top = int(budget.bound * unit) - (budget.strict and (budget.bound * unit).denominator == 1)
    equal = Counter(int(c * unit) for c in costs)
    top = min(top, order * max(equal))
    if top > _LONGEST:
        return None
    ways = {(0, 0): 1}  # (factors chosen, what they cost) -> in how many ways
    for cost, m in sorted(equal.items()):
        for (chosen, spent), several in list(ways.items()):
            for k in range(1, order - chosen + 1):
                if spent + k * cost > top:
                    break
                key = (chosen + k, spent + k * cost)
                ways[key] = ways.get(key, 0) + several * math.comb(m + k - 1, k)
    return sum(n for (chosen, _), n in ways.items() if chosen == order)


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


def _search(n: int, order: int, budgets: Sequence[Budget], work: Work) -> Iterator[tuple[int, ...]]:
    """Multisets of `order` of the factors 0..n-1 within every budget, each as an ascending tuple."""
    if not budgets:
        yield from itertools.combinations_with_replacement(range(n), order)
        return
    first, rest = budgets[0], budgets[1:]
    ranked = sorted(range(n), key=lambda f: first.costs[f])

    def grow(chosen: tuple[int, ...], start: int, spent: Real) -> Iterator[tuple[int, ...]]:
        left = order - len(chosen)
        if not left:
            work.spend(_ONE)
            if all(b.allows(sum(b.costs[f] for f in chosen)) for b in rest):
                yield tuple(sorted(chosen))
            return
        for k in range(start, n):
            cost = first.costs[ranked[k]]
            if not first.allows(spent + left * cost):
                return  # all that follow cost at least as much
            yield from grow((*chosen, ranked[k]), k, spent + cost)

    yield from grow((), 0, 0)
