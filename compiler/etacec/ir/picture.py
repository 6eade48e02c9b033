"""The model graph as an SVG picture: layers from the geometry at the bottom to the energy on top."""

from __future__ import annotations

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
    op.Total: "#f7c0b3",
}


def svg(g: ModelGraph) -> str:
    """A self-contained SVG; the same graph gives the same bytes."""
    layers = _ordered(g)
    width = max(len(layer) for layer in layers) * (BOX + GAP) + GAP
    height = len(layers) * LAYER + 70
    at: dict[str, tuple[float, float]] = {}
    for k, layer in enumerate(layers):
        start = (width - len(layer) * (BOX + GAP) + GAP) / 2
        for j, node in enumerate(layer):
            at[node] = (start + j * (BOX + GAP), height - 30 - HEIGHT - k * LAYER)
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="Helvetica, Arial, sans-serif">',
        '<defs><marker id="a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#5f6368"/></marker></defs>',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="{GAP}" y="28" font-size="17" font-weight="bold">{escape(g.name)}</text>',
        f'<text x="{GAP}" y="46" font-size="12" fill="#5f6368">{escape(", ".join(g.species))}</text>',
    ]
    for node in g.nodes():
        out += [_arrow(at[i], at[node]) for i in g.inputs(node)]
    for node in g.nodes():
        out += _box(node, g.op(node), *at[node])
    return "\n".join([*out, "</svg>"]) + "\n"


def _ordered(g: ModelGraph) -> list[list[str]]:
    """Layers by distance from the inputs; inside a layer, near what a node reads (barycentres)."""
    depth: dict[str, int] = {}
    for node in g.nodes():
        depth[node] = max((depth[i] + 1 for i in g.inputs(node)), default=0)
    top = max(depth.values())
    for node in reversed(g.nodes()):  # constants stand beside their readers, not at the bottom
        readers = [depth[s] for s in g.network.successors(node)]
        if not g.inputs(node) and readers and isinstance(g.op(node), op.SelectConstant):
            depth[node] = min(readers) - 1
        elif not readers:
            depth[node] = top
    layers = [[n for n in g.nodes() if depth[n] == k] for k in range(top + 1)]
    for _ in range(8):
        place = {n: (j + 0.5) / len(layer) for layer in layers for j, n in enumerate(layer)}
        for layer in layers:
            weight = {
                n: _mean([place[m] for m in nx.all_neighbors(g.network, n)], place[n])
                for n in layer
            }
            layer.sort(key=lambda n: (weight[n], n))
    return layers


def _mean(values: list[float], otherwise: float) -> float:
    return round(sum(values) / len(values), 9) if values else otherwise


def _arrow(source: tuple[float, float], target: tuple[float, float]) -> str:
    x1, y1 = source[0] + BOX / 2, source[1]
    x2, y2 = target[0] + BOX / 2, target[1] + HEIGHT + 2
    middle = (y1 + y2) / 2
    return (
        f'<path d="M{x1:g} {y1:g}C{x1:g} {middle:g} {x2:g} {middle:g} {x2:g} {y2:g}" fill="none" '
        'stroke="#5f6368" stroke-width="1.2" marker-end="url(#a)"/>'
    )


def _box(node: str, o: op.Op, x: float, y: float) -> list[str]:
    what = describe(o)
    short = what if len(what) <= 34 else what[:33] + "…"
    return [
        f"<g><title>{escape(what)}</title>"
        f'<rect x="{x:g}" y="{y:g}" width="{BOX}" height="{HEIGHT}" rx="7" fill="{COLOURS.get(type(o), "#eee")}" '
        'stroke="#5f6368" stroke-width="0.8"/>',
        f'<text x="{x + BOX / 2:g}" y="{y + 19:g}" font-size="13" font-weight="bold" text-anchor="middle">{escape(node)}</text>',
        f'<text x="{x + BOX / 2:g}" y="{y + 36:g}" font-size="10" text-anchor="middle" fill="#3c4043">{escape(short)}</text></g>',
    ]
