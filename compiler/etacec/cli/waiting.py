"""No command is silent for long: what it is at, on stderr, once it has taken two seconds."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PATIENCE = 2.0  # seconds


@contextmanager
def waiting(what: str) -> Iterator[Callable[[str], None]]:
    """Gives a function to call with the name of each stage that begins.

    what: the work, in words: `compiling si.etace`. The line says the stage at hand after `PATIENCE` seconds,
    and each new one from then on; on a terminal it is one line that is wiped at the end.
    """
    transient = sys.stderr.isatty()
    lock = threading.Lock()
    stage = ""
    shown = done = False

    def show() -> None:
        nonlocal shown
        with lock:
            if not done:
                shown = True
                line = f"etace: {what}" + (f": {stage}" if stage else "")
                print(f"\r\033[K{line}" if transient else line, end="" if transient else "\n",
                      file=sys.stderr, flush=True)  # fmt: skip

    def at(name: str) -> None:
        nonlocal stage
        stage = name
        if shown:
            show()

    timer = threading.Timer(PATIENCE, show)
    timer.daemon = True
    timer.start()
    try:
        yield at
    finally:
        timer.cancel()
        with lock:
            done = True
            if shown and transient:
                print("\r\033[K", end="", file=sys.stderr, flush=True)
