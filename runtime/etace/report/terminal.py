"""The error table in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from etace.fit.tables import TOTAL, Comparison
from etace.report.errors import TITLES, Row, beside, figure, from_json, rows
from etace.words import plain


def error_table(sets: Mapping[str, Sequence[Comparison]]) -> Table:
    """RMSE and MAE of every config type and of all, kind by kind. sets: by name, such as train, test"""
    return _drawn(list(sets), rows(sets))


def error_table_of(card: Any) -> Table | None:
    """The same of the errors in a card (`errors.as_json`); None: there are none."""
    found = from_json(card)
    return _drawn(list(found), beside(found)) if found else None


def _drawn(names: Sequence[str], found: Sequence[Row]) -> Table:
    out = Table(box=None, pad_edge=False, header_style="bold")
    out.add_column("config type", overflow="fold", min_width=11)
    for name in names:
        out.add_column(Text(plain(name)), justify="right", no_wrap=True, header_style="bold cyan")
        for title in ("RMSE", "MAE", "largest"):
            out.add_column(title, justify="right", no_wrap=True)
    kind = ""
    for row in found:
        if row.kind != kind:
            kind = row.kind
            out.add_row(Text(TITLES[kind], style="italic"))
        out.add_row(*_cells(row, names), style="bold" if row.group == TOTAL else "")
    return out


def _cells(row: Row, sets: Sequence[str]) -> list[Text]:
    cells = [Text(plain(row.group))]
    for name in sets:
        e = row.found.get(name)
        if e is None:
            cells += [Text("-")] * 4
        else:
            means = (figure(x, e.count) for x in (e.rmse, e.mae))
            cells += [Text(str(e.count)), *map(Text, means), Text(figure(e.largest))]
    return cells
