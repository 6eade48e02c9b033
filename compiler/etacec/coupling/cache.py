"""Couplings kept on disk, one small file per pattern, named by what it holds.

A file is only ever a copy of what `couple` would return: one that is missing, truncated, damaged,
of another pattern or gauge is computed again and replaced; a folder that cannot be read or written
is as good as none.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from etace.io.cache import folder, foreign, write_own

from etacec.coupling.couple import couple
from etacec.coupling.multiplicity import multiplicity
from etacec.coupling.pattern import GAUGE_VERSION, Coupling, Pattern
from etacec.coupling.surd import Surd

FORMAT_VERSION = 1


def couple_all(patterns: Iterable[Pattern], folder: Path | None) -> dict[Pattern, Coupling]:
    """`couple` for each pattern, in their order, read from and kept in the folder, if any."""
    out: dict[Pattern, Coupling] = {}
    for pattern in patterns:
        if pattern not in out:
            out[pattern] = couple(pattern) if folder is None else _cached(pattern, Path(folder))
    return out


def cache_folder() -> Path | None:
    """The user's folder of them; None: there is no home, or somebody else could have filled it."""
    found = folder("coupling")
    return None if found is None or foreign(found) else found


def file_name(pattern: Pattern) -> str:
    """Hash of the pattern and of the versions of gauge and format."""
    text = json.dumps([FORMAT_VERSION, GAUGE_VERSION, pattern.groups, pattern.L])
    return hashlib.sha256(text.encode()).hexdigest()[:32] + ".json"


def to_text(coupling: Coupling) -> str:
    """As JSON: a checksum, then lists of integers."""
    surds: dict[Surd, int] = {}
    entries = [
        (q, component, c, surds.setdefault(x, len(surds)))
        for q, component, c, x in coupling.entries
    ]
    payload = {
        "format": FORMAT_VERSION,
        "gauge": GAUGE_VERSION,
        "groups": coupling.pattern.groups,
        "L": coupling.pattern.L,
        "functions": coupling.functions,
        "classes": coupling.classes,
        "surds": [(x.numerator, x.denominator, x.radicand) for x in surds],
        "entries": entries,
    }
    body = json.dumps(payload, separators=(",", ":"))
    return json.dumps({"sha256": _digest(body)})[:-1] + ',"coupling":' + body + "}\n"


def from_text(text: str, pattern: Pattern) -> Coupling | None:
    """The coupling of this very pattern, gauge and format, or None if it is not that."""
    try:
        whole: Any = json.loads(text)
        payload = whole["coupling"]
        if whole["sha256"] != _digest(json.dumps(payload, separators=(",", ":"))):
            return None
        found = Pattern(tuple((l, n) for l, n in payload["groups"]), payload["L"])
        if (payload["format"], payload["gauge"]) != (FORMAT_VERSION, GAUGE_VERSION):
            return None
        if found != pattern or payload["functions"] != multiplicity(pattern):
            return None
        surds = [Surd(n, d, r) for n, d, r in payload["surds"]]
        entries = tuple((q, component, c, surds[x]) for q, component, c, x in payload["entries"])
        classes = tuple(tuple(c) for c in payload["classes"])
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return Coupling(pattern, classes, entries, payload["functions"])


def _cached(pattern: Pattern, folder: Path) -> Coupling:
    if multiplicity(pattern) == 0:
        return couple(pattern)
    path = folder / file_name(pattern)
    try:
        kept = None if foreign(path) else from_text(path.read_text(encoding="ascii"), pattern)
    except (OSError, ValueError):
        kept = None
    if kept is not None:
        return kept
    coupling = couple(pattern)
    _write(path, coupling)
    return coupling


def _write(path: Path, coupling: Coupling) -> None:
    """Beside, then in place at once: another process sees the old file or the whole new one."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_own(path, to_text(coupling).encode("ascii"))
    except (OSError, ValueError):  # ValueError: an integer longer than json reads (4300 digits)
        pass


def _digest(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
