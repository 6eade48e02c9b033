"""What the evaluators share of a structure whose neighbours are listed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from etace.arrays import reals
from etace.errors import RequestError, StructureError
from etace.neighbours import MAX_COORDINATE
from etace.structure import check_resolution, resolved

P = TypeVar("P", bound="PreparedAtoms")


@dataclass(frozen=True, eq=False)
class PreparedAtoms(ABC):
    """One structure, or a batch, with its list of neighbours: what `Model.prepare` makes.

    maker: the evaluator that made it, and the only one that can read it
    counts: [structures], atoms of each; batch: whether results are per structure
    """

    maker: Any
    counts: tuple[int, ...]
    batch: bool

    def __reduce__(self) -> Any:
        """Raises RequestError: it is of the evaluator that made it, here."""
        raise RequestError("a list of neighbours cannot be copied: prepare the atoms again there")

    def __copy__(self: P) -> P:
        return self

    @property
    def n(self) -> int:
        """Number of atoms."""
        return sum(self.counts)

    @abstractmethod
    def moved(self, positions: Any = None, cell: Any = None) -> PreparedAtoms:
        """The same neighbours at other positions [n, 3], in another cell [3, 3] ([structures, 3, 3] for a
        batch), Å. Raises StructureError: another shape, or numbers that are not real and finite."""


def made_by(maker: Any, prepared: Any, kind: type[P]) -> P:
    """The same. Raises RequestError: another evaluator made it."""
    if not isinstance(prepared, kind) or prepared.maker is not maker:
        raise RequestError(
            "this list of neighbours was made by another model, or before the model's backend, cores or "
            "splines were changed: prepare the atoms again"
        )
    return prepared


def moved_positions(positions: Any, n: int, dtype: np.dtype[Any]) -> np.ndarray:
    """[n, 3], Å. Raises StructureError."""
    x, near = reals(
        positions, (n, 3), "positions", f"this list of neighbours is of {n} atoms",
        dtype=dtype, error=StructureError, safe=resolved(dtype),
    )  # fmt: skip
    if not near:
        check_resolution(x, dtype)
    return x


def moved_cell(cell: Any, structures: int | None, dtype: np.dtype[Any]) -> np.ndarray:
    """[3, 3], or [structures, 3, 3], Å. Raises StructureError."""
    shape = (3, 3) if structures is None else (structures, 3, 3)
    of = "one structure" if structures is None else f"a batch of {structures}"
    wanted = f"{list(shape)} is needed, for {of}: vectors as rows"
    own, near = reals(cell, shape, "cell vectors", wanted, dtype=dtype, error=StructureError)
    if not near and not (np.abs(own) <= MAX_COORDINATE).all():
        raise StructureError(f"cell vectors must be within {MAX_COORDINATE:g} Å")
    return own
