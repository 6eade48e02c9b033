"""Couplings, factors and arrays as tables of the generated module, with exact values beside floats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from etacec.codegen.breaking import WIDTH
from etacec.coupling import Coupling
from etacec.ir.nodes import Pool, Products


def wrapped(items: Iterable[str], indent: str, prefix: str = "") -> list[str]:
    """Items separated by commas, as many to a line as fit."""
    lines: list[str] = []
    line = ""
    for item in items:
        piece = f"{item}, "
        if line and len(indent) + len(prefix) + len(line) + len(piece) > WIDTH:
            lines.append(f"{indent}{prefix}{line}".rstrip())
            line = ""
        line += piece
    if line:
        lines.append(f"{indent}{prefix}{line}".rstrip())
    if prefix and lines:
        lines[-1] = lines[-1].rstrip(",")
    return lines


def row_lines(items: Sequence[str], indent: str) -> list[str]:
    """`(a, b),` on one line if it fits."""
    one = f"{indent}({', '.join(items)}{',' if len(items) == 1 else ''}),"
    if len(one) <= WIDTH:
        return [one]
    return [f"{indent}(", *wrapped(items, indent + "    "), f"{indent}),"]


def tuple_text(values: Sequence[int]) -> str:
    return f"({', '.join(map(str, values))}{',' if len(values) == 1 else ''})"


def pool_table(name: str, pool: Pool) -> list[str]:
    out = [f"{name} = tensor.Pool(", "    channels=("]
    out += wrapped((str(c) for c, _ in pool.factors), " " * 8)
    out += ["    ),", "    l=("]
    out += wrapped((str(l) for _, l in pool.factors), " " * 8)
    return [*out, "    ),", ")"]


def labels_table(name: str, pool: Pool, binders: Sequence[str]) -> list[str]:
    out = [f"{name} = (  # ({', '.join(binders)}) of each factor of A"]
    out += wrapped((tuple_text(v) for v in pool.labels), " " * 4)
    return [*out, ")"]


def couplings_table(name: str, products: Products, which: int) -> list[str]:
    """All patterns that couple to one L, each with the blocks that use it, in their order."""
    out = [f"{name} = ("]
    patterns = sorted({b.couplings[which] for b in products.blocks if b.couplings[which] >= 0})
    for p in patterns:
        blocks = [b.factors for b in products.blocks if b.couplings[which] == p]
        out += _coupling(products.couplings[p], blocks)
    return [*out, ")"]


def _coupling(c: Coupling, blocks: Sequence[Sequence[int]]) -> list[str]:
    i4, i8 = " " * 4, " " * 8
    out = [
        f"{i4}tensor.Coupling(",
        f"{i8}l={tuple_text(c.pattern.ls)},",
        f"{i8}L={c.pattern.L},",
        f"{i8}m=(",
    ]
    out += wrapped((tuple_text(m) for m in c.classes), " " * 12)
    out += [f"{i8}),", f"{i8}C=("]
    components = 2 * c.pattern.L + 1
    rows: list[list[str]] = [[] for _ in range(c.functions * components)]
    values = np.zeros((len(rows), len(c.classes)))
    for function, component, column, surd in c.entries:
        row = function * components + component
        rows[row].append(str(surd))
        values[row, column] = float(surd)
    for exact, row_values in zip(rows, values, strict=True):
        out += wrapped(exact or ["0"], " " * 12, "# ")
        out += row_lines([_float(v) for v in row_values], " " * 12)
    out += [f"{i8}),", f"{i8}blocks=("]
    out += wrapped((tuple_text(b) for b in blocks), " " * 12)
    return [*out, f"{i8}),", f"{i4}),"]


def _float(value: float) -> str:
    return "0" if value == 0 else repr(float(value))


def array_table(name: str, array: np.ndarray) -> list[str]:
    """An array of weights, exactly, in DTYPE."""
    out = [f"{name} = np.array(", "    ("]
    out += wrapped((repr(float(x)) for x in np.ravel(array)), " " * 8)
    return [*out, "    ),", "    DTYPE,", f").reshape({tuple_text(array.shape)})"]
