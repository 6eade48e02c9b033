"""The model graph as an SVG picture: layers from the geometry at the bottom to the energy on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import networkx as nx

from etacec.ir import nodes as op
from etacec.ir.graph import ModelGraph
from etacec.ir.show import describe

BOX, GAP, HEIGHT, LAYER = 190, 26, 46, 92
COLOURS = {
    op.Distance: "#e8eaed",
    op.Direction: "#e8eaed",
    op.Transform: "#dcecfb",
    op.Envelope: "#dcecfb",
    op.PolynomialBasis: "#dcecfb",
    op.SelectLinear: "#b9d8f6",
    op.Harmonics: "#b9d8f6",
    op.Pool: "#d9f0d3",
    op.Products: "#bfe3b4",
    op.Couple: "#97cf88",
    op.Readout: "#fde4b8",
    op.SelectConstant: "#fde4b8",
    op.Zbl: "#fde4b8",
    op.Total: "#f7c0b3",
}


# A bend of an arrow that passes a layer: (source, target, layer).
Bend = tuple[str, str, int]


@dataclass(frozen=True)
class Layout:
    """centre: of every box and bend, y downwards; arrows: points from the input to its reader"""

    width: float
    height: float
    centre: dict[str | Bend, tuple[float, float]]
    arrows: tuple[tuple[tuple[float, float], ...], ...]


def layout(g: ModelGraph) -> Layout:
    depth = _depths(g)
    layers = _ordered(g, depth)
    widths = [sum(_width(n) + GAP for n in layer) - GAP for layer in layers]
    width = max(widths) + 2 * GAP
    height = len(layers) * LAYER + 70
    centre: dict[str | Bend, tuple[float, float]] = {}
    for k, layer in enumerate(layers):
        x = (width - widths[k]) / 2
        for n in layer:
            centre[n] = (x + _width(n) / 2, height - 30 - HEIGHT / 2 - k * LAYER)
            x += _width(n) + GAP
    arrows = []
    for node in g.nodes():
        for i in g.inputs(node):
            bends = [centre[(i, node, k)] for k in range(depth[i] + 1, depth[node])]
            arrows.append((centre[i], *bends, centre[node]))
    return Layout(width, height, centre, tuple(arrows))


def svg(g: ModelGraph) -> str:
    """A self-contained SVG; the same graph gives the same bytes."""
    found = layout(g)
    width, height = found.width, found.height
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}" '
        f'width="{width:g}" height="{height}" font-family="Helvetica, Arial, sans-serif">',
        '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0 8 4 0 8z" fill="#5f6368"/></marker></defs>',
        f'<rect width="{width:g}" height="{height}" fill="#fff"/>',
        f'<text x="{GAP}" y="28" font-size="17" font-weight="bold">{escape(g.name)}</text>',
        f'<text x="{GAP}" y="46" font-size="12" fill="#5f6368">{escape(", ".join(g.species))}</text>',
    ]
    out += [_arrow(points) for points in found.arrows]
    for node in g.nodes():
        out += _box(node, g.op(node), *found.centre[node])
    return "\n".join([*out, "</svg>"]) + "\n"


def _width(n: str | Bend) -> float:
    return BOX if isinstance(n, str) else 8


def _depths(g: ModelGraph) -> dict[str, int]:
    """Layer of each node: geometry at the bottom, models on top, the rest as near its readers as can be."""
    depth: dict[str, int] = {}
    for node in g.nodes():
        depth[node] = max((depth[i] + 1 for i in g.inputs(node)), default=0)
    top = max(depth.values())
    for node in reversed(g.nodes()):
        if not isinstance(g.op(node), op.Distance | op.Direction):
            depth[node] = min((depth[r] - 1 for r in g.outputs(node)), default=top)
    return depth


def _ordered(g: ModelGraph, depth: dict[str, int]) -> list[list[str | Bend]]:
    """Nodes and bends of every layer, each near what it is joined to (barycentres, a few sweeps)."""
    layers: list[list[str | Bend]] = [[] for _ in range(max(depth.values()) + 1)]
    joined: nx.Graph = nx.Graph()
    for node in g.nodes():
        layers[depth[node]].append(node)
        for i in g.inputs(node):
            bends: list[str | Bend] = [(i, node, k) for k in range(depth[i] + 1, depth[node])]
            for k, bend in enumerate(bends, depth[i] + 1):
                layers[k].append(bend)
            nx.add_path(joined, [i, *bends, node])
    for _ in range(12):
        place = {n: (j + 0.5) / len(layer) for layer in layers for j, n in enumerate(layer)}
        for layer in layers:
            near = {n: _mean([place[m] for m in joined.adj.get(n, ())], place[n]) for n in layer}
            layer.sort(key=lambda n: (near[n], str(n)))
    return layers


def _mean(values: list[float], otherwise: float) -> float:
    return round(sum(values) / len(values), 9) if values else otherwise


def _arrow(points: Sequence[tuple[float, float]]) -> str:
    """From the top of the first point's box through the bends to the bottom of the last one's."""
    x, y = points[0][0], points[0][1] - HEIGHT / 2
    path = f"M{x:g} {y:g}"
    for k, (u, v) in enumerate(points[1:], 1):
        v = v + HEIGHT / 2 + 2 if k == len(points) - 1 else v
        path += f"C{x:g} {(y + v) / 2:g} {u:g} {(y + v) / 2:g} {u:g} {v:g}"
        x, y = u, v
    return (
        f'<path d="{path}" fill="none" stroke="#5f6368" stroke-width="1.2" marker-end="url(#a)"/>'
    )


def short(o: op.Op) -> str:
    """What fits into a box; the whole is in its tooltip."""
    match o:
        case op.SelectLinear():
            return f"{len(o.channels)} channels{_only(len(o.kept), len(o.channels))}"
        case op.Harmonics():
            return f"{o.kind}, l ≤ {o.lmax}{_only(o.used, o.lmax, 'l ≤ ')}"
        case op.Pool(factors):
            return f"Σ over neighbours: {sum(2 * l + 1 for _, l in factors)} functions"
        case op.Products():
            return f"{len(o.blocks)} products, {len(o.couplings)} couplings"
        case op.Readout():
            return f"W[{o.functions}; Z], {o.weights}"
        case op.Zbl():
            ends = sorted({f"{float(x):.3g}" for x in o.outer}, key=float)
            return f"ZBL repulsion, 0 beyond {' to '.join(dict.fromkeys((ends[0], ends[-1])))} Å"
    what = describe(o)
    return what if len(what) <= 36 else what[:35] + "…"


def _only(needed: int, there: int, what: str = "") -> str:
    return "" if needed == there else f"; only {what}{needed} needed"


def _box(node: str, o: op.Op, x: float, y: float) -> list[str]:
    what, brief = describe(o), short(o)
    x, y = x - BOX / 2, y - HEIGHT / 2
    return [
        f"<g><title>{escape(what)}</title>"
        f'<rect x="{x:g}" y="{y:g}" width="{BOX}" height="{HEIGHT}" rx="7" fill="{COLOURS.get(type(o), "#eee")}" '
        'stroke="#5f6368" stroke-width="0.8"/>',
        f'<text x="{x + BOX / 2:g}" y="{y + 19:g}" font-size="13" font-weight="bold" text-anchor="middle">{escape(node)}</text>',
        f'<text x="{x + BOX / 2:g}" y="{y + 36:g}" font-size="10" text-anchor="middle" fill="#3c4043">{escape(brief)}</text></g>',
    ]
