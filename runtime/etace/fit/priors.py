"""Smoothness priors: how much a function is held back, from the n and l of its factors.

gamma of reference ACEpotentials.jl: the fit minimises |A c - y|^2 / noise + |gamma c|^2 / scale.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from etace.errors import RequestError
from etace.fit.table import PRIOR
from etace.potential import Constant, Fixed, Linear, Potential

FACTOR = re.compile(r"\(([^()]*)\)")
INDEX = re.compile(r"(\w+)=(-?\d+)")


@dataclass(frozen=True)
class Prior:
    """kind: algebraic, exponential, gaussian, algebraic_ace1 or none

    strength p, and the scales of l and n; None: the default of the kind.
    n: what counts as n of a one-hot radial function, `degree` (its polynomial's, the same for all neighbour
        species) or `index` (that of ACEpotentials.jl, which depends on the order of the species)
    blocks: a factor on gamma of some blocks
    diagonal: gamma itself, [P], in place of all that
    """

    kind: str = "algebraic"
    p: float = 4.0
    wl: float | None = None
    wn: float | None = None
    blocks: Mapping[str, float] | None = None
    n: str = "degree"
    diagonal: np.ndarray | None = None

    def __post_init__(self) -> None:
        names = ("kind", "p", "wl", "wn", "blocks", "n")
        PRIOR.check("prior", {name: getattr(self, name) for name in names})


DEFAULTS = {
    "algebraic": (2 / 3, 1.0),
    "exponential": (2 / 3, 1.0),
    "gaussian": (2**-0.5, 2**-0.5),
    "algebraic_ace1": (1.5, 1.0),  # wl is a factor there, not a scale
    "none": (1.0, 1.0),
}


def gamma(potential: Potential, prior: Prior) -> np.ndarray:
    """[P], > 0 for readouts and pairs; 0 for a learnable onebody, which is free."""
    columns: list[float] = []
    found: list[np.ndarray] = []
    for name in prior.blocks or {}:
        if name not in potential.lengths:
            raise RequestError(
                f"the prior names `{name}`, which is no term; there are: "
                f"{', '.join(sorted(potential.lengths))}"
            )
    for term in potential.terms:
        if isinstance(term, Fixed) or not term.learnable:
            continue
        factor = float((prior.blocks or {}).get(term.block, 1.0))
        if isinstance(term, Constant):
            found.append(np.zeros(len(potential.species)))
            continue
        norms = _norms(term) if prior.kind == "algebraic_ace1" else np.ones(len(term.labels))
        rule = _rule(prior, norms)
        each = len(potential.species) if term.one_hot and prior.n == "degree" else 1
        columns = [rule(k, factors_of(label, each)) for k, label in enumerate(term.labels)]
        found.append(factor * np.tile(np.array(columns), len(potential.species)))
    out = np.concatenate(found) if found else np.zeros(0)
    if prior.diagonal is not None:
        given = np.asarray(prior.diagonal, float)
        if given.shape != out.shape or not (np.isfinite(given).all() and (given >= 0).all()):
            raise RequestError(
                f"the prior's diagonal must be {len(out)} numbers of 0 or more, found "
                f"{list(given.shape)}"
            )
        return given
    return out


def factors_of(label: str, each: int = 1) -> list[tuple[int, int]]:
    """(n, l) of every factor of a function, from its name; l = 0 where there is none.

    each: so many n share a degree, which is given in place of n
    """
    out = []
    for text in FACTOR.findall(label):
        index = {k: int(v) for k, v in INDEX.findall(text)}
        out.append((-(-index.get("n", 1) // each), index.get("l", 0)))
    return out


def _rule(prior: Prior, norms: np.ndarray) -> Callable[[int, list[tuple[int, int]]], float]:
    default = DEFAULTS[prior.kind]
    wl = default[0] if prior.wl is None else prior.wl
    wn = default[1] if prior.wn is None else prior.wn
    p = prior.p

    def rule(k: int, factors: list[tuple[int, int]]) -> float:
        if prior.kind == "none":
            return 1.0
        if prior.kind == "algebraic":
            return sum((l / wl) ** p + (n / wn) ** p for n, l in factors)
        if prior.kind == "exponential":
            return exp(sum(l / wl + n / wn for n, l in factors))
        if prior.kind == "gaussian":
            return exp(sum((l / wl) ** 2 + (n / wn) ** 2 for n, l in factors))
        terms = sum(n**p + wl * l**p * (1 + l / (p + 1)) for n, l in factors)
        return 1 + float(norms[k]) * terms

    return rule


def exp(x: float) -> float:
    """e^x, or where that is beyond all numbers the largest of use: such a function is switched off."""
    return math.exp(min(x, 300.0))


def _norms(term: Linear) -> np.ndarray:
    """Norm of every function's row of couplings; 1 for a pair."""
    if term.products is None:
        return np.ones(len(term.labels))
    out = []
    for order in term.products.orders:
        for blocks, C in order.parts:
            out.append(np.tile(np.linalg.norm(np.asarray(C), axis=1), blocks))
    return np.concatenate(out)
