"""Worker processes: each side in its own interpreter, on the cores it is given."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.case import Case

ROOT = Path(__file__).parent.parent
# Settings of a machine's owner that would slow numpy down or hide a compilation.
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "XLA_FLAGS", "JAX_COMPILATION_CACHE_DIR")


class PeerError(Exception):
    """A worker could not do what it was asked for."""


def environment(threads: int, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Of a child process: ours is imported from the checkout, whatever is installed."""
    out = {k: v for k, v in os.environ.items() if k not in UNSET}
    out["OMP_NUM_THREADS"] = out["OPENBLAS_NUM_THREADS"] = str(threads)
    out["TF_CPP_MIN_LOG_LEVEL"] = "3"
    return out | dict(more or {})


class Worker:
    """module: what to run, one of this package; cores: numbers of the cores it may use.

    The process starts with the first question, and again with the next one after it died.
    """

    def __init__(
        self,
        module: str,
        cores: Sequence[int],
        python: str | Path = sys.executable,
        more: Mapping[str, str] | None = None,
    ):
        self.module, self.cores, self.more = module, cores, dict(more or {})
        self.command = [str(python), "-m", f"benchmarks.{module}", ",".join(map(str, cores))]
        self.process: subprocess.Popen[str] | None = None

    def ask(self, case: Case, variant: str, seconds: float) -> dict[str, Any]:
        """See `benchmarks.serve`. Raises PeerError."""
        process = self.process = self.process or self._start()
        assert process.stdin is not None and process.stdout is not None
        request = {"case": dataclasses.asdict(case), "variant": variant, "seconds": seconds}
        line = ""
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        if not line:
            self.process = None
            raise PeerError(f"{self.module}: ended with status {process.wait()}")
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            raise PeerError(f"{self.module}: {reply['error']}")
        return reply

    def _start(self) -> subprocess.Popen[str]:
        folders = [ROOT, ROOT / "runtime", ROOT / "compiler"] if self.module == "ours" else [ROOT]
        path = {"PYTHONPATH": os.pathsep.join(map(str, folders))}
        return subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if "ETACE_BENCH_VERBOSE" in os.environ else subprocess.DEVNULL,
            text=True,
            env=environment(len(self.cores), path | self.more),
        )

    def close(self) -> None:
        if self.process is None:
            return
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process = None

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def printed(arguments: Sequence[str], cores: Sequence[int]) -> Any:
    """The JSON that `python -m ARGUMENTS` prints, from the checkout, on these cores."""
    folders = os.pathsep.join(map(str, (ROOT, ROOT / "runtime", ROOT / "compiler")))
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        env=environment(len(cores), {"PYTHONPATH": folders}),
        capture_output=True,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    return json.loads(done.stdout)


def cores_here() -> list[int]:
    """Numbers of the cores this process may use."""
    return (
        sorted(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else list(range(os.cpu_count() or 1))
    )
