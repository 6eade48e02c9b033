"""A census as a picture: energies by config type, forces, g(r) of each pair. Needs matplotlib."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from etace.data.census import Census, energy_per_atom, forces_of_atoms
from etace.data.labelled import Dataset
from etace.io.ours import sealed

INK, MUTED, GRID = "#222222", "#777777", "#e4e4e4"
COLOURS = ("#3b6fb6", "#d9772b", "#4a9b6e", "#b5487a", "#7a68b3", "#a58a2e", "#4ba3b8", "#8c564b")
MOST = 10  # config types and pairs that are drawn; the rest is counted
STYLE: Any = {
    "font.size": 9, "axes.titlesize": 10, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.edgecolor": MUTED, "axes.labelcolor": INK, "text.color": INK, "xtick.color": MUTED,
    "ytick.color": MUTED, "xtick.labelcolor": INK, "ytick.labelcolor": INK, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "grid.color": GRID, "grid.linewidth": 0.7,
    "axes.axisbelow": True, "svg.hashsalt": "etace",
}  # fmt: skip


def draw(dataset: Dataset, census: Census, path: Path) -> None:
    """path: .png, .svg or .pdf; the same data give the same picture, which has a panel for what there is"""
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        groups, pairs = dataset.groups[:MOST], census.rdf[:MOST]
        labels = {"energy": _energies, "forces": _forces}
        panels = [panel for kind, panel in labels.items() if census.labels[kind]]
        heights = [max(2.6, 0.34 * len(groups) + 1.2)] if panels else []
        if pairs or not panels:
            heights.append(max(2.4, 0.62 * len(pairs) + 1.0))
        figure = Figure(figsize=(9.5, sum(heights) + 0.4), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(len(heights), max(len(panels), 1), height_ratios=heights)
        colours = {g: COLOURS[k % len(COLOURS)] for k, g in enumerate(groups)}
        for k, panel in enumerate(panels):
            panel(figure.add_subplot(grid[0, k]), dataset, colours)
        if pairs or not panels:
            _distances(figure, grid[-1, :], census)
        meta = {".png": {"Software": None}, ".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
        drawn = BytesIO()  # writers of formats do not all take a full disk well
        figure.savefig(drawn, format=path.suffix[1:], dpi=150, metadata=meta[path.suffix])
        path.write_bytes(sealed(drawn.getvalue(), path.suffix))


def _energies(axis: Any, dataset: Dataset, colours: dict[str, str]) -> None:
    axis.set_title("Energy of each structure")
    axis.set_xlabel("energy, eV/atom")
    names = list(colours)
    height = np.random.default_rng(0)
    for row, name in enumerate(names):
        found = [energy_per_atom(s) for s in dataset.structures if s.group == name]
        e = np.array([x[0] for x in found if x is not None])
        y = row + height.uniform(-0.24, 0.24, size=len(e))
        size = float(np.clip(3000 / max(len(e), 1), 6, 18))
        axis.scatter(e, y, s=size, color=colours[name], alpha=0.55, linewidths=0)
        if len(e):
            axis.plot([np.median(e)] * 2, [row - 0.36, row + 0.36], color=INK, lw=1.4)
    labels = [f"{_short(n)}  ({sum(s.group == n for s in dataset.structures)})" for n in names]
    axis.set_yticks(range(len(names)), labels)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.grid(visible=False, axis="y")
    axis.tick_params(axis="y", length=0)
    axis.ticklabel_format(axis="x", useOffset=False)
    axis.locator_params(axis="x", nbins=5)
    if (more := len(dataset.groups) - len(names)) > 0:
        axis.text(1, 1.02, f"{more} more types", transform=axis.transAxes, ha="right", color=MUTED)


def _forces(axis: Any, dataset: Dataset, colours: dict[str, str]) -> None:
    axis.set_title("Forces on atoms")
    axis.set_xlabel("|F|, eV/Å")
    axis.set_ylabel("atoms")
    by_group = []
    for name in colours:
        found = [forces_of_atoms(s) for s in dataset.structures if s.group == name]
        by_group.append(np.concatenate([np.zeros(0), *(f for f in found if f is not None)]))
    top = max(float(f.max(initial=0)) for f in by_group) or 1.0
    axis.hist(
        by_group, bins=np.linspace(0, top, 51).tolist(), stacked=True, color=list(colours.values()),
        edgecolor="white", linewidth=0.3, label=[_short(n) for n in colours],
    )  # fmt: skip
    axis.set_yscale("log")
    axis.set_ylim(bottom=0.7)
    axis.set_xlim(0, top * 1.02)
    if len(colours) > 1:
        axis.legend(frameon=False, fontsize=8)


def _distances(figure: Any, where: Any, census: Census) -> None:
    """One strip for each pair, on the same axis of distances."""
    if not census.rdf:
        axis = figure.add_subplot(where)
        axis.set_title("Distances")
        text = f"no two atoms closer than {census.cutoff:g} Å"
        axis.text(0.5, 0.5, text, transform=axis.transAxes, ha="center", color=MUTED)
        return
    shown = census.rdf[:MOST]
    strips = where.subgridspec(len(shown), 1, hspace=0.0)
    first = None
    for row, rdf in enumerate(shown):
        axis = first = figure.add_subplot(strips[row, 0], sharex=first)
        colour = COLOURS[row % len(COLOURS)]
        axis.fill_between(rdf.r, rdf.g, step="mid", color=colour, alpha=0.3, linewidth=0)
        axis.step(rdf.r, rdf.g, where="mid", color=colour, lw=1.1)
        if rdf.ideal:
            axis.axhline(1, color=MUTED, lw=0.7, ls=(0, (4, 3)))
        least = next(x.distance for x in census.shortest if x.pair == rdf.pair)
        axis.axvline(least, color=INK, lw=1.0)
        cramped = least < 0.1 * census.cutoff  # no room on the left
        axis.text(
            least + (0.04 if cramped else -0.04), 0.9, f"{least:.2f} Å", va="top",
            ha="left" if cramped else "right", transform=axis.get_xaxis_transform(), fontsize=8,
        )  # fmt: skip
        axis.set_ylabel("-".join(rdf.pair), rotation=0, ha="right", va="center", labelpad=12)
        axis.set_xlim(0, census.cutoff)
        axis.set_ylim(0, 1.12 * float(rdf.g.max()))
        axis.locator_params(axis="y", nbins=2)
        if row == 0:
            what = "g(r)" if all(r.ideal for r in shown) else "Distances (g(r), or density in 1/Å)"
            what = what if any(r.ideal for r in shown) else "Distances (density, 1/Å)"
            left = len(census.rdf) - len(shown)
            more = f"; {left} more pairs not drawn" if left else ""
            axis.set_title(f"{what} of each pair, shortest marked{more}")
        if row < len(shown) - 1:
            axis.tick_params(labelbottom=False)
    assert first is not None
    first.set_xlabel("r, Å")


def _short(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"
