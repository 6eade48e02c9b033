"""Real roots of rational formulas, exactly: polynomials with whole coefficients.

A polynomial is a tuple of coefficients, the constant first; () is 0.
"""

from __future__ import annotations

import itertools
from fractions import Fraction
from math import gcd
from typing import TypeAlias

from etacec.formula.nodes import Const, Fn, Neg, Node, Pi, Var
from etacec.formula.work import Undecided, Work

Polynomial: TypeAlias = tuple[int, ...]
_DEGREE = 40
_BITS = 20_000
_LARGEST = 4_000_000  # bits times degree^2 of a polynomial whose roots are looked for


def quotient(node: Node, work: Work) -> tuple[Polynomial, Polynomial] | None:
    """(numerator, denominator), in lowest terms, of a formula of one variable.

    None: it is not rational, of a high degree, or divides by 0 everywhere.
    """
    try:
        return _lowest(*_quotient(node, work), work)
    except _NotRational:
        return None


class _NotRational(Exception):
    pass


def _quotient(node: Node, work: Work) -> tuple[Polynomial, Polynomial]:
    work.spend(1)
    if isinstance(node, Const):
        return _trimmed((node.value.numerator,)), (node.value.denominator,)
    if isinstance(node, Var):
        return (0, 1), (1,)
    if isinstance(node, Neg):
        p, q = _quotient(node.operand, work)
        return _scaled(p, -1), q
    if isinstance(node, Fn | Pi):
        raise _NotRational
    p, q = _quotient(node.left, work)
    if node.operator == "^":
        return _power(p, q, node.right, work)
    u, v = _quotient(node.right, work)
    if node.operator == "*":
        return _times(p, u, work), _times(q, v, work)
    if node.operator == "/":
        if not u:
            raise _NotRational
        return _times(p, v, work), _times(q, u, work)
    sign = 1 if node.operator == "+" else -1
    return _sum(_times(p, v, work), _scaled(_times(u, q, work), sign)), _times(q, v, work)


def _power(
    p: Polynomial, q: Polynomial, exponent: Node, work: Work
) -> tuple[Polynomial, Polynomial]:
    if not isinstance(exponent, Const) or exponent.value.denominator != 1:
        raise _NotRational
    n = int(exponent.value)
    if abs(n) * (max(len(p), len(q)) - 1) > _DEGREE or abs(n) > _BITS or (n < 0 and not p):
        raise _NotRational
    top, bottom = (p, q) if n >= 0 else (q, p)
    out: tuple[Polynomial, Polynomial] = ((1,), (1,))
    for _ in range(abs(n)):
        out = _times(out[0], top, work), _times(out[1], bottom, work)
    return out


def roots(p: Polynomial, low: Fraction, high: Fraction, work: Work) -> list[tuple[float, bool]]:
    """(root, whether the sign changes there) of every root inside low < x < high, ascending.

    p: not 0. Raises Undecided: its coefficients are too long. By Descartes' rule of signs where there is none
    beyond `low`, else by sympy.
    """
    for end in (low, high):
        while p and value(p, end) == 0:
            p = _divided(p, (-end.numerator, end.denominator), work)[0]
    if not _may_have_roots_beyond(p, low, work):
        return []
    size = len(p) ** 2 * max(abs(c).bit_length() for c in p)
    work.spend(size // 16)
    if size > _LARGEST:
        raise Undecided("the coefficients of its polynomial are too long")
    import sympy  # takes half a second, which most formulas need not wait for

    ends = {"inf": sympy.Rational(low), "sup": sympy.Rational(high)}
    variable = sympy.Symbol("x")
    found = sympy.Poly(p[::-1], variable).intervals(eps=(high - low) / 10**14, **ends)
    return [(float(a + b) / 2, bool(times % 2)) for (a, b), times in found]


def _may_have_roots_beyond(p: Polynomial, low: Fraction, work: Work) -> bool:
    """Whether the coefficients of p(low + x) change their signs."""
    shifted, above, below = list(p), low.numerator, low.denominator
    for k in range(len(shifted)):  # times below^degree, which changes no sign
        shifted[k] *= below ** (len(p) - 1 - k)
    work.spend(len(p) ** 2)
    for k in range(len(shifted) - 1):
        for j in range(len(shifted) - 2, k - 1, -1):
            shifted[j] += above * shifted[j + 1]
    signs = [c > 0 for c in shifted if c]
    return any(a != b for a, b in itertools.pairwise(signs))


def value(p: Polynomial, x: Fraction) -> int:
    """A number with the sign of p(x)."""
    out, scale = 0, 1
    for c in reversed(p):
        out = out * x.numerator + c * scale
        scale *= x.denominator
    return out


def _divided(a: Polynomial, b: Polynomial, work: Work) -> tuple[Polynomial, Polynomial]:
    """(quotient, remainder), each times one positive number."""
    rest, out = list(a), [0] * max(len(a) - len(b) + 1, 0)
    lead = abs(b[-1])
    sign = 1 if b[-1] > 0 else -1
    for k in range(len(out) - 1, -1, -1):
        work.spend(len(b))
        factor = rest[k + len(b) - 1] * sign
        rest = [c * lead for c in rest]
        out = [c * lead for c in out]
        out[k] = factor
        for j, c in enumerate(b):
            rest[k + j] -= factor * c
        content = gcd(*rest, *out)
        if content > 1:
            rest, out = [c // content for c in rest], [c // content for c in out]
    return _trimmed(tuple(out)), _trimmed(tuple(rest[: len(b) - 1]))


def _lowest(p: Polynomial, q: Polynomial, work: Work) -> tuple[Polynomial, Polynomial]:
    a, b = p, q
    while b:
        a, b = b, _primitive(_divided(a, b, work)[1])
    if len(a) > 1:
        p, q = _divided(p, a, work)[0], _divided(q, a, work)[0]
    return _primitive(p), _primitive(q)


def _primitive(p: Polynomial) -> Polynomial:
    content = gcd(*p) if p else 1
    return tuple(c // content for c in p) if content > 1 else p


def _scaled(p: Polynomial, factor: int) -> Polynomial:
    return tuple(factor * c for c in p)


def _sum(p: Polynomial, q: Polynomial) -> Polynomial:
    if len(p) < len(q):
        p, q = q, p
    return _trimmed((*(a + b for a, b in zip(p, q, strict=False)), *p[len(q) :]))


def _times(p: Polynomial, q: Polynomial, work: Work) -> Polynomial:
    if not p or not q:
        return ()
    if len(p) + len(q) - 2 > _DEGREE:
        raise _NotRational
    out = [0] * (len(p) + len(q) - 1)
    work.spend(len(p) * len(q))
    for i, a in enumerate(p):
        for j, b in enumerate(q):
            out[i + j] += a * b
    if max(c.bit_length() for c in out) > _BITS:
        raise _NotRational
    return _trimmed(tuple(out))


def _trimmed(p: Polynomial) -> Polynomial:
    while p and not p[-1]:
        p = p[:-1]
    return p
