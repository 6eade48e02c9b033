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
    return beside({name: table(found) for name, found in sets.items()})


def beside(errors: Mapping[str, Sequence[Error]]) -> list[Row]:
    """The same of errors that are known already, by set."""
    every: dict[tuple[str, str], dict[str, Error]] = {}
    for name, found in errors.items():
        for e in found:
            every.setdefault((e.kind, e.group), {})[name] = e
    order = sorted(every, key=lambda k: (KINDS.index(k[0]), k[1] == TOTAL, k[1]))
    return [Row(group, kind, every[kind, group]) for kind, group in order]


def as_json(sets: Mapping[str, Sequence[Comparison]]) -> list[dict[str, Any]]:
    """A list of rows: set, group, kind, count, rmse, mae, largest; E and V in meV/atom, F in eV/Å."""
    return [{"set": name, **asdict(e)} for name, found in sets.items() for e in table(found)]


def figure(value: float, kind: str) -> str:
    """A number of the table, as it is shown."""
    return f"{value:.{DIGITS[kind]}f}" if abs(value) < 1e5 else f"{value:.3g}"


def from_json(found: Any) -> dict[str, list[Error]]:
    """The inverse of `as_json`, by set; rows that are none, as a file may hold, are left out."""
    out: dict[str, list[Error]] = {}
    for row in found if isinstance(found, list) else ():
        try:
            numbers = (float(row[k]) for k in ("rmse", "mae", "largest"))
            error = Error(str(row["group"]), str(row["kind"]), int(row["count"]), *numbers)
            if error.kind in KINDS:
                out.setdefault(str(row["set"]), []).append(error)
        except (KeyError, TypeError, ValueError):
            continue
    return out
