"""The irreducibles inside one group: `count` equal factors of angular momentum l.

All in integers, in the scaled complex harmonics

    a_m = Y_l^m / sqrt(binom(2l, l+m)),    J+ a_m = (l-m) a_{m+1},    J- a_m = (l+m) a_{m-1},

the ladder operators acting on a product as derivatives do. A multiplet of angular momentum J is
the list f_k = (J-)^k / k! f_0, k = 0..2J, of weight J - k, from a highest weight f_0; the f_k are
integer too, since (J-)^k / k! a_m = binom(l+m, k) a_{m-k}.
"""

from functools import lru_cache
from itertools import combinations_with_replacement
from math import comb

from etacec.coupling.nullspace import null_space
from etacec.coupling.pattern import Class

Vector = dict[Class, int]
"""Coefficient of each product of a_m; zeros left out."""

Multiplet = tuple[Vector, ...]
"""f_k, of weight J - k. As many as were asked for, from k = 0."""


@lru_cache(maxsize=512)
def group_multiplets(l: int, count: int, J: int) -> tuple[Multiplet, ...]:
    """The multiplets of angular momentum J in the symmetric power, whole (k = 0..2J)."""
    if count == 1:
        whole: Multiplet = tuple({(l - k,): comb(2 * l, k)} for k in range(2 * l + 1))
        return (whole,) if l == J else ()
    equations: dict[Class, Vector] = {}
    unknowns = _classes(l, count, J)
    for c in unknowns:
        for raised, x in raise_weight(l, {c: 1}).items():
            equations.setdefault(raised, {})[c] = x
    return tuple(_descend(l, J, f) for f in null_space(list(equations.values()), unknowns))


def raise_weight(l: int, vector: Vector) -> Vector:
    """J+ on a combination of the classes of one group."""
    return _ladder(l, vector, 1)


def lower_weight(l: int, vector: Vector) -> Vector:
    """J- on a combination of the classes of one group."""
    return _ladder(l, vector, -1)


def _ladder(l: int, vector: Vector, step: int) -> Vector:
    out: Vector = {}
    for c, x in vector.items():
        for t, m in enumerate(c):
            if abs(m + step) <= l:
                # c is ascending: moving the last (first) of equal m keeps it so; each of the
                # equal ones counts, and all give the same class.
                moved = tuple(sorted((*c[:t], m + step, *c[t + 1 :])))
                out[moved] = out.get(moved, 0) + x * (l - step * m)
    return {c: x for c, x in out.items() if x}


def _descend(l: int, J: int, highest: Vector) -> Multiplet:
    states = [highest]
    for k in range(1, 2 * J + 1):
        states.append({c: x // k for c, x in lower_weight(l, states[-1]).items()})
    return tuple(states)


def _classes(l: int, count: int, weight: int) -> list[Class]:
    ms = range(-l, l + 1)
    return [c for c in combinations_with_replacement(ms, count) if sum(c) == weight]
