"""Candidates to products with their exact couplings."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

from etacec.coupling import Pattern, bound, couple_all, multiplicity
from etacec.ir.graph import ModelGraph, build
from etacec.ir.nodes import Block, Candidates, Couple, Op, Pool, Products, Readout
from etacec.ir.verify import functions

Arranged: TypeAlias = tuple[
    int, tuple[tuple[int, int], ...], tuple[int, ...], tuple[Pattern | None, ...]
]
"""Order, (l, count) of each group, factors in the order of the groups, pattern for each L."""


def couple(graph: ModelGraph, cache: Path | None = None) -> ModelGraph:
    """Every `Candidates` replaced by `Products`; `Couple` learns its number of functions.

    Raises TooHeavy, before any work, where the coefficients would take too long.
    """
    nodes = {n: (graph.op(n), graph.inputs(n)) for n in graph.nodes()}
    arranged = {
        name: _arranged(candidates, graph.input_op(name, Pool).factors)
        for name, candidates in graph.of(Candidates)
    }
    bound({p for blocks in arranged.values() for p in _patterns(blocks)})
    for name, candidates in graph.of(Candidates):
        products = _products(candidates, arranged[name], cache)
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


def _arranged(candidates: Candidates, factors: tuple[tuple[int, int], ...]) -> list[Arranged]:
    """Blocks with at least one function, each in the group order of its pattern."""
    out = []
    for block in candidates.blocks:
        groups = [(factors[f][1], len(list(same)), f) for f, same in groupby(sorted(block))]
        groups.sort()
        pattern = tuple((l, count) for l, count, _ in groups)
        inside = tuple(f for _, count, f in groups for _ in range(count))
        patterns = [Pattern(pattern, L) for L in candidates.L]
        found = tuple(p if multiplicity(p) else None for p in patterns)
        if any(found):
            out.append((len(inside), pattern, inside, found))
    return out


def _patterns(blocks: list[Arranged]) -> set[Pattern]:
    return {p for _, _, _, found in blocks for p in found if p is not None}


def _products(candidates: Candidates, arranged: list[Arranged], cache: Path | None) -> Products:
    wanted = _patterns(arranged)
    table = couple_all(sorted(wanted), cache)
    order = {p: k for k, p in enumerate(sorted(wanted, key=lambda p: (p.order, p)))}
    # By order, then by the pattern of l, then by factors: functions of one table stand together.
    blocks = tuple(
        Block(inside, tuple(-1 if p is None else order[p] for p in found))
        for _, _, inside, found in sorted(arranged, key=lambda a: a[:3])
    )
    return Products(candidates.L, blocks, tuple(table[p] for p in order))
