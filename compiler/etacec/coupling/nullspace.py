"""The exact null space of a sparse integer matrix, without fractions."""

from collections.abc import Hashable, Sequence
from math import gcd
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def null_space(rows: Sequence[dict[Key, int]], columns: Sequence[Key]) -> list[dict[Key, int]]:
    """A basis of {x : every row . x = 0}, one vector per free column, in column order.

    Each is primitive (its gcd is 1) and positive at its free column, where the others are zero.
    """
    place = {c: i for i, c in enumerate(columns)}
    pivots = _reduced_rows(rows, place)
    basis = []
    for free in columns:
        if free in pivots:
            continue
        scale = 1
        users = [(c, row) for c, row in pivots.items() if free in row]
        for c, row in users:
            scale = scale * row[c] // gcd(scale, row[c])
        vector = {c: -row[free] * (scale // row[c]) for c, row in users}
        vector[free] = scale
        if scale < 0:
            vector = {c: -x for c, x in vector.items()}
        basis.append(primitive(vector))
    return basis


def primitive(vector: dict[Key, int]) -> dict[Key, int]:
    """The vector over the gcd of its coefficients."""
    content = gcd(*vector.values())
    return vector if content <= 1 else {c: x // content for c, x in vector.items()}


def _reduced_rows(
    rows: Sequence[dict[Key, int]], place: dict[Key, int]
) -> dict[Key, dict[Key, int]]:
    """Pivot column -> row, no row holding another's pivot (Gauss-Jordan)."""
    pivots: dict[Key, dict[Key, int]] = {}
    for row in rows:
        for c in [c for c in row if c in pivots]:
            row = _eliminate(row, c, pivots[c])
        if not row:
            continue
        pivot = min(row, key=place.__getitem__)
        for c, other in pivots.items():
            if pivot in other:
                pivots[c] = _eliminate(other, pivot, row)
        pivots[pivot] = row
    return pivots


def _eliminate(row: dict[Key, int], column: Key, pivot: dict[Key, int]) -> dict[Key, int]:
    """The combination of the two that has no `column`."""
    common = gcd(row[column], pivot[column])
    keep, take = pivot[column] // common, row[column] // common
    out = {c: keep * x for c, x in row.items()}
    for c, x in pivot.items():
        out[c] = out.get(c, 0) - take * x
    return primitive({c: x for c, x in out.items() if x})
