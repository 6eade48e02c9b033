"""Compilers of C and C++, if there are any: the system's, or those of the ziglang wheel."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec

from etace.native.commands import ran

SHARED = ("-fPIC", "-shared")
FLAGS = {
    "c": ("-std=gnu11", "-O3", "-fno-math-errno", "-ffp-contract=fast", *SHARED),
    "c++": ("-std=c++17", "-O2", "-pthread", *SHARED),
}
# off by default on x86: a tenth faster, less spilled
GCC = ("-fschedule-insns", "-fsched-pressure")
HEADERS = "#include <math.h>\n#include <string.h>\n"  # some systems have a compiler, but no C library to it
ANSWER = 30  # seconds within which a compiler says what it is
VARIABLE = "ETACE_CC"  # a compiler of the user's choice
VARIABLE_CXX = "ETACE_CXX"  # the same for C++
BESIDE = {"cc": "c++", "gcc": "g++", "clang": "clang++"}  # names, perhaps with a version after them


@dataclass(frozen=True)
class Toolchain:
    """command: of the compiler; version: what it says of itself; target: macros of the CPU it compiles
    for and of its C library, which say what its code needs; language: c or c++"""

    command: tuple[str, ...]
    version: str
    target: str
    language: str = "c"

    @property
    def name(self) -> str:
        return self.version.split("\n")[0]

    @property
    def flags(self) -> tuple[str, ...]:
        gcc = GCC if self.language == "c" and "__clang__" not in self.target else ()
        return (*FLAGS[self.language], *gcc, "-march=native")


def find() -> Toolchain | None:
    """The first compiler that works: $ETACE_CC, cc, gcc, clang, then ziglang's; None: there is none."""
    return _first(VARIABLE, [], tuple(BESIDE), "c")


def find_cxx(c: Toolchain) -> Toolchain | None:
    """The same for C++: $ETACE_CXX, the one beside the C compiler, c++, g++, clang++, ziglang's."""
    beside = tuple(re.sub(r"(gcc|clang|cc)(?=(-[\d.]+)?$)", _beside, word) for word in c.command)
    return _first(
        VARIABLE_CXX, [beside] if beside != c.command else [], tuple(BESIDE.values()), "c++"
    )


def _beside(name: re.Match[str]) -> str:
    return BESIDE[name[1]]


def _first(
    variable: str, options: list[tuple[str, ...]], names: tuple[str, ...], language: str
) -> Toolchain | None:
    """The one the variable names, else the first that works of options, of the names, and ziglang's."""
    chosen = os.environ.get(variable)
    if chosen is not None:
        return _asked(tuple(chosen.split()), language) if chosen.strip() else None
    options = [*options, *((path,) for name in names if (path := shutil.which(name)))]
    if find_spec("ziglang") is not None:
        options.append((sys.executable, "-m", "ziglang", names[0]))
    return next((t for o in options if (t := _asked(o, language)) is not None), None)


def missing(language: str = "c") -> str:
    """Why there is none, in words."""
    variable, name = (VARIABLE, "C") if language == "c" else (VARIABLE_CXX, "C++")
    if (chosen := os.environ.get(variable, "")).strip():
        return f"${variable} is `{chosen.strip()}`, which is no {name} compiler that works"
    return f"there is no {name} compiler (pip install 'etace[native]' brings one)"


@lru_cache(maxsize=16)
def _asked(command: tuple[str, ...], language: str) -> Toolchain | None:
    version = _said([*command, "--version"])
    if version is None:
        return None
    target = _said([*command, "-march=native", "-dM", "-E", "-x", language, "-"], HEADERS)
    if target is None or "#define __STDC__" not in target:
        return None
    return Toolchain(command, version, target, language)


def _said(command: list[str], to: str = "") -> str | None:
    try:
        done = ran(command, ANSWER, to)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
