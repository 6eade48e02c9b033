"""Candidates to products with their exact couplings."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from pathlib import Path

from etacec.coupling import Pattern, couple_all, multiplicity
from etacec.ir.graph import ModelGraph, build
from etacec.ir.nodes import Block, Candidates, Couple, Op, Pool, Products, Readout
from etacec.ir.verify import functions


def couple(graph: ModelGraph, cache: Path | None = None) -> ModelGraph:
    """Every `Candidates` replaced by `Products`; `Couple` learns its number of functions."""
    nodes = {n: (graph.op(n), graph.inputs(n)) for n in graph.nodes()}
    for name, candidates in graph.of(Candidates):
        factors = graph.input_op(name, Pool).factors
        products = _products(candidates, factors, cache)
        nodes[name] = (products, graph.inputs(name))
        for reader in graph.outputs(name):
            nodes[reader] = (_counted(graph.op(reader), products), graph.inputs(reader))
    return build(graph, _readouts(nodes))


def _counted(op: Op, products: Products) -> Op:
    assert isinstance(op, Couple)
    return Couple(op.block, op.binders, functions(products), op.doc)


def _readouts(
    nodes: dict[str, tuple[Op, tuple[str, ...]]],
) -> dict[str, tuple[Op, tuple[str, ...]]]:
    for name, (op, inputs) in list(nodes.items()):
        if isinstance(op, Readout):
            source = nodes[inputs[0]][0]
            if isinstance(source, Couple):
                nodes[name] = (replace(op, functions=sum(source.functions)), inputs)
    return nodes


def _products(
    candidates: Candidates, factors: tuple[tuple[int, int], ...], cache: Path | None
) -> Products:
    """Blocks with at least one function, each in the group order of its pattern."""
    arranged = []
    wanted: set[Pattern] = set()
    for block in candidates.blocks:
        groups = [(factors[f][1], len(list(same)), f) for f, same in groupby(sorted(block))]
        groups.sort()
        pattern = tuple((l, count) for l, count, _ in groups)
        inside = tuple(f for _, count, f in groups for _ in range(count))
        patterns = [Pattern(pattern, L) for L in candidates.L]
        found = [p if multiplicity(p) else None for p in patterns]
        if any(found):
            arranged.append((len(inside), pattern, inside, found))
            wanted |= {p for p in found if p is not None}
    table = couple_all(sorted(wanted), cache)
    order = {p: k for k, p in enumerate(sorted(wanted, key=lambda p: (p.order, p)))}
    # By order, then by the pattern of l, then by factors: functions of one table stand together.
    arranged.sort(key=lambda a: a[:3])
    blocks = tuple(
        Block(inside, tuple(-1 if p is None else order[p] for p in found))
        for _, _, inside, found in arranged
    )
    return Products(candidates.L, blocks, tuple(table[p] for p in order))
