"""How the size of a default model was chosen: its path, as a figure and a table."""

from __future__ import annotations

from html import escape
from typing import Any

from etace.fit.size.choose import Choice, Stage
from etace.fit.size.path import Step
from etace.report import style

HEAD = (
    "looked at", "l weight", "cutoff", "degrees", "columns", "forces left out", "fitted",
    "median energy", "energy",
)  # fmt: skip


def size_figure(choice: Choice) -> tuple[Any, str]:
    """Errors by the number of columns, of labels that were left out and of those that were fitted."""
    fig = style.figure(8.0, 3.2)
    forces, energies = fig.subplots(1, 2)
    steps = [s for stage in choice.stages if stage.what != "scout" for s in stage.steps]
    steps.sort(key=lambda s: s.columns)
    x = [s.columns for s in steps]
    kind = "forces" if steps and "forces" in steps[0].errors.rmse else "energy"
    for name, colour in (("rmse", style.TEST), ("train", style.TRAIN)):
        label = "left out" if name == "rmse" else "fitted"
        y = [1e3 * getattr(s.errors, name).get(kind, float("nan")) for s in steps]
        forces.plot(x, y, "o-", ms=3, color=colour, label=label)
    energies.plot(x, [1e3 * s.errors.median for s in steps], "o-", ms=3, color=style.TEST)
    if choice.step is not None:
        for axes in (forces, energies):
            axes.axvline(choice.step.columns, color=style.INK, lw=0.8, alpha=0.6)
    unit = "meV/Å" if kind == "forces" else "meV/√N"
    forces.set(xlabel="columns", ylabel=f"RMSE of {kind}, {unit}")
    energies.set(xlabel="columns", ylabel="median |energy error|, meV/√N")
    forces.legend()
    for axes in (forces, energies):
        style.logarithmic(axes)
        axes.grid(True)
    caption = (
        "Five-fold cross-validation on the training set. The line is the model that was chosen: the smallest "
        "within 3 % of the best errors of forces and of the median energy."
    )
    return fig, caption


def size_table(choice: Choice) -> str:
    """Every step that was taken, HTML; folded, with what was chosen above."""
    if not choice.stages:
        return _said(choice)
    rows = "".join(_row(stage, step, choice) for stage in choice.stages for step in stage.steps)
    top = "".join(f"<th>{h}</th>" for h in HEAD)
    return (
        f"{_said(choice)}<details><summary>all steps</summary>"
        f'<div class="wide"><table class="errors"><thead><tr>{top}</tr></thead><tbody>{rows}</tbody>'
        "</table></div><p>RMSE in meV/Å and meV/√N, of labels that were left out and that were fitted.</p>"
        "</details>"
    )


def size_record(choice: Choice) -> dict[str, Any]:
    """For the card of the model: what was chosen, and by what errors."""
    step = choice.step
    found: dict[str, Any] = {
        "degrees": list(choice.shape.degrees),
        "l_weight": choice.shape.l_weight,
        "reach": choice.shape.reach,
        "structures": choice.structures,
    }
    if step is not None:
        found["columns"] = step.columns
        found["cross_validated"] = {k: 1e3 * v for k, v in step.errors.rmse.items()}
    return found


def _said(choice: Choice) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in choice.told)


def _row(stage: Stage, step: Step, choice: Choice) -> str:
    e = step.errors
    same = step.degrees == choice.shape.degrees and stage.what != "scout"
    style_ = ' class="total"' if same else ""
    cells = (
        stage.what, f"{stage.l_weight:g}", f"× {stage.reach:g}",
        ", ".join(map(str, step.degrees)), str(step.columns), _figure(e.rmse.get("forces")),
        _figure(e.train.get("forces")), _figure(e.median), _figure(e.rmse.get("energy")),
    )  # fmt: skip
    return f"<tr{style_}>" + "".join(f"<td>{escape(c)}</td>" for c in cells) + "</tr>"


def _figure(x: float | None) -> str:
    return "–" if x is None or x != x else f"{1e3 * x:.3g}"
