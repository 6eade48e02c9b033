"""A built kernel and its calls: numpy arrays in, numpy arrays out, no JAX in between."""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from etace.native.build import library
from etace.native.layout import FAR, Layout
from etace.native.program import Program
from etace.native.toolchain import Toolchain

PARTS = 16  # arrays of forces at most: threads that can be at work
ATOMS = 256  # for which an array of forces of their own pays
ALIGNED = 64  # bytes


@dataclass(frozen=True, eq=False)
class Sums:
    """energies: [atoms], eV; forces: [atoms, 3], eV/Å; virials: [atoms, 6], eV, Voigt order."""

    energies: np.ndarray
    forces: np.ndarray
    virials: np.ndarray


class Kernel:
    """One program, compiled for this machine. Raises BuildError."""

    def __init__(self, program: Program, toolchain: Toolchain, cores: int = 1, *flags: str):
        self.program = program
        self.cores = cores
        self.dtype = np.dtype(program.dtype)
        self.c = library(program.text, toolchain, *flags)
        self.c.etace_scratch.restype = ctypes.c_int64
        self.lanes = int(self.c.etace_lanes())

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.cores, thread_name_prefix="etace")

    def __call__(
        self, graph: Layout, positions: np.ndarray, cells: np.ndarray, coefficients: np.ndarray
    ) -> Sums:
        """positions: [atoms, 3], Å; cells: [3, 3], or [structures, 3, 3]; coefficients: of the program.

        What is summed in which order hangs on the graph alone, not on the number of cores.
        """
        real, rows = self.dtype, len(graph.owner)
        x = np.ascontiguousarray(positions, real)
        X = _aligned((rows + 1, 4), real)
        X[rows] = FAR
        cells = np.ascontiguousarray(cells, real)
        self.c.etace_positions(
            _n(0), _n(rows), _at(x), _at(graph.owner), _at(graph.shift), _at(graph.structure),
            _at(cells), _at(X),
        )  # fmt: skip
        parts = parts_of(graph.atoms)
        F = _aligned((parts, rows + 1, 4), real)
        out = _aligned((graph.blocks, 7, self.lanes), real)
        scratch = int(self.c.etace_scratch(_n(graph.longest)))
        each = -(-graph.blocks // parts)

        def job(p: int) -> None:
            F[p] = 0
            space = _aligned((scratch,), real)
            first, last = min(p * each, graph.blocks), min((p + 1) * each, graph.blocks)
            self.c.etace_blocks(
                _n(first), _n(last), _at(graph.species), _at(graph.atom), _at(graph.rows),
                _at(graph.neighbour), _at(X), _at(coefficients), _at(space), _at(F[p]), _at(out),
            )  # fmt: skip

        if self.cores == 1 or parts == 1:
            for p in range(parts):
                job(p)
        else:
            list(self._threads.map(job, range(parts)))
        forces = np.empty((graph.atoms, 3), real)
        self.c.etace_forces(
            _n(0), _n(graph.atoms), _n(graph.atoms), _at(graph.images), _n(parts),
            _n(4 * (rows + 1)), _at(F), _at(forces),
        )  # fmt: skip
        flat = np.moveaxis(out, 1, 2).reshape(-1, 7)[graph.slot]
        return Sums(flat[:, 0], forces, flat[:, 1:])


def parts_of(atoms: int) -> int:
    """How many arrays of forces so many atoms are summed in."""
    return max(1, min(PARTS, atoms // ATOMS))


def _aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """An empty array whose first number stands at a multiple of 64 bytes."""
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.empty(size + ALIGNED, np.uint8)
    start = -raw.ctypes.data % ALIGNED
    return raw[start : start + size].view(dtype).reshape(shape)


def _n(value: int) -> ctypes.c_int64:
    return ctypes.c_int64(value)


def _at(array: np.ndarray | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if array is None else array.ctypes.data)
