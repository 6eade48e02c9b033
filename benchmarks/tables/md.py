"""Molecular dynamics."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from benchmarks.compare import Session
from benchmarks.report import Table
from benchmarks.workers import ROOT, environment

STEPS = 20_000
COLUMNS = (
    "atoms", "steps", "temperature, K", "drift, meV/atom/ns", "fluctuation, meV/atom",
    "µs/atom/step", "in the evaluator, %", "in lists, %", "lists made",
)  # fmt: skip


def md(session: Session) -> Table:
    """NVE of Si at 300 K with ASE's velocity Verlet, 1 fs."""
    path = os.pathsep.join(map(str, (ROOT, ROOT / "runtime", ROOT / "compiler")))
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.nve", str(STEPS)],
        env=environment(1, {"PYTHONPATH": path}),
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {session.core}),
    )
    row = json.loads(done.stdout)
    notes = (
        "One core, skin 0.5 Å; total energy every 20 steps; drift: slope of a straight line through it, "
        "fluctuation: standard deviation about that line.",
    )
    return Table("md", "NVE of 512 Si atoms, 1 fs", COLUMNS, [row], notes)
