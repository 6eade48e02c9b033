"""A built kernel and its calls: numpy arrays in, numpy arrays out, no JAX in between."""

from __future__ import annotations

import ctypes
import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from etace.native.build import library
from etace.native.layout import FAR, Layout
from etace.native.program import MemberCoefficients, Program
from etace.native.toolchain import Toolchain

ALIGNED = 64  # bytes


@dataclass(frozen=True, eq=False)
class Sums:
    """energies: [atoms], eV; forces: [atoms, 3], eV/Å; virials: [atoms, 6], eV, Voigt order;
    of a committee's members: member_energies, [members, atoms]; member_forces, [members, atoms, 3]"""

    energies: np.ndarray
    forces: np.ndarray
    virials: np.ndarray
    member_energies: np.ndarray | None = None
    member_forces: np.ndarray | None = None


class Kernel:
    """One program, compiled for this machine. Raises BuildError."""

    def __init__(self, program: Program, toolchain: Toolchain, cores: int = 1, *flags: str):
        self.program = program
        self.cores = cores
        self.dtype = np.dtype(program.dtype)
        self.c = library(program.text, toolchain, *flags)
        self.c.etace_scratch.restype = self.c.etace_members_scratch.restype = ctypes.c_int64
        self.lanes = int(self.c.etace_lanes())

        self._spare: WeakKeyDictionary[Layout, list[_Space]] = WeakKeyDictionary()

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(max(self.cores - 1, 1), thread_name_prefix="etace")

    def __call__(
        self,
        graph: Layout,
        positions: np.ndarray,
        cells: np.ndarray,
        coefficients: np.ndarray,
        members: MemberCoefficients | None = None,
        member_forces: bool = False,
    ) -> Sums:
        """positions: [atoms, 3], Å; cells: [3, 3], or [structures, 3, 3]; coefficients: of the program;
        members: of a committee, whose energies are wanted, and forces if so.

        What is summed in which order hangs on the graph alone, not on the number of cores.
        """
        spare = self._spare.setdefault(graph, [])
        try:
            space = spare.pop()  # each call at the same time has its own
        except IndexError:
            space = _Space(self, graph)
        x, cells = (np.ascontiguousarray(a, self.dtype) for a in (positions, cells))
        self.c.etace_positions(*space.rows, _at(x), *space.images, _at(cells), space.X)
        space.forces.fill(0)
        parts = itertools.count()
        committee = None
        if members is not None:
            committee = _Committee(self, graph, members, member_forces)

        def work(worker: int) -> None:
            run = self.c.etace_blocks if committee is None else self.c.etace_committee
            more = () if committee is None else committee.arguments()
            while (p := next(parts)) < graph.parts:
                first, last = p * graph.each, min((p + 1) * graph.each, graph.blocks)
                run(
                    _n(first), _n(last), *space.graph, _at(coefficients), space.scratch(worker),
                    *space.results, *more,
                )  # fmt: skip

        workers = min(self.cores, graph.parts)
        others = [self._threads.submit(work, w) for w in range(1, workers)]
        try:
            work(0)
        finally:
            for other in others:
                other.result()
        n, real = graph.atoms, self.dtype
        each = () if committee is None else (committee.energies(), committee.forces())
        made = Sums(np.empty(n, real), np.empty((n, 3), real), np.empty((n, 6), real), *each)
        self.c.etace_results(
            _n(0), _n(n), *space.sums, _at(made.energies), _at(made.forces), _at(made.virials)
        )
        spare.append(space)
        return made


class _Space:
    """Memory of one call, and the arguments that are the same in every call of a graph."""

    def __init__(self, kernel: Kernel, graph: Layout):
        rows, real = graph.rows_of_X, kernel.dtype
        self._real = real
        self._size = int(kernel.c.etace_scratch(_n(graph.longest)))
        self._scratch: dict[int, np.ndarray] = {}
        positions = _aligned((rows, 4), real)
        positions[len(graph.owner) :] = FAR
        self.forces = _aligned((rows, 4), real)
        out = _aligned((graph.blocks, 7, kernel.lanes), real)
        self._held = (graph.owner, graph.shift, positions, out)  # as long as pointers to them
        self.X = _at(positions)
        self.rows = _n(0), _n(len(graph.owner))
        self.images = _at(graph.owner), _at(graph.shift), _at(graph.structure)
        lists = graph.species, graph.atom, graph.rows, graph.neighbour
        self.graph = *map(_at, lists), self.X
        self.results = _at(self.forces), _at(out)
        self.sums = _n(graph.atoms), _at(graph.images), _at(graph.slot), *self.results

    def scratch(self, worker: int) -> ctypes.c_void_p:
        if worker not in self._scratch:
            self._scratch[worker] = _aligned((self._size,), self._real)
        return _at(self._scratch[worker])


class _Committee:
    """Memory of one call for a committee's members; the forces of their rows stand side by side."""

    def __init__(self, kernel: Kernel, graph: Layout, members: MemberCoefficients, forces: bool):
        self._kernel, self._graph, self._members = kernel, graph, members
        real = kernel.dtype
        self._energies = _aligned((graph.blocks, members.places, kernel.lanes), real)
        self._forces = np.zeros((graph.rows_of_X, members.count, 3), real) if forces else None
        self._size = int(kernel.c.etace_members_scratch(_n(graph.longest), _n(members.places)))
        self._held: list[np.ndarray] = []

    def arguments(self) -> tuple[Any, ...]:
        """Of one worker."""
        space = None
        if self._forces is not None:
            space = _aligned((self._size,), self._kernel.dtype)
            self._held.append(space)
        m = self._members
        return (
            _n(m.places), _at(m.values), _at(self._energies), _n(m.count), _at(space),
            _at(self._forces),
        )  # fmt: skip

    def energies(self) -> np.ndarray:
        """[members, atoms] of [blocks, places, lanes]."""
        block, lane = np.divmod(self._graph.slot, self._kernel.lanes)
        return np.ascontiguousarray(self._energies[block, : self._members.count, lane].T)

    def forces(self) -> np.ndarray | None:
        """[members, atoms, 3]"""
        if self._forces is None:
            return None
        graph, count = self._graph, self._members.count
        n = graph.atoms
        out = np.empty((count, n, 3), self._kernel.dtype)
        self._kernel.c.etace_member_forces(
            _n(0), _n(n), _n(n), _at(graph.images), _n(count), _at(self._forces), _at(out)
        )
        return out


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
