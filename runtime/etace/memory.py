"""How much memory this process may still take."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

UNKNOWN = 8 << 30  # bytes, where no system says it


def available() -> int:
    """Bytes: what the machine has left, or the limits of its control groups or of the process leave, if less."""
    return max(0, min([*_machine(), *_groups(), *_process()], default=UNKNOWN))


def _machine() -> Iterator[int]:
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            yield 1024 * int(line.split()[1])
            return
    names = getattr(os, "sysconf_names", {})
    for pages in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"):  # macOS knows the latter alone
        if pages in names and "SC_PAGE_SIZE" in names:
            yield os.sysconf(pages) * os.sysconf("SC_PAGE_SIZE")
            return


def _groups() -> Iterator[int]:
    """Of Linux' control groups, of both versions: this process's own and those above it."""
    for line in _lines("/proc/self/cgroup"):
        _, kinds, path = line.split(":", 2)
        if kinds == "":
            root, limit, used = Path("/sys/fs/cgroup"), "memory.max", "memory.current"
        elif "memory" in kinds.split(","):
            root, limit = Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"
            used = "memory.usage_in_bytes"
        else:
            continue
        own = root / path.strip("/")
        for group in (own, *own.parents):
            most, now = (_number(group / name) for name in (limit, used))
            if most is not None and now is not None:
                yield most - now
            if group == root:
                break


def _process() -> Iterator[int]:
    """Of `ulimit -v`."""
    try:
        import resource
    except ImportError:  # Windows
        return
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    for line in _lines("/proc/self/statm"):
        if most != resource.RLIM_INFINITY:
            yield most - int(line.split()[0]) * resource.getpagesize()


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text(encoding="utf8").splitlines()
    except OSError:
        return []


def _number(path: Path) -> int | None:
    """None: there is none, or no limit."""
    try:
        return int(path.read_text(encoding="utf8"))
    except (OSError, ValueError):
        return None
