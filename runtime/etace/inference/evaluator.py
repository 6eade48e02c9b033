"""Evaluator: the inference form on the host. Tables made once, shapes reused, all cores at work.

A graph is cut into as many parts as there are cores (or devices). Each part computes its atoms' own
energies and edge gradients in a thread of its own, then gathers what other atoms' energies add to its
forces. Results do not depend on the number of parts but for the order of the last sums.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Barrier, Lock
from typing import Any

import jax
import numpy as np

from etace import devices
from etace.arrays import held, unchanged
from etace.inference.blocks import BlockGraph, Capacity, pack
from etace.inference.form import ROWS, Inference, full
from etace.inference.spline import SplineError
from etace.parallel import Threads
from etace.precision import host_precision
from etace.prepared import PreparedAtoms, made_by, moved_cell, moved_positions
from etace.structure import Paired

SPLIT = 256  # atoms per part, at least
EMPTY = (
    16  # empty blocks cost memory, not time: a compiled shape serves graphs so many times smaller
)
WASTE = 1e7  # empty places for neighbours that cost as much time as compiling another shape


@dataclass(frozen=True, eq=False)
class Prepared(PreparedAtoms):
    """A graph on the devices."""

    maker: Evaluator
    graph: BlockGraph

    def moved(self, positions: Any = None, cell: Any = None) -> Prepared:
        graph, dtype = self.graph, np.dtype(self.maker.inference.dtype)
        if positions is not None:
            x = np.zeros_like(graph.positions)
            x[: self.n] = moved_positions(positions, self.n, dtype)
            graph = replace(graph, positions=x)
        if cell is not None:
            graph = replace(graph, cell=self._cell(cell, dtype))
        return replace(self, graph=graph)

    def _cell(self, cell: Any, dtype: np.dtype[Any]) -> np.ndarray:
        """With those of a batch that stand for nothing."""
        if not self.batch:
            return moved_cell(cell, None, dtype)
        cells: np.ndarray = np.array(self.graph.cell)
        cells[: len(self.counts)] = moved_cell(cell, len(self.counts), dtype)
        return cells


@dataclass(frozen=True)
class HostResults:
    """energy: [S], eV; energies: [n], eV; forces: [n, 3], eV/Å; virial: [S, 3, 3], eV
    virials: [n, 6], eV, of every atom's energy, in Voigt order; [0, 6] where nobody made them

    Of a committee's members: member_energy: [M, S]; member_forces: [M, n, 3], and member_virial: [M, S, 6], in
    Voigt order; None where not asked for
    """

    energy: np.ndarray
    energies: np.ndarray
    forces: np.ndarray
    virial: np.ndarray
    virials: np.ndarray = field(default_factory=lambda: np.zeros((0, 6)))
    member_energy: np.ndarray | None = None
    member_forces: np.ndarray | None = None
    member_virial: np.ndarray | None = None


@dataclass(frozen=True)
class Members:
    """params of every member of a committee; forces: whether theirs are wanted too."""

    params: Sequence[Any]
    forces: bool


class Evaluator:
    """One model's inference form, ready to run.

    cores: how many to use; default: all this process may run on
    splines: knots of splined radials; default: exact radials
    """

    def __init__(self, inference: Inference, cores: int | None = None, splines: int | None = None):
        cpu = devices.platform() == "cpu"
        self.inference = inference if cpu else inference.on_accelerator()
        self.cores = cores or available_cores()
        self.splines = splines
        self.spline_errors: list[SplineError] = []
        self._capacities: list[Capacity] = []
        self._wasted = 0.0
        self._tables: tuple[Any, Any, list[Any]] | None = None  # with the parameters they are of
        self._member_tables: tuple[Any, list[Any]] | None = None
        self._turn = Lock()

    # ------------------------------------------------------------ preparation

    @cached_property
    def devices(self) -> list[Any]:
        """One for each part: all accelerators, or one CPU device (or more, where JAX is configured so)
        for each core."""
        found = jax.local_devices()
        parts = self.cores if found[0].platform == "cpu" else len(found)
        return [found[k % len(found)] for k in range(parts)]

    def tables(self, params: Any) -> list[Any]:
        """Frozen tables on every device; made anew only for other parameters."""
        known = self._tables
        if known is None or known[0] is not params or not unchanged(params, known[1]):
            with host_precision(self.inference.dtype):
                made = self.inference.freeze(params)
                if self.splines is not None:
                    made, self.spline_errors = self.inference.spline(made, self.splines)
                known = self._tables = params, held(params), self._placed(made)
        return known[2]

    def member_tables(self, params: Sequence[Any]) -> list[Any]:
        """The same of a committee; made anew only for another one."""
        known = self._member_tables
        if known is None or known[0] is not params:
            with host_precision(self.inference.dtype):
                made = self._placed(self.inference.freeze_members(params))
                known = self._member_tables = params, made
        return known[1]

    def _placed(self, tables: Any) -> list[Any]:
        """The same on the device of every part."""
        on = {d: jax.device_put(tables, d) for d in dict.fromkeys(self.devices)}
        return [on[d] for d in self.devices]

    def prepare(self, structures: Sequence[Paired], batch: bool = False) -> Prepared:
        """The graph of these structures in a shape that is compiled already, if one fits."""
        n = sum(map(len, structures))
        parts = len(self.devices) if batch else max(1, min(len(self.devices), n // SPLIT))
        species = len(self.inference.cutoffs)
        graph = pack(structures, species, self.inference.dtype, self._capacity, parts, batch)
        with host_precision(self.inference.dtype):
            placed = [jax.device_put(p, d) for p, d in zip(graph.parts, self.devices, strict=False)]
        graph = replace(graph, parts=tuple(placed))
        return Prepared(self, tuple(map(len, structures)), batch, graph)

    def _capacity(self, need: Capacity) -> Capacity:
        fits = [c for c in self._capacities if c.holds(need) and c.blocks <= EMPTY * need.blocks]
        if fits:
            best = min(fits, key=lambda c: (sum(c.slots), c.blocks))
            if _close(best, need) or self._once(best, need):
                return best
        # the largest numbers of neighbours seen so far: sizes differ more often than densities
        alike = [c.slots for c in self._capacities if _alike(c.slots, need.slots)]
        slots = tuple(map(max, zip(need.slots, *alike, strict=True)))
        made = replace(need, slots=slots).rounded()
        self._capacities.append(made)
        return made

    def _once(self, c: Capacity, need: Capacity) -> bool:
        """Whether a batch, which is not evaluated again and again, had better take this wider shape:
        until what all of them waste is worth another one."""
        if not need.structures:
            return False
        waste = need.parts * need.blocks * need.size * (sum(c.slots) - sum(need.slots))
        if self._wasted + waste > WASTE:
            self._wasted = 0.0
            return False
        self._wasted += waste
        return True

    # ------------------------------------------------------------ evaluation

    def __call__(
        self, params: Any, prepared: PreparedAtoms, members: Members | None = None
    ) -> HostResults:
        """Energy, forces and virial of all structures of a graph, and what is asked of a committee."""
        near = made_by(self, prepared, Prepared)
        tables = self.tables(params)
        others = [None] * len(tables) if members is None else self.member_tables(members.params)
        count = len(members.params) if members is not None and members.forces else None
        graph = near.graph
        with host_precision(self.inference.dtype):
            if len(graph.parts) == 1:
                x = (graph.positions, graph.cell, graph.structure)
                one = self._own_and_back(tables[0], *x, graph.parts[0], others[0], count)
                sums = [np.asarray(one)]
            else:
                sums = self._in_parts(tables, others, count, graph)
        return _collect(near, sums, members)

    def _in_parts(
        self, tables: list[Any], members: list[Any], count: int | None, graph: BlockGraph
    ) -> list[np.ndarray]:
        """Every part in its own thread: its own energies and gradients, then, when all have theirs,
        what the others' gradients add to its forces. count: members whose forces are wanted"""
        parts, several = graph.parts, len(set(self.devices)) > 1
        wide = bool(jax.config.jax_enable_x64)  # type: ignore[attr-defined]
        first: list[Any] = [None] * len(parts)
        ready = Barrier(len(parts))

        def job(k: int) -> Any:
            x = (graph.positions, graph.cell, graph.structure)
            try:
                with jax.enable_x64(wide):
                    if several:
                        x = jax.device_put(x, self.devices[k])
                    own = self._own(tables[k], *x, parts[k], members[k], count is not None)
                    first[k] = jax.block_until_ready(own)
                    ready.wait()
                    gradients = [f[0] for f in first]
                    if several:
                        gradients = jax.device_put(gradients, self.devices[k])
                    return np.asarray(self._back(parts[k], gradients, first[k][1], count))
            except BaseException:
                ready.abort()  # nobody waits for what will not come
                raise

        with (
            self._turn
        ):  # parts wait for each other: those of another call must not hold their threads
            rest = [self._threads.submit(job, k) for k in range(1, len(parts))]
            return [job(0), *(f.result() for f in rest)]

    @cached_property
    def _threads(self) -> Threads:
        return Threads(len(self.devices))

    @cached_property
    def _own(self) -> Any:
        return jax.jit(self.inference.own, static_argnums=6)

    @cached_property
    def _back(self) -> Any:
        return jax.jit(self.inference.back, static_argnums=3)

    @cached_property
    def _own_and_back(self) -> Any:
        def both(
            tables: Any,
            positions: Any,
            cell: Any,
            structure: Any,
            part: Any,
            members: Any,
            count: Any,
        ) -> Any:
            x = (tables, positions, cell, structure, part, members, count is not None)
            gradients, sums = self.inference.own(*x)
            return self.inference.back(part, [gradients], sums, count)

        return jax.jit(both, static_argnums=6)

    @property
    def compilations(self) -> int:
        """How many shapes have been compiled so far."""
        return len(self._capacities)


