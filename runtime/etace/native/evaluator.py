"""NativeEvaluator: a model's kernel behind the same calls as `etace.inference.evaluator.Evaluator`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from etace.arrays import held, unchanged
from etace.inference.evaluator import HostResults, Members
from etace.inference.form import Inference, full
from etace.inference.spline import SplineError
from etace.native.kernel import Kernel, Sums
from etace.native.layout import Layout
from etace.native.listing import listed
from etace.native.program import MemberCoefficients, Program
from etace.native.toolchain import Toolchain
from etace.prepared import PreparedAtoms, made_by, moved_cell, moved_positions
from etace.structure import Paired


@dataclass(frozen=True, eq=False)
class NativePrepared(PreparedAtoms):
    """As the kernel reads it. positions: [n, 3], Å; cells: [3, 3], or [structures, 3, 3]"""

    maker: NativeEvaluator
    layout: Layout
    positions: np.ndarray
    cells: np.ndarray

    def moved(self, positions: Any = None, cell: Any = None) -> NativePrepared:
        x, cells, dtype = self.positions, self.cells, self.maker.kernel.dtype
        if positions is not None:
            x = moved_positions(positions, self.layout.atoms, dtype)
        if cell is not None:
            cells = moved_cell(cell, len(self.counts) if self.batch else None, dtype)
        return NativePrepared(self.maker, self.counts, self.batch, self.layout, x, cells)


class NativeEvaluator:
    """One model's kernel, built when it is made. Raises BuildError."""

    spline_errors: Sequence[SplineError] = ()
    compilations = 1  # one object serves every size

    def __init__(self, inference: Inference, program: Program, toolchain: Toolchain, cores: int):
        self.inference, self.program = inference, program
        self.kernel, self.toolchain = Kernel(program, toolchain, cores), toolchain
        self.name = self.kernel.c.described(toolchain)
        self._known: list[tuple[Any, dict[str, dict[str, Any]], np.ndarray]] = []
        self._committee: tuple[Any, Any, MemberCoefficients | None] | None = None

    def coefficients(self, params: Mapping[str, Any]) -> np.ndarray:
        """Made anew only for other parameters; those of a model and its committee are kept."""
        for known, before, values in self._known:
            if known is params and unchanged(params, before):
                return values
        found = self.inference.coefficients(params)
        values = self.program.coefficients(found, self.inference.pieces)
        others = [k for k in self._known if k[0] is not params]
        self._known = [(params, held(params), values), *others[:63]]
        return values

    def prepare(self, structures: Sequence[Paired], batch: bool = False) -> NativePrepared:
        n_species = len(self.program.species)
        made = listed(structures, n_species, self.kernel.lanes, batch, self.toolchain)
        cells = np.array([s.cell for s in structures]) if batch else structures[0].cell
        positions = np.concatenate([s.positions for s in structures])
        counts = tuple(map(len, structures))
        return NativePrepared(self, counts, batch, made, positions, cells)

    def __call__(
        self, params: Any, prepared: PreparedAtoms, members: Members | None = None
    ) -> HostResults:
        """Energy, forces and virial of all structures, and what is asked of a committee: with those of the
        mean where A is the same for all, else its members are evaluated one after the other."""
        near = made_by(self, prepared, NativePrepared)
        beside = None if members is None else self._beside(params, members.params)
        forces = members is not None and members.forces
        sums = self._sums(params, near, beside, forces)
        starts = np.cumsum([0, *near.counts[:-1]])
        energy = np.add.reduceat(sums.energies, starts)
        virial = full(np.add.reduceat(sums.virials, starts, axis=0))
        member_energies, member_forces = sums.member_energies, sums.member_forces
        member_virial = sums.member_virials
        if members is not None and beside is None:
            each = [self._sums(p, near) for p in members.params]
            member_energies = np.array([s.energies for s in each])
            if forces:
                member_forces = np.array([s.forces for s in each])
                member_virial = np.array([np.add.reduceat(s.virials, starts, axis=0) for s in each])
        member_energy = None
        if member_energies is not None:
            member_energy = np.add.reduceat(member_energies, starts, axis=1)
        return HostResults(
            energy, sums.energies, sums.forces, virial, sums.virials, member_energy, member_forces,
            member_virial,
        )  # fmt: skip

    def _sums(
        self,
        params: Any,
        prepared: NativePrepared,
        members: MemberCoefficients | None = None,
        member_forces: bool = False,
    ) -> Sums:
        x = (prepared.layout, prepared.positions, prepared.cells)
        return self.kernel(*x, self.coefficients(params), members, member_forces)

    def _beside(self, params: Any, members: Sequence[Any]) -> MemberCoefficients | None:
        """Coefficients of all members, None where their radials are not those of `params`; those of the last
        committee are kept."""
        known = self._committee
        if known is None or known[0] is not params or known[1] is not members:
            mean, each = self.coefficients(params), [self.coefficients(p) for p in members]
            alike = all(self.program.alike(mean, c) for c in each)
            known = (params, members, MemberCoefficients.of(each) if alike else None)
            self._committee = known
        return known[2]
