"""What a fit leaves: the model with its card, its settings, its report."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator, Sequence
from typing import Any

from etace.fit.checkpoint import Checkpoint
from etace.fit.dynamics.frames import as_text
from etace.fit.holes import as_xyz, summary
from etace.fit.job import Outcome
from etace.fit.progress import Progress
from etace.fit.settings import Settings, beside, to_toml
from etace.io.ours import is_ours, write_sealed
from etace.report.card import card
from etace.report.contents import Report
from etace.report.dynamics import as_json as md_as_json
from etace.report.errors import as_json
from etace.report.grades import as_card
from etace.report.size import size_record

HOLES = ".holes.xyz"


def write_outcome(
    outcome: Outcome,
    settings: Settings,
    progress: Progress,
    begun: float,
    report: bool,
    command: Sequence[str] | None = None,
    force: bool = False,
) -> Iterator[str]:
    """Write the files; yields their names as they are there.

    begun: time.perf_counter() when the command began; command: its words, for the card
    force: replace settings that somebody has edited since etace wrote them; else they stay
    Raises EtaceError and OSError; the checkpoint goes when all is written.
    """
    now = datetime.datetime.now().astimezone()
    model = outcome.model
    model.card = card_of(outcome, settings, now, command)
    model.save(settings.output)
    progress.done("write the model", settings.output)
    yield settings.output
    shown = beside(settings.output, HOLES)
    if outcome.holes:
        write_sealed(shown, as_xyz(outcome.holes))
        yield str(shown)
    elif is_ours(shown):  # of a fit before
        shown.unlink()
    repeat = beside(settings.output, ".fit.toml")
    # once more with the record at the end: should the report fail, model and settings fit together
    edited = repeat.is_file() and not is_ours(repeat) and not force
    if not edited:
        write_sealed(repeat, to_toml(settings, {}))
    frames = beside(settings.output, ".md.xyz")
    if outcome.trial and outcome.trial.frames:
        write_sealed(frames, as_text(outcome.trial.frames))
        yield str(frames)
    elif is_ours(frames):
        frames.unlink()  # of an earlier fit, and not of this model
    if report:
        progress.begin("report")
        path = beside(settings.output, ".html")
        write_sealed(path, page_of(outcome, settings, progress))
        progress.done("report", path.name)
        yield str(path)
    record = {
        "date": now.isoformat(timespec="seconds"),
        "seconds": {k: round(v, 3) for k, v in progress.seconds.items()},
        "seconds_in_all": round(time.perf_counter() - begun, 3),
    }
    if not edited:
        write_sealed(repeat, to_toml(settings, record))
        yield str(repeat)
    Checkpoint(beside(settings.output, ".checkpoint"), "").remove()


def card_of(
    outcome: Outcome,
    settings: Settings,
    now: datetime.datetime,
    command: Sequence[str] | None = None,
) -> dict[str, Any]:
    """The card of the fitted model. command: the words that made it"""
    data = outcome.data
    found = card(
        outcome.model,
        train=outcome.train,
        test=outcome.test or None,
        train_files=settings.train,
        test_files=settings.train if settings.test_fraction else settings.test,
        command=command,
        settings=to_toml(settings, {}),
        seed=settings.seed,
        scale=outcome.scale,
        train_digest=data.train.digest,
        test_digest=data.test.digest if data.test else None,
        date=now.date().isoformat(),
    )
    if settings.test_fraction or data.valid:
        found["split"] = {
            "test_fraction": settings.test_fraction,
            "valid_fraction": settings.valid_fraction,
            "seed": settings.split_seed,
            "structures": {name: len(own.structures) for name, own in data.sets.items()},
        }
    if outcome.choice is not None:
        found["size"] = size_record(outcome.choice)
    if outcome.coverage:
        found["coverage"] = [c.as_json() for c in outcome.coverage]
    if outcome.grades:
        found["grades"] = as_card(outcome.grades)
    if outcome.trial:
        found["md"] = md_as_json(outcome.trial)
    found["holes"] = summary(outcome.holes)
    if outcome.valid:
        found["errors"] += as_json({"validation": outcome.valid})
    return found


def page_of(outcome: Outcome, settings: Settings, progress: Progress) -> str:
    """The HTML report."""
    from etace.report.html import page

    model, solved = outcome.model, outcome.solved
    return page(
        Report(
            title=f"{model.name}, fitted",
            model=model,
            card=model.card,
            train=outcome.train,
            validation=outcome.valid or None,
            test=outcome.test or None,
            gamma=solved.gamma,
            c=solved.c,
            prior_scale=solved.notes.get("prior scale"),
            dimers=outcome.dimers,
            holes=outcome.holes,
            structures_of_holes=beside(settings.output, HOLES).name if outcome.holes else None,
            calibration=outcome.coverage,
            grades=outcome.grades,
            trial=outcome.trial,
            seconds=dict(progress.seconds),
            notes=solved.notes,
            settings_text=to_toml(settings, {}),
            spec_text=model.origin["sources"][model.origin["root"]],
            warnings=outcome.warnings,
            choice=outcome.choice,
        )
    )
