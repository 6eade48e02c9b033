"""What stands before the functions of a kernel's file: vectors, their functions, and constants of the bonds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

from etacec.codegen.native import elementary, support
from etacec.codegen.native.formula import number


def head(dtype: str, body: str) -> str:
    """What stands before the body: types, vectors and the functions of them that it reads."""
    single = dtype == "float32"
    text = (
        support.HEAD.replace("@REAL@", "float" if single else "double")
        .replace("@INT@", "int32_t" if single else "int64_t")
        .replace("@SQRT@", "sqrtf" if single else "sqrt")
    )
    for bytes_ in (64, 32, 16):
        text = text.replace(f"@{bytes_}@", str(bytes_ // (4 if single else 8)))
    read = [name for name in elementary.NAMES if re.search(rf"\bvec_{name}\b", body)]
    return text + elementary.functions(read, dtype)


def constants(names: Iterable[str], tables: Mapping[str, np.ndarray]) -> list[str]:
    out = []
    for name in dict.fromkeys(["CUTOFFS", *names]):
        values = ", ".join(number(x) for x in tables[name])
        out.append(f"static const real {name}[] = {{{values}}};")
    return out
