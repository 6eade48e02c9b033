"""Work that no output needs is not done. Declared parameters keep their shapes."""

from __future__ import annotations

from dataclasses import replace

import networkx as nx

from etacec.ir.graph import ModelGraph, build
from etacec.ir.nodes import Block, Couple, Harmonics, Op, Pool, Products, SelectLinear, Total


def drop_dead(graph: ModelGraph) -> ModelGraph:
    """Nodes that lead to no model go, but for the file's own bases: users call them by themselves."""
    own = [name for name, _ in graph.of(Couple) if "." not in name]
    alive: set[str] = set()
    for name in [*own, *(name for name, _ in graph.of(Total))]:
        alive |= {name, *nx.ancestors(graph.network, name)}
    return graph.without(set(graph.nodes()) - alive)


def prune_factors(graph: ModelGraph) -> ModelGraph:
    """A-functions no product reads; then the channels and the l that no A-function reads."""
    nodes: dict[str, tuple[Op, tuple[str, ...]]] = {
        n: (graph.op(n), graph.inputs(n)) for n in graph.nodes()
    }
    for name, products in graph.of(Products):
        (source,) = graph.inputs(name)
        pool = nodes[source][0]
        assert isinstance(pool, Pool)
        used = sorted({f for b in products.blocks for f in b.factors})
        place = {old: new for new, old in enumerate(used)}
        blocks = tuple(
            Block(tuple(place[f] for f in b.factors), b.couplings) for b in products.blocks
        )
        nodes[name] = (replace(products, blocks=blocks), (source,))
        smaller = Pool(tuple(pool.factors[f] for f in used), tuple(pool.labels[f] for f in used))
        nodes[source] = (smaller, graph.inputs(source))
    for name, radial in graph.of(SelectLinear):
        needed = {c for p in _pools(graph, nodes, name) for c, _ in p.factors}
        nodes[name] = (replace(radial, kept=tuple(sorted(needed))), graph.inputs(name))
    for name, harmonics in graph.of(Harmonics):
        top = max(l for p in _pools(graph, nodes, name) for _, l in p.factors)
        nodes[name] = (replace(harmonics, used=top), graph.inputs(name))
    return build(graph, nodes)


def _pools(
    graph: ModelGraph, nodes: dict[str, tuple[Op, tuple[str, ...]]], source: str
) -> list[Pool]:
    return [p for n in graph.outputs(source) if isinstance(p := nodes[n][0], Pool)]
