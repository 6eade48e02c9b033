"""One HTML page: complete in itself, no script, nothing from a network; light, dark and on paper.

All text goes through `escape`: names of config types, files and species come from data. The page's own
policy (Content-Security-Policy) forbids scripts and loads besides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from etace.fit.calibration import ONE, THREE, TWO, Coverage
from etace.fit.dynamics.results import Trial
from etace.fit.factors import KINDS
from etace.fit.holes import sentences
from etace.fit.tables import TOTAL, Comparison, table
from etace.report.card import elements
from etace.report.card import lines as card_lines
from etace.report.contents import Report
from etace.report.dimers import remarks
from etace.report.dynamics import rows as md_rows
from etace.report.errors import MANY, TITLES, Row, figure, rows
from etace.report.figures import Drawn, drawn
from etace.report.grades import Grades, with_total
from etace.report.sheet import SHEET
from etace.report.size import size_table

WARNINGS = 8  # at the top of the page; more are folded away
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def page(report: Report, *, figures: bool = True) -> str:
    """The text of the page. figures: draw them (needs matplotlib, else EtaceError: how to get it)"""
    made = drawn(report) if figures else []
    below = {
        "grades": _grades(report.grades),
        "calibration": _coverage(report.calibration),
        "md": _md(report.trial),
        "dimers": _remarks(remarks(report.dimers)),
        "size": size_table(report.choice) if report.choice is not None else "",
    }
    sections = [
        ("card", "Model", _card(report)),
        ("errors-table", "Errors", _errors(report.sets)),
        *(
            (d.name, d.title, _figure(d) + below.get(d.name, ""))
            for d in made
            if d.name != "timings"
        ),
        ("holes", "Holes", _holes(report)),
        ("solution", "Solution", _pairs({n: f"{x:.4g}" for n, x in report.notes.items()})),
        ("time", "Time", _time(report, made)),
        ("settings", "Settings", _text(report.settings_text, "settings")),
        ("spec", "Spec", _text(report.spec_text, "spec")),
    ]
    shown = [(name, title, body) for name, title, body in sections if body]
    links = "".join(f'<a href="#{name}">{escape(title)}</a>' for name, title, _ in shown)
    body = "".join(
        f'<section id="{name}"><h2>{escape(title)}</h2>{text}</section>\n'
        for name, title, text in shown
    )
    title = escape(report.title)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{title}</title>\n<style>{SHEET}</style></head>\n<body>\n"
        f"<header><h1>{title}</h1>{_line(report)}</header>\n<nav>{links}</nav>\n<main>\n"
        f"{_warnings([*sentences(report.holes), *report.warnings])}{_tiles(report)}{body}</main>\n"
        f"<footer>{_foot(report.card)}</footer>\n</body></html>\n"
    )


def _line(report: Report) -> str:
    """What the model is, in one line under the title."""
    card = report.card or {}
    parts = [
        elements(card),
        f"cutoff {card['cutoff']:g} Å" if isinstance(card.get("cutoff"), int | float) else "",
        str(card.get("date") or ""),
    ]
    text = " · ".join(p for p in parts if p)
    return f"<p>{escape(text)}</p>" if text else ""


def _warnings(found: Sequence[str]) -> str:
    if not found:
        return ""
    first, rest = (
        (found, []) if len(found) <= WARNINGS + 1 else (found[:WARNINGS], found[WARNINGS:])
    )
    more = f"<details><summary>{len(rest)} more</summary><ul>{_items(rest)}</ul></details>"
    return f'<ul class="warnings">{_items(first)}{f"<li>{more}</li>" if rest else ""}</ul>\n'


def _items(found: Sequence[str]) -> str:
    return "".join(f"<li>{escape(text)}</li>" for text in found)


def _holes(report: Report) -> str:
    """Where atoms pull together that should push, one line each."""
    at = report.structures_of_holes
    if at is None:
        return ""
    return f"{_remarks([str(h) for h in report.holes])}<p>The structures are in {escape(at)}.</p>"


def _remarks(found: Sequence[str]) -> str:
    return f'<ul class="remarks">{_items(found)}</ul>' if found else ""


def _tiles(report: Report) -> str:
    """The figures people look for first: RMSE of the test set, else of what there is."""
    tiles: list[tuple[str, str, str]] = []
    if report.sets:
        name, compared = list(report.sets.items())[-1]
        for e in table(compared, apart=False):
            unit = TITLES[e.kind].split(", ")[1]
            tiles.append((figure(e.rmse, e.count), unit, f"RMSE {e.kind}, {name}"))
    if report.trial and report.trial.levels:
        held = report.trial.held
        tiles.append((f"{held.temperature:.0f}" if held else "0", "K", "highest that held in MD"))
    functions = (report.card or {}).get("functions")
    parameters = (report.card or {}).get("parameters")
    if isinstance(parameters, Mapping):
        tiles.append((str(parameters.get("linear", "-")), "", "linear parameters"))
    if functions is not None:
        tiles.append((str(functions), "", "functions per atom"))
    cells = "".join(
        f"<div><b>{escape(value)}</b> <i>{escape(unit)}</i><span>{escape(label)}</span></div>"
        for value, unit, label in tiles
    )
    return f'<div class="tiles">{cells}</div>\n' if cells else ""


def _card(report: Report) -> str:
    if not report.card:
        return ""
    cells = "".join(
        f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in card_lines(report.card)
    )
    return f'<div class="wide"><table class="card">{cells}</table></div>'


def _errors(sets: Mapping[str, Sequence[Comparison]]) -> str:
    """A table for each kind: config types down, RMSE and MAE across, the sets beside each other."""
    found = rows(sets)
    if not found:
        return ""
    names = list(sets)
    tables = (_kind([r for r in found if r.kind == k], names) for k in KINDS)
    return (
        f"{''.join(tables)}<p>Energies and virials per atom, forces per component. What comes from "
        f"less than {MANY} structures has two digits, or three that begin with 1; the rest has three.</p>"
    )


def _kind(found: Sequence[Row], names: Sequence[str]) -> str:
    if not found:
        return ""
    span = f' colspan="{len(names)}"'
    top = "".join(f"<th{span}>{t}</th>" for t in ("structures", "RMSE", "MAE"))
    last = "".join(f"<th>{escape(n)}</th>" for n in names) * 3
    lines = []
    for row in found:
        style = ' class="total"' if row.group == TOTAL else ""
        lines.append(f"<tr{style}><th>{escape(row.group)}</th>{_figures(row, names)}</tr>")
    return (
        f'<h3>{escape(TITLES[found[0].kind])}</h3><div class="wide"><table class="errors"><thead>'
        f'<tr><th rowspan="2">config type</th>{top}</tr><tr>{last}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _figures(row: Row, names: Sequence[str]) -> str:
    cells = []
    for what in ("count", "rmse", "mae"):
        for name in names:
            e = row.found.get(name)
            if what == "count":
                text = "0" if e is None else str(e.count)
            else:
                text = "–" if e is None else figure(getattr(e, what), e.count)
            main = " main" if what == "rmse" and name == names[-1] else ""
            cells.append(f'<td class="{what}{main}">{escape(text)}</td>')
    return "".join(cells)


def _grades(sets: Mapping[str, Grades]) -> str:
    """Config types down, in each set how many atoms there are and how many are beyond what was fitted."""
    every = {name: with_total(found) for name, found in sets.items()}
    groups = sorted({g for own in every.values() for g in own}, key=lambda g: (g == TOTAL, g))
    top = "".join(f'<th colspan="3">{escape(name)}</th>' for name in every)
    lines = []
    for group in groups:
        cells = []
        for own in every.values():
            found = own.get(group)
            if found is None:
                cells += ["–"] * 3
            else:
                cells += [
                    str(len(found)),
                    str(int((found > 1).sum())),
                    f"{found.max(initial=0):.3g}",
                ]
        style = ' class="total"' if group == TOTAL else ""
        numbers = "".join(f"<td>{c}</td>" for c in cells)
        lines.append(f"<tr{style}><th>{escape(group)}</th>{numbers}</tr>")
    return (
        '<div class="wide below"><table class="errors"><thead><tr><th rowspan="2">config type</th>'
        f"{top}</tr><tr>{'<th>atoms</th><th>above 1</th><th>largest</th>' * len(every)}</tr></thead>"
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _md(trial: Trial | None) -> str:
    """What came out, and a line for each run at each temperature."""
    if trial is None:
        return ""
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in md_rows(trial)
    )
    titles = ("T, K", "start", "config type", "atoms", "its own T, K", "ps", "broke")
    top = "".join(f"<th>{title}</th>" for title in titles)
    table = (
        f'<div class="wide below"><table class="errors"><thead><tr>{top}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )
    said = [trial.sentence, *trial.remarks]
    if trial.own:
        said.append(f"temperature of the data: {trial.own.temperature:.0f} K, {trial.own.how}")
    return (table if lines else "") + _remarks(said)


def _coverage(found: Sequence[Coverage]) -> str:
    """Share of the errors within one, two and three standard deviations, beside what it should be."""
    lines = ""
    for c in found:
        shares = [(c.one, ONE), (c.two, TWO), (c.three, THREE)]
        found_of = [f"{100 * x:.1f} ± {100 * c.chance(p):.1f}" for x, p in shares]
        found_of.append(
            "–" if c.bound is None else f"{100 * c.bound:.1f} ± {100 * c.chance(TWO):.1f}"
        )
        cells = [c.of, str(c.count), *(found_of if c.count else ["–"] * 4), c.verdict]
        numbers = "".join(f"<td>{escape(x)}</td>" for x in cells)
        lines += f"<tr><th>{escape(c.kind)}</th>{numbers}</tr>"
    heads = "".join(f"<th>within {k} sd, {p} %</th>" for k, p in ((1, 68.3), (2, 95.4), (3, 99.7)))
    return (
        '<div class="wide below"><table class="errors"><thead><tr><th></th><th>structures</th><th>errors</th>'
        f"{heads}<th>within the bound of 95.4 %</th><th>standard deviations</th></tr></thead>"
        f"<tbody>{lines}</tbody></table></div>"
        "<p>± is chance, were all errors independent; those of one structure are not. Components that symmetry fixes "
        "are left out. Cross-validation: structures that the committee of their fold was not fitted to; scale and "
        "bounds are from these, so that within 1 sd are 68 to 71 % by construction.</p>"
    )


def _figure(d: Drawn) -> str:
    caption = f"<figcaption>{escape(d.caption)}</figcaption>" if d.caption else ""
    width = min(_points(d.svg) * 96 / 72, 1060)
    return (
        f'<figure><div class="wide"><div role="img" aria-label="{escape(d.title)}" '
        f'style="max-width:{width:.0f}px">{d.svg}</div></div>{caption}</figure>'
    )


def _points(svg: str) -> float:
    """Width of the figure, pt: that of its view box."""
    return float(svg.split('viewBox="', 1)[1].split('"', 1)[0].split()[2])


def _time(report: Report, made: Sequence[Drawn]) -> str:
    out = "".join(_figure(d) for d in made if d.name == "timings")
    if report.seconds and not out:
        out += _pairs({name: f"{s:.3g} s" for name, s in report.seconds.items()})
    return out


def _pairs(found: Mapping[str, str]) -> str:
    cells = "".join(
        f"<tr><th>{escape(str(k))}</th><td>{escape(v)}</td></tr>" for k, v in found.items()
    )
    return f'<div class="wide"><table class="card">{cells}</table></div>' if cells else ""


def _text(text: str | None, name: str) -> str:
    return f'<pre class="{name}">{escape(text)}</pre>' if text else ""


def _foot(card: Any) -> str:
    from etace import __version__

    versions = (card or {}).get("versions")
    if not isinstance(versions, Mapping):
        return f"etace {escape(__version__)}"
    return escape(", ".join(f"{k} {v}" for k, v in versions.items()))
