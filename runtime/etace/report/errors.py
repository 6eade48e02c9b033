"""The error table as rows: of train and test side by side, for every medium alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from etace.fit.factors import KINDS
from etace.fit.tables import TOTAL, Comparison, Error, table

TITLES = {"energy": "energy, meV/atom", "forces": "forces, eV/Å", "virial": "virial, meV/atom"}
MANY = (
    100  # structures: below, an RMSE is uncertain by more than 7 %, and its third digit is chance
)


@dataclass(frozen=True)
class Row:
    """One config type and kind; found: by set (train, test), of those that have such labels."""

    group: str
    kind: str
    found: Mapping[str, Error]


def rows(sets: Mapping[str, Sequence[Comparison]]) -> list[Row]:
    """Kind by kind; in each the config types of all sets in order, the total last."""
    groups = {c.group for found in sets.values() for c in found}
    apart = len(groups) > 1
    found = {(r.kind, r.group): r for r in beside(by_set(sets))}
    kinds = [k for k in KINDS if any(kind == k for kind, _ in found)]
    order = [*sorted(groups), TOTAL] if apart else [TOTAL]
    return [found.get((kind, group), Row(group, kind, {})) for kind in kinds for group in order]


def by_set(sets: Mapping[str, Sequence[Comparison]]) -> dict[str, list[Error]]:
    """The tables of the sets; where one has several config types, all are told apart in all."""
    apart = len({c.group for found in sets.values() for c in found}) > 1
    return {name: table(found, apart) for name, found in sets.items()}


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
    return [{"set": name, **asdict(e)} for name, found in by_set(sets).items() for e in found]


def figure(value: float, count: int = MANY) -> str:
    """A number of the table, with the digits that mean something; in words if it is none. count: of
    structures it comes from"""
    if not math.isfinite(value) or value == 0:
        return "out of range" if math.isinf(value) else f"{value:g}"
    digits = 2 if count < MANY and f"{abs(value):.1e}"[0] != "1" else 3
    rounded = float(f"{value:.{digits - 1}e}")
    power = math.floor(math.log10(abs(rounded)))
    if not -5 < power < 6:
        return f"{rounded:.{digits - 1}e}"
    return f"{rounded:.{max(digits - 1 - power, 0)}f}"


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
