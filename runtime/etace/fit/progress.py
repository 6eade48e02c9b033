"""What a fit says while it runs: lines and a bar for people, progress.jsonl for programs.

A step that takes long is named while it runs, after two seconds and then now and then, so that nobody
waits without knowing for what.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from etace.io.jsontext import as_text

SILENT = 2.0  # seconds of a step until it is named
PAUSE = 1.5  # factor on the time until the next line


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
        self._total = self._at = 0
        self._step, self._ended = "", threading.Event()

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()
        if error is not None:
            self._log(event="stopped", why=type(error).__name__, what=str(error))
        if self._file is not None:
            self._file.close()

    def begin(self, step: str) -> None:
        """What is done from now on: said if it takes long."""
        self._end()
        self._step, self._ended = step, threading.Event()
        threading.Thread(target=self._tell, args=(step, self._ended), daemon=True).start()

    def _tell(self, step: str, ended: threading.Event) -> None:
        begun, wait = time.perf_counter(), SILENT
        while not ended.wait(wait):
            far = f", {self._at} of {self._total} atoms" if self._total else ""
            self.say(f"{step} ... {time.perf_counter() - begun:.0f} s{far}")
            wait *= PAUSE

    def _end(self) -> None:
        self._ended.set()
        self._total = self._at = 0

    def note(self, text: str) -> None:
        self.say(text)
        self._log(event="note", text=text)

    def start(self, step: str, total: int, done: int = 0) -> None:
        """Of a step that takes long; total and done: atoms."""
        self.begin(step)
        self._total, self._at = total, done
        if self._path is not None and self._file is None:
            self._file = self._path.open("w", encoding="utf8")
        self._log(event="start", step=step, total=total, done=done)
        self.bar(done, total)

    def at(self, done: int) -> None:
        self._at = done
        self.bar(done, self._total)
        if (now := time.perf_counter()) - self._written > 1 or done == self._total:
            self._written = now
            self._log(event="progress", done=done, total=self._total)

    def done(self, step: str, what: str) -> None:
        self._end()
        now = time.perf_counter()
        self.seconds[step] = self.seconds.get(step, 0.0) + now - self._last
        self._last = now
        self._log(event="done", step=step, what=what, seconds=self.seconds[step])

    def _log(self, **record: Any) -> None:
        at = round(time.perf_counter() - self._begun, 3)
        self._waiting += as_text({"at": at, **record}, indent=None) + "\n"
        if self._file is not None:
            self._file.write(self._waiting)
            self._file.flush()
            self._waiting = ""
