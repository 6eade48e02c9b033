"""The error table in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from etace.fit.tables import TOTAL, Comparison
from etace.report.errors import TITLES, Row, figure, rows


def error_table(sets: Mapping[str, Sequence[Comparison]]) -> Table:
    """RMSE and MAE of every config type and of all, kind by kind. sets: by name, such as train, test"""
    out = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    out.add_column("config type", overflow="fold", min_width=11)
    for name in sets:
        out.add_column(f"{name}:", justify="right", no_wrap=True, header_style="bold cyan")
        out.add_column("RMSE", justify="right", no_wrap=True)
        out.add_column("MAE", justify="right", no_wrap=True)
        out.add_column("largest", justify="right", no_wrap=True)
    kind = ""
    for row in rows(sets):
        if row.kind != kind:
            kind = row.kind
            out.add_row(Text(TITLES[kind], style="italic dim"))
        out.add_row(*_cells(row, list(sets)), style="bold" if row.group == TOTAL else "")
    return out


def _cells(row: Row, sets: Sequence[str]) -> list[Text]:
    cells = [Text(plain(row.group))]
    for name in sets:
        e = row.found.get(name)
        if e is None:
            cells += [Text("-")] * 4
        else:
            figures = (figure(x, row.kind) for x in (e.rmse, e.mae, e.largest))
            cells += [Text(str(e.count)), *map(Text, figures)]
    return cells


def plain(text: str) -> str:
    """Without characters that command a terminal: names come from data files."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
