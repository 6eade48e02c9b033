"""The whole command `etace fit`: its errors, its time, its memory."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.compare import Session
from benchmarks.report import Table
from benchmarks.workers import ROOT, UNSET, environment

DATA = ROOT.parent / "shared/data/mlearn"  # where it is not, the table says so
SPECS = ("si_ace_small", "si_ace_large", "mo_ace_small", "mo_ace_large")
STEPS = (
    "compile the spec", "read the data", "distances", "kernels", "neighbour lists", "rows and QR",
    "solve", "extrapolation", "errors", "write the model", "report",
)  # fmt: skip


def fit(session: Session) -> Table:
    """The data of Zuo et al. (2020), energies and forces; test errors as `etace eval` gives them."""
    columns = (
        "fit", "columns", "E, meV/atom", "F, eV/Å", "cold, s", "warm, s", "peak, GiB",
        *(f"{step}, s" for step in STEPS),
    )  # fmt: skip
    rows = []
    if DATA.is_dir():
        with tempfile.TemporaryDirectory() as folder:
            for path in DATA.glob("*.xyz.gz"):
                (Path(folder) / path.stem).write_bytes(gzip.decompress(path.read_bytes()))
            for spec in SPECS:
                what = [str(ROOT / f"specs/{spec}.etace"), "--no-virial"]
                rows.append(_measured(Path(folder), spec, what, spec[:2].title()))
            for element in ("Si", "Mo"):
                what = ["--elements", element]
                rows.append(_measured(Path(folder), f"--elements {element}", what, element))
    notes = (
        "All cores. Test MAE. Start of Python, model, report and extrapolation grades included; steps of "
        "the warm run. cold: no couplings and no compiled code kept; peak: the larger of both.",
        *(() if rows else (f"No data: {DATA.name} is not there.",)),
    )
    return Table("fit", "`etace fit` on Si and Mo", columns, rows, notes)


def _measured(folder: Path, name: str, what: list[str], element: str) -> dict[str, Any]:
    cache = folder / f"cache-{name.replace(' ', '')}"
    row: dict[str, Any] = {"fit": name}
    out = folder / f"{name.split()[-1]}.safetensors"
    data = [str(folder / f"{element}_{k}.xyz") for k in ("train", "test")]
    arguments = ["fit", *what, "--train", data[0], "--test", data[1], "-o", str(out)]
    peaks = []
    for state in ("cold, s", "warm, s"):
        start = time.perf_counter()
        peaks.append(_run(arguments, cache))
        row[state] = time.perf_counter() - start
    row["peak, GiB"] = max(peaks)
    events = [json.loads(x) for x in out.with_suffix(".progress.jsonl").read_text().splitlines()]
    row |= {f"{e['step']}, s": e["seconds"] for e in events if e["event"] == "done"}
    path = os.pathsep.join([str(ROOT / "runtime"), str(ROOT / "compiler")])
    done = subprocess.run(
        [sys.executable, "-m", "etacec", "info", str(out), "--json"],
        env=environment(1, {"PYTHONPATH": path}),
        capture_output=True,
        text=True,
        check=True,
    )
    card = json.loads(done.stdout)["card"]
    test = {
        e["kind"]: e["mae"] for e in card["errors"] if (e["set"], e["group"]) == ("test", "all")
    }
    return row | {
        "columns": card["parameters"]["linear"],
        "E, meV/atom": test["energy"],
        "F, eV/Å": test["forces"],
    }


def _run(arguments: list[str], cache: Path) -> float:
    """Peak memory, GiB, of one `etace` command on all cores."""
    path = os.pathsep.join([str(ROOT / "runtime"), str(ROOT / "compiler")])
    env = {k: v for k, v in os.environ.items() if k not in UNSET}
    env |= {"PYTHONPATH": path, "ETACE_CACHE_DIR": str(cache)}
    process = subprocess.Popen(
        [sys.executable, "-m", "etacec", *arguments],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"etace {' '.join(arguments)}: exit {process.returncode}")
    return used.ru_maxrss / 2**20
