"""Tables as Markdown for people and JSON for programs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


@dataclasses.dataclass(frozen=True)
class Table:
    """name: of the files; columns: which keys of the rows are printed, in order; notes: below it.

    x: the key that a plot has on its axis; lines: keys whose values tell the lines of a plot apart
    """

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[dict[str, Any]]
    notes: Sequence[str] = ()
    x: str | None = None
    lines: Sequence[str] = ("who",)

    def markdown(self) -> str:
        head = [" | ".join(self.columns), " | ".join(_rule(self.rows, c) for c in self.columns)]
        body = [" | ".join(_text(row.get(c)) for c in self.columns) for row in self.rows]
        lines = [f"| {line} |" for line in head + body]
        return "\n".join([f"## {self.title}", "", *lines, "", *(f"- {n}" for n in self.notes), ""])


def write(folder: Path, machine: dict[str, Any], tables: Sequence[Table]) -> None:
    """report.md of all tables of this run, and a JSON file for each."""
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join(["# Benchmarks", "", about(machine), "", *(t.markdown() for t in tables)])
    (folder / "report.md").write_text(text, encoding="utf8")
    for table in tables:
        content = {"machine": machine, **dataclasses.asdict(table)}
        path = folder / f"{table.name}.json"
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf8")


def about(machine: dict[str, Any]) -> str:
    """One paragraph on the machine."""
    parts = []
    for key, value in machine.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        parts.append(f"{key}: {', '.join(value) if isinstance(value, list) else value}")
    return "; ".join(parts)


def _rule(rows: Sequence[dict[str, Any]], column: str) -> str:
    return "---" if any(isinstance(row.get(column), str) for row in rows) else "--:"


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)
