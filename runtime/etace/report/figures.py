"""The figures of a report. Each function draws one and returns it with what has to be said below it.

Dense clouds of points are pixels inside the SVG, and no more than `MOST` points of each: the largest
errors all, the others evenly chosen, the same ones every time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from etace.extrapolation import HELD_OUT, TRAINING
from etace.fit.calibration import HELD, Coverage
from etace.fit.factors import KINDS
from etace.fit.tables import TOTAL, Comparison
from etace.report import style
from etace.report.contents import Report
from etace.report.curves import dimer_figure
from etace.report.dynamics import traces
from etace.report.grades import Grades, with_total
from etace.report.size import size_figure
from etace.words import count

MOST = 20_000
LEAST = (1e-2, 1e-3)  # of a force and of its error, eV/Å, on logarithmic axes
LEGEND = 2.2  # inches of one column of a legend, for the longest names
SETS = {
    "train": style.TRAIN,
    "validation": style.COLOURS[3],
    "test": style.TEST,
    "data": style.TEST,
}
AXES = {"energy": "E, eV/atom", "forces": "F, eV/Å", "virial": "V, eV/atom"}
ERRORS = {"energy": "ΔE, meV/atom", "forces": "ΔF, eV/Å", "virial": "ΔV, meV/atom"}
NAMES = {"energy": "energy", "forces": "forces", "virial": "virial"}

Sets = Mapping[str, Sequence[Comparison]]


@dataclass(frozen=True)
class Drawn:
    """name: for ids; svg: to stand inside a page"""

    name: str
    title: str
    svg: str
    caption: str


def drawn(report: Report) -> list[Drawn]:
    """All figures that the report has data for. Raises EtaceError: there is no matplotlib."""
    out: list[Drawn] = []

    def add(name: str, title: str, made: tuple[Any, str] | None) -> None:
        if made is not None:
            out.append(Drawn(name, title, style.inline(made[0], name), made[1]))

    with style.styled():
        if report.sets:
            add("parity", "Parity", parity(report.sets))
            add("errors", "Histograms", histograms(report.sets))
            add("forces", "Errors by force", against_force(report.sets))
        if report.choice is not None and report.choice.stages:
            add("size", "Size", size_figure(report.choice))
        if report.dimers:
            caption = (
                "Energy of two atoms alone less that of each by itself. Shaded: distances that occur in "
                "the data, below the cutoff. The energy axis is linear around zero, logarithmic beyond."
            )
            add("dimers", "Dimers", (dimer_figure(report.dimers), caption))
        if report.c is not None and report.gamma is not None:
            add("spectrum", "Coefficients", spectrum(report))
        if report.grades:
            by = getattr(report.model, "graded_by", HELD_OUT)
            add("grades", "Extrapolation", grades(report.grades, by))
        if report.trial and report.trial.levels:
            add("md", "Test MD", traces(report.trial))
        if report.calibration:
            add("calibration", "Calibration", calibration(report.calibration))
        if report.seconds:
            add("timings", "Time", timings(report.seconds))
    return out


# ---------------------------------------------------------------- choice of points


def choice(error: np.ndarray, most: int = MOST) -> np.ndarray:
    """Places of at most so many points: a tenth the largest errors, the others evenly chosen. Ascending."""
    size = np.abs(error)
    if len(size) <= most:
        return np.arange(len(size))
    large = np.argsort(-size, kind="stable")[: most // 10]
    rest = np.setdiff1d(np.arange(len(size)), large, assume_unique=True)
    even = rest[np.linspace(0, len(rest) - 1, most - len(large)).astype(int)]
    return np.sort(np.concatenate([large, even]))


def _shown(chosen: int, total: int, what: str) -> str:
    return f"{_count(chosen)} of {_count(total)} {what} drawn" if chosen < total else ""


def _count(n: int) -> str:
    return f"{n:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _said(parts: Iterable[str]) -> str:
    found = [p for p in parts if p]
    if not found:
        return ""
    return f"{'; '.join(found)}: the largest errors, the others evenly chosen."


# ---------------------------------------------------------------- errors


def parity(sets: Sets) -> tuple[Any, str]:
    """Model against label, a row for each set and a column for each kind; colours: config types."""
    kinds = [k for k in KINDS if any(getattr(c, k) is not None for s in sets.values() for c in s)]
    colours, named = _group_colours(sets)
    fig = style.figure(3.4 * max(len(kinds), 1), 3.1 * len(sets) + 0.3)
    grid = fig.subplots(len(sets), max(len(kinds), 1), squeeze=False)
    notes = []
    for line, (name, found) in zip(grid, sets.items(), strict=True):
        for axes, kind in zip(line, kinds, strict=False):
            own = [c for c in found if getattr(c, kind) is not None]
            axes.set_title(f"{NAMES[kind]}, {name}")
            axes.set(xlabel=f"label {AXES[kind]}", ylabel=f"model {AXES[kind]}")
            if own:
                drawn, total = _cloud(axes, own, kind, colours)
                what = "components" if kind != "energy" else "energies"
                notes.append(_shown(drawn, total, f"{what} ({NAMES[kind]}, {name})"))
    if named:
        from matplotlib.lines import Line2D

        handles = [
            Line2D([], [], ls="", marker="o", ms=5, color=colour, label=label)
            for label, colour in named.items()
        ]
        columns = max(1, int(fig.get_figwidth() / LEGEND))
        fig.legend(handles=handles, loc="outside lower center", ncols=min(len(handles), columns))
    return fig, _said(notes)


def _cloud(
    axes: Any, found: Sequence[Comparison], kind: str, colours: Mapping[str, str]
) -> tuple[int, int]:
    label = [np.atleast_1d(np.asarray(getattr(c, kind)[0], float)).ravel() for c in found]
    model = [np.atleast_1d(np.asarray(getattr(c, kind)[1], float)).ravel() for c in found]
    colour = np.repeat([colours[c.group] for c in found], list(map(len, label)))
    x, y = np.concatenate(label), np.concatenate(model)
    ok = np.isfinite(x) & np.isfinite(y)
    x, y, colour = x[ok], y[ok], colour[ok]
    if not len(x):
        return 0, 0
    k = choice(y - x)
    k = np.random.default_rng(0).permutation(k)  # so that no config type hides another
    size = float(np.clip(400 / len(k) ** 0.6, 1.2, 14))
    axes.scatter(x[k], y[k], s=size, c=colour[k], alpha=0.75, lw=0, rasterized=len(k) > 300)
    low, high = min(x.min(), y.min()), max(x.max(), y.max())
    edge = 0.04 * (high - low) or 1.0
    ends = (low - edge, high + edge)
    axes.plot(ends, ends, color=style.INK, lw=0.7, alpha=0.6, zorder=0.5)
    axes.set(xlim=ends, ylim=ends)
    axes.set_box_aspect(1)
    axes.grid(True)
    axes.locator_params(nbins=5)
    axes.ticklabel_format(useOffset=False)  # total energies are far from 0
    d = (y - x) * (1 if kind == "forces" else 1000)
    text = f"RMSE {np.sqrt(np.mean(d * d)):.3g}\nMAE {np.mean(np.abs(d)):.3g} {ERRORS[kind].split(', ')[1]}"
    axes.text(0.97, 0.04, text, transform=axes.transAxes, ha="right", va="bottom", fontsize=8)
    return len(k), len(x)


def _group_colours(sets: Sets) -> tuple[dict[str, str], dict[str, str]]:
    """Colour of every config type; and those for the legend. The most frequent have one of their own."""
    counts: dict[str, int] = {}
    for found in sets.values():
        for c in found:
            counts[c.group] = counts.get(c.group, 0) + 1
    order = sorted(counts, key=lambda g: (-counts[g], g))
    own = order[: len(style.COLOURS)]
    colours = dict(zip(own, style.COLOURS, strict=False))
    named = {_short(g): colours[g] for g in sorted(own)} if len(order) > 1 else {}
    if len(order) > len(own):
        named[f"{len(order) - len(own)} others"] = style.OTHER
    return {g: colours.get(g, style.OTHER) for g in order}, named


def _short(text: str, most: int = 24) -> str:
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    clean = (
        f" {clean}" if clean.startswith("_") else clean
    )  # matplotlib hides labels with a leading _
    return clean if len(clean) <= most else clean[: most - 1] + "…"


def _legend(axes: Any, columns: int = 1) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(ncols=columns)


def histograms(sets: Sets) -> tuple[Any, str]:
    """Distribution of errors, train and test on one scale; one panel for each kind."""
    errors = {
        kind: {name: d for name, found in sets.items() if len(d := _errors(found, kind))}
        for kind in KINDS
    }
    kinds = [k for k in KINDS if errors[k]]
    fig = style.figure(3.4 * max(len(kinds), 1), 2.6)
    for axes, kind in zip(
        fig.subplots(1, max(len(kinds), 1), squeeze=False)[0], kinds, strict=False
    ):
        every = np.concatenate(list(errors[kind].values()))
        reach = float(np.quantile(np.abs(every), 0.998)) or 1e-9
        edges = np.linspace(-reach, reach, int(np.clip(2 * len(every) ** 0.4, 15, 81)))
        for name, d in errors[kind].items():
            density = np.histogram(np.clip(d, -reach, reach), edges)[0] / len(d) / np.diff(edges)
            axes.stairs(density, edges, color=SETS.get(name, style.OTHER), lw=1.4, label=name)
            axes.stairs(density, edges, color=SETS.get(name, style.OTHER), fill=True, alpha=0.15)
        axes.axvline(0, color=style.INK, lw=0.7, alpha=0.6)
        axes.set(xlabel=ERRORS[kind], ylabel="density")
        style.logarithmic(axes, "y")
        axes.set_title(NAMES[kind])
        axes.grid(True)
        _legend(axes)
    return fig, "Model less label; what is further out than the axis is in the outermost bins."


def _errors(found: Sequence[Comparison], kind: str) -> np.ndarray:
    d = np.concatenate([np.zeros(0), *(c.errors(kind) for c in found)])
    return d[np.isfinite(d)]


def against_force(sets: Sets) -> tuple[Any, str] | None:
    """Error of the force on an atom against the force: points, their median and 90 % quantile."""
    pairs = {name: p for name, found in sets.items() if len((p := _lengths(found))[0])}
    if not pairs:
        return None
    fig = style.figure(6.4, 3.9)
    axes = fig.subplots()
    notes = []
    for name, (force, error) in pairs.items():
        colour = SETS.get(name, style.OTHER)
        k = choice(error)
        notes.append(_shown(len(k), len(force), f"atoms ({name})"))
        size = float(np.clip(400 / len(k) ** 0.6, 1.2, 12))
        axes.scatter(
            force[k], error[k], s=size, color=colour, alpha=0.3, lw=0, rasterized=len(k) > 300
        )
    for name, (force, error) in pairs.items():
        colour = SETS.get(name, style.OTHER)
        above = force > LEAST[0]
        if not above.any():
            continue
        x, median, high = _binned(force[above], error[above])
        axes.plot(x, median, color=colour, lw=2.2, label=f"{name}, median", zorder=3)
        axes.plot(x, high, color=colour, lw=1.4, ls="--", label=f"{name}, 90 %", zorder=3)
    axes.set(xlabel="|F| of the label, eV/Å", ylabel="|ΔF|, eV/Å")
    style.logarithmic(axes)
    axes.grid(True)
    _legend(axes, 2)
    below = any((f <= LEAST[0]).any() or (e <= LEAST[1]).any() for f, e in pairs.values())
    ends = f"Forces below {LEAST[0]:g} and errors below {LEAST[1]:g} eV/Å are drawn at the edge."
    return fig, f"{_said(notes)} {ends if below else ''}".strip()


def _lengths(found: Sequence[Comparison]) -> tuple[np.ndarray, np.ndarray]:
    """|F| of the label and |ΔF| of every atom, not below `LEAST`, for logarithms."""
    pairs = [c.forces for c in found if c.forces is not None]
    if not pairs:
        return np.zeros(0), np.zeros(0)
    label, model = (np.concatenate([np.asarray(p[k], float) for p in pairs]) for k in (0, 1))
    ok = np.isfinite(label).all(1) & np.isfinite(model).all(1)
    label, model = label[ok], model[ok]
    length = np.linalg.norm(label, axis=1), np.linalg.norm(model - label, axis=1)
    return np.maximum(length[0], LEAST[0]), np.maximum(length[1], LEAST[1])


def _binned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Middle, median and 90 % quantile of y, in bins of one width on a logarithmic axis; a bin of few
    points is left out."""
    log = np.log(x)
    count = int(np.clip(len(x) // 30, 1, 16))
    edges = np.linspace(log.min(), log.max() + 1e-9, count + 1)
    place = np.searchsorted(edges, log, side="right") - 1
    least = min(10, len(x))
    bins = [k for k in range(count) if (place == k).sum() >= least] or [0]
    own = [place == k if count > 1 else np.ones(len(x), bool) for k in bins]
    middle = np.exp([(edges[k] + edges[k + 1]) / 2 for k in bins])
    median, high = (np.array([np.quantile(y[m], q) for m in own]) for q in (0.5, 0.9))
    return middle, median, high


# ---------------------------------------------------------------- the fit


def spectrum(report: Report) -> tuple[Any, str] | None:
    """|c| against gamma, and gamma |c| in order of size, both with the scale of the prior."""
    assert report.c is not None and report.gamma is not None
    c, gamma = np.abs(np.asarray(report.c, float)), np.asarray(report.gamma, float)
    held = (gamma > 0) & np.isfinite(c)
    if not held.any():
        return None
    terms = _terms(report, len(c))
    fig = style.figure(9.2, 3.7)
    left, right = fig.subplots(1, 2)
    floor = max(c[held].max(), 1e-300) * 1e-9
    for colour, term in zip(_cycle(), dict.fromkeys(terms[held]), strict=False):
        own = held & (terms == term)
        points = np.maximum(c[own], floor)
        left.scatter(
            gamma[own], points, s=9, color=colour, alpha=0.7, lw=0, label=_short(term),
            rasterized=int(own.sum()) > 2000,
        )  # fmt: skip
        size = np.sort(np.maximum(gamma[own] * c[own], floor))[::-1]
        right.plot(np.arange(1, len(size) + 1), size, color=colour, label=_short(term))
    if report.prior_scale:
        ends = np.array([gamma[held].min(), gamma[held].max()])
        left.plot(ends, report.prior_scale / ends, color=style.INK, lw=1, label="prior, 1 σ")
        right.axhline(report.prior_scale, color=style.INK, lw=1, label="prior, 1 σ")
    left.set(xlabel="γ", ylabel="|c|")
    left.set_title("coefficients")
    right.set(xlabel="rank in the term", ylabel="γ |c|")
    right.set_title("in units of the prior")
    for axes in (left, right):
        style.logarithmic(axes)
        axes.grid(True)
        _legend(axes)
    free = int((gamma == 0).sum())
    zero = int((c[held] == 0).sum())
    text = "The prior says that γ c is about as large as its scale, and large γ holds back."
    text += f" Without a prior: {count(free, 'coefficient')}." if free else ""
    return fig, text + (f" Zero: {count(zero, 'coefficient')}." if zero else "")


def _terms(report: Report, n: int) -> np.ndarray:
    """Name of the term of every parameter."""
    if report.model is None:
        return np.array(["all"] * n)
    names = [p.block for p in report.model.potential.linear_parameters]
    return np.array(names if len(names) == n else ["all"] * n)


def _cycle() -> list[str]:
    return [*style.COLOURS, *[style.OTHER] * 1000]


def grades(sets: Mapping[str, Grades], by: str = HELD_OUT) -> tuple[Any, str]:
    """Distribution of the grades of all atoms on a logarithmic axis, train and test on one scale. by: of the model, what
    a grade of 1 was found by"""
    every = {name: with_total(found)[TOTAL] for name, found in sets.items()}
    finite = [own[np.isfinite(own)] for own in every.values()]
    high = max([1.0, *(float(own.max(initial=0)) for own in finite)])
    low = max(min([1.0, *(float(own.min(initial=1)) for own in finite)]), 1e-3 * high)
    edges = np.geomspace(0.9 * low, 1.1 * high, 41)
    fig = style.figure(6.4, 2.9)
    axes = fig.subplots()
    for name, own in every.items():
        share = np.histogram(np.clip(own, low, high), edges)[0] / max(len(own), 1)
        colour = SETS.get(name, style.OTHER)
        axes.stairs(share, edges, color=colour, lw=1.4, label=name)
        axes.stairs(share, edges, color=colour, fill=True, alpha=0.15)
    axes.axvline(1, color=style.INK, lw=0.8, alpha=0.7)
    axes.set(xlabel="extrapolation grade", ylabel="share of atoms")
    style.logarithmic(axes, "x")
    axes.grid(True)
    _legend(axes)
    one = {
        HELD_OUT: "hardly an atom like those in the training data is above 1 (the line): cross-validation left "
        "structures out to see. What is above is unlike them, and its energy a guess.",
        TRAINING: "1 (the line) is the oddest atom of its species among those fitted, as versions before had it.",
    }
    return fig, f"{one[by][0].upper()}{one[by][1:]}"


def calibration(found: Sequence[Coverage]) -> tuple[Any, str]:
    """Share of labels inside an interval against its probability; the diagonal is honest."""
    fig = style.figure(4.6, 3.9)
    axes = fig.subplots()
    axes.plot([0, 1], [0, 1], color=style.INK, lw=0.8, alpha=0.7)
    for colour, c in zip(_cycle(), found, strict=False):
        line = "o:" if c.of == HELD else "o-"
        label = f"{c.kind}, {c.of}" if c.of else c.kind
        axes.plot(c.nominal, c.curve, line, ms=4, color=colour, label=label)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="probability said", ylabel="share found")
    axes.set_box_aspect(1)
    axes.grid(True)
    _legend(axes)
    return fig, "Above the line: intervals are wider than need be; below: too narrow."


def timings(seconds: Mapping[str, float]) -> tuple[Any, str]:
    """A bar for every step."""
    fig = style.figure(6.4, 0.7 + 0.27 * len(seconds))
    axes = fig.subplots()
    names = [_short(n, 40) for n in seconds]
    values = list(seconds.values())
    places = np.arange(len(names))
    axes.barh(places, values, color=style.COLOURS[0], height=0.62)
    axes.set_yticks(places, names)
    axes.invert_yaxis()
    for place, value in zip(places, values, strict=True):
        axes.annotate(
            f"{value:.3g}", (value, place), (4, 0), textcoords="offset points", va="center", fontsize=8
        )  # fmt: skip
    axes.set_xlabel("seconds")
    axes.margins(x=0.12)
    axes.spines["left"].set_visible(False)
    axes.tick_params(left=False)
    return fig, (
        f"{sum(values):.3g} s for these steps; to start the program and to draw this page is not among them."
    )
