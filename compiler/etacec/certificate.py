"""What can be said for certain of a compiled graph: counts, and completeness of every basis."""

from __future__ import annotations

from collections import Counter
from typing import Any

import networkx as nx

from etacec.coupling import multiplicity
from etacec.diagnostics import CompilerBug
from etacec.ir import nodes as op
from etacec.ir.graph import ModelGraph


def parameters(graph: ModelGraph) -> dict[str, dict[str, int]]:
    """Per block: functions it computes, its linear and its other learnable parameters."""
    n = len(graph.species)
    out: dict[str, dict[str, int]] = {}
    for node in graph.nodes():
        o = graph.op(node)
        if isinstance(o, op.SelectLinear):
            count = len(o.channels) * o.polynomials * n * n if o.weights.learnable else 0
            out[node] = _row("radial", len(o.channels), 0, count)
        elif isinstance(o, op.Harmonics):
            out[node] = _row("angular", (o.lmax + 1) ** 2, 0, 0)
        elif isinstance(o, op.Couple):
            out[node] = _row("basis", sum(o.functions), 0, 0)
        elif isinstance(o, op.Readout):
            out[node] = _row(o.kind, 1, o.functions * n if o.weights.learnable else 0, 0)
        elif isinstance(o, op.SelectConstant):
            out[node] = _row("onebody", 1, n if o.learnable else 0, 0)
        elif isinstance(o, op.Zbl):
            out[node] = _row("zbl", 1, 0, 0)
    return out


def _row(kind: str, functions: int, linear: int, other: int) -> dict[str, Any]:
    return {
        "kind": kind,
        "functions": functions,
        "linear_parameters": linear,
        "other_parameters": other,
    }


def per_model(graph: ModelGraph) -> dict[str, dict[str, int]]:
    """Per model: linear and other learnable parameters of all it rests on."""
    blocks = parameters(graph)
    out = {}
    for model in graph.models:
        above = nx.ancestors(graph.network, f"model {model}")
        rows = [blocks[n] for n in blocks if n in above]
        out[model] = {k: sum(r[k] for r in rows) for k in ("linear_parameters", "other_parameters")}
    return out


def counts(graph: ModelGraph) -> list[str]:
    """`si_o: 240 linear parameters`, one per model."""
    return [
        f"{m}: {row['linear_parameters']} linear parameters" for m, row in per_model(graph).items()
    ]


def certificate(graph: ModelGraph) -> list[str]:
    """Every block's functions against the character formula; raises CompilerBug if one differs."""
    out = []
    for node, couple in graph.of(op.Couple):
        products = graph.op(graph.inputs(node)[0])
        assert isinstance(products, op.Products)
        out.append(
            f"basis {node}: {len(products.blocks)} products, {sum(couple.functions)} functions"
        )
        tally: Counter[int] = Counter(c for b in products.blocks for c in b.couplings if c >= 0)
        for index, coupling in enumerate(products.couplings):
            pattern = coupling.pattern
            expected = multiplicity(pattern)
            if coupling.functions != expected:
                raise CompilerBug(
                    "couple", f"{pattern}: {coupling.functions} functions, not {expected}"
                )
            ls = " ".join(f"{l}" if count == 1 else f"{l}^{count}" for l, count in pattern.groups)
            out.append(
                f"  l = {ls:<16} L = {pattern.L}: {expected} function{'s' if expected != 1 else ''} "
                f"by the character formula, {coupling.functions} found, exact; {tally[index]} products"
            )
        total = sum(
            products.couplings[c].functions for b in products.blocks for c in b.couplings if c >= 0
        )
        if total != sum(couple.functions):
            raise CompilerBug("couple", f"{node}: {total} functions, not {sum(couple.functions)}")
        out.append(
            f"  complete: {total} independent functions, each counted by the character formula"
        )
    return out
