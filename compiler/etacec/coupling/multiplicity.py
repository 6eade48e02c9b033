"""How many independent functions a pattern has, by counting weights."""

from functools import lru_cache

from etacec.coupling.pattern import Pattern


def multiplicity(pattern: Pattern) -> int:
    """Number of independent functions of the pattern; 0 if sum(l) + L is odd.

    = #classes of sum(m) = L  -  #classes of sum(m) = L + 1: every irreducible of weight >= L has
    one state in the first set, those of weight > L also one in the second (reference.md 7.2).
    """
    if (sum(pattern.ls) + pattern.L) % 2:
        return 0
    at = _counts(pattern)
    return at[0] - at[1]


def states(pattern: Pattern) -> int:
    """How many classes have sum(m) = L: the terms of a highest weight."""
    return _counts(pattern)[0]


@lru_cache(maxsize=4096)
def _counts(pattern: Pattern) -> tuple[int, int]:
    """Classes with sum(m) = L, and with sum(m) = L + 1."""
    weights = [1]  # weights[i]: number of classes with sum(m) = i - sum(l)
    for l, count in pattern.groups:
        weights = _product(weights, group_weights(l, count))
    middle = len(weights) // 2 + pattern.L
    first, second = (weights[i] if i < len(weights) else 0 for i in (middle, middle + 1))
    return first, second


@lru_cache(maxsize=1024)
def group_weights(l: int, count: int) -> tuple[int, ...]:
    """weights[i]: number of multisets of `count` values in -l..l with sum i - count * l.

    Adding one value m at a time to the choices: a multiset with k members, j of them m, is one of
    k - j members without m. These are the Gaussian binomials [2l + count choose count].
    """
    size = 2 * l * count + 1
    table = [[0] * size for _ in range(count + 1)]
    table[0][0] = 1
    for value in range(2 * l + 1):  # m + l
        for k in range(1, count + 1):
            for s in range(value, size):
                table[k][s] += table[k - 1][s - value]
    return tuple(table[count])


def group_irreps(l: int, count: int) -> dict[int, int]:
    """J -> how often it occurs in the symmetric power of `count` factors l, zeros left out."""
    weights = group_weights(l, count)
    top = l * count
    above = [*weights[top:], 0]
    return {J: above[J] - above[J + 1] for J in range(top + 1) if above[J] > above[J + 1]}


def _product(a: list[int], b: tuple[int, ...]) -> list[int]:
    out = [0] * (len(a) + len(b) - 1)
    for i, x in enumerate(a):
        for j, y in enumerate(b):
            out[i + j] += x * y
    return out
