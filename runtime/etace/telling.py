"""How far steps are that may take long, for whoever waits."""

from __future__ import annotations

import time
from collections.abc import Callable

Tell = Callable[[str, int, int | None], None]
"""Takes a step, what is done of it, and of how many, None where that is not known."""


class Lines:
    """Says a line about a step that takes longer than `first` seconds, and one every `every` seconds."""

    def __init__(
        self,
        say: Callable[[str], None],
        what: str = "structures",
        first: float = 1.5,
        every: float = 10.0,
    ):
        self._say, self._what, self._every = say, what, every
        self._due = time.monotonic() + first

    def __call__(self, step: str, done: int, total: int | None) -> None:
        if (now := time.monotonic()) < self._due:
            return
        self._due = now + self._every
        self._say(f"{step}: {done}{'' if total is None else f' of {total}'} {self._what}")
