"""What the data cannot tell apart, in words.

Presets hold columns that depend on each other by design, which is nobody's mistake: of them nothing is
said. Of what a user wrote, where it stands in the spec.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy.linalg import qr

from etace.fit.compositions import undetermined
from etace.fit.factors import System
from etace.fit.priors import FACTOR
from etace.potential import Constant, LinearParameter, Potential

RTOL = 1e-12  # of a singular value of columns of length 1, to count
SHOWN = 4  # functions named in a line
IN_WORDS = 1200  # columns of which the dependences are looked for block by block
USE = re.compile(r'^[ \t]*use[ \t]+("[^"\n]+"|\w+)[ \t]+as[ \t]+(\w+)', re.MULTILINE)


def notes(model: Any, system: System, rank: int, structures: Sequence[Any]) -> list[str]:
    """What a user can do something about, one line each.

    model: `etace.Model`; rank: of all columns; structures: those that were fitted
    """
    potential = model.potential
    out = []
    for term in potential.terms:
        if isinstance(term, Constant) and term.learnable:
            line = undetermined(potential.species, structures, term.block)
            out += [line] if line else []
    blocks = {p.block for p in potential.linear_parameters}
    constant = {t.block for t in potential.terms if isinstance(t, Constant)}
    own = {b for b in blocks - constant if not from_preset(model.origin, b)}
    if not own:
        return out
    width = len(potential.linear_parameters)
    if width > IN_WORDS:
        found = [f"all columns: {width}, rank {rank}"] if rank < width else []
    else:
        found = null_space(system, potential, skip=blocks - own)
    at = [f"{b} in line {n}" for b in sorted(own) if (n := line_of(model.origin, b))]
    where = f" ({', '.join(at)})" if at else ""
    return out + [f"columns that the data cannot tell apart: {line}{where}" for line in found]


def from_preset(origin: Mapping[str, Any], block: str) -> bool:
    """Whether a block comes from a preset, not from what its user wrote. origin: of a model"""
    text, names = origin["sources"][origin["root"]], block.split(".")
    for alias in names[:-1]:
        used = dict(reversed(m) for m in USE.findall(text)).get(alias)
        if used is None:
            return False
        if not used.startswith('"'):
            return True
        text = origin["sources"].get(used.strip('"'), "")
    return False


def line_of(origin: Mapping[str, Any], block: str) -> int | None:
    """Where a block is written in the root file, from 1."""
    text, name = origin["sources"][origin["root"]], re.escape(block.split(".")[-1])
    found = re.search(rf"^[ \t]*\w+[ \t]+{name}\b", text, re.MULTILINE)
    return None if found is None else text.count("\n", 0, found.start()) + 1


def null_space(
    system: System, potential: Potential, rtol: float = RTOL, skip: Collection[str] = ()
) -> list[str]:
    """One line for each block of columns, or pair of blocks, whose columns depend on each other.

    Blocks are terms by species, many-body terms by order too. Pairs are named for what their blocks do
    not explain, and a last line counts what is left after them. Empty where the rank is full.
    skip: blocks of which nothing is said, but with one that is not among them
    """
    norms = np.linalg.norm(system.R, axis=0)
    A = system.R / np.where(norms > 0, norms, 1.0)
    blocks = _blocks(potential)
    whole = len(norms) - _rank(A, rtol)
    lines, missing, explained = list[str](), dict[str, int](), 0
    for name, columns in blocks.items():
        missing[name] = len(columns) - _rank(A[:, columns], rtol)
        explained += missing[name]
        if missing[name] and potential.linear_parameters[columns[0]].block not in skip:
            lines.append(_sentence(name, A[:, columns], norms, columns, potential, rtol))
    for a, b in combinations(blocks, 2):
        if explained >= whole:
            break
        columns = blocks[a] + blocks[b]
        rank = _rank(A[:, columns], rtol)
        more = len(columns) - rank - missing[a] - missing[b]
        if more > 0:
            explained += more
            both = {potential.linear_parameters[blocks[x][0]].block for x in (a, b)}
            if both <= set(skip):
                continue
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
