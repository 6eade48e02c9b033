"""A C compiler, if there is one: the system's, or that of the ziglang wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec

FLAGS = ("-std=gnu11", "-O3", "-fno-math-errno", "-ffp-contract=fast", "-fPIC", "-shared")
HEADERS = "#include <math.h>\n#include <string.h>\n"  # some systems have a compiler, but no C library to it
VARIABLE = "ETACE_CC"  # a compiler of the user's choice


@dataclass(frozen=True)
class Toolchain:
    """command: of the compiler; version: what it says of itself; target: macros of the CPU it compiles
    for and of its C library, which say what its code needs"""

    command: tuple[str, ...]
    version: str
    target: str

    @property
    def name(self) -> str:
        return self.version.split("\n")[0]


def find() -> Toolchain | None:
    """The first compiler that works: $ETACE_CC, cc, gcc, clang, then ziglang's; None: there is none."""
    chosen = os.environ.get(VARIABLE)
    if chosen is not None:
        return _asked(tuple(chosen.split())) if chosen.strip() else None
    options: list[tuple[str, ...]] = [
        (path,) for name in ("cc", "gcc", "clang") if (path := shutil.which(name))
    ]
    if find_spec("ziglang") is not None:
        options.append((sys.executable, "-m", "ziglang", "cc"))
    return next((t for o in options if (t := _asked(o)) is not None), None)


@lru_cache(maxsize=8)
def _asked(command: tuple[str, ...]) -> Toolchain | None:
    version = _said([*command, "--version"])
    target = _said([*command, "-march=native", "-dM", "-E", "-x", "c", "-"], HEADERS)
    return None if version is None or target is None else Toolchain(command, version, target)


def _said(command: list[str], to: str = "") -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, input=to)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout if done.returncode == 0 else None
