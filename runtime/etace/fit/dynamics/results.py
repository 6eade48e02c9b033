"""What came out of a test MD: runs, the temperatures that they were at, and what to say of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from etace.fit.dynamics.limits import Failure
from etace.fit.dynamics.starts import Own
from etace.words import count


@dataclass(frozen=True, eq=False)
class Run:
    """One trajectory at one temperature. start: frame; group: its config type; own: its temperature, K
    temperature: K; ps: how long; failure: None: it held; trace: [looks, 3], ps, K, eV/atom
    """

    start: str
    group: str
    atoms: int
    own: float
    temperature: float
    ps: float
    failure: Failure | None
    trace: np.ndarray


@dataclass(frozen=True)
class Level:
    """One temperature, K, and the runs at it."""

    temperature: float
    runs: tuple[Run, ...]

    @property
    def broken(self) -> tuple[Run, ...]:
        """The first to break first."""
        return tuple(sorted((r for r in self.runs if r.failure), key=lambda r: r.ps))

    @property
    def ps(self) -> float:
        """How long the runs took that held, else the longest."""
        return max((r.ps for r in self.runs if not r.failure), default=max(r.ps for r in self.runs))


@dataclass(frozen=True, eq=False)
class Trial:
    """own: temperature of the data; levels: ascending; ps: wanted of each run; step: fs
    short: why it is less than was wanted, empty: it is not
    frames: where it broke, and before
    """

    own: Own | None = None
    levels: tuple[Level, ...] = ()
    ps: float = 0.0
    step: float = 1.0
    short: str = ""
    frames: tuple[Any, ...] = ()
    remarks: tuple[str, ...] = field(default_factory=tuple)

    @property
    def held(self) -> Level | None:
        """The highest temperature at which, and below which, every run held."""
        good = None
        for level in self.levels:
            if level.broken:
                break
            good = level
        return good

    @property
    def broke(self) -> Level | None:
        """The lowest temperature at which one broke."""
        return next((level for level in self.levels if level.broken), None)

    @property
    def sentence(self) -> str:
        """What came out, for a line of text."""
        parts = []
        if self.levels and not self.held:
            ends = (f"{level.temperature:.0f}" for level in (self.levels[0], self.levels[-1]))
            parts.append(f"did not hold, tried at {' to '.join(dict.fromkeys(ends))} K")
        if self.held:
            n = len(self.held.runs)
            parts.append(
                f"held up to {self.held.temperature:.0f} K ({count(n, 'run')} of {self.held.ps:.3g} ps)"
            )
        if self.broke:
            parts.append(breaking(self.broke))
        if self.short:
            parts.append(self.short)
        return "; ".join(parts) or "no MD was run"

    @property
    def warnings(self) -> list[str]:
        """What a user must know before anything else."""
        own = [x for x in self.levels if self.own and x.temperature == self.own.temperature]
        if not own or not own[0].broken:
            return []
        return [f"the model does not hold in MD at the temperature of its data: {breaking(own[0])}"]


def breaking(level: Level) -> str:
    """How many runs broke, when and why."""
    first = level.broken[0]
    assert first.failure is not None
    n = len(level.runs)
    which = f"{len(level.broken)} of {n} runs broke" if n > 1 else "the run broke"
    when = "the first " if len(level.broken) > 1 else ""
    return (
        f"at {level.temperature:.0f} K {which}, {when}after {first.ps:.2g} ps: {first.failure.why}"
    )
