"""The error table as rows: of train and test side by side, for every medium alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from etace.fit.factors import KINDS
from etace.fit.tables import TOTAL, Comparison, Error, table

TITLES = {"energy": "energy, meV/atom", "forces": "forces, eV/Å", "virial": "virial, meV/atom"}
DIGITS = {"energy": 3, "forces": 4, "virial": 3}


@dataclass(frozen=True)
class Row:
    """One config type and kind; found: by set (train, test), of those that have such labels."""

    group: str
    kind: str
    found: Mapping[str, Error]


def rows(sets: Mapping[str, Sequence[Comparison]]) -> list[Row]:
    """Kind by kind; in each the config types in order, the total last."""
    errors = {name: table(found) for name, found in sets.items()}
    every = {
        (e.kind, e.group): {n: f for n, own in errors.items() for f in own if _same(f, e)}
        for found in errors.values()
        for e in found
    }
    order = sorted(every, key=lambda k: (KINDS.index(k[0]), k[1] == TOTAL, k[1]))
    return [Row(group, kind, every[kind, group]) for kind, group in order]


def _same(a: Error, b: Error) -> bool:
    return (a.kind, a.group) == (b.kind, b.group)


def as_json(sets: Mapping[str, Sequence[Comparison]]) -> list[dict[str, Any]]:
    """A list of rows: set, group, kind, count, rmse, mae, largest; E and V in meV/atom, F in eV/Å."""
    return [{"set": name, **asdict(e)} for name, found in sets.items() for e in table(found)]


def figure(value: float, kind: str) -> str:
    """A number of the table, as it is shown."""
    return f"{value:.{DIGITS[kind]}f}" if abs(value) < 1e5 else f"{value:.3g}"
