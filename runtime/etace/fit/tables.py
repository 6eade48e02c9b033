"""Errors of a model on labelled structures, by config type: E in meV/atom, F in eV/Å, V in meV/atom."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from etace.errors import StructureError
from etace.fit.factors import KINDS
from etace.inference.form import VOIGT
from etace.searched import in_order

UNITS = {"energy": "meV/atom", "forces": "eV/Å", "virial": "meV/atom"}
TOTAL = "all"


@dataclass(frozen=True, eq=False)
class Comparison:
    """What a model says of one structure beside its labels; None where there is none.

    energy: eV/atom; forces: [N, 3], eV/Å; virial: [6], eV/atom, xx, yy, zz, yz, xz, xy:
    (label, model) each
    """

    source: str
    group: str
    atoms: int
    energy: tuple[float, float] | None
    forces: tuple[np.ndarray, np.ndarray] | None
    virial: tuple[np.ndarray, np.ndarray] | None

    def errors(self, kind: str) -> np.ndarray:
        """Model less label, in the units of the table; empty where there is no label."""
        pair = getattr(self, kind)
        if pair is None:
            return np.zeros(0)
        factor = 1.0 if kind == "forces" else 1000.0
        with np.errstate(over="ignore"):  # out of range, as tables say
            return factor * np.atleast_1d(np.asarray(pair[1]) - np.asarray(pair[0])).ravel()


@dataclass(frozen=True)
class Error:
    """Of one config type and kind. count: of structures with the label"""

    group: str
    kind: str
    count: int
    rmse: float
    mae: float
    largest: float


def compare(model: Any, structures: Sequence[Any]) -> list[Comparison]:
    """Predictions beside the labels (`etace.data.Labelled`), in their order."""
    dense = in_order([s.atoms for s in structures], model.batches)
    results = model.evaluate_many([structures[k].atoms for k in dense])
    try:
        found = dict(zip(dense, results, strict=True))
    except StructureError:
        for s in structures:
            try:
                model.paired(s.atoms).pairs  # noqa: B018 (raises)
            except StructureError as error:
                raise StructureError(f"{s.source}: {error}") from None
        raise
    return [beside(s, found[k]) for k, s in enumerate(structures)]


def beside(s: Any, r: Any) -> Comparison:
    """A labelled structure and what a model says of it, as of `evaluate` or of a committee."""
    n = len(s.atoms)
    six = lambda v: np.array([v[a, b] for a, b in VOIGT]) / n  # noqa: E731
    return Comparison(
        s.source,
        s.group,
        n,
        None if s.energy is None else (s.energy / n, r.energy / n),
        None if s.forces is None else (s.forces, r.forces),
        None if s.virial is None else (six(s.virial), six(r.virial)),
    )


def table(found: Iterable[Comparison], apart: bool | None = None) -> list[Error]:
    """By config type, then of all; kinds that have a label anywhere.

    apart: whether config types have rows of their own; default: where there are several
    """
    every = list(found)
    groups = sorted({c.group for c in every})
    apart = len(groups) > 1 if apart is None else apart
    out = []
    for group in [*groups, TOTAL] if apart else [TOTAL]:
        own = every if group == TOTAL else [c for c in every if c.group == group]
        for kind in KINDS:
            errors = [e for c in own if len(e := c.errors(kind))]
            if errors:
                d = np.concatenate(errors)
                out.append(Error(group, kind, len(errors), *_figures(np.abs(d))))
    return out


def _figures(sizes: np.ndarray) -> tuple[float, float, float]:
    """Root mean square, mean and largest, without a square or a sum that overflows."""
    largest = float(sizes.max())
    unit = largest if 0 < largest < np.inf else 1.0
    scaled = sizes / unit
    return unit * float(np.sqrt(np.mean(scaled * scaled))), unit * float(np.mean(scaled)), largest
