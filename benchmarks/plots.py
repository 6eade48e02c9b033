"""Pictures of the tables that have an axis."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import Table

STYLES = ("-", "--", ":", "-.")


def draw(folder: Path, tables: Sequence[Table]) -> None:
    """One PNG for each table with an `x`: µs per atom against it, both logarithmic."""
    try:
        import matplotlib
    except ImportError:
        print("no plots: matplotlib is not installed", file=sys.stderr)
        return
    matplotlib.use("agg")
    from matplotlib.figure import Figure

    for table in tables:
        if table.rows and "series" in table.rows[0]:
            _series(folder, table, Figure(figsize=(6.4, 4.4), layout="constrained"))
        if table.x is not None:
            _against(folder, table, table.x, Figure(figsize=(7.6, 4.4), layout="constrained"))


def _against(folder: Path, table: Table, x: str, figure: Any) -> None:
    """µs per atom against x: a colour for each `who`, a style for each value of what else tells lines apart."""
    lines: dict[tuple[str, ...], list[tuple[float, float]]] = {}
    for row in table.rows:
        label = tuple(_word(key, row[key]) for key in table.lines)
        lines.setdefault(label, []).append((row[x], row["µs/atom"]))
    who = list(dict.fromkeys(label[0] for label in lines))
    other = list(dict.fromkeys(label[1:] for label in lines))
    axes = figure.add_subplot()
    for label, points in lines.items():
        colour, style = f"C{who.index(label[0])}", STYLES[other.index(label[1:])]
        width = 2.5 if label[0].startswith("etace") else 1
        axes.plot(
            *zip(*sorted(points), strict=True), color=colour, ls=style, lw=width, marker="o",
            label=", ".join(label),
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel=x, ylabel="µs per atom")
    axes.set_title(table.title, fontsize=9)
    ticks = _apart(sorted({row[x] for row in table.rows}))
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks], fontsize=7, minor=False)
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=7)
    figure.savefig(folder / f"{table.name}.png", dpi=150)


def _apart(ticks: Sequence[float]) -> list[float]:
    """Those whose labels do not overlap on a logarithmic axis."""
    out: list[float] = []
    for t in ticks:
        if not out or t > 1.15 * out[-1]:
            out.append(t)
    return out


def _series(folder: Path, table: Table, figure: Any) -> None:
    """One panel for each quantity of the rows' series, against the first of them; one line for each row."""
    x, *quantities = table.rows[0]["series"]
    panels = figure.subplots(len(quantities), sharex=True)
    for axes, name in zip(panels, quantities, strict=True):
        for row in table.rows:
            label = f"{row['who']}, {row['steps']:,} steps"
            axes.plot(row["series"][x], row["series"][name], lw=0.6, label=label)
        axes.set_ylabel(name, fontsize=8)
        axes.grid(alpha=0.3)
    panels[0].legend(fontsize=7)
    panels[-1].set_xlabel(x)
    figure.suptitle(table.title, fontsize=9)
    figure.savefig(folder / f"{table.name}.png", dpi=150)


def _word(key: str, value: object) -> str:
    return str(value) if key == "who" else f"{key} {value}"
