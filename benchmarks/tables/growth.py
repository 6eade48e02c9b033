"""What grows with the basis or the structure: time, compilation, memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.case import Case
from benchmarks.compare import KERNEL, NATIVE, OURS, PACE, TABLE, Session
from benchmarks.machine import available_bytes
from benchmarks.report import Table
from benchmarks.tables.speed import NOTES
from benchmarks.workers import ROOT, PeerError, Worker, environment

LEVELS = {3: (10, 13, 18, 22), 4: (9, 12, 15, 18)}  # about 100, 300, 1000 and 3000 functions
COLD = "without a compilation cache, and in a new process with the cache of the first"


def basis(session: Session) -> Table:
    cases = [Case((4, 4, 4), order=o, level=n) for o, levels in LEVELS.items() for n in levels]
    rows = session.compare(cases, (NATIVE, OURS, PACE, TABLE, KERNEL))
    by_size = {(row["order"], row["functions"]): row for row in rows if row["who"] == OURS.label}
    for case in cases:
        times = cold_warm(session, case)
        by_size.get((case.order, times.pop("functions", 0)), {}).update(times)
    columns = ("who", "order", "atoms", "functions", "µs/atom", "ratio", *CACHED)
    notes = (
        *NOTES,
        f"XLA: seconds of compiling; first: of the first call, tracing included; {COLD}.",
    )
    title = "Cost against basis size"
    return Table("basis", title, columns, rows, notes, "functions", ("who", "order"))


CACHED = ("XLA cold, s", "XLA warm, s", "first cold, s", "first warm, s")


def cold_warm(session: Session, case: Case, variant: str = "inference") -> dict[str, Any]:
    """Seconds with an empty compilation cache, and in a new process with that cache."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        cache = {
            "JAX_COMPILATION_CACHE_DIR": folder,
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
        for state in ("cold", "warm"):
            try:
                with Worker("ours", [session.core], more=cache) as worker:
                    reply = worker.ask(case, variant, 0)
            except PeerError as error:
                print(f"  {case}: {error}", file=sys.stderr)
                break
            found[f"XLA {state}, s"] = reply["compile_seconds"]
            found[f"first {state}, s"] = reply["first"]
            found["functions"] = reply["functions"]
    return found


def compile_seconds(session: Session) -> Table:
    """`etace compile`, whole command, for the sizes of `basis` and for order 4, level 16."""
    rows = []
    for o, levels in {3: LEVELS[3], 4: (*LEVELS[4][:3], 16, LEVELS[4][3])}.items():
        for level in levels:
            options = ["-D", f"max_order={o}", "-D", f"max_level={level}"]
            spec = ROOT / "benchmarks/specs/si.etace"
            rows.append({"order": o, "level": level, **etace_compile(spec, *options)})
    columns = ("order", "level", "functions", "no couplings kept, s", "couplings kept, s", "KiB")
    notes = ("Start of Python included. KiB: size of the module. functions: many-body.",)
    return Table("compile", "`etace compile`", columns, rows, notes)


def etace_compile(spec: Path, *options: str) -> dict[str, Any]:
    """Seconds of the command with an empty folder of couplings, then with a full one."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder) / "module.py"
        command = ["compile", str(spec), *options, "-o", str(module)]
        for state in ("no couplings kept, s", "couplings kept, s"):
            start = time.perf_counter()
            _etace(command, {"ETACE_CACHE_DIR": folder + "/couplings"})
            found[state] = time.perf_counter() - start
        found["KiB"] = module.stat().st_size / 1024
        info = json.loads(_etace(["info", str(spec), *options, "--json"]))
        found["functions"] = max(
            b["functions"] for b in info["blocks"].values() if b["kind"] == "basis"
        )
    return found


def _etace(arguments: list[str], more: dict[str, str] | None = None) -> str:
    path = os.pathsep.join([str(ROOT / "runtime"), str(ROOT / "compiler")])
    done = subprocess.run(
        [sys.executable, "-m", "etacec", *arguments],
        env=environment(1, {"PYTHONPATH": path} | (more or {})),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def specs(session: Session) -> Table:
    """Every shipped spec and model: our compiler, then XLA."""
    rows = []
    for spec in sorted((ROOT / "specs").glob("*.etace")):
        info, ours = json.loads(_etace(["info", str(spec), "--json"])), etace_compile(spec)
        for model in info["models"]:
            case = Case((2, 2, 2), tuple(info["species"]), spec=str(spec), model=model)
            row = {"spec": spec.name, "model": model, **ours, **cold_warm(session, case)}
            rows.append(row)
            print(f"  {row}", file=sys.stderr)
    columns = ("spec", "model", "functions", "no couplings kept, s", "couplings kept, s", *CACHED)
    notes = (f"Seconds of `etace compile`; then energy, forces and virial of 64 atoms {COLD}.",)
    return Table("specs", "Compile times of the shipped specs", columns, rows, notes)


def memory(session: Session) -> Table:
    """Peak of a process over that of the same process with 64 atoms, up to a million atoms."""
    rows: list[dict[str, Any]] = []
    per_atom = 0.0
    for n in (5, 11, 23, 50):
        case, free = Case((n, n, n)), available_bytes()
        row: dict[str, Any] = {"atoms": case.n_atoms, "functions": None}
        if free and per_atom * case.n_atoms > 0.6 * free:
            need = per_atom * case.n_atoms / 2**30
            rows.append(row | {"note": f"not run: would need about {need:.0f} GiB"})
            continue
        try:
            with Worker("ours", [session.core]) as worker:
                small = worker.ask(Case((2, 2, 2)), "inference", 0)["peak_bytes"]
                reply = worker.ask(case, "inference", 0)
        except PeerError as error:
            rows.append(row | {"note": str(error)})
            break
        per_atom = (reply["peak_bytes"] - small) / case.n_atoms
        row |= {"functions": reply["functions"], "neighbours": round(reply["neighbours"], 1)}
        row |= {"GiB": reply["peak_bytes"] / 2**30, "bytes per atom": per_atom, "note": ""}
        rows.append(row | {"seconds of the first call": reply["first"]})
        print(f"  {rows[-1]}", file=sys.stderr)
    columns = ("atoms", "functions", "neighbours", "GiB", "bytes per atom",
               "seconds of the first call", "note")  # fmt: skip
    notes = ("GiB: peak of the whole process, neighbour list and structure included.",)
    return Table("memory", "Memory, linear Si, order 3", columns, rows, notes)
