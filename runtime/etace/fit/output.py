"""What a fit leaves: the model, its settings, its errors, its report."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator

from etace.fit.checkpoint import Checkpoint
from etace.fit.job import Outcome
from etace.fit.progress import Progress
from etace.fit.settings import Settings, beside, to_toml
from etace.fit.tables import UNITS, table
from etace.io.text import write_text


def write_outcome(
    outcome: Outcome, settings: Settings, progress: Progress, begun: float, report: bool
) -> Iterator[str]:
    """Write the files; lines for people. begun: time.perf_counter() when the command began"""
    for name, found in (("train", outcome.train), ("test", outcome.test)):
        for e in table(found):
            yield (
                f"{name:5s} {e.group:20s} {e.kind:7s} {e.count:6d}  "
                f"RMSE {e.rmse:9.4f}  MAE {e.mae:9.4f} {UNITS[e.kind]}"
            )
    outcome.model.save(settings.output)
    progress.done("write", settings.output)
    seconds = {**outcome.seconds, **progress.seconds, "in all": time.perf_counter() - begun}
    record = {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "seconds": {k: round(v, 3) for k, v in seconds.items()},
    }
    write_text(beside(settings.output, ".fit.toml"), to_toml(settings, record))
    Checkpoint(beside(settings.output, ".checkpoint"), "").remove()
    yield f"written: {settings.output} in {seconds['in all']:.1f} s"
