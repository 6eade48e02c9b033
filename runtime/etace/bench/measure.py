"""Seconds of what a user waits for, on all backends in turn: medians over interleaved rounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

from etace.bench.stages import Profile
from etace.model import Model, Result
from etace.native import toolchain
from etace.native.build import library
from etace.native.evaluator import NativeEvaluator

TASKS = ("evaluation", "list", "step")
AT_LEAST = 0.02  # seconds of one measurement: as many calls as that takes
STEP = 0.01  # Å, by which atoms move to and fro in a step, so that the list is kept
SKIN = 0.5  # Å, the calculator's


@dataclass
class Measured:
    """Of one backend. name: what is in use; build: seconds until the first result can be had

    seconds: of one call by task; fastest: the same in the fastest round; stages: the evaluation's share by stage, of native kernels
    """

    name: str
    build: float
    lines: int | None
    result: Result
    seconds: dict[str, float] = field(default_factory=dict)
    fastest: dict[str, float] = field(default_factory=dict)
    stages: dict[str, float] = field(default_factory=dict)


class Runner:
    """A model on a structure by one backend, ready to be timed."""

    def __init__(self, model: Model, atoms: Any):
        self.model, self.atoms = model, atoms.copy()
        start = time.perf_counter()
        self.near = model.prepare(atoms)
        result = model.evaluate_prepared(self.near)
        build = time.perf_counter() - start
        lines = None
        self._profile: Profile | None = None
        if isinstance(e := model.evaluator, NativeEvaluator):
            found = toolchain.find()
            assert found is not None
            start = time.perf_counter()
            library(e.program.text, found, keep=False)  # the one in use may be from the cache
            build = time.perf_counter() - start
            lines = e.program.text.count("\n")
            self._profile = Profile(e.program, found)
        self.measured = Measured(model.backend_in_use, build, lines, result)
        self.atoms.calc = model.calculator(skin=SKIN)
        self._from = atoms.positions.copy()
        self._steps = 0
        self.tasks: Mapping[str, Callable[[], object]] = {
            "evaluation": lambda: model.evaluate_prepared(self.near, self._from),
            "list": lambda: model.prepare(atoms),
            "step": self._step,
        }

    def _step(self) -> None:
        self._steps += 1
        self.atoms.positions = self._from + (STEP if self._steps % 2 else 0.0)
        self.atoms.get_forces()

    def shares(self, rounds: int) -> dict[str, float]:
        """What part of an evaluation every stage takes, in the fastest of the rounds."""
        e = self.model.evaluator
        if self._profile is None or not isinstance(e, NativeEvaluator):
            return {}
        found = []
        for _ in range(rounds):
            start = time.perf_counter()
            spent = self._profile(self.near, e.coefficients(self.model.params))
            whole = time.perf_counter() - start
            rest = {"outside the blocks": whole - sum(spent.values())}
            found.append((whole, {**spent, **rest}))
        whole, spent = min(found, key=lambda x: x[0])
        return {name: seconds / whole for name, seconds in spent.items()}


def measure(runners: Sequence[Runner], rounds: int) -> None:
    """Fills in what was measured."""
    calls = {}
    for k, runner in enumerate(runners):
        for name, task in runner.tasks.items():
            task()
            calls[k, name] = max(1, round(AT_LEAST / max(_seconds(task, 1), 1e-7)))
    times: dict[tuple[int, str], list[float]] = {key: [] for key in calls}
    for _ in range(rounds):
        for (k, name), n in calls.items():
            times[k, name].append(_seconds(runners[k].tasks[name], n))
    for (k, name), values in times.items():
        runners[k].measured.seconds[name] = median(values)
        runners[k].measured.fastest[name] = min(values)
    for runner in runners:
        runner.measured.stages = runner.shares(rounds)


def _seconds(task: Callable[[], object], calls: int) -> float:
    start = time.perf_counter()
    for _ in range(calls):
        task()
    return (time.perf_counter() - start) / calls


def disagreement(found: Result, expected: Result) -> dict[str, float]:
    """Largest differences of energy and forces, relative to the largest of those expected."""
    energy = max(float(np.abs(expected.energies).sum()), 1e-12)
    forces = max(float(np.abs(expected.forces).max()), 1e-12)
    return {
        "energy": abs(found.energy - expected.energy) / energy,
        "forces": float(np.abs(found.forces - expected.forces).max()) / forces,
    }
