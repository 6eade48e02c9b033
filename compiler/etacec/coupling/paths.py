"""All highest weights of a pattern, by coupling its groups one after another.

Any basis would do: the gauge is fixed afterwards. This one needs null spaces only inside a group,
and starts nearly in echelon form.
"""

from math import factorial, gcd

from etacec.coupling.multiplets import Multiplet, Vector, group_multiplets
from etacec.coupling.multiplicity import group_irreps
from etacec.coupling.nullspace import primitive
from etacec.coupling.pattern import Pattern


def equivariants(pattern: Pattern) -> list[Multiplet]:
    """Each function as its states M = L, L-1, ..., 0 (the rest follow by m -> -m).

    The states are f_k = (J-)^k / k! f_0 in products of the scaled a_m (see `multiplets`).
    """
    if not pattern.groups:
        return [({(): 1},)] if pattern.L == 0 else []
    wanted = _reachable(pattern)
    (l, count), *rest = pattern.groups
    parts = [(J, f) for J in wanted[0] for f in group_multiplets(l, count, J)]
    for step, (l, count) in enumerate(rest, start=1):
        last = step == len(rest)
        parts = [
            (J, _couple(J1, first, J2, second, J, pattern.L + 1 if last else 2 * J + 1))
            for J1, first in parts
            for J2 in group_irreps(l, count)
            for J in wanted[step]
            if abs(J1 - J2) <= J <= J1 + J2
            for second in group_multiplets(l, count, J2)
        ]
    return [f[: pattern.L + 1] for _, f in parts]


def _reachable(pattern: Pattern) -> list[list[int]]:
    """For each number of groups coupled so far: the J from which the others can lead to L."""
    wanted = [{pattern.L}]
    for l, count in reversed(pattern.groups[1:]):
        wanted.append(
            {
                J1
                for J in wanted[-1]
                for J2 in group_irreps(l, count)
                for J1 in range(abs(J - J2), J + J2 + 1)
            }
        )
    return [sorted(J) for J in reversed(wanted)]


def _couple(
    J1: int, first: Multiplet, J2: int, second: Multiplet, J: int, states: int
) -> Multiplet:
    """The first `states` states of angular momentum J in the product of two multiplets."""
    # Sum over k1 + k2 = J1 + J2 - J of c[k1] f_k1 g_k2. J+ f_k = (2J - k + 1) f_{k-1} kills it if
    # c[k1] (2 J1 - k1 + 1) + c[k1 - 1] (2 J2 - k2) = 0, which these factorials solve.
    depth = J1 + J2 - J
    c = {
        k1: (-1) ** k1 * factorial(2 * J1 - k1) * factorial(2 * J2 - depth + k1)
        for k1 in range(max(0, depth - 2 * J2), min(depth, 2 * J1) + 1)
    }
    c = primitive(c)
    out = [_expand(c, depth, first, second)]
    content = gcd(*out[0].values())
    for k in range(1, states):
        lowered: dict[int, int] = {}
        for k1, x in c.items():
            k2 = depth - k1
            if k1 < 2 * J1:
                lowered[k1 + 1] = lowered.get(k1 + 1, 0) + (k1 + 1) * x
            if k2 < 2 * J2:
                lowered[k1] = lowered.get(k1, 0) + (k2 + 1) * x
        depth += 1
        c = {k1: x // k for k1, x in lowered.items() if x}
        out.append(_expand(c, depth, first, second))
    if content == 1:
        return tuple(out)
    return tuple({m: x // content for m, x in f.items()} for f in out)


def _expand(c: dict[int, int], depth: int, first: Multiplet, second: Multiplet) -> Vector:
    # Terms of different k1 differ in the sum of m over the first factor: no class occurs twice.
    return {
        a + b: xv * y
        for k1, v in c.items()
        for a, x in first[k1].items()
        for xv in (x * v,)
        for b, y in second[depth - k1].items()
    }
