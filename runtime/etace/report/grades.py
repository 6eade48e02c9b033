"""Extrapolation grades of the atoms of a data set, by config type: how many are beyond what was fitted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from etace.fit.tables import TOTAL

Grades = Mapping[str, np.ndarray]  # config type -> grades of all its atoms


def by_group(structures: Sequence[Any], grades: Iterable[np.ndarray]) -> Grades:
    """structures: `etace.data.Labelled`; grades: [N] of each"""
    found: dict[str, list[np.ndarray]] = {}
    for s, own in zip(structures, grades, strict=True):
        found.setdefault(s.group, []).append(own)
    return {group: np.concatenate(found[group]) for group in sorted(found)}


def with_total(found: Grades) -> dict[str, np.ndarray]:
    """The same with all of them last, where there are several config types or none."""
    if len(found) == 1:
        return {TOTAL: next(iter(found.values()))}
    return {**found, TOTAL: np.concatenate([np.zeros(0), *found.values()])}


def as_card(sets: Mapping[str, Grades]) -> dict[str, dict[str, float]]:
    """Of each set: atoms, how many of them are above 1, and the largest grade; for JSON."""
    out = {}
    for name, found in sets.items():
        every = with_total(found)[TOTAL]
        above = int((every > 1).sum())
        out[name] = {"atoms": len(every), "above": above, "largest": float(every.max(initial=0))}
    return out


def sentence(found: Grades) -> str:
    every = with_total(found)[TOTAL]
    return f"at most {every.max(initial=0):.3g}; {int((every > 1).sum())} of {len(every)} atoms above 1"
