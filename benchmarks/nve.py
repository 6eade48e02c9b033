"""NVE molecular dynamics of Si through ASE: conservation of energy, and where the time goes.

Run as `python -m benchmarks.nve [STEPS [REPEAT [BACKEND]]]`: of 8 REPEAT^3 atoms; prints one JSON object.
The potential is models/si.safetensors (see fit_si).
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import etace
import numpy as np
from ase import units
from ase.build import bulk
from ase.md.velocitydistribution import Stationary
from ase.md.verlet import VelocityVerlet

from benchmarks.fit_si import MODEL

TEMPERATURE, STEP, EVERY = 300, 1.0, 20  # K, fs, steps


class Clock:
    """Wraps a function and adds up the seconds spent in it."""

    def __init__(self, function: Any):
        self.function, self.seconds, self.calls = function, 0.0, 0

    def __call__(self, *args: Any, **keywords: Any) -> Any:
        start = time.perf_counter()
        out = self.function(*args, **keywords)
        self.seconds += time.perf_counter() - start
        self.calls += 1
        return out


def run(steps: int = 20_000, repeat: int = 4, backend: str = "auto") -> dict[str, Any]:
    """time: ps; energy: total per atom from the start, meV; potential and kinetic likewise."""
    atoms = bulk("Si", "diamond", a=5.43, cubic=True).repeat(repeat)
    model = etace.load(MODEL, backend=backend)
    atoms.calc = model.calculator()
    rng = np.random.default_rng(0)
    # twice the temperature: half of it goes into the springs
    thermal = np.sqrt(2 * TEMPERATURE * units.kB / atoms.get_masses())
    atoms.set_velocities(thermal[:, None] * rng.normal(size=(len(atoms), 3)))
    Stationary(atoms)
    atoms.get_potential_energy()
    clock = Clock(type(model.evaluator).__call__)
    lists = Clock(model.prepare)
    model.__dict__["evaluator"] = _Timed(model.evaluator, clock)
    model.__dict__["prepare"] = lists
    rows: list[tuple[float, float, float]] = []

    def record() -> None:
        kinetic = atoms.get_kinetic_energy()
        rows.append((dyn.get_time() / (1000 * units.fs), atoms.get_potential_energy(), kinetic))

    dyn = VelocityVerlet(atoms, STEP * units.fs)
    dyn.attach(record, interval=EVERY)
    start = time.perf_counter()
    dyn.run(steps)
    wall = time.perf_counter() - start
    t, potential, kinetic = np.array(rows).T
    total = 1000 * (potential + kinetic) / len(atoms)
    slope = np.polyfit(t, total, 1)[0] if len(t) > 1 else 0.0
    return {
        "who": "etace, JAX" if model.backend_in_use == "jax" else "etace, native",
        "cores": len(os.sched_getaffinity(0)),
        "steps": steps,
        "atoms": len(atoms),
        "temperature, K": float(kinetic[len(t) // 4 :].mean() / (1.5 * units.kB * len(atoms))),
        "drift, meV/atom/ns": float(1000 * slope),
        "fluctuation, meV/atom": float(np.std(total - np.polyval(np.polyfit(t, total, 1), t))),
        "µs/atom/step": 1e6 * wall / steps / len(atoms),
        "in the evaluator, %": 100 * clock.seconds / wall,
        "lists made": lists.calls,
        "in lists, %": 100 * lists.seconds / wall,
        "series": {
            "time, ps": t.round(6).tolist(),
            "total, meV/atom": (total - total[0]).round(9).tolist(),
            "kinetic, meV/atom": (1000 * kinetic / len(atoms)).round(6).tolist(),
        },
    }


class _Timed:
    """An evaluator whose calls are timed."""

    def __init__(self, evaluator: Any, clock: Clock):
        self._evaluator, self._clock = evaluator, clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._evaluator, name)

    def __call__(self, *args: Any) -> Any:
        return self._clock(self._evaluator, *args)


if __name__ == "__main__":
    steps, repeat, backend, *_ = [*sys.argv[1:], *("20000", "4", "auto")[len(sys.argv) - 1 :]]
    print(json.dumps(run(int(steps), int(repeat), backend)))
