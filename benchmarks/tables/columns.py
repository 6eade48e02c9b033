"""Large fits: seconds by step and memory against the number of columns."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from benchmarks.compare import Session
from benchmarks.report import Table
from benchmarks.workers import ROOT, UNSET

SIZES = (1000, 3000)
TALL = 2  # rows for each column


def columns(session: Session) -> Table:
    """Synthetic rows through the steps of a fit, one process for each size."""
    names = (
        "columns", "rows", "rows and QR, s", "solve, s", "committee, s", "CPU, s", "peak, GiB", "rank",
        "noise found",
    )  # fmt: skip
    rows = [_measured(n) for n in session.columns or SIZES]
    notes = ("All cores. Columns depend on each other down to 1e-16; the labels' noise is 0.001.",)
    return Table("columns", "Fits of many columns", names, rows, notes)


def _measured(count: int) -> dict[str, float]:
    path = os.pathsep.join(map(str, (ROOT / "runtime", ROOT / "compiler", ROOT)))
    env = {k: v for k, v in os.environ.items() if k not in UNSET} | {"PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.large", str(count), str(TALL * count)],
        env=env, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found
