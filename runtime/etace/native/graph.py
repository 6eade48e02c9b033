"""NativeGraph: atoms and neighbours as a native kernel reads them, in arrays that JAX can hold.

A `Layout` with room to spare: another list of neighbours of the same atoms has the same shapes, as a
rule, and what was compiled for the one serves the other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from etace.derive import Results
from etace.errors import RequestError
from etace.graph import AtomGraph, same_shape, slot_bucket
from etace.inference.form import Inference, full
from etace.native.ffi import Call
from etace.native.listing import listed
from etace.precision import require
from etace.structure import Bonds, Paired

Array = Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class NativeGraph:
    """One structure, or many in a row. For `Potential.energy` and `energy_forces_virial`, on a CPU.

    positions: [n, 3], Å; cell: [3, 3] or [S, 3, 3], Å, vectors are rows
    structure: [n], int32, for a batch, else None; bonds: the species and cutoffs that it was made for
    The rest is as in `Layout`, all int32; behind its own rows, neighbour and owner have some that stand
    for nothing. longest: neighbours an atom can have, of all species; each: blocks of a part
    """

    call: Call = dataclasses.field(metadata={"static": True})
    longest: int = dataclasses.field(metadata={"static": True})
    each: int = dataclasses.field(metadata={"static": True})
    positions: Array
    cell: Array
    slot: Array
    species: Array
    atom: Array
    rows: Array
    neighbour: Array
    owner: Array
    shift: Array
    images: Array
    structure: Array | None = None
    bonds: Bonds | None = dataclasses.field(default=None, metadata={"static": True})

    @staticmethod
    def of(
        structures: Sequence[Paired], call: Call, n_species: int, batch: bool = False
    ) -> NativeGraph:
        """With numpy arrays. batch: whether results are per structure"""
        made = listed(structures, n_species, call.lanes, batch, call.toolchain)
        real = np.dtype(call.program.dtype)
        cell = np.array([s.cell for s in structures]) if batch else structures[0].cell
        owner = _longer(made.owner, 0)
        none, more = len(made.owner), len(owner) - len(made.owner)

        def moved(rows: np.ndarray) -> np.ndarray:
            """Those far away stand behind all others, also with room to spare."""
            return (rows + more * (rows >= none)).astype(np.int32)

        return NativeGraph(
            call,
            slot_bucket(made.longest + made.longest // 8 + 1),
            made.each,
            np.concatenate([s.positions for s in structures]).astype(real),
            cell.astype(real),
            made.slot.astype(np.int32),
            made.species,
            moved(made.atom),
            made.rows.astype(np.int32),
            _longer(moved(made.neighbour), len(owner)),
            owner,
            _longer(made.shift, 0),
            made.images.astype(np.int32),
            made.structure,
            structures[0].bonds,
        )

    @property
    def n_atoms(self) -> int:
        return int(self.positions.shape[0])

    @property
    def n_structures(self) -> int:
        return 1 if self.structure is None else int(self.cell.shape[0])

    def with_positions(self, positions: Array, cell: Array | None = None) -> NativeGraph:
        """The same neighbours at other positions [n, 3] (and in another cell), Å."""
        x = same_shape(positions, self.positions)
        cell = self.cell if cell is None else same_shape(cell, self.cell)
        return dataclasses.replace(self, positions=x, cell=cell)

    # ------------------------------------------------------------ what derivatives are made of

    def tables(self, inference: Inference, params: Any) -> Any:
        """The kernel's coefficients. Raises RequestError: the kernel is another model's."""
        if inference is not self.call.inference:
            raise RequestError("this graph was made by another model: make it with this one")
        return self.call.program.coefficients(inference.coefficients(params), inference.pieces)

    def evaluate(self, inference: Inference, tables: Any) -> Results:
        """Energy, energies per atom, forces and virial, by the kernel."""
        require(inference.dtype, tables=tables, positions=self.positions, cell=self.cell)
        one = self.structure is None
        cells = jnp.asarray(self.cell)[None] if one else self.cell
        structure = np.zeros(self.n_atoms, np.int32) if one else self.structure
        layout = (self.slot, self.species, self.atom, self.rows, self.neighbour, self.owner)
        arrays = (*layout, self.shift, self.images, structure)
        energy, energies, forces, six = self.call(tables, self.positions, cells, arrays, self.each)
        virial = full(six)
        return Results(energy[0] if one else energy, energies, forces, virial[0] if one else virial)

    def atom_graph(self, n_species: int) -> AtomGraph:
        """The same structures in the layout of the training form. Its `reverse` is not filled in: forces
        are to be had by differentiating positions."""
        rows, owner = jnp.asarray(self.rows), jnp.asarray(self.owner)
        block, lane = jnp.divmod(jnp.asarray(self.slot), self.call.lanes)
        first, last = rows[block * n_species], rows[(block + 1) * n_species]
        place = first[:, None] + jnp.arange(self.longest, dtype=jnp.int32)[None]
        inside = place < last[:, None]
        at = jnp.asarray(self.neighbour)[jnp.where(inside, place, 0), lane[:, None]]
        real = inside & (at < len(owner))
        at = jnp.where(real, at, 0)
        dtype = self.positions.dtype
        own = jnp.arange(self.n_atoms, dtype=jnp.int32)[:, None]
        neighbour = jnp.where(real, owner[at], own)
        shift = jnp.asarray(self.shift)
        return AtomGraph(
            positions=jnp.asarray(self.positions),
            cell=jnp.asarray(self.cell),
            shifts=jnp.where(real[..., None], shift[at] - shift[own], 0).astype(dtype),
            neighbour=neighbour,
            reverse=jnp.zeros_like(neighbour),
            species=jnp.asarray(self.species)[block],
            atom_mask=jnp.ones(self.n_atoms, bool),
            edge_mask=real,
            structure=self.structure,
        )


def _longer(x: np.ndarray, fill: int) -> np.ndarray:
    """With more rows, a 16th of them at least, so that numbers of about this size become one."""
    need = len(x) + len(x) // 16 + 1
    step = max(16, 2 ** max(need.bit_length() - 4, 0))
    more = -(-need // step) * step - len(x)
    return np.concatenate([x, np.full((more, *x.shape[1:]), fill, x.dtype)])
