"""Measure several contestants on one case, taking turns, so that all see the same machine."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any, NamedTuple

from benchmarks import environments
from benchmarks.case import Case
from benchmarks.workers import PeerError, Worker

Row = dict[str, Any]


class Contestant(NamedTuple):
    """label: in tables; module: of the worker; variant: of what it can do."""

    label: str
    module: str
    variant: str


NATIVE = Contestant("etace, native", "ours", "native")
OURS = Contestant("etace, JAX", "ours", "inference")
PACE = Contestant("PACE C++ recursive", "pace", "recursive")
PRODUCT = Contestant("PACE C++ product", "pace", "product")
ACEJAX = Contestant("ace-jax", "acejax", "default")
TABLE = Contestant("ace-jax, table", "acejax", "table")
KERNEL = Contestant("ace-jax, C++ kernel", "acejax", "kernel")
PEERS = (PACE, PRODUCT, ACEJAX, TABLE, KERNEL)


@dataclasses.dataclass
class Session:
    """What a run of the benchmarks was asked for.

    core: the one to measure on; rounds: turns of everyone; seconds: length of a turn
    columns: sizes of large fits, instead of those of the table
    """

    core: int
    rounds: int = 5
    seconds: float = 0.5
    peers: bool = True
    columns: Sequence[int] = ()

    def __post_init__(self) -> None:
        self.pythons: dict[str, Any] = {"ours": sys.executable}
        for peer in environments.REQUIREMENTS if self.peers else ():
            if python := environments.python_of(peer):
                self.pythons[peer] = python

    def present(self, contestants: Iterable[Contestant]) -> list[Contestant]:
        return [c for c in contestants if c.module in self.pythons]

    def compare(
        self, cases: Sequence[Case], contestants: Iterable[Contestant], cores: Sequence[int] = ()
    ) -> list[Row]:
        """A row for each case and contestant; the first contestant is what ratios are against."""
        contestants = self.present(contestants)
        at = list(cores) or [self.core]
        modules = dict.fromkeys(c.module for c in contestants)
        workers = {m: Worker(m, at, self.pythons[m]) for m in modules}
        rows = []
        for case in cases:
            found = self._turns(case, contestants, workers)
            rows += rows_of(case, found)
            for row in rows[-len(found) :]:
                print(f"  {short(row)}", file=sys.stderr, flush=True)
        for worker in workers.values():
            worker.close()
        return rows

    def _turns(
        self, case: Case, contestants: list[Contestant], workers: dict[str, Worker]
    ) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = {}
        out: set[Contestant] = set()
        for _ in range(self.rounds):
            for c in contestants:
                if c in out:
                    continue
                try:
                    reply = workers[c.module].ask(case, c.variant, self.seconds)
                except PeerError as error:
                    print(f"  {c.label}: left out ({error})", file=sys.stderr, flush=True)
                    out.add(c)
                    continue
                found.setdefault(c.label, []).append(reply)
                if not case.functions:  # peers follow our size
                    case = dataclasses.replace(case, functions=reply["functions"])
        return {label: replies for label, replies in found.items() if replies}


def rows_of(case: Case, found: dict[str, list[Row]]) -> list[Row]:
    """Medians over all turns; µs per atom, by the clock and of CPU time; ratio to the first."""
    rows: list[Row] = []
    for label, replies in found.items():
        times = [s for reply in replies for s in reply["seconds"]] or [replies[0]["first"]]
        cpu = [s for reply in replies for s in reply["cpu_seconds"]]
        each = 1e6 * median(times) / case.n_atoms
        row = {
            "who": label,
            "atoms": case.n_atoms,
            "species": len(case.elements),
            "order": case.order,
            "functions": replies[0]["functions"],
            "neighbours": round(replies[0]["neighbours"], 1),
            "µs/atom": each,
            "CPU µs/atom": 1e6 * median(cpu) / case.n_atoms if cpu else None,
            "ratio": each / rows[0]["µs/atom"] if rows else 1.0,
            "first call, s": replies[0]["first"],
        }
        extra = ("compilations", "compile_seconds", "from_cache", "peak_bytes", "setup", "energy")
        rows.append(row | {k: replies[0][k] for k in extra if k in replies[0]})
    return rows


def short(row: Row) -> str:
    return (
        f"{row['who']:20s} {row['atoms']:6d} atoms {row['functions']:5d} functions "
        f"{row['neighbours']:5.1f} neighbours {row['µs/atom']:8.2f} µs/atom  x{row['ratio']:.2f}"
    )
