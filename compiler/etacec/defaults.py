"""The model for a list of elements: a spec of the `ace` preset, of a shape that the data choose (`etace.fit.size`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from etace.data.isolated import isolated
from etace.errors import RequestError
from etace.loading import from_compilation

from etacec.model.elements import nearest_neighbour
from etacec.pipeline import compile_text

REACH = 2.35  # cutoff in longest bonds
SHORTEST = 4.5  # Å, of a cutoff
LARGEST_L = 20  # of the harmonics

# total degrees of the products of orders 1, 2, 3, 4, in steps that grow the number of functions by about half
LADDER = (
    (4, 3, 3, 4), (6, 5, 4, 4), (8, 6, 5, 4), (10, 7, 6, 5), (12, 8, 6, 5), (12, 9, 7, 6),
    (14, 10, 8, 7), (16, 11, 9, 8), (16, 12, 10, 8), (18, 14, 12, 10), (20, 16, 13, 12),
    (22, 18, 15, 13), (25, 21, 17, 15), (28, 24, 20, 17), (30, 26, 22, 19),
)  # fmt: skip


@dataclass(frozen=True)
class Size:
    """What a model may grow to. functions: for each centre species, at most; columns: of all of them"""

    order: int
    functions: int
    columns: int


SIZES = {"small": Size(3, 350, 3000), "medium": Size(4, 1700, 5500), "large": Size(4, 3500, 8000)}


@dataclass(frozen=True)
class Shape:
    """degrees: total degree of the products of each order; l_weight: how much l counts in it
    reach: factor on the default cutoff"""

    degrees: tuple[int, ...]
    l_weight: float = 1.0
    reach: float = 1.0

    @property
    def order(self) -> int:
        return len(self.degrees)

    @property
    def max_l(self) -> int:
        """The two factors of a product of order 2 share the degree; more factors leave less."""
        most = max([0.0, *(d / k - 1 for k, d in enumerate(self.degrees, 1) if k > 1)])
        return min(LARGEST_L, int(most / self.l_weight + 1e-9))

    def __str__(self) -> str:
        return f"order {self.order}, degrees {list(self.degrees)}, l weight {self.l_weight:g}"


def spec(elements: Sequence[str], energies: Mapping[str, float], shape: Shape) -> str:
    """The text. energies: of isolated atoms or of a least-squares fit, eV"""
    e0 = ", ".join(f"{e} = {energies[e]!r} eV" for e in elements)
    listed = ", ".join(map(str, shape.degrees))
    return f"""etace 1

## The default model of `etace fit` for {", ".join(elements)}.

species {", ".join(elements)}

bond *-* {{ rin = 0.0 Å, r0 = bond_length, rcut = {_cutoff(elements, shape.reach)} }}
onebody E0 {{ {e0} }}
zbl core {{ }}
use ace as ace {{
  max_order   = {shape.order}
  totaldegree = [{listed}]
  l_weight    = {shape.l_weight!r}
  max_l       = {shape.max_l}
}}
model potential = E0 + core + ace.two_body + ace.many_body
"""


def _cutoff(elements: Sequence[str], factor: float) -> str:
    """A multiple of the longest bond; molecules of short bonds need more."""
    if REACH * _longest(elements) < SHORTEST:
        return f"{SHORTEST * factor:g} Å"
    return f"{REACH * factor:g} * max_bond_length"


def reach(elements: Sequence[str], factor: float = 1.0) -> float:
    """The cutoff in Å."""
    return factor * max(REACH * _longest(elements), SHORTEST)


def _longest(elements: Sequence[str]) -> float:
    return max(float(nearest_neighbour(e) or 0) for e in elements)


def size_of(name: str) -> Size:
    """Raises RequestError: no such size."""
    if name not in SIZES:
        raise RequestError(f"there is no size `{name}`: {', '.join(SIZES)}")
    return SIZES[name]


def largest(elements: Sequence[str], size: Size, l_weight: float, columns: int) -> Shape:
    """The highest rung of the ladder within a size and a number of columns, the smallest at least."""
    most = min(size.functions, min(size.columns, columns) // len(elements))
    best = Shape(LADDER[0][: size.order], l_weight)
    for rung in LADDER:
        own = Shape(rung[: size.order], l_weight)
        if functions(tuple(elements), own) > most:
            break
        best = own
    return best


@lru_cache(maxsize=256)
def functions(elements: tuple[str, ...], shape: Shape) -> int:
    """Functions of one centre species, with those of the pair term."""
    text = spec(elements, dict.fromkeys(elements, 0.0), shape)
    model = from_compilation(compile_text(text, "default.etace"))
    return model.length_basis // len(elements)


def one_body(
    elements: Sequence[str], structures: Sequence[Any], how: str
) -> tuple[dict[str, float], str]:
    """(energy of every element, how it was found).

    how: isolated (structures whose atoms have no neighbours within the cutoff of the default model, in
    whatever box), lsq (least squares over compositions, the shortest solution where they do not tell
    elements apart), zero, auto (isolated if there are any of every element, else lsq), or numbers as
    Si=-1.0,O=-2.0. eV
    """
    if "=" in how:
        return _given(elements, how), "given"
    if how not in ("auto", "isolated", "lsq", "zero"):
        raise RequestError(
            f"E0 is auto, isolated, lsq, zero, or numbers as Si=-1.0,O=-2.0, not `{how}`"
        )
    if how == "zero":
        return dict.fromkeys(elements, 0.0), "zero"
    labelled = [s for s in structures if s.energy is not None]
    alone = _isolated(elements, labelled)
    missing = [e for e in elements if not alone[e]]
    if how != "lsq" and not missing:
        return {e: float(np.median(alone[e])) for e in elements}, "isolated atoms in the data"
    if how == "isolated":
        raise RequestError(
            f"the data have no isolated atom of {', '.join(missing)}, without neighbours within "
            f"{reach(elements):.3g} Å"
        )
    if not labelled:
        return dict.fromkeys(elements, 0.0), "zero: no structure has an energy"
    counts = np.array([_counts(s.atoms, elements) for s in labelled], float)
    n = counts.sum(axis=1)
    y = np.array([s.energy for s in labelled])
    c = np.linalg.lstsq(counts / n[:, None], y / n, rcond=1e-9)[0]
    return {e: float(v) for e, v in zip(elements, c, strict=True)}, "least squares"


def _isolated(elements: Sequence[str], labelled: Sequence[Any]) -> dict[str, list[float]]:
    """Energies of atoms without neighbours, by element, eV."""
    found: dict[str, list[float]] = {e: [] for e in elements}
    cutoff = reach(elements)
    for s in labelled:
        symbols = set(s.atoms.get_chemical_symbols())
        if len(symbols) == 1 and symbols <= found.keys() and isolated(s.atoms, cutoff):
            found[symbols.pop()].append(s.energy / len(s.atoms))
    return found


def _counts(atoms: Any, elements: Sequence[str]) -> list[int]:
    symbols = atoms.get_chemical_symbols()
    return [symbols.count(e) for e in elements]


def _given(elements: Sequence[str], text: str) -> dict[str, float]:
    found = {}
    for item in text.split(","):
        name, _, value = item.partition("=")
        try:
            found[name.strip()] = float(value)
        except ValueError:
            raise RequestError(f"E0: `{item}` is not ELEMENT=NUMBER") from None
    if set(found) != set(elements):
        raise RequestError(
            f"E0 must be given for {', '.join(elements)}, found {', '.join(sorted(found))}"
        )
    return found
