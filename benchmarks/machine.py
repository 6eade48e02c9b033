"""What a figure was measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import Any

from benchmarks.environments import REQUIREMENTS
from benchmarks.workers import cores_here


def describe() -> dict[str, Any]:
    versions = {p: _version(p) for p in ("etace", "jax", "jaxlib", "numpy", "ase", "vesin")}
    return {
        "cpu": _cpu(),
        "vector units": _vectors(),
        "cores": len(cores_here()),
        "memory, GiB": _memory(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "versions": versions,
        "peers": list(REQUIREMENTS.values()),
    }


def available_bytes() -> int | None:
    """Memory that could be had now; None where the system does not say."""
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable"):
            return 1024 * int(line.split()[1])
    return None


def _cpu() -> str:
    names = [line for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    name = names[0].partition(":")[2].strip() if names else platform.processor()
    return f"{name}, {platform.machine()}"


def _vectors() -> str:
    flags = next((line for line in _lines("/proc/cpuinfo") if line.startswith("flags")), "").split()
    return next((f for f in ("avx512f", "avx2", "sse2", "asimd") if f in flags), "unknown")


def _memory() -> float | None:
    try:
        return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
