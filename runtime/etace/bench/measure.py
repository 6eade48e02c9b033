"""Seconds of what a user waits for, on all backends in turn: medians over interleaved rounds, and the fastest
calls, which others on the machine disturb least."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

from etace.bench.operations import Counter, Operations
from etace.bench.peak import Peak
from etace.bench.stages import Profile
from etace.model import Model, Result
from etace.native import toolchain
from etace.native.build import BuildError, library
from etace.native.evaluator import NativeEvaluator

TASKS = ("evaluation", "list", "step")
AT_LEAST = 0.02  # seconds of one measurement: as many calls as that takes
STEP = 0.01  # Å, by which atoms move to and fro in a step, so that the list is kept
SKIN = 0.5  # Å, the calculator's
CLOCK = 1e-9  # seconds: what the clock of a stage can tell apart


@dataclass
class Measured:
    """Of one backend. name: what is in use; build: seconds until the first result can be had

    seconds: of one call by task, the mean of a round; fastest: of all calls
    stages: the share of each stage in a profiled evaluation; spent: seconds of each stage, the least seen
    operations: of one evaluation; uncounted: why there are none
    peak: operations a second of one core, of the fastest of its calls
    All four of native kernels only.
    """

    name: str
    build: float
    lines: int | None
    result: Result
    seconds: dict[str, float] = field(default_factory=dict)
    fastest: dict[str, float] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    operations: Operations | None = None
    uncounted: str = ""
    peak: float = 0.0

    def rate(self, stage: str | None = None) -> float:
        """Operations a second of the fastest evaluation, or of one of its stages. They must be counted."""
        assert self.operations is not None
        if stage is None:
            return self.operations.total / self.fastest["evaluation"]
        return self.operations.stages[stage] / max(self.spent[stage], CLOCK)

    def fractions(self, cores: int) -> dict[str | None, float] | None:
        """Rates as parts of the peak: of the whole (None) on so many cores, of each stage on one.

        None: nothing was counted, or something seems faster than the peak. Then it is the peak that is
        wrong: another program slowed the loop that measures it.
        """
        if self.operations is None:
            return None
        stages = [stage for stage, n in self.operations.stages.items() if n]
        every: dict[str | None, int] = {None: cores, **dict.fromkeys(stages, 1)}
        found = {name: self.rate(name) / (n * self.peak) for name, n in every.items()}
        return found if max(found.values()) <= 1 else None


class Runner:
    """A model on a structure by one backend, ready to be timed."""

    def __init__(self, model: Model, atoms: Any):
        self.model, self.atoms = model, atoms.copy()
        start = time.perf_counter()
        self.near: Any = model.prepare(atoms)
        result = model.evaluate_prepared(self.near)
        build = time.perf_counter() - start
        lines = None
        self._profile: Profile | None = None
        self.peak: Peak | None = None
        if isinstance(e := model.evaluator, NativeEvaluator):
            found = toolchain.find()
            assert found is not None
            start = time.perf_counter()
            library(e.program.text, found, keep=False)  # the one in use may be from the cache
            build = time.perf_counter() - start
            lines = e.program.text.count("\n")
            self._profile = Profile(e.program, found)
            self.peak = Peak(e.program.dtype, e.kernel.lanes, found)
        self.measured = Measured(model.backend_in_use, build, lines, result)
        self._count()
        self.atoms.calc = model.calculator(skin=SKIN)
        self._from = atoms.positions.copy()
        self._steps = 0
        self._least = float("inf")
        self.tasks: dict[str, Callable[[], object]] = {
            "evaluation": lambda: model.evaluate_prepared(self.near, self._from)
        }
        if self.peak is not None:
            self.tasks["peak"] = self.peak  # beside what it is compared with
            self.tasks["stages"] = self._profiled
        self.tasks |= {"list": lambda: model.prepare(atoms), "step": self._step}

    def _step(self) -> None:
        self._steps += 1
        self.atoms.positions = self._from + (STEP if self._steps % 2 else 0.0)
        self.atoms.get_forces()

    def _count(self) -> None:
        e = self.model.evaluator
        if not isinstance(e, NativeEvaluator):
            return
        try:
            cxx = toolchain.find_cxx(e.toolchain)
            if cxx is None:
                raise BuildError(toolchain.missing("c++"))
            count = Counter(e.program, cxx)
            self.measured.operations = count(self.near, e.coefficients(self.model.params))
        except BuildError as error:
            self.measured.uncounted = str(error)

    def _profiled(self) -> None:
        """One evaluation with clocks; keeps the shares of the fastest, and the least of every stage."""
        e, m = self.model.evaluator, self.measured
        assert self._profile is not None and isinstance(e, NativeEvaluator)
        start = time.perf_counter()
        spent = self._profile(self.near, e.coefficients(self.model.params))
        whole = time.perf_counter() - start
        m.spent = {name: min(s, m.spent.get(name, s)) for name, s in spent.items()}
        if whole < self._least:
            self._least = whole
            parts = {**spent, "outside the blocks": whole - sum(spent.values())}
            m.stages = {name: seconds / whole for name, seconds in parts.items()}


def measure(runners: Sequence[Runner], rounds: int) -> None:
    """Fills in what was measured."""
    calls = {}
    for k, runner in enumerate(runners):
        for name, task in runner.tasks.items():
            task()
            calls[k, name] = max(1, round(AT_LEAST / max(_seconds(task), 1e-7)))
    times: dict[tuple[int, str], list[float]] = {key: [] for key in calls}
    least = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for (k, name), n in calls.items():
            found = [_seconds(runners[k].tasks[name]) for _ in range(n)]
            times[k, name].append(sum(found) / n)
            least[k, name] = min(least[k, name], *found)
    for k, runner in enumerate(runners):
        for name in TASKS:
            runner.measured.seconds[name] = median(times[k, name])
            runner.measured.fastest[name] = least[k, name]
        if runner.peak is not None:
            runner.measured.peak = runner.peak.operations / least[k, "peak"]


def _seconds(task: Callable[[], object]) -> float:
    start = time.perf_counter()
    task()
    return time.perf_counter() - start


def disagreement(found: Result, expected: Result) -> dict[str, float]:
    """Largest differences of energy and forces, relative to the largest of those expected."""
    energy = max(float(np.abs(expected.energies).sum()), 1e-12)
    forces = max(float(np.abs(expected.forces).max()), 1e-12)
    return {
        "energy": abs(found.energy - expected.energy) / energy,
        "forces": float(np.abs(found.forces - expected.forces).max()) / forces,
    }
