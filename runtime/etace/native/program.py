"""A kernel as the compiler hands it over: text, and the meaning of its coefficients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from etace.inference import chebyshev
from etace.inference.shells import namespace

TILE = 5  # members of a committee whose coefficients stand side by side


@dataclass(frozen=True)
class Part:
    """Some coefficients in a row, made of what `Inference.coefficients` has under `key`.

    kind: zeros; onebody: [species]; monomials: [species][order]; radial: [ordered pairs][rows][count],
        of Chebyshev polynomials; pair: [ordered pairs][2][count], the second its derivative in y
    order: numbers of the monomials as the kernel reads them; rows: channels of the radial
    """

    key: str
    kind: str
    size: int
    order: tuple[int, ...] = ()
    rows: tuple[int, ...] = ()


@dataclass(frozen=True)
class Program:
    """text: of one C file, that of a model; parts: of its coefficients, `size` numbers in all."""

    text: str
    dtype: str
    species: tuple[str, ...]
    parts: tuple[Part, ...]
    size: int

    def alike(self, a: np.ndarray, b: np.ndarray) -> bool:
        """Whether the radials of two sets of coefficients are the same: A then is, too."""
        start = 0
        for p in self.parts:
            own = slice(start, start := start + p.size)
            if p.kind == "radial" and not np.array_equal(a[own], b[own]):
                return False
        return True

    def coefficients(self, found: Mapping[str, Any], pieces: Mapping[str, Any]) -> Any:
        """[size]. found: as of `Inference.coefficients`; pieces: of the inference form

        numpy for numpy arrays, else JAX.
        """
        xp = namespace(*found.values())
        dtype = np.dtype(float if xp is np else self.dtype)
        out = [_values(p, found.get(p.key), pieces.get(p.key), xp, dtype) for p in self.parts]
        every = xp.concatenate([xp.zeros(0, dtype), *(xp.ravel(x) for x in out)])
        return every.astype(self.dtype)


@dataclass(frozen=True)
class RowTerm:
    """A term with linear parameters, as the kernel of rows has it.

    block: of its parameters; piece: of the inference form, whose polynomials its radials are made of
    weights: of its radials: a block of parameters if learnable, else a name in the module; None: one-hot
    channels: of the radial that are read; width: entries of A that a neighbour adds to
    parted: whether neighbours of every species have entries of their own
    entries: where each entry of the pool stands
    """

    block: str
    piece: str
    weights: str | None
    learnable: bool
    channels: tuple[int, ...]
    width: int
    parted: bool
    entries: tuple[int, ...]


@dataclass(frozen=True)
class RowProgram:
    """The kernel of a model's design rows. text: of one C file"""

    text: str
    dtype: str
    species: tuple[str, ...]
    terms: tuple[RowTerm, ...]


@dataclass(frozen=True, eq=False)
class MemberCoefficients:
    """Coefficients of a committee. values: [tiles, size of a program, TILE], the last ones may be nobody's;
    count: of the members"""

    values: np.ndarray
    count: int

    @staticmethod
    def of(each: Sequence[np.ndarray]) -> MemberCoefficients:
        count, size = len(each), len(each[0])
        values = np.zeros((-(-count // TILE), size, TILE), each[0].dtype)
        for m, own in enumerate(each):
            values[m // TILE, :, m % TILE] = own
        return MemberCoefficients(values, count)

    @property
    def places(self) -> int:
        return len(self.values) * TILE


def _values(part: Part, found: Any, piece: Any, xp: Any, dtype: np.dtype) -> Any:
    if part.kind == "zeros":
        return xp.zeros(part.size, dtype)
    values = xp.asarray(found, dtype)
    if part.kind == "monomials":
        return values[:, np.array(part.order, int)]
    if part.kind == "radial":
        values = xp.transpose(values[np.array(part.rows, int)], (2, 0, 1))
    elif part.kind != "pair":
        return values
    change = chebyshev.coefficients(piece.radial.polynomials, piece.radial.count - 1)
    out = values @ xp.asarray(change, dtype)
    if part.kind == "pair":
        slopes = values @ xp.asarray(chebyshev.slopes(change), dtype)
        out = xp.stack([out, slopes], axis=-2)
    return out
