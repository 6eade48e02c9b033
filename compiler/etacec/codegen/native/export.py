"""A fitted model as C that anyone can link: its kernel, a list of neighbours, its coefficients and a plain call.

The list of neighbours is the runtime's, which knows nothing of models; the other texts around the kernel are in
`c/`: `potential.c` and `potential.h` are the call, `main.c` an example of it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from etace.native import Program
from etace.native.listing import SOURCE

from etacec.codegen.native.texts import text_of

PER_LINE = 4  # coefficients
RESERVED = ("main",)  # the example's file

# What -Wall -Wextra -pedantic say of vectors without reason, and of what a plain call does not use.
QUIET = """
#pragma GCC diagnostic ignored "-Wunused-function"
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
"""


def is_name(name: str) -> bool:
    """Whether files and functions can be called so."""
    return re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) is not None and name not in RESERVED


def export(
    program: Program, coefficients: np.ndarray, cutoffs: np.ndarray, name: str
) -> dict[str, str]:
    """The text of every file, by its name. coefficients: of the program; cutoffs: [species, species], Å"""
    first, rest = program.text.split("\n", 1)
    known = {
        "NAME": name,
        "TITLE": first.removeprefix("// "),
        "SPECIES": str(len(program.species)),
        "SYMBOLS": ", ".join(f'"{s}"' for s in program.species),
        "CUTOFFS": "\n".join(f"    {{{', '.join(_numbers(row))}}}," for row in cutoffs),
        "CUTOFF": repr(float(np.max(cutoffs))),
    }
    source = [first, QUIET, rest, SOURCE.read_text(encoding="utf8"), _table(coefficients)]
    return {
        f"{name}.c": _own("\n".join(source)) + _filled(text_of("potential.c"), known),
        f"{name}.h": _filled(text_of("potential.h"), known),
        "main.c": _filled(text_of("main.c"), known),
    }


def _own(text: str) -> str:
    """Its functions seen by this file alone: several potentials can be linked together."""
    return re.sub(r"^(int|int64_t|void) (etace_\w+\()", r"static \1 \2", text, flags=re.M)


def _filled(text: str, known: dict[str, str]) -> str:
    return re.sub(r"@([A-Z]+)@", lambda m: known[m[1]], text)


def _numbers(values: Sequence[float] | np.ndarray) -> list[str]:
    return [repr(float(x)) for x in values]


def _table(values: np.ndarray) -> str:
    words = _numbers(values)
    lines = [
        "    " + ", ".join(words[k : k + PER_LINE]) + "," for k in range(0, len(words), PER_LINE)
    ]
    return "\n".join(
        [
            "// What was fitted, in the order the kernel reads it.",
            "static const real coefficients[] = {",
            *lines,
            "};\n\n",
        ]
    )
