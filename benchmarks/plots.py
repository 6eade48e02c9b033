"""Pictures of the tables that have an axis."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import Table


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
        if table.x is None:
            continue
        figure = Figure(figsize=(7.6, 4.4), layout="constrained")
        axes = figure.add_subplot()
        lines: dict[tuple[str, ...], list[tuple[float, float]]] = {}
        for row in table.rows:
            label = tuple(_word(key, row[key]) for key in table.lines)
            lines.setdefault(label, []).append((row[table.x], row["µs/atom"]))
        colours, styles = (
            [*dict.fromkeys(x)] for x in ([k[0] for k in lines], [k[1:] for k in lines])
        )
        for label, points in lines.items():
            axes.plot(
                *zip(*sorted(points), strict=True), f"C{colours.index(label[0])}",
                marker="o", ls=("-", "--", ":")[styles.index(label[1:]) % 3],
                lw=2.5 if label[0].startswith("etace") else 1, label=", ".join(label),
            )  # fmt: skip
        axes.set(xscale="log", yscale="log", xlabel=table.x, ylabel="µs per atom")
        axes.set_title(table.title, fontsize=9)
        ticks = _apart(sorted({row[table.x] for row in table.rows}))
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
