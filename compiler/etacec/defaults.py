"""The model for a list of elements: a spec, written by rules and then by nobody's hand.

Basis of the `ace1` preset. Degrees are taken from a ladder: the highest rung with no more functions
for each centre species than the size allows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from etace.data.isolated import isolated
from etace.errors import RequestError
from etace.loading import from_compilation

from etacec.model.elements import nearest_neighbour
from etacec.pipeline import compile_text

REACH = 2.35  # cutoff in longest bonds
SHORTEST = 4.5  # Å, of a cutoff

# total degree n + 1.5 l of the products of orders 1, 2, 3, 4
LADDER = (
    (6, 5, 4, 4), (8, 6, 5, 4), (10, 7, 6, 5), (12, 9, 7, 6), (14, 10, 8, 7), (16, 12, 10, 8),
    (18, 14, 12, 10), (20, 16, 13, 12), (22, 18, 15, 13), (25, 21, 17, 15), (28, 24, 20, 17),
)  # fmt: skip


@dataclass(frozen=True)
class Size:
    """functions: for each centre species, at most; columns: of all of them"""

    order: int
    functions: int
    columns: int


SIZES = {"small": Size(3, 350, 3000), "medium": Size(4, 1700, 5500), "large": Size(4, 3500, 8000)}


def spec(
    elements: Sequence[str], energies: Mapping[str, float], degrees: Sequence[int], order: int
) -> str:
    """The text. energies: of isolated atoms or of a least-squares fit, eV; degrees: by order"""
    e0 = ", ".join(f"{e} = {energies[e]!r} eV" for e in elements)
    listed = ", ".join(map(str, degrees[:order]))
    return f"""etace 1

## The default model of `etace fit` for {", ".join(elements)}.

species {", ".join(elements)}

bond *-* {{ rin = 0.0 Å, r0 = bond_length, rcut = {_cutoff(elements)} }}
onebody E0 {{ {e0} }}
zbl core {{ }}
use ace1 as ace {{ max_order = {order}, totaldegree = [{listed}] }}
model potential = E0 + core + ace.two_body + ace.many_body
"""


def _cutoff(elements: Sequence[str]) -> str:
    """A multiple of the longest bond; molecules of short bonds need more."""
    if REACH * _longest(elements) < SHORTEST:
        return f"{SHORTEST} Å"
    return f"{REACH} * max_bond_length"


def reach(elements: Sequence[str]) -> float:
    """The cutoff in Å."""
    return max(REACH * _longest(elements), SHORTEST)


def _longest(elements: Sequence[str]) -> float:
    return max(float(nearest_neighbour(e) or 0) for e in elements)


def choose(elements: Sequence[str], size: str) -> tuple[tuple[int, ...], int]:
    """(degrees by order, order) of the highest rung that the size allows."""
    if size not in SIZES:
        raise RequestError(f"there is no size `{size}`: {', '.join(SIZES)}")
    order = SIZES[size].order
    most = min(SIZES[size].functions, SIZES[size].columns // len(elements))
    best = LADDER[0]
    for rung in LADDER:
        if functions(elements, rung, order) > most:
            break
        best = rung
    return tuple(best[:order]), order


def functions(elements: Sequence[str], degrees: Sequence[int], order: int) -> int:
    """Many-body functions of one centre species."""
    text = spec(elements, dict.fromkeys(elements, 0.0), degrees, order)
    model = from_compilation(compile_text(text, "default.etace"))
    return model.lengths["ace.many_body"] // len(elements)


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
