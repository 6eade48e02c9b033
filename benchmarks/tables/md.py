"""Molecular dynamics."""

from __future__ import annotations

from typing import Any

from benchmarks.compare import Session
from benchmarks.report import Table
from benchmarks.workers import cores_here, printed

COLUMNS = (
    "who", "atoms", "cores", "steps", "temperature, K", "drift, meV/atom/ns", "fluctuation, meV/atom",
    "µs/atom/step", "in the evaluator, %", "in lists, %", "lists made",
)  # fmt: skip
NOTES = (
    "ASE's velocity Verlet, skin 0.5 Å; total energy every 20 steps; drift: slope of a straight line "
    "through it, fluctuation: standard deviation about that line.",
)


def md(session: Session) -> Table:
    """NVE of 512 Si atoms at 300 K on one core."""
    row = _nve([session.core], 20_000, 4)
    return Table("md", "NVE of 512 Si atoms, 1 fs", COLUMNS, [row], NOTES)


def nve(session: Session) -> Table:
    """A long run of 4,096 atoms on all cores, and the beginning of the same by JAX."""
    rows = [_nve(cores_here(), n, 8, who) for n, who in ((100_000, "native"), (4_000, "jax"))]
    return Table("nve", "NVE of 4,096 Si atoms, 1 fs", COLUMNS, rows, NOTES)


def _nve(cores: list[int], *asked: object) -> dict[str, Any]:
    found: dict[str, Any] = printed(["benchmarks.nve", *map(str, asked)], cores)
    return found