def _collect(
    prepared: Prepared, sums: Sequence[np.ndarray], members: Members | None
) -> HostResults:
    """From the parts' [blocks, rows, B] to atoms and structures."""
    slot = np.asarray(prepared.graph.slot)[: prepared.n]
    rows = np.concatenate([np.moveaxis(s, 1, 2).reshape(-1, s.shape[1]) for s in sums])[slot]
    starts = np.cumsum([0, *prepared.counts[:-1]])
    M = 0 if members is None else len(members.params)
    total = np.add.reduceat(rows[:, : ROWS + M], starts, axis=0)
    member_forces = member_virial = None
    if members is not None and members.forces:
        first, last = ROWS + M, ROWS + 4 * M
        member_forces = np.moveaxis(rows[:, first:last].reshape(len(rows), 3, M), 2, 0).copy()
        six = np.add.reduceat(rows[:, last:], starts, axis=0)
        member_virial = np.moveaxis(six.reshape(len(six), 6, M), 2, 0).copy()
    return HostResults(
        total[:, 0],
        rows[:, 0].copy(),
        rows[:, 1:4].copy(),
        full(total[:, 4:ROWS]),
        rows[:, 4:ROWS].copy(),
        None if members is None else total[:, ROWS:].T.copy(),
        member_forces,
        member_virial,
    )


def available_cores() -> int:
    """Cores this process may run on."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def _close(c: Capacity, need: Capacity) -> bool:
    """Whether little time is lost in the larger shape: empty slots cost time."""
    return sum(c.slots) <= 1.25 * sum(need.slots) + 8


def _alike(a: Sequence[int], b: Sequence[int]) -> bool:
    return all((x > 0) == (y > 0) and x <= 1.25 * y + 8 for x, y in zip(a, b, strict=True))
