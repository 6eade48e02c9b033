"""What the data cannot tell apart, in words."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from scipy.linalg import qr

from etace.fit.factors import System
from etace.fit.priors import FACTOR
from etace.potential import LinearParameter, Potential

RTOL = 1e-12  # of a singular value of columns of length 1, to count
SHOWN = 4  # functions named in a line


def null_space(system: System, potential: Potential, rtol: float = RTOL) -> list[str]:
    """One line for each block of columns, or pair of blocks, whose columns depend on each other.

    Blocks are terms by species, many-body terms by order too. Pairs are named for what their blocks do
    not explain, and a last line counts what is left after them. Empty where the rank is full.
    """
    norms = np.linalg.norm(system.R, axis=0)
    A = system.R / np.where(norms > 0, norms, 1.0)
    blocks = _blocks(potential)
    whole = len(norms) - _rank(A, rtol)
    lines, missing, explained = list[str](), dict[str, int](), 0
    for name, columns in blocks.items():
        missing[name] = len(columns) - _rank(A[:, columns], rtol)
        explained += missing[name]
        if missing[name]:
            lines.append(_sentence(name, A[:, columns], norms, columns, potential, rtol))
    for a, b in combinations(blocks, 2):
        if explained >= whole:
            break
        columns = blocks[a] + blocks[b]
        rank = _rank(A[:, columns], rtol)
        more = len(columns) - rank - missing[a] - missing[b]
        if more > 0:
            explained += more
            lines.append(f"{a} and {b} together: {len(columns)} columns, rank {rank}")
    if explained < whole:
        lines.append(f"all columns: {len(norms)}, rank {len(norms) - whole}")
    return lines


def _blocks(potential: Potential) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    ordered = {
        t.block: max(map(_order, t.labels)) > 1 for t in potential.terms if hasattr(t, "labels")
    }
    for k, p in enumerate(potential.linear_parameters):
        if p.block not in ordered:
            name = p.block  # a onebody: one block of all species
        elif ordered[p.block]:
            name = f"order {_order(p.function)} of {p.block}[{p.species}]"
        else:
            name = f"{p.block}[{p.species}]"
        found.setdefault(name, []).append(k)
    return found


def _order(label: str) -> int:
    return len(FACTOR.findall(label))


def _rank(A: np.ndarray, rtol: float) -> int:
    s = np.linalg.svd(A, compute_uv=False)
    return int((s > rtol * s.max(initial=0.0)).sum())


def _sentence(
    name: str,
    A: np.ndarray,
    norms: np.ndarray,
    columns: list[int],
    potential: Potential,
    rtol: float,
) -> str:
    rank = _rank(A, rtol)
    names = potential.linear_parameters
    zero = [k for k in columns if norms[k] == 0]
    parts = []
    if zero:
        parts.append(f"no data for {_listed([names[k] for k in zero])}")
    if len(columns) - len(zero) > rank:
        order = qr(A, mode="r", pivoting=True)[1]
        last = [columns[k] for k in sorted(order[rank:]) if norms[columns[k]] > 0]
        are = "is a combination" if len(last) == 1 else "are combinations"
        parts.append(f"{_listed([names[k] for k in last])} {are} of the others")
    return f"{name}: {len(columns)} columns, rank {rank}: {'; '.join(parts)}"


def _listed(found: list[LinearParameter]) -> str:
    words = [p.function or p.species for p in found]
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    return ", ".join(words[:SHOWN]) + more
