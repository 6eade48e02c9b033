"""The picture of the model graph for formats that are not SVG: the same layout, drawn by matplotlib."""

from __future__ import annotations

from typing import Any

from etacec.ir.graph import ModelGraph
from etacec.ir.picture import BOX, COLOURS, GAP, HEIGHT, layout, short

EDGE = "#5f6368"
POINT = 1 / 96  # inches of a unit of the layout


def drawn(g: ModelGraph, format: str) -> bytes:
    """A png or pdf. Raises EtaceError: matplotlib is missing."""
    from etace.report import style

    found = layout(g)
    with style.styled():
        fig = style.figure(found.width * POINT, found.height * POINT)
        fig.set_layout_engine("none")
        axes = fig.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, found.width), ylim=(found.height, 0))
        axes.set_axis_off()
        axes.text(GAP, 28, g.name, fontsize=12.5, fontweight="bold")
        axes.text(GAP, 46, ", ".join(g.species), fontsize=9, color=EDGE)
        for points in found.arrows:
            _arrow(axes, points)
        for node in g.nodes():
            _box(axes, node, g.op(node), *found.centre[node])
        return style.saved(fig, format)


def _arrow(axes: Any, points: tuple[tuple[float, float], ...]) -> None:
    """From the top of the first point's box through the bends to the bottom of the last one's."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    x, y = points[0][0], points[0][1] - HEIGHT / 2
    nodes, codes = [(x, y)], [Path.MOVETO]
    for k, (u, v) in enumerate(points[1:], 1):
        v = v + HEIGHT / 2 + 2 if k == len(points) - 1 else v
        nodes += [(x, (y + v) / 2), (u, (y + v) / 2), (u, v)]
        codes += [Path.CURVE4] * 3
        x, y = u, v
    path = Path(nodes, codes)
    axes.add_patch(
        FancyArrowPatch(path=path, arrowstyle="-|>", mutation_scale=8, color=EDGE, lw=0.9)
    )


def _box(axes: Any, node: str, o: Any, x: float, y: float) -> None:
    from matplotlib.patches import FancyBboxPatch

    corner = (x - BOX / 2 + 7, y - HEIGHT / 2 + 7)
    axes.add_patch(
        FancyBboxPatch(
            corner, BOX - 14, HEIGHT - 14, boxstyle="round,pad=7", facecolor=COLOURS.get(type(o), "#eee"),
            edgecolor=EDGE, lw=0.6, zorder=2,
        )
    )  # fmt: skip
    axes.text(x, y - 4, node, ha="center", va="bottom", fontsize=9.5, fontweight="bold", zorder=3)
    axes.text(x, y + 13, short(o), ha="center", va="center", fontsize=7, color="#3c4043", zorder=3)
