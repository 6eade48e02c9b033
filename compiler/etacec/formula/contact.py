"""How smoothly a formula ends, exactly: by series where it is rational, else by sympy (only here)."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Any

from etacec.formula.nodes import Const, Fn, Neg, Node, Op, Pi, Var, substitute
from etacec.formula.series import NotRational, expand

DEEPEST = 8  # derivatives looked at


def to_sympy(node: Node, symbol: Any) -> Any:
    """A formula of one variable, all bond lengths substituted, as a sympy expression."""
    import sympy as sp

    if isinstance(node, Const):
        return sp.Rational(node.value.numerator, node.value.denominator)
    if isinstance(node, Pi):
        return sp.pi
    if isinstance(node, Var):
        return symbol
    if isinstance(node, Neg):
        return -to_sympy(node.operand, symbol)
    if isinstance(node, Op):
        a, b = to_sympy(node.left, symbol), to_sympy(node.right, symbol)
        return {"+": a + b, "-": a - b, "*": a * b}.get(node.operator) if node.operator in "+-*" else (
            a / b if node.operator == "/" else a**b
        )  # fmt: skip
    args = [to_sympy(a, symbol) for a in node.args]
    functions = {
        "exp": sp.exp,
        "log": sp.log,
        "sqrt": sp.sqrt,
        "cos": sp.cos,
        "sin": sp.sin,
        "abs": sp.Abs,
        "min": sp.Min,
        "max": sp.Max,
    }
    return functions[node.name](*args)


@lru_cache(maxsize=4096)
def order_of_zero(node: Node, at: Fraction, side: int) -> int | None:
    """k such that node ~ c (r - at)^k from one side (side: -1 from below, 1 from above).

    0: a finite value other than 0. DEEPEST + 1: flatter than anything looked at. None: not finite.
    Exact: by series for rational formulas; else derivatives are simplified symbolically, and where
    simplification does not decide, 50 digits do.
    """
    try:
        found = expand(node, at, side).leading()
    except NotRational:
        return _order_by_sympy(node, at, side)
    if found is None:
        return DEEPEST + 1
    return None if found[0] < 0 else min(found[0], DEEPEST + 1)


def _order_by_sympy(node: Node, at: Fraction, side: int) -> int | None:
    import sympy as sp

    r = sp.Symbol("r", positive=True)
    f = to_sympy(one_sided(node, at, side), r)
    point = sp.Rational(at.numerator, at.denominator)
    for k in range(DEEPEST + 1):
        value = f.subs(r, point)
        if value.has(sp.zoo, sp.nan, sp.oo, -sp.oo):
            value = sp.limit(f, r, point, "-" if side < 0 else "+")
        if not value.is_finite and value.has(sp.zoo, sp.nan, sp.oo, -sp.oo):
            return None if k == 0 else k
        if not _is_zero(value):
            return k
        f = sp.diff(f, r)
    return DEEPEST + 1


def _is_zero(value: Any) -> bool:
    decided = value.is_zero
    if decided is None:
        import sympy as sp

        simple = sp.nsimplify(value) if value.is_Float else sp.simplify(value)
        decided = simple.is_zero
        if decided is None:
            decided = abs(sp.N(simple, 50)) < sp.Float(10) ** -30
    return bool(decided)


def one_sided(node: Node, at: Fraction, side: int) -> Node:
    """clip, min, max and abs replaced by the branch that holds just beside `at`."""
    if isinstance(node, Op):
        return Op(node.operator, one_sided(node.left, at, side), one_sided(node.right, at, side))
    if isinstance(node, Neg):
        return Neg(one_sided(node.operand, at, side))
    if not isinstance(node, Fn):
        return node
    args = tuple(one_sided(a, at, side) for a in node.args)
    if node.name == "clip":
        x, low, high = args
        if _sign(Op("-", x, low), at, side) < 0:
            return low
        return high if _sign(Op("-", x, high), at, side) > 0 else x
    if node.name in ("min", "max"):
        first = _sign(Op("-", args[0], args[1]), at, side) * (1 if node.name == "max" else -1)
        return args[0] if first >= 0 else args[1]
    if node.name == "abs":
        return args[0] if _sign(args[0], at, side) >= 0 else Neg(args[0])
    return Fn(node.name, args)


def _sign(node: Node, at: Fraction, side: int) -> int:
    """Sign of the formula just beside `at`: 0 where it is 0 there to all orders looked at."""
    import sympy as sp

    r = sp.Symbol("r", positive=True)
    f = to_sympy(node, r)
    point = sp.Rational(at.numerator, at.denominator)
    for k in range(DEEPEST + 1):
        value = f.subs(r, point)
        if value.has(sp.zoo, sp.nan, sp.oo):
            value = sp.limit(f, r, point, "-" if side < 0 else "+")
        if not _is_zero(value):
            return (1 if sp.N(value) > 0 else -1) * side**k
        f = sp.diff(f, r)
    return 0


@lru_cache(maxsize=1024)
def power_at_zero(node: Node) -> tuple[Fraction, bool] | None:
    """(p, positive): node ~ c r^p for r -> 0 and the sign of c; None if it is no power."""
    try:
        found = expand(node, Fraction(0), 1).leading()
        return None if found is None else (Fraction(found[0]), found[1] > 0)
    except NotRational:
        return _power_by_sympy(node)


def _power_by_sympy(node: Node) -> tuple[Fraction, bool] | None:
    import sympy as sp

    r = sp.Symbol("r", positive=True)
    try:
        leading = sp.simplify(to_sympy(one_sided(node, Fraction(0), 1), r)).as_leading_term(r)
        c, p = leading.as_coeff_exponent(r)
    except Exception:
        return None  # sympy has no expansion here (an essential singularity, say)
    if p.is_Rational and c.is_number and c.is_real and not c.is_zero:
        return Fraction(int(p.p), int(p.q)), bool(c > 0)
    return None


def at_bond(node: Node, lengths: Mapping[str, Fraction]) -> Node:
    """The formula with the lengths of one bond put in."""
    return substitute(node, {f"bond.{k}": Const(v) for k, v in lengths.items()})
