"""Whether a graph makes sense: asked after lowering and after every pass. Failing is our bug."""

from __future__ import annotations

import networkx as nx

from etacec.diagnostics import CompilerBug
from etacec.ir import nodes as op
from etacec.ir.graph import ModelGraph

# Kind of each input, in order; a tuple of kinds where either will do.
_INPUTS: dict[type, tuple[type | tuple[type, ...], ...]] = {
    op.Distance: (),
    op.Direction: (),
    op.Transform: (op.Distance,),
    op.Envelope: ((op.Transform, op.Distance),),
    op.PolynomialBasis: (op.Transform,),
    op.SelectLinear: (op.Envelope, op.PolynomialBasis),
    op.Harmonics: (op.Direction,),
    op.Candidates: (op.Pool,),
    op.Products: (op.Pool,),
    op.Couple: ((op.Products, op.Candidates),),
    op.Readout: ((op.Couple, op.Pool),),
    op.SelectConstant: (),
    op.Zbl: (op.Distance,),
}


def verify(graph: ModelGraph, stage: str) -> ModelGraph:
    """The graph itself; raises CompilerBug naming the stage."""

    def demand(condition: bool, what: str) -> None:
        if not condition:
            raise CompilerBug(stage, what)

    demand(nx.is_directed_acyclic_graph(graph.network), "the graph has a cycle")
    for node in graph.nodes():
        o, inputs = graph.op(node), graph.inputs(node)
        demand(
            all("op" in graph.network.nodes[i] for i in inputs),
            f"`{node}` reads a node that is not there",
        )
        kinds = [graph.op(i) for i in inputs]
        if isinstance(o, op.Total):
            demand(
                len(inputs) == len(o.factors),
                f"`{node}` has {len(inputs)} terms, {len(o.factors)} factors",
            )
            demand(
                all(isinstance(k, op.Readout | op.SelectConstant | op.Zbl) for k in kinds),
                f"`{node}` adds no energies",
            )
        elif isinstance(o, op.Pool):
            demand(
                len(kinds) in (1, 2) and isinstance(kinds[0], op.SelectLinear),
                f"`{node}` pools no radial",
            )
            _pool(graph, node, o, demand)
        else:
            wanted = _INPUTS[type(o)]
            fits = len(kinds) == len(wanted) and all(
                isinstance(k, w) for k, w in zip(kinds, wanted, strict=True)
            )
            demand(fits, f"`{node}` has inputs {inputs}")
        if isinstance(o, op.SelectLinear):
            demand(
                set(o.kept) <= set(range(len(o.channels))), f"`{node}` keeps channels it has not"
            )
            count = graph.input_op(node, op.PolynomialBasis).polynomials.count
            demand(count == o.polynomials, f"`{node}` mixes {o.polynomials} of {count} polynomials")
        if isinstance(o, op.Products):
            _products(graph, node, o, demand)
    return graph


def _pool(graph: ModelGraph, node: str, o: op.Pool, demand) -> None:  # type: ignore[no-untyped-def]
    radial = graph.input_op(node, op.SelectLinear)
    demand(len(o.factors) == len(o.labels), f"`{node}` has factors without labels")
    demand(
        list(o.factors) == sorted(o.factors, key=lambda f: (f[1], f[0])), f"`{node}` is not sorted"
    )
    demand({c for c, _ in o.factors} <= set(radial.kept), f"`{node}` reads a pruned channel")
    lmax = max((l for _, l in o.factors), default=0)
    harmonics = [graph.op(i) for i in graph.inputs(node)[1:]]
    top = harmonics[0].used if harmonics and isinstance(harmonics[0], op.Harmonics) else 0
    demand(lmax <= top, f"`{node}` reads l = {lmax} of {top}")


def _products(graph: ModelGraph, node: str, o: op.Products, demand) -> None:  # type: ignore[no-untyped-def]
    factors = graph.input_op(node, op.Pool).factors
    for block in o.blocks:
        demand(max(block.factors) < len(factors), f"`{node}` multiplies a factor that is not there")
        demand(len(block.couplings) == len(o.L), f"`{node}` has a block without its couplings")
        for L, c in zip(o.L, block.couplings, strict=True):
            if c < 0:
                continue
            pattern = o.couplings[c].pattern
            ls = tuple(factors[f][1] for f in block.factors)
            demand(pattern.L == L and ls == pattern.ls, f"`{node}` couples l = {ls} by {pattern}")
    for node_, couple in graph.of(op.Couple):
        if node in graph.inputs(node_):
            counts = functions(o)
            demand(couple.functions == counts, f"`{node_}` says {couple.functions}, has {counts}")


def functions(o: op.Products) -> tuple[int, ...]:
    """Number of functions per output L."""
    return tuple(
        sum(o.couplings[b.couplings[k]].functions for b in o.blocks if b.couplings[k] >= 0)
        for k in range(len(o.L))
    )
