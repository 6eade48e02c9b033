"""How far steps are that may take long, for whoever waits."""

from __future__ import annotations

import time
from collections.abc import Callable

from etace.words import count

Tell = Callable[[str, int, int | None], None]
"""Takes a step, what is done of it, and of how many, None where that is not known."""


class Lines:
    """Says a line about steps once they take longer than `first` seconds, and one every `every` seconds."""

    def __init__(
        self,
        say: Callable[[str], None],
        what: str = "structure",
        first: float = 1.5,
        every: float = 10.0,
    ):
        self._say, self._what, self._first, self._every = say, what, first, every
        self._due: float | None = None

    def __call__(self, step: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if self._due is None:
            self._due = now + self._first
        if now >= self._due:
            self._due = now + self._every
            of = "" if total is None else f"{done} of "
            self._say(f"{step}: {of}{count(done if total is None else total, self._what)}")
