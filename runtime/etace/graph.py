"""AtomGraph: the atoms of one or many structures and their neighbours, in rectangular arrays.

Every atom has a row of K slots for neighbours; slots without one are masked. Numbers of atoms and
slots are rounded up to buckets, so that a function compiled for one structure serves others of
about its size. Built on the host with numpy, without touching a JAX device; used inside jit.

N: atoms, K: slots per atom, S: structures; all three include padding.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from etace.errors import PrecisionError, StructureError
from etace.neighbours import reverse_index
from etace.structure import Bonds, Paired, paired, paired_atoms

if TYPE_CHECKING:
    from ase import Atoms

Array = np.ndarray | jax.Array  # also a tracer, inside jit

# What a masked slot reports as its vector, Å: length 1 and no zero component, so that no norm,
# quotient or angle of it is singular. Its contribution is masked; its gradient is cut.
SAFE_VECTOR = (0.6, 0.48, 0.64)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class AtomGraph:
    """Atoms and directed edges i -> j, r_ij = x_j - x_i + shift @ cell (cell vectors are rows).

        graph = model.graph(atoms)               # or AtomGraph.from_atoms(atoms, species, cutoffs)
        graph.vectors.shape                      # [N, K, 3], Å

    N: atoms, K: slots for neighbours of each, S: structures; all with padding. A pytree of arrays for JAX.

    positions: [N, 3], Å
    cell: [3, 3], Å, or [S, 3, 3] for a batch
    shifts: [N, K, 3], whole numbers in the floating dtype
    neighbour: [N, K], int32, the atom j; the atom itself in masked slots
    reverse: [N, K], int32, where (j, i, -shift) stands in [N * K]; masked slots point at themselves
    species: [N], int32, index into the model's species; 0 for padding
    atom_mask: [N], bool, False for padding
    edge_mask: [N, K], bool
    structure: [N], int32, for a batch; None for one structure. Ascending; padding belongs to the
        last one.
    edge_vectors, edge_species: [N, K, 3], or their x, y, z [N, K], Å; and [N, K], int32: instead of
        those that follow from positions and neighbours, so that a function of edges can be
        differentiated in them or be given some of the atoms only (`blocks`, `rows`)
    bonds: the species and cutoffs that it was made for, which a model checks; None: not known

    Real atoms come first, in the order they were given; real slots come first in each row,
    ascending in (j, shift).
    """

    positions: Array
    cell: Array
    shifts: Array
    neighbour: Array
    reverse: Array
    species: Array
    atom_mask: Array
    edge_mask: Array
    structure: Array | None = None
    edge_vectors: Array | tuple[Array, Array, Array] | None = None
    edge_species: Array | None = None
    bonds: Bonds | None = dataclasses.field(default=None, metadata={"static": True})

    # --- on the host -----------------------------------------------------------------------------

    @staticmethod
    def from_atoms(
        atoms: Atoms,
        species: Sequence[str],
        cutoffs: ArrayLike,
        *,
        skin: float = 0.0,
        dtype: str = "float64",
        pad: bool = True,
        capacity: tuple[int, int] | None = None,
    ) -> AtomGraph:
        """The graph of an `ase.Atoms` (or anything with positions, numbers, cell and pbc).

        For other arguments and errors see `from_arrays`.
        """
        found = paired_atoms(atoms, species, cutoffs, skin, dtype)
        return _pack(found, np.dtype(dtype), pad, capacity)

    @staticmethod
    def from_paired(found: Paired, dtype: str = "float64") -> AtomGraph:
        """The graph of a structure that is checked already, padded."""
        return _pack(found, np.dtype(dtype), True, None)

    @staticmethod
    def from_arrays(
        positions: ArrayLike,
        elements: ArrayLike,
        cell: ArrayLike,
        pbc: ArrayLike,
        species: Sequence[str],
        cutoffs: ArrayLike,
        *,
        skin: float = 0.0,
        dtype: str = "float64",
        pad: bool = True,
        capacity: tuple[int, int] | None = None,
    ) -> AtomGraph:
        """The graph of one structure, with numpy arrays.

        positions: [N, 3], Å
        elements: [N], chemical symbols or atomic numbers
        cell, pbc: [3, 3], Å, and [3]; see `neighbour_list`
        species: the model's species, in its order
        cutoffs: [species, species], Å, symmetric; an edge is there iff r < cutoffs[zi, zj] + skin,
            strictly; a bond with a cutoff of 0 or less has none
        skin: Å, for lists that are kept while atoms move; edges beyond the cutoff count as real
        dtype: of positions, cell and shifts
        pad: round N and K up to buckets (`atom_bucket`, `slot_bucket`)
        capacity: (N, K) at least; what does not fit grows to the next bucket

        Raises StructureError: no atoms, species the model does not know, atoms too far from the
        origin for float32, and all that `neighbour_list` finds. Raises ParameterError: cutoffs
        of the wrong shape or not symmetric, a negative skin.
        """
        found = paired(positions, elements, cell, pbc, species, cutoffs, skin, dtype)
        return _pack(found, np.dtype(dtype), pad, capacity)

    @staticmethod
    def batch(
        graphs: Sequence[AtomGraph],
        *,
        pad: bool = True,
        capacity: tuple[int, int] | None = None,
        n_structures: int | None = None,
    ) -> AtomGraph:
        """Many structures in one graph: their atoms one after the other, `cell` [S, 3, 3].

        graphs: of single structures, all of one dtype
        pad, capacity: as in `from_arrays`, for the whole
        n_structures: S at least; empty structures (with a unit cell) are added at the end

        Raises StructureError: an empty list. Raises PrecisionError: different dtypes.
        """
        return _batch(graphs, pad, capacity, n_structures)

    @property
    def n_real(self) -> int:
        """Number of atoms without padding (host: needs concrete arrays)."""
        return int(np.asarray(self.atom_mask).sum())

    @property
    def n_edges(self) -> int:
        """Number of directed edges (host: needs concrete arrays)."""
        return int(np.asarray(self.edge_mask).sum())

    @property
    def atom_counts(self) -> np.ndarray:
        """[S], number of real atoms of each structure (host: needs concrete arrays)."""
        if self.structure is None:
            return np.array([self.n_real])
        real = np.asarray(self.structure)[np.asarray(self.atom_mask)]
        return np.bincount(real, minlength=self.n_structures)

    # --- anywhere, also inside jit ---------------------------------------------------------------

    @property
    def n_atoms(self) -> int:
        """N, padding included."""
        return int(self.neighbour.shape[0])

    @property
    def n_slots(self) -> int:
        """K."""
        return int(self.neighbour.shape[1])

    @property
    def n_structures(self) -> int:
        """S, padding included; 1 for a single structure."""
        return 1 if self.structure is None else int(self.cell.shape[0])

    @property
    def vectors(self) -> jax.Array:
        """r_ij = x_j - x_i + shift @ cell; a constant of length 1 where masked.

        result: [N, K, 3], Å; differentiable in positions and cell
        """
        if self.edge_vectors is not None and not isinstance(self.edge_vectors, tuple):
            return jnp.asarray(self.edge_vectors)
        return jnp.stack(self.components, axis=-1)

    @property
    def components(self) -> tuple[jax.Array, jax.Array, jax.Array]:
        """x, y, z of `vectors`, each [N, K], Å: arrays of their own, without a short last axis."""
        if isinstance(self.edge_vectors, tuple):
            x, y, z = (jnp.asarray(c) for c in self.edge_vectors)
            return x, y, z
        if self.edge_vectors is not None:
            v = jnp.asarray(self.edge_vectors)
            return v[..., 0], v[..., 1], v[..., 2]
        x, cell = _on_device(self.positions), _on_device(self.cell)
        shifts = _on_device(self.shifts)
        if self.structure is None:
            rows = [cell[d][None, None, :] for d in range(3)]
        else:
            own = _rows(cell, self.structure)
            rows = [own[:, None, d, :] for d in range(3)]
        mask = jnp.asarray(self.edge_mask)

        def along(d: int) -> jax.Array:
            # Term by term, not a matrix product: some devices multiply those in reduced precision.
            r = _rows(x[:, d], self.neighbour) - x[:, d, None]
            r = r + (
                shifts[..., 0] * rows[0][..., d]
                + shifts[..., 1] * rows[1][..., d]
                + shifts[..., 2] * rows[2][..., d]
            )
            return jnp.where(mask, r, jnp.asarray(SAFE_VECTOR[d], r.dtype))

        return along(0), along(1), along(2)

    @property
    def neighbour_species(self) -> jax.Array:
        """Species of the atom in each slot: [N, K], int32."""
        if self.edge_species is not None:
            return jnp.asarray(self.edge_species)
        return _rows(jnp.asarray(self.species), self.neighbour)

    def pairs(self, n_species: int) -> jax.Array:
        """Ordered pair of species of each slot, centre * n_species + neighbour. [N, K], int32"""
        return jnp.asarray(self.species)[:, None] * n_species + self.neighbour_species

    def per_structure(self, x: jax.Array) -> jax.Array:
        """Sum over the real atoms of each structure.

        x: [N, ...]; result: [...], or [S, ...] for a batch
        """
        mask = jnp.asarray(self.atom_mask).reshape((-1,) + (1,) * (x.ndim - 1))
        x = jnp.where(mask, x, jnp.zeros_like(x))
        if self.structure is None:
            return x.sum(0)
        return jax.ops.segment_sum(
            x, jnp.asarray(self.structure), self.n_structures, indices_are_sorted=True
        )

    def with_positions(self, positions: Array) -> AtomGraph:
        """The same graph with other positions. positions: [N, 3], Å, padding included"""
        return dataclasses.replace(self, positions=same_shape(positions, self.positions))

    def with_cell(self, cell: Array) -> AtomGraph:
        """The same graph with another cell. cell: like the old one, Å"""
        return dataclasses.replace(self, cell=same_shape(cell, self.cell))

    def strained(self, strain: Array) -> AtomGraph:
        """All positions and cell vectors r replaced by (1 + strain) r.

        strain: [3, 3], or [S, 3, 3] for a batch. The virial is -dE/dstrain at strain 0.
        """
        x, cell, strain = (_on_device(a) for a in (self.positions, self.cell, strain))
        if strain.ndim == 3 and self.structure is not None:
            for_atoms, for_cell = _rows(strain, self.structure), strain
        else:
            for_atoms = strain[None]
            for_cell = strain if self.structure is None else strain[None]
        return dataclasses.replace(
            self,
            positions=x + (x[:, None, :] * for_atoms).sum(-1),
            cell=cell + (cell[..., :, None, :] * for_cell[..., None, :, :]).sum(-1),
        )


def atom_bucket(n: int) -> int:
    """Smallest number >= n in the series 2^(k/4), rounded up to a multiple of 2, 4, 8.

    Multiples of 2 below 8, of 4 below 32, of 8 from there: 1 2 4 6 8 12 16 20 24 28 32 40 48 56 64
    80 96 112 128 160 184 216 256 312 368 432 512 ... Neighbours in it differ by at most 25 % from
    32 on, so that in the mean about 10 % is padding.
    """
    k = max(0, int(np.floor(4 * np.log2(max(n, 1)))) - 1)
    while True:
        size = int(np.ceil(2 ** (k / 4) - 1e-9))
        step = 1 if size < 2 else 2 if size < 8 else 4 if size < 32 else 8
        size = -(-size // step) * step
        if size >= n:
            return size
        k += 1


def slot_bucket(k: int) -> int:
    """Smallest number >= k that is a multiple of 4 and of a quarter of the power of two below it.

    4 8 12 16 20 24 28 32 40 48 56 64 80 96 112 128 160 192 224 256 ...
    """
    step = max(4, 2 ** (int(max(k - 1, 1)).bit_length() - 3))
    return max(4, -(-k // step) * step)


def _on_device(a: Array) -> jax.Array:
    """As a JAX array of the same dtype: JAX in 32-bit mode would halve a float64 array silently."""
    device = jnp.asarray(a)
    if device.dtype != a.dtype:
        raise PrecisionError(
            f"the graph is in {a.dtype}, but JAX is in 32-bit mode: wrap the call in "
            '`with jax.enable_x64(True):` or build the graph with dtype="float32"'
        )
    return device


def _rows(a: jax.Array, index: Array) -> jax.Array:
    """a[index], without the checks of bounds that a graph does not need."""
    return a.at[jnp.asarray(index)].get(mode="promise_in_bounds")


def same_shape(new: Array, old: Array) -> Array:
    """The new array. Raises StructureError: its shape is not that of the old one."""
    found, needed = np.shape(new), np.shape(old)
    if found != needed:
        raise StructureError(
            f"the graph needs an array of shape {list(needed)}, found {list(found)} (padding included)"
        )
    return new


def _sizes(n: int, k: int, pad: bool, capacity: tuple[int, int] | None) -> tuple[int, int]:
    """(N, K) for n atoms with at most k neighbours."""
    atoms, slots = (0, 0) if capacity is None else capacity
    if n > atoms:
        atoms = atom_bucket(n) if pad or capacity else n
    if max(k, 1) > slots:
        slots = slot_bucket(k) if pad or capacity else max(k, 1)
    if atoms * slots >= 2**31:
        raise StructureError(
            f"{atoms} atoms with {slots} neighbours each are more than one graph can hold (2^31)"
        )
    return atoms, slots


def _pack(found: Paired, dtype: np.dtype, pad: bool, capacity: tuple[int, int] | None) -> AtomGraph:
    """Pairs into rows: edge e of atom i goes to slot e - (first edge of i)."""
    x, cell, pairs, z = found.positions, found.cell, found.pairs, found.species
    n = len(x)
    counts = np.bincount(pairs.i, minlength=n)
    atoms, slots = _sizes(n, int(counts.max()), pad, capacity)
    flat = np.arange(len(pairs.i)) + (np.arange(n) * slots - (np.cumsum(counts) - counts))[pairs.i]

    neighbour = np.repeat(np.arange(atoms, dtype=np.int32), slots)
    neighbour[flat] = pairs.j
    reverse = np.arange(atoms * slots, dtype=np.int32)
    reverse[flat] = flat[reverse_index(pairs, n)]
    shifts = np.zeros((atoms * slots, 3), dtype)
    if pairs.shift.any():
        shifts[flat] = pairs.shift
    positions = np.zeros((atoms, 3), dtype)
    positions[:n] = x
    species = np.zeros(atoms, np.int32)
    species[:n] = z
    return AtomGraph(
        positions=positions,
        cell=cell.astype(dtype),
        shifts=shifts.reshape(atoms, slots, 3),
        neighbour=neighbour.reshape(atoms, slots),
        reverse=reverse.reshape(atoms, slots),
        species=species,
        atom_mask=np.arange(atoms) < n,
        edge_mask=np.arange(slots)[None, :] < np.pad(counts, (0, atoms - n))[:, None],
        bonds=found.bonds,
    )


def _batch(
    graphs: Sequence[AtomGraph],
    pad: bool,
    capacity: tuple[int, int] | None,
    n_structures: int | None,
) -> AtomGraph:
    if not graphs:
        raise StructureError("a batch needs at least one structure")
    if any(g.structure is not None for g in graphs):
        raise StructureError("a batch is made of single structures, not of batches")
    if any(g.bonds != graphs[0].bonds for g in graphs):
        raise StructureError("the graphs of a batch must be made for the same species and cutoffs")
    dtypes = sorted({str(np.asarray(g.positions).dtype) for g in graphs})
    if len(dtypes) > 1:
        raise PrecisionError(f"the graphs of a batch must have one dtype, found {dtypes}")

    sizes = [g.n_real for g in graphs]
    n = sum(sizes)
    used = [int(np.asarray(g.edge_mask).sum(axis=1).max()) for g in graphs]
    atoms, slots = _sizes(n, max(used), pad, capacity)
    s = max(len(graphs), n_structures or 0)

    dtype = np.dtype(dtypes[0])
    positions, species = np.zeros((atoms, 3), dtype), np.zeros(atoms, np.int32)
    cell = np.tile(np.eye(3, dtype=dtype), (s, 1, 1))
    shifts = np.zeros((atoms, slots, 3), dtype)
    neighbour = np.repeat(np.arange(atoms, dtype=np.int32)[:, None], slots, axis=1)
    reverse = np.arange(atoms * slots, dtype=np.int32).reshape(atoms, slots)
    edge_mask = np.zeros((atoms, slots), bool)
    structure = np.full(atoms, s - 1, np.int32)
    start = 0
    for number, (g, size, k) in enumerate(zip(graphs, sizes, used, strict=True)):
        rows, columns = slice(start, start + size), slice(0, k)
        positions[rows] = np.asarray(g.positions)[:size]
        species[rows] = np.asarray(g.species)[:size]
        cell[number] = np.asarray(g.cell)
        shifts[rows, columns] = np.asarray(g.shifts)[:size, :k]
        neighbour[rows, columns] = np.asarray(g.neighbour)[:size, :k] + start
        row, column = np.divmod(np.asarray(g.reverse)[:size, :k], g.n_slots)
        reverse[rows, columns] = (row + start) * slots + column
        edge_mask[rows, columns] = np.asarray(g.edge_mask)[:size, :k]
        structure[rows] = number
        start += size
    return AtomGraph(
        positions=positions,
        cell=cell,
        shifts=shifts,
        neighbour=neighbour,
        reverse=reverse,
        species=species,
        atom_mask=np.arange(atoms) < n,
        edge_mask=edge_mask,
        structure=structure,
        bonds=graphs[0].bonds,
    )
