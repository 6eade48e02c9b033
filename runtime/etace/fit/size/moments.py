"""Sums over rows [A | y], by fold, config type and kind of label: all that comparing models of many sizes needs.

A^T A of all folds less that of one is what a fit without that fold sees, and A^T A of few columns is a part of
that of many: so a candidate costs no second pass over the data, and no QR. What products of columns lose in
digits against a QR does not matter here: every system has a prior, and candidates are compared to percents.
The fit itself is made by QR.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from etace.fit.assemble import Plan, Target, Task, rows_of
from etace.fit.factors import Key
from etace.parallel import ordered

SAMPLE = 256  # rows of forces or virials kept as they are, of each fold and config type


@dataclass(frozen=True, eq=False)
class Moment:
    """rows: how many; square: [P + 1, P + 1], sum of products of columns of [A | y]
    some: [.., P + 1], the rows themselves: all of energies, a sample of others"""

    rows: int
    square: np.ndarray
    some: np.ndarray


Moments = Mapping[Key, Moment]


def moments(
    model: Any,
    targets: Sequence[Target],
    shape: Plan,
    cores: int,
    done: Callable[[int], None] = lambda k: None,
) -> dict[Key, Moment]:
    """Of all tasks. done: called with the number of finished ones"""
    total: dict[Key, Moment] = {}
    for k, found in enumerate(ordered(lambda t: _of(model, targets, t, shape), shape.tasks, cores)):
        for key, own in found.items():
            total[key] = _sum(key, total[key], own) if key in total else own
        done(k + 1)
    return dict(sorted(total.items()))


def _of(model: Any, targets: Sequence[Target], task: Task, shape: Plan) -> dict[Key, Moment]:
    found: dict[Key, list[np.ndarray]] = {}
    for members, slots in zip(task.batches, task.slots, strict=True):
        for key, rows in rows_of(model, targets, members, slots, shape):
            found.setdefault(key, []).append(rows)
    out = {}
    for key in sorted(found):
        rows = np.concatenate(found.pop(key))
        out[key] = Moment(len(rows), rows.T @ rows, _some(key, rows))
    return out


def _sum(key: Key, a: Moment, b: Moment) -> Moment:
    np.add(a.square, b.square, out=a.square)
    return Moment(a.rows + b.rows, a.square, _some(key, np.concatenate([a.some, b.some])))


def _some(key: Key, rows: np.ndarray) -> np.ndarray:
    if key.kind == "energy" or len(rows) <= SAMPLE:
        return rows
    return rows[np.linspace(0, len(rows) - 1, SAMPLE).astype(int)]
