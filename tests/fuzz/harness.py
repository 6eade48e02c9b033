"""What a module of the fuzz says, and how one of its cases is judged.

A module has two functions:

    def cases(seed: int) -> Iterator[Case]: endless; the same seed gives the same cases
    def check(case: Case) -> str: SAME or ACCEPTED, or an EtaceError or Mistakes: the case is refused

Everything else is a fault: another exception, `Fault` with what is wrong (a number that changed, a result
that is not finite), a refusal without words, more than `LIMIT` seconds of work, a crash of the process.
"""

from __future__ import annotations

import resource
import signal
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Protocol

from etace.errors import EtaceError
from etacec import Mistakes

SAME, ACCEPTED, REFUSED, FAULT = "same", "accepted", "refused", "fault"
LIMIT = 10.0  # seconds of CPU that a case may take
GRACE = 5.0  # more of them, until code that does not listen is stopped from outside
LONGEST = 4000  # characters of a refusal


@dataclass(frozen=True)
class Case:
    """name: what was done, for people; data: what `check` needs; files: what a reproducer needs."""

    name: str
    data: Any
    files: Mapping[str, bytes] = field(default_factory=dict)


class Fault(Exception):
    """What is wrong with the answer to a case."""


class Module(Protocol):
    def cases(self, seed: int) -> Iterator[Case]: ...

    def check(self, case: Case) -> str: ...


class Hang(BaseException):
    """Not an Exception, so that no reader takes it for bad input."""


def judge(module: Module, case: Case) -> tuple[str, str]:
    """(outcome, what was said): for a fault its traceback or reason."""
    try:
        with_limit = _Limit()
        try:
            found = module.check(case)
        finally:
            with_limit.end()
    except (EtaceError, Mistakes) as refusal:
        text = str(refusal).strip()
        if not text or len(text) > LONGEST or "Traceback" in text:
            return FAULT, f"a refusal of {len(text)} characters: {text[:500]!r}"
        return REFUSED, text
    except Hang:
        return FAULT, f"no answer in {LIMIT:g} s of work\n{traceback.format_exc()[-3000:]}"
    except Fault as fault:
        return FAULT, str(fault)
    except Exception:
        return FAULT, traceback.format_exc()
    if found not in (SAME, ACCEPTED):
        return FAULT, f"`check` answers {found!r}, neither {SAME} nor {ACCEPTED}"
    return found, ""


class _Limit:
    """A timer of CPU time for Python code, and a limit of the system for code that does not return."""

    def __init__(self) -> None:
        self.handler = signal.signal(signal.SIGPROF, _stop)
        self.limits = resource.getrlimit(resource.RLIMIT_CPU)
        end = time.process_time() + LIMIT + GRACE
        resource.setrlimit(resource.RLIMIT_CPU, (int(end) + 1, self.limits[1]))
        signal.setitimer(signal.ITIMER_PROF, LIMIT)

    def end(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_CPU, self.limits)
        signal.signal(signal.SIGPROF, self.handler)


def _stop(number: int, frame: FrameType | None) -> None:
    raise Hang
