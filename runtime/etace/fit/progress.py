"""What a fit says while it runs: lines and a bar for people, progress.jsonl for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO


class Progress:
    """Steps with their seconds, and how far the long one is.

    say: takes a line for people; bar: takes (done, total, atoms per second) of the running step
    log: a file of JSON lines, written as things happen, from the first long step on: what fails before
        leaves the log of an earlier fit as it is
    """

    def __init__(
        self,
        say: Callable[[str], None] = lambda text: None,
        bar: Callable[[int, int], None] = lambda done, total: None,
        log: Path | None = None,
    ):
        self.say, self.bar, self.seconds = say, bar, dict[str, float]()
        self._path, self._waiting = log, ""
        self._file: TextIO | None = None
        self._begun = self._last = time.perf_counter()
        self._written = 0.0
        self._total = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self._log(event="stopped", why=type(error).__name__, what=str(error))
        if self._file is not None:
            self._file.close()

    def note(self, text: str) -> None:
        self.say(text)
        self._log(event="note", text=text)

    def start(self, step: str, total: int, done: int = 0) -> None:
        """Of a step that takes long; total and done: atoms."""
        self._total = total
        if self._path is not None and self._file is None:
            self._file = self._path.open("w", encoding="utf8")
        self._log(event="start", step=step, total=total, done=done)
        self.bar(done, total)

    def at(self, done: int) -> None:
        self.bar(done, self._total)
        if (now := time.perf_counter()) - self._written > 1 or done == self._total:
            self._written = now
            self._log(event="progress", done=done, total=self._total)

    def done(self, step: str, what: str) -> None:
        now = time.perf_counter()
        self.seconds[step] = self.seconds.get(step, 0.0) + now - self._last
        self._last = now
        self._log(event="done", step=step, what=what, seconds=self.seconds[step])

    def _log(self, **record: Any) -> None:
        at = round(time.perf_counter() - self._begun, 3)
        self._waiting += json.dumps({"at": at, **record}, ensure_ascii=False) + "\n"
        if self._file is not None:
            self._file.write(self._waiting)
            self._file.flush()
            self._waiting = ""
