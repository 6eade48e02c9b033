"""Floating-point operations of one evaluation, counted as they are done: the kernel's own text, compiled with
vectors that count (`counted.h`), evaluates the structure once."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from etace.bench.stages import STAGES
from etace.native.evaluator import NativePrepared
from etace.native.kernel import Kernel
from etace.native.layout import Layout
from etace.native.program import Program
from etace.native.toolchain import Toolchain

HEADER = Path(__file__).with_name("counted.h")
KINDS = ("additions", "multiplications", "divisions", "roots", "calls")
FAST = "-O0"  # of a run or two: what is compiled soonest


@dataclass(frozen=True)
class Operations:
    """Of one evaluation, in all lanes. kinds: by stage and kind; calls of exp, log, sin and cos are no
    operations, as many as they may take

    useful: those in lanes that have a neighbour or an atom; rows, atoms: share of the lanes of edges and
    of blocks that have one
    """

    kinds: Mapping[str, Mapping[str, int]]
    useful: float
    rows: float
    atoms: float

    @property
    def stages(self) -> Mapping[str, int]:
        return {stage: _sum(kinds) for stage, kinds in self.kinds.items()}

    @property
    def total(self) -> int:
        return sum(self.stages.values())


class Counter:
    """A kernel that counts. toolchain: of C++. Raises BuildError."""

    def __init__(self, program: Program, toolchain: Toolchain):
        header = HEADER.read_text(encoding="utf8")
        text = f'{header}\nextern "C" {{\n{program.text}\n}}\n'
        self.kernel = Kernel(replace(program, text=text), toolchain, 1, FAST)
        kinds = ctypes.c_int64 * len(KINDS) * len(STAGES)
        self._found = np.ctypeslib.as_array(kinds.in_dll(self.kernel.c, "etace_operations"))

    def __call__(self, near: NativePrepared, coefficients: Any) -> Operations:
        graph, lanes = near.layout, self.kernel.lanes
        every = self._run(near, graph, coefficients)
        # without rows a block does what it does once, whatever the number of its neighbours
        none = replace(graph, rows=np.zeros_like(graph.rows), neighbour=graph.neighbour[:0])
        once = self._run(near, none, coefficients)
        edges = int((graph.neighbour < len(graph.owner)).sum())
        rows = edges / max(graph.neighbour.size, 1)
        atoms = graph.atoms / max(graph.blocks * lanes, 1)
        kinds = {
            stage: dict(zip(KINDS, map(int, row), strict=True))
            for stage, row in zip(STAGES, every, strict=True)
        }
        blocks = _sum(dict(zip(KINDS, once.sum(axis=0), strict=True)))
        all_of_it = sum(_sum(k) for k in kinds.values())
        return Operations(kinds, (all_of_it - blocks) * rows + blocks * atoms, rows, atoms)

    def _run(self, near: NativePrepared, graph: Layout, coefficients: Any) -> np.ndarray:
        """[stages, kinds], of all lanes."""
        self._found[:] = 0
        self.kernel(graph, near.positions, near.cells, coefficients)
        return self._found * self.kernel.lanes


def _sum(kinds: Mapping[str, int]) -> int:
    return sum(int(n) for kind, n in kinds.items() if kind != "calls")
