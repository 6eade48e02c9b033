"""Figures of a model by itself: dimers and radial functions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from etace.report import style
from etace.report.dimers import WELL, Dimer
from etace.report.radials import Radial

ACROSS = 3  # panels
FLAT = 0.1  # eV: without a well nothing smaller is worth a place on the axis


def dimer_figure(found: Sequence[Dimer]) -> Any:
    """One panel for each pair, all with the same axes; energy linear around zero, logarithmic beyond."""
    columns = min(ACROSS, max(len(found), 1))
    lines = -(-len(found) // columns)
    fig = style.figure(3.4 * columns, 2.8 * max(lines, 1))
    grid = fig.subplots(max(lines, 1), columns, squeeze=False)
    linear = common_threshold(found)
    for axes, d in zip(grid.ravel(), found, strict=False):
        _dimer(axes, d, linear)
    _same_axes(grid.ravel()[: len(found)], found, linear)
    for k, axes in enumerate(grid.ravel()):
        if k >= len(found):
            axes.set_visible(False)
            continue
        if k % columns == 0:
            axes.set_ylabel("E, eV")
        if k + columns >= len(found):
            axes.set_xlabel("r, Å")
    return fig


def _same_axes(panels: Sequence[Any], found: Sequence[Dimer], linear: float) -> None:
    """From the lowest to the highest energy of all pairs, and to the longest cutoff."""
    low = min([-linear, *(axes.get_ylim()[0] for axes in panels)])
    high = max([linear, *(axes.get_ylim()[1] for axes in panels)])
    for axes in panels:
        axes.set(xlim=(0, max(d.cutoff for d in found)), ylim=(low, high))
        _few_ticks(axes, linear)


def _dimer(axes: Any, d: Dimer, linear: float) -> None:
    if d.data is not None:
        axes.axvspan(*d.data, color=style.COLOURS[2], alpha=0.14, lw=0)
    axes.axhline(0, color=style.INK, lw=0.7, alpha=0.6)
    finite = np.isfinite(d.energy)
    axes.plot(d.r[finite], d.energy[finite], color=style.COLOURS[0])
    axes.set_yscale("asinh", linear_width=linear / 2)  # as symlog, without its kinks
    axes.set_title(d.name)
    axes.grid(True)


def common_threshold(found: Sequence[Dimer]) -> float:
    """One `threshold` for all: that of the shallowest well, but no less than a 20th of the deepest."""
    each = [threshold(d) for d in found]
    return max(min(each), max(each) / 20) if each else FLAT


def threshold(d: Dimer) -> float:
    """Where the axis becomes logarithmic: about the depth of the well, else the usual size of the energy
    but no less than `FLAT`; 1, 2 or 5 times a power of ten."""
    edge = d.data[0] if d.data is not None else 0.4 * d.cutoff
    outside = d.energy[(d.r >= edge) & np.isfinite(d.energy)]
    depth = float(-outside.min()) if len(outside) else 0.0
    if depth < WELL:
        depth = max(float(np.median(np.abs(outside))) if len(outside) else 0.0, FLAT)
    depth = min(depth, 50.0)
    power = 10.0 ** np.floor(np.log10(depth))
    return float(next(m for m in (1, 2, 5, 10) if m * power >= depth * 0.999) * power)


def _few_ticks(axes: Any, linear: float) -> None:
    """Zero, the ends of the linear part, and whole powers beyond, six at most on a side."""
    from matplotlib.ticker import FixedLocator, FuncFormatter

    low, high = axes.get_ylim()
    ticks = [0.0]
    for sign, end in ((1, high), (-1, -low)):
        if end < linear:
            continue
        first = int(np.ceil(np.log10(2.5 * linear)))
        last = int(np.floor(np.log10(end)))
        step = max(1, -(-(last - first + 1) // 5))
        ticks += [sign * linear, *(sign * 10.0**k for k in range(first + step - 1, last + 1, step))]
    if len(ticks) < 4:
        ticks += [s * linear / 2 for s in (-1, 1) if low < s * linear / 2 < high]
    axes.yaxis.set_major_locator(FixedLocator(sorted(set(ticks))))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: style.number(y)))


def radial_figure(found: Sequence[Radial]) -> Any:
    """A row for each radial embedding and l, a column for each bond; colours: n, from dark to light."""
    bonds = list(dict.fromkeys(f.bond for f in found))
    lines = list(dict.fromkeys((f.name, l) for f in found for l in f.degrees))
    fig = style.figure(0.6 + max(2.5 * len(bonds), 6.0), 0.5 + 1.45 * len(lines))
    grid = fig.subplots(len(lines), len(bonds), squeeze=False, sharex="col")
    by = {(f.name, f.bond): f for f in found}
    for line, (name, l) in zip(grid, lines, strict=True):
        for axes, bond in zip(line, bonds, strict=True):
            axes.grid(True)
            axes.axhline(0, color=style.INK, lw=0.6, alpha=0.5)
            if (f := by.get((name, bond))) is not None:
                _radial(axes, f, l)
        line[0].set_ylabel(name if l is None else f"{name}, l = {l}")
        _same_height(line)
    for axes, bond in zip(grid[0], bonds, strict=True):
        axes.set_title(bond)
    for axes in grid[-1]:
        axes.set_xlabel("r, Å")
    fig.suptitle("shades: from dark for the first n to light for the last", fontsize=8)
    return fig


def _radial(axes: Any, f: Radial, l: int | None) -> None:
    from matplotlib import colormaps

    places = [k for k, d in enumerate(f.channel_degrees) if d == l]
    shades = colormaps["viridis"](np.linspace(0, 0.92, max(len(places), 1)))
    for place, shade in zip(places, shades, strict=True):
        if not f.values[:, place].any():
            continue  # a channel of other species
        axes.plot(f.r, f.values[:, place], color=shade, lw=1.1 if len(places) <= 12 else 0.6)
    axes.set_xlim(0, f.r[-1])
    outer = f.values[f.r >= 0.25 * f.r[-1]][:, places]
    outer = outer[np.isfinite(outer)]
    reach = float(np.abs(outer).max()) if len(outer) else 1.0
    axes.set_ylim(-1.1 * (reach or 1.0), 1.1 * (reach or 1.0))  # what grows beyond is cut off


def _same_height(line: Sequence[Any]) -> None:
    """The panels of a row on one scale."""
    reach = max(axes.get_ylim()[1] for axes in line)
    for k, axes in enumerate(line):
        axes.set_ylim(-reach, reach)
        if k:
            axes.tick_params(labelleft=False)
