"""The test MD of a fit in a report: for the card, a table, a figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from etace.fit.dynamics.results import Level, Trial
from etace.report import style

SHOWN = 4  # temperatures that have a panel


def as_json(trial: Trial) -> dict[str, Any]:
    """What a card keeps of it."""
    return {
        "temperature": trial.own and {"of_data": trial.own.temperature, "how": trial.own.how},
        "held": trial.held and trial.held.temperature,
        "levels": [_level(level) for level in trial.levels],
        "timestep_fs": trial.step,
        "wanted_ps": trial.ps,
        "short": trial.short,
        "text": trial.sentence,
    }


def _level(level: Level) -> dict[str, Any]:
    found: dict[str, Any] = {
        "temperature": level.temperature,
        "runs": len(level.runs),
        "ps": level.ps,
        "broken": len(level.broken),
    }
    if level.broken and (failure := level.broken[0].failure):
        found |= {"first_after_ps": level.broken[0].ps, "why": failure.why}
    return found


def sentence(found: Any) -> str | None:
    """Of what a card has, which may be anything."""
    text = found.get("text") if isinstance(found, Mapping) else None
    return text if isinstance(text, str) else None


def rows(trial: Trial) -> Iterator[tuple[str, ...]]:
    """Of every run: temperature, start, config type, atoms, its own temperature, ps, why it broke."""
    for level in trial.levels:
        for r in level.runs:
            own = f"{r.own:.0f}" if r.own else "at rest"
            yield (
                f"{level.temperature:.0f}", r.start, r.group, str(r.atoms), own, f"{r.ps:.3g}",
                r.failure.why if r.failure else "held",
            )  # fmt: skip


def traces(trial: Trial) -> tuple[Any, str]:
    """Temperature and energy of every run against time, a column for each temperature."""
    levels = trial.levels[:SHOWN]
    fig = style.figure(2.6 * len(levels) + 0.6, 3.8)
    grid = fig.subplots(2, len(levels), squeeze=False)
    for (hot, energy), level in zip(grid.T, levels, strict=True):
        for k, r in enumerate(level.runs):
            if not len(r.trace):
                continue
            colour = style.COLOURS[k % len(style.COLOURS)]
            ps, T, E = r.trace.T
            hot.plot(ps, T, color=colour, lw=0.9)
            energy.plot(ps, 1000 * (E - E[0]), color=colour, lw=0.9)
            if r.failure:
                hot.plot(ps[-1:], T[-1:], "x", color=colour, ms=6)
                energy.plot(ps[-1:], 1000 * (E[-1:] - E[0]), "x", color=colour, ms=6)
        hot.axhline(level.temperature, color=style.INK, lw=0.7, alpha=0.6)
        hot.set_ylim(0, 3 * level.temperature)
        hot.set_title(f"{level.temperature:.0f} K")
        energy.set_xlabel("ps")
        for axes in (hot, energy):
            axes.grid(True)
            axes.locator_params(nbins=5)
    grid[0, 0].set_ylabel("T, K")
    grid[1, 0].set_ylabel("ΔE, meV/atom")
    return fig, "One colour is one run; a cross marks where it broke. E: of atoms at rest."
