"""A built kernel and its calls: numpy arrays in, numpy arrays out, no JAX in between."""

from __future__ import annotations

import ctypes
import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from etace.inference.form import VOIGT
from etace.native.arrays import aligned, at, whole
from etace.native.build import library
from etace.native.layout import FAR, Layout
from etace.native.program import MemberCoefficients, Program
from etace.native.toolchain import Toolchain
from etace.parallel import Threads


@dataclass(frozen=True, eq=False)
class Sums:
    """energies: [atoms], eV; forces: [atoms, 3], eV/Å; virials: [atoms, 6], eV, Voigt order;
    of a committee's members: member_energies, [members, atoms]; member_forces, [members, atoms, 3]; member_virials,
    [members, structures, 6], eV, of whole structures"""

    energies: np.ndarray
    forces: np.ndarray
    virials: np.ndarray
    member_energies: np.ndarray | None = None
    member_forces: np.ndarray | None = None
    member_virials: np.ndarray | None = None


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
    def _threads(self) -> Threads:
        return Threads(max(self.cores - 1, 1))

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

        What is summed in which order depends on the graph alone, not on the number of cores.
        """
        spare = self._spare.setdefault(graph, [])
        try:
            space = spare.pop()  # each call at the same time has its own
        except IndexError:
            space = _Space(self, graph)
        x = np.ascontiguousarray(positions, self.dtype)
        cells = np.ascontiguousarray(cells, self.dtype)
        assert x.shape == (graph.atoms, 3), "C reads 3 numbers for each atom"
        self.c.etace_positions(*space.rows, at(x), *space.images, at(cells), space.X)
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
                    whole(first), whole(last), *space.graph, at(coefficients), space.scratch(worker),
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
        each: tuple[np.ndarray | None, ...] = ()
        if committee is not None:
            each = committee.energies(), committee.forces(), committee.virials(space.positions)
        made = Sums(np.empty(n, real), np.empty((n, 3), real), np.empty((n, 6), real), *each)
        self.c.etace_results(
            whole(0), whole(n), *space.sums, at(made.energies), at(made.forces), at(made.virials)
        )
        spare.append(space)
        return made


class _Space:
    """Memory of one call, and the arguments that are the same in every call of a graph."""

    def __init__(self, kernel: Kernel, graph: Layout):
        rows, real = graph.rows_of_X, kernel.dtype
        self._real = real
        self._size = int(kernel.c.etace_scratch(whole(graph.longest)))
        self._scratch: dict[int, np.ndarray] = {}
        positions = aligned((rows, 4), real)
        positions[len(graph.owner) :] = FAR
        self.forces = aligned((rows, 4), real)
        out = aligned((graph.blocks, 7, kernel.lanes), real)
        self.positions = positions[: len(graph.owner), :3]
        self._held = (graph.owner, graph.shift, positions, out)  # as long as pointers to them
        self.X = at(positions)
        self.rows = whole(0), whole(len(graph.owner))
        self.images = at(graph.owner), at(graph.shift), at(graph.structure)
        lists = graph.species, graph.atom, graph.rows, graph.neighbour
        self.graph = *map(at, lists), self.X
        self.results = at(self.forces), at(out)
        self.sums = whole(graph.atoms), at(graph.images), at(graph.slot), *self.results

    def scratch(self, worker: int) -> ctypes.c_void_p:
        if worker not in self._scratch:
            self._scratch[worker] = aligned((self._size,), self._real)
        return at(self._scratch[worker])


class _Committee:
    """Memory of one call for a committee's members; the forces of their rows stand side by side."""

    def __init__(self, kernel: Kernel, graph: Layout, members: MemberCoefficients, forces: bool):
        self._kernel, self._graph, self._members = kernel, graph, members
        real = kernel.dtype
        self._energies = aligned((graph.blocks, members.places, kernel.lanes), real)
        self._forces = np.zeros((graph.rows_of_X, members.count, 3), real) if forces else None
        self._size = int(
            kernel.c.etace_members_scratch(whole(graph.longest), whole(members.places))
        )
        self._held: list[np.ndarray] = []

    def arguments(self) -> tuple[Any, ...]:
        """Of one worker."""
        space = None
        if self._forces is not None:
            space = aligned((self._size,), self._kernel.dtype)
            self._held.append(space)
        m = self._members
        return (
            whole(m.places), at(m.values), at(self._energies), whole(m.count), at(space),
            at(self._forces),
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
            whole(0), whole(n), whole(n), at(graph.images), whole(count), at(self._forces), at(out)
        )
        return out

    def virials(self, positions: np.ndarray) -> np.ndarray | None:
        """[members, structures, 6]: sums of force times position over atoms and images. positions: [rows, 3]"""
        if self._forces is None:
            return None
        graph, n = self._graph, self._graph.atoms
        flat = self._forces.reshape(len(self._forces), -1)
        of = np.zeros(n, int) if graph.structure is None else graph.structure
        structures = np.arange(int(of[-1]) + 2)
        # atoms, and images behind them, stand in the order of the structures
        own = np.searchsorted(of, structures)
        images = n + np.searchsorted(of[graph.owner[n:]], structures)
        out = np.empty((self._members.count, len(structures) - 1, 6))
        for k in structures[:-1]:
            nine = np.zeros((3, flat.shape[1]))
            for part in (slice(own[k], own[k + 1]), slice(images[k], images[k + 1])):
                nine += positions[part].T @ flat[part]
            pairs = nine.reshape(3, -1, 3)
            for v, (a, b) in enumerate(VOIGT):
                out[:, k, v] = pairs[b, :, a]
        return out
