"""A kernel as the compiler hands it over: text, and the meaning of its coefficients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from etace.inference import chebyshev


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

    def coefficients(self, found: Mapping[str, Any], pieces: Mapping[str, Any]) -> np.ndarray:
        """[size]. found: as of `Inference.coefficients`; pieces: of the inference form"""
        out = [_values(p, found.get(p.key), pieces.get(p.key)) for p in self.parts]
        return np.concatenate([np.zeros(0), *(np.ravel(x) for x in out)]).astype(self.dtype)


def _values(part: Part, found: Any, piece: Any) -> np.ndarray:
    if part.kind == "zeros":
        return np.zeros(part.size)
    if part.kind == "onebody":
        return np.asarray(found, float)
    if part.kind == "monomials":
        return np.asarray(found, float)[:, list(part.order)]
    values = np.asarray(found, float)
    if part.kind == "radial":
        values = np.transpose(values[list(part.rows)], (2, 0, 1))
    own = piece.radial
    values = values @ chebyshev.coefficients(own.polynomials, own.count - 1)
    if part.kind == "pair":
        rows = values.reshape(-1, own.count)
        values = np.stack([rows, chebyshev.slopes(rows)], axis=1)
    return values
