"""The model for a list of elements: a spec of the `ace` preset, of a shape that the data choose (`etace.fit.size`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
from etace.data.isolated import isolated
from etace.errors import RequestError

from etacec.coupling import Pattern, multiplicity
from etacec.model.elements import nearest_neighbour
from etacec.model.files import Files
from etacec.model.resolve import resolve
from etacec.syntax.parse import parse

REACH = 2.35  # cutoff in longest bonds
SHORTEST = 4.5  # Å, of a cutoff
LARGEST_L = 20  # of the harmonics

PART = (1.0, 0.7, 0.7, 0.3)  # of all functions that those of one order may be, 1 to 4
FURTHER = 4  # by which the degree of order 1 is beyond that of order 2


@dataclass(frozen=True)
class Size:
    """What a model may grow to. functions: for each centre species, at most; columns: of all of them"""

    order: int
    functions: int
    columns: int


SIZES = {"small": Size(3, 350, 2000), "medium": Size(4, 1700, 4000), "large": Size(4, 3500, 6000)}


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


def top(elements: Sequence[str], functions: int, order: int, l_weight: float) -> Shape:
    """A shape that holds many: no order has more than `PART` of so many functions of one species."""
    names, degrees = tuple(elements), [1]
    for k in range(1, order):
        degree = k + 1
        while by_order(names, Shape((degree + 1, *range(2, k + 1), degree + 1), l_weight))[
            k + 1
        ] <= (PART[k] * functions):
            degree += 1
        degrees.append(degree)
    degrees[0] = degrees[1] + FURTHER if order > 1 else max(functions // len(names), 1)
    return Shape(tuple(degrees), l_weight)


def grown(elements: Sequence[str], shape: Shape, size: Size, columns: int) -> Shape:
    """The largest about in the proportions of a shape, with one order more if there is one, within a size and a
    number of columns; the shape itself at least."""
    most, names = min(size.functions, min(size.columns, columns) // len(elements)), tuple(elements)
    best, factor = shape, 1.0
    while factor < 20:
        own = _scaled(shape, factor, size.order)
        if sum(by_order(names, own)) > most:
            break
        best, factor = own, factor * 1.04
    left = set(range(best.order))
    while left:  # degrees are whole: there may be room for more of some
        for k in sorted(left):
            own = replace(best, degrees=tuple(d + (i == k) for i, d in enumerate(best.degrees)))
            found = by_order(names, own)
            far = k == 0 and best.order > 1 and own.degrees[0] > own.degrees[1] + FURTHER
            if sum(found) <= most and found[k + 1] <= PART[k] * most and not far:
                best = own
            else:
                left.discard(k)
    return best


def _scaled(shape: Shape, factor: float, order: int) -> Shape:
    degrees = [round(factor * d) for d in shape.degrees]
    if len(degrees) < order:
        degrees.append(max(len(degrees) + 1, round((0.6, 0.8)[len(degrees) > 2] * degrees[-1])))
    if len(degrees) > 1:
        degrees[0] = max(degrees[0], degrees[1] + FURTHER)
    return Shape(tuple(degrees), shape.l_weight, shape.reach)


@lru_cache(maxsize=1024)
def by_order(elements: tuple[str, ...], shape: Shape) -> tuple[int, ...]:
    """Functions of one centre species: of the pair term, then of the products of order 1, 2 ..."""
    text = spec(elements, dict.fromkeys(elements, 0.0), shape)
    found, _ = resolve(parse(text, "default.etace"), Files(), {})
    (basis,), (pair, *_) = found.bases, found.radials
    out = [len(pair.channels)] + [0] * shape.order
    for block in basis.blocks:
        groups = sorted((basis.factors[f][1], len(list(same))) for f, same in groupby(block))
        out[len(block)] += multiplicity(Pattern(tuple(groups)))
    return tuple(out)


def functions(elements: Sequence[str], shape: Shape) -> int:
    """Functions of one centre species, with those of the pair term."""
    return sum(by_order(tuple(elements), shape))


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
