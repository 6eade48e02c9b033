"""A virtual environment for each peer, made on first use outside the checkout.

Peers are never dependencies of the project: licences differ, and two of them pin their own JAX.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

REQUIREMENTS = {"pace": "python-ace==0.4.0rc1", "acejax": "ace-jax==0.4.1"}


def folder() -> Path:
    """$ETACE_BENCH_DIR, else etace/benchmarks in $XDG_CACHE_HOME or ~/.cache."""
    if own := os.environ.get("ETACE_BENCH_DIR"):
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "etace" / "benchmarks"


def python_of(peer: str) -> Path | None:
    """The interpreter of a peer's environment, or None, with a line on why, if it does not install."""
    requirement = REQUIREMENTS[peer]
    place = folder() / requirement
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = place / "installed"
    if done.exists():
        return python
    print(f"{requirement}: installing into {place}", file=sys.stderr, flush=True)
    try:
        venv.create(place, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, requirement], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()
        print(f"{requirement}: not installed, left out ({said[-1]})", file=sys.stderr, flush=True)
        return None
    done.touch()
    return python
