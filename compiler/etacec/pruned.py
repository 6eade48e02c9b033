"""A smaller spec from a model and the linear parameters to keep: pair functions by `where`, products of a
basis by `only`, in one file with all numbers written out.

What the language has no words for stays whole: all species have the same functions, and a product has
all its couplings. A function that one species or coupling needs is there for the others too, with a
coefficient of 0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from etace.errors import RequestError
from etace.loading import from_compilation
from etace.model import Model
from etace.potential import Linear

from etacec.coupling import cache_folder
from etacec.model.files import Files
from etacec.model.resolve import resolve
from etacec.model.spec import Readout, Spec, Weights
from etacec.model.write import Choice, Product, flat_names, written
from etacec.pipeline import compile_text
from etacec.syntax.parse import parse

INDEX = re.compile(r"(\w+)=(-?\d+)")
ZEROS = Weights(True, "zeros")


@dataclass(frozen=True, eq=False)
class Pruned:
    """text: of the new `.etace` file; model: of it, with the parameters of the old one

    kept: [P'], places of its linear parameters among the old ones; extra: how many of them were not
    asked for
    """

    text: str
    model: Model
    kept: np.ndarray
    extra: int


def prune(model: Model, keep: Any) -> Pruned:
    """Without the functions that no linear parameter of `keep` (bool, [P]) needs.

    Coefficients that were not asked for are 0. Raises RequestError: nothing, or another length.
    """
    keep = np.asarray(keep)
    P = model.length_basis
    if keep.shape != (P,) or keep.dtype != bool:
        raise RequestError(f"`keep` must be {P} bools, one for each linear parameter")
    if not keep.any():
        raise RequestError("no linear parameter is to be kept")
    spec, files = _spec(model)
    needed = _needed(model, keep)
    choice = _choice(spec, model, needed)
    kept = np.flatnonzero(_there(spec, model, choice))
    note = f"Written out by etace from {spec.name}.etace: {len(kept)} of its {P} linear parameters."
    text = written(spec, choice, note)
    name = f"{spec.name}_pruned.etace"
    done = compile_text(
        text, name, files=Files(None, {}, files.arrays), dtype=model.origin["dtype"],
        cache=cache_folder(),
    )  # fmt: skip
    names = flat_names(spec)
    new = from_compilation(done, names[model.name])
    old = np.where(keep, model.get_linear_parameters(), 0.0)
    new.params = _carried(model, new, {v: k for k, v in names.items()}, spec, choice)
    new.set_linear_parameters(old[kept])
    return Pruned(text, new, kept, int((~keep[kept]).sum()))


def _spec(model: Model) -> tuple[Spec, Files]:
    """What the model was made from, resolved again."""
    texts, root = dict(model.origin["sources"]), model.origin["root"]
    files = Files(None, texts, model.arrays)
    return resolve(parse(texts.pop(root), root), files, model.origin["overrides"])[0], files


def _needed(model: Model, keep: np.ndarray) -> dict[str, np.ndarray]:
    """bool of the functions of every learnable term: those of any species."""
    out: dict[str, np.ndarray] = {}
    start, n = 0, len(model.species)
    for term in model.potential.terms:
        size = model.lengths[term.block]
        if size:
            out[term.block] = np.any(keep[start : start + size].reshape(n, -1), axis=0)
        start += size
    return out


def _choice(spec: Spec, model: Model, needed: dict[str, np.ndarray]) -> Choice:
    terms = {t.block: t for t in model.potential.terms}
    own = [p for p in spec.potentials if p.name in terms]
    without = frozenset(b for b, f in needed.items() if not f.any())
    readers = [p for p in own if isinstance(p, Readout) and p.name not in without]
    products: dict[str, list[Product]] = {}
    channels: dict[str, list[tuple[int, ...]]] = {}
    for basis in spec.bases:
        mine = [p for p in readers if p.source == basis.name]
        if mine and all(p.name in needed for p in mine):
            found = {x for p in mine for x in _products(terms[p.name], needed[p.name])}
            products[basis.name] = [
                x for b in basis.blocks if (x := tuple(sorted(basis.values[f] for f in b))) in found
            ]
    for radial in spec.radials:
        mine = [p for p in readers if p.source == radial.name]
        free = not any(b.radial == radial.name for b in spec.bases if b.name in _sources(readers))
        if mine and free and radial.weights.init != "load" and all(p.name in needed for p in mine):
            used = np.any([needed[p.name] for p in mine], axis=0)
            channels[radial.name] = [c for c, u in zip(radial.channels, used, strict=True) if u]
    starts = {p.name: ZEROS for p in readers if p.name in needed and p.weights.init == "load"}
    return Choice([model.name], products, channels, starts, without)


def _sources(readers: Sequence[Readout]) -> set[str]:
    return {p.source for p in readers}


def _products(term: object, needed: np.ndarray) -> list[Product]:
    """Of the functions with needed = True, from their names."""
    assert isinstance(term, Linear)
    return [_product(label) for label, n in zip(term.labels, needed, strict=True) if n]


def _product(label: str) -> Product:
    """Factors of a function, sorted: equal ones need not stand in the order of the spec."""
    factors = re.findall(r"\(([^()]*)\)", label)
    return tuple(sorted(tuple(int(v) for _, v in INDEX.findall(f)) for f in factors))


def _there(spec: Spec, model: Model, choice: Choice) -> np.ndarray:
    """[P], which linear parameters the smaller spec has."""
    readouts = {p.name: p for p in spec.potentials if isinstance(p, Readout)}
    channels = {r.name: r.channels for r in spec.radials}
    parts = []
    for term in model.potential.terms:
        if not model.lengths[term.block]:
            continue
        count = model.lengths[term.block] // len(model.species)
        there = np.full(count, term.block not in choice.without)
        if term.block in readouts and there.any():
            assert isinstance(term, Linear)
            source = readouts[term.block].source
            if source in choice.products:
                some = set(choice.products[source])
                there = np.array([_product(label) in some for label in term.labels])
            elif source in choice.channels:
                few = set(choice.channels[source])
                there = np.array([c in few for c in channels[source]])
        parts.append(np.tile(there, len(model.species)))
    return np.concatenate(parts)


def _carried(
    model: Model, new: Model, old_name: dict[str, str], spec: Spec, choice: Choice
) -> dict[str, dict[str, Any]]:
    """The old parameters in the new shapes; the linear ones are set afterwards."""
    channels = {r.name: r.channels for r in spec.radials}
    out: dict[str, dict[str, Any]] = {}
    for block, arrays in new.params.items():
        old = old_name[block]
        out[block] = dict(arrays)
        if old in channels:
            some = choice.channels.get(old, channels[old])
            rows = [channels[old].index(c) for c in some]
            out[block]["weights"] = model.params[old]["weights"][rows].copy()
    return out
