"""One fit of synthetic rows by the steps of `etace fit`, as JSON.  python -m benchmarks.large COLUMNS ROWS

Rows are columns of white noise times a spectrum that falls from 1 to 1e-16, mixed by a cosine transform, so that all
columns depend on each other as those of ACE do; labels have noise.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from typing import Any

import numpy as np
from etace.fit.assemble import TASK, merge_into
from etace.fit.factors import JOINED, Factor, Key, eliminate, factor, system
from etace.fit.solve import evidence
from etace.inference.evaluator import available_cores
from etace.parallel import one_blas_thread, ordered
from scipy.fft import dct

KEY = Key("train", "", JOINED)  # as where memory is short
NOISE = 1e-3
MEMBERS = 8  # of a committee


class Rows:
    """columns, rows: of the whole; each: rows of a block"""

    def __init__(self, columns: int, rows: int):
        self.columns, self.rows = columns, rows
        self.each = max(1, TASK // (8 * (columns + 1)))
        self.spectrum = np.logspace(0, -16, columns)
        self.true = np.random.default_rng(1).normal(size=columns)

    def __len__(self) -> int:
        return -(-self.rows // self.each)

    def block(self, k: int) -> np.ndarray:
        """[.., columns + 1] of [A | y]"""
        random = np.random.default_rng([2, k])
        out = np.empty((min(self.each, self.rows - k * self.each), self.columns + 1))
        A = out[:, :-1]
        noise = random.standard_normal(A.shape) * self.spectrum
        A[:] = dct(noise, axis=1, norm="ortho", overwrite_x=True)
        out[:, -1] = A @ self.true + NOISE * random.standard_normal(len(A))
        return out


@one_blas_thread
def fitted(given: Rows, cores: int) -> dict[str, Any]:
    """Seconds by step, and the peak of memory."""
    seconds: dict[str, float] = {}
    last = time.perf_counter()

    def done(step: str) -> None:
        nonlocal last
        now = time.perf_counter()
        seconds[step], last = now - last, now
        print(f"{given.columns} columns: {step} {seconds[step]:.1f} s", file=sys.stderr, flush=True)

    total: dict[Key, Factor] = {}
    for own in ordered(lambda k: {KEY: factor([given.block(k)])}, range(len(given)), cores):
        merge_into(total, own)
    total[KEY].pack()
    done("rows and QR, s")
    whole = system(total, lambda key: 1.0)
    reduced = eliminate(whole, np.zeros(given.columns, bool))
    gamma = np.linspace(1, 10, given.columns)
    found = evidence(reduced.rest.scaled(gamma))
    done("solve, s")
    assert found.posterior is not None
    found.posterior.times(np.random.default_rng(3).normal(size=(given.columns, MEMBERS)))
    done("committee, s")
    residual = np.sqrt(whole.loss(found.c / gamma) / whole.rows)
    return {
        "columns": given.columns,
        "rows": given.rows,
        **seconds,
        "rank": int(found.notes["rank"]),
        "noise found": found.notes["noise"],
        "residual": float(residual),
        "CPU, s": time.process_time(),
        "peak, GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }


if __name__ == "__main__":
    sizes = [int(x) for x in sys.argv[1:3]]
    print(json.dumps(fitted(Rows(*sizes), available_cores())))
