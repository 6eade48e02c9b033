"""Spec to graph: each block becomes the few operations it stands for (language page, section 4)."""

from __future__ import annotations

from etacec.ir.graph import ModelGraph, network
from etacec.ir.nodes import (
    Candidates,
    Couple,
    Direction,
    Distance,
    Envelope,
    Harmonics,
    Op,
    PolynomialBasis,
    Pool,
    Readout,
    SelectConstant,
    SelectLinear,
    Total,
    Transform,
    Zbl,
)
from etacec.model import spec as model
from etacec.model.spec import Basis, OneBody, Radial, Spec

Nodes = dict[str, tuple[Op, tuple[str, ...]]]


def lower(spec: Spec) -> ModelGraph:
    nodes: Nodes = {"distance": (Distance(), ()), "direction": (Direction(), ())}
    for radial in spec.radials:
        _radial(spec, radial, nodes)
    for a in spec.angulars:
        nodes[a.name] = (Harmonics(a.name, a.harmonics, a.lmax, a.lmax, a.doc), ("direction",))
    for basis in spec.bases:
        _basis(basis, nodes)
    for p in spec.potentials:
        if isinstance(p, OneBody):
            nodes[p.name] = (SelectConstant(p.name, p.energies, p.learnable, p.doc), ())
            continue
        if isinstance(p, model.Zbl):
            nodes[p.name] = (Zbl(p.name, p.inner, p.outer, spec.bonds, p.doc), ("distance",))
            continue
        source = p.source
        functions = 0
        if p.kind == "pair":
            source = f"{p.name}.A"
            radial = next(r for r in spec.radials if r.name == p.source)
            functions = len(radial.channels)
            factors = tuple((c, 0) for c in range(functions))
            nodes[source] = (Pool(factors, radial.channels), (radial.name,))
        nodes[p.name] = (Readout(p.name, p.kind, functions, p.weights, p.doc), (source,))
    for m in spec.models:
        total = Total(m.name, tuple(f for f, _ in m.terms), m.doc)
        nodes[f"model {m.name}"] = (total, tuple(n for _, n in m.terms))
    return ModelGraph(
        spec.name, spec.doc, spec.species, tuple(m.name for m in spec.models), network(nodes)
    )


def _radial(spec: Spec, r: Radial, nodes: Nodes) -> None:
    y, e, p = f"{r.name}.transform", f"{r.name}.envelope", f"{r.name}.polynomials"
    nodes[y] = (Transform(r.transform, spec.bonds), ("distance",))
    nodes[e] = (
        Envelope(r.envelope, spec.bonds),
        (y if r.envelope.argument == "y" else "distance",),
    )
    nodes[p] = (PolynomialBasis(r.polynomials), (y,))
    every = tuple(range(len(r.channels)))
    mixed = SelectLinear(
        r.name, r.binders, r.channels, every, r.polynomials.count, r.weights, r.doc
    )
    nodes[r.name] = (mixed, (e, p))


def _basis(b: Basis, nodes: Nodes) -> None:
    # Factors sorted by (l, channel): A of one l is one matrix product.
    order = sorted(range(len(b.factors)), key=lambda k: (b.factors[k][1], b.factors[k][0]))
    place = {old: new for new, old in enumerate(order)}
    pool = Pool(tuple(b.factors[k] for k in order), tuple(b.values[k] for k in order))
    inputs = (b.radial,) if b.angular is None else (b.radial, b.angular)
    nodes[f"{b.name}.A"] = (pool, inputs)
    blocks = tuple(tuple(place[f] for f in block) for block in b.blocks)
    nodes[f"{b.name}.products"] = (Candidates(b.L, blocks), (f"{b.name}.A",))
    nodes[b.name] = (Couple(b.name, b.binders, (), b.doc), (f"{b.name}.products",))
