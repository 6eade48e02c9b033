"""The gauge: from any basis of the functions to the one that the package docstring defines."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import comb, gcd, lcm, prod
from operator import mul

from etacec.coupling.multiplets import Multiplet
from etacec.coupling.pattern import Class, CouplingError, Pattern


@dataclass(frozen=True)
class Orthogonal:
    """Orthogonal functions, integer, each with the square of the factor that normalises it.

    columns: (M, class), 0 <= M <= L, of the scaled complex basis.
    rows: one coefficient per column, of the state f_{L-M}.
    squares: (p, q): the normalised function is sqrt(p / q) times the row.
    """

    columns: tuple[tuple[int, Class], ...]
    rows: tuple[tuple[int, ...], ...]
    squares: tuple[tuple[int, int], ...]


def fix_gauge(pattern: Pattern, functions: Sequence[Multiplet]) -> Orthogonal:
    """Echelon form from the right in the highest-weight columns, then Gram-Schmidt.

    Raises CouplingError if the functions are not independent.
    """
    columns = _columns(pattern, functions)
    L = pattern.L
    rows = [[f[L - M].get(c, 0) for M, c in columns] for f in functions]
    weights = [(1 if M == 0 else 2, scale(pattern, M, c)) for M, c in columns]
    common = lcm(*(w for _, w in weights)) if weights else 1
    metric = [n * (common // w) for n, w in weights]
    done: list[tuple[list[int], list[int], int]] = []  # row, row times metric, square of its norm
    for row in _echelon(pattern, rows):
        for other, dual, norm in done:
            overlap = sum(map(mul, row, dual))
            if overlap:
                row = _combine(norm, row, overlap, other)
        dual = list(map(mul, row, metric))
        done.append((row, dual, sum(map(mul, row, dual))))
    return Orthogonal(
        columns=tuple(columns),
        rows=tuple(tuple(row) for row, _, _ in done),
        squares=tuple(_lowest((2 * L + 1) * common, norm) for _, _, norm in done),
    )


def scale(pattern: Pattern, M: int, c: Class) -> int:
    """Square of what divides the coefficient of f_{L-M} to give that of the product of Y_l^m.

    Source: a_m = Y_l^m / sqrt(binom(2l, l+m)), and B_M = f_{L-M} / sqrt(binom(2L, L+M)).
    """
    L = pattern.L
    return comb(2 * L, L + M) * prod(comb(2 * l, l + m) for l, m in zip(pattern.ls, c, strict=True))


def _columns(pattern: Pattern, functions: Sequence[Multiplet]) -> list[tuple[int, Class]]:
    """Those in use, M ascending, so that the highest weights come last, in the gauge's order."""
    ends = list(accumulate(count for _, count in pattern.groups))

    def key(column: tuple[int, Class]) -> tuple[int, list[int], Class]:
        M, c = column
        return M, [sum(c[:end]) for end in ends], c

    return sorted(
        {(pattern.L - k, c) for f in functions for k in range(len(f)) for c in f[k]}, key=key
    )


def _echelon(pattern: Pattern, rows: Sequence[list[int]]) -> list[list[int]]:
    """The same space; every row ends at a column of its own, ascending."""
    by_end: dict[int, list[int]] = {}
    for row in rows:
        end = _end(row)
        while end in by_end:
            other = by_end[end]
            row = _combine(other[end], row, row[end], other)
            end = _end(row)
        if end < 0:
            raise CouplingError(f"dependent functions in {pattern}")
        by_end[end] = row
    return [by_end[end] for end in sorted(by_end)]


def _end(row: list[int]) -> int:
    """Index of the last non-zero; -1 if there is none."""
    return next((i for i in range(len(row) - 1, -1, -1) if row[i]), -1)


def _combine(a: int, row: list[int], b: int, other: list[int]) -> list[int]:
    """a * row - b * other, over the gcd of its coefficients."""
    common = gcd(a, b)
    a, b = a // common, b // common
    out = [a * x - b * y for x, y in zip(row, other, strict=True)]
    content = gcd(*out)
    return [x // content for x in out] if content > 1 else out


def _lowest(p: int, q: int) -> tuple[int, int]:
    common = gcd(p, q)
    return p // common, q // common
