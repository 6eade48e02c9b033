"""The loop of a worker: one line of JSON in, one out. Runs in the environment of whoever it times.

Its first argument: numbers of the cores it may use, with commas between them.

request: {"case": {...}, "variant": name, "seconds": s}: repeat the evaluation for about s seconds,
    at least once (none after the first call if s is 0)
reply: {"seconds": [...], "cpu_seconds": [...], "first": s, "setup": s, "atoms": n, "energy": eV, "forces_norm": eV/Å,
    "peak_bytes": n, ...and the facts of the side that was asked}, or {"error": text}
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.case import Case

Meter = Callable[[], dict[str, float]]


class Prepared(NamedTuple):
    """run: one evaluation -> (energy, eV; forces, [N, 3], eV/Å, or None); facts: for the reply."""

    run: Callable[[], tuple[float, Any]]
    facts: dict[str, Any]


def serve(prepare: Callable[[Case, str], Prepared], meter: Meter = dict) -> None:
    """Answer until the input ends. meter: running totals; the reply has what they grew by."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, map(int, sys.argv[1].split(",")))
    requests, replies = os.fdopen(os.dup(0)), os.fdopen(os.dup(1), "w")
    # What libraries print must not get between the replies, and the Julia inside ace-jax makes the
    # standard input non-blocking, which would read as its end.
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    ready: dict[str, tuple[Prepared, dict[str, Any]]] = {}
    current = None
    for line in requests:
        request = json.loads(line)
        case, variant = Case.from_json(request["case"]), request["variant"]
        if case != current:
            ready, current = {}, case
        try:
            if variant not in ready:
                ready[variant] = _first(prepare, meter, case, variant)
            reply = ready[variant][1] | _repeat(ready[variant][0].run, request["seconds"])
            reply["peak_bytes"] = peak_bytes()
        except Exception as error:
            traceback.print_exc()
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


def _first(
    prepare: Callable[[Case, str], Prepared], meter: Meter, case: Case, variant: str
) -> tuple[Prepared, dict[str, Any]]:
    start = time.perf_counter()
    prepared = prepare(case, variant)
    before, built = meter(), time.perf_counter()
    energy, forces = prepared.run()
    first, after = time.perf_counter() - built, meter()
    grown = {k: after[k] - before[k] for k in after}
    return prepared, {
        "setup": built - start,
        "first": first,
        "atoms": case.n_atoms,
        "energy": float(energy),
        "forces_norm": None if forces is None else float(np.linalg.norm(np.asarray(forces))),
        **grown,
        **prepared.facts,
    }


def _repeat(run: Callable[[], Any], seconds: float) -> dict[str, list[float]]:
    times: list[float] = []
    cpu: list[float] = []
    while sum(times) < seconds:
        used, start = time.process_time(), time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    return {"seconds": times, "cpu_seconds": cpu}


def peak_bytes() -> int:
    """The most memory this process has had so far."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
