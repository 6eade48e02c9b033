"""BlockGraph: atoms sorted by species into blocks, neighbours sorted by species into segments.

The layout of the inference form. All atoms of a block have one species, all slots of a segment
another, so that every coefficient is one number (or one small matrix) per block and segment, and no
work is spent on the species an atom does not have. Built on the host with numpy.

Slots: places for atoms, blocks x size, padding included. Edges stand in rows of K_z places per slot
and segment, K_z the largest number of neighbours of species z, rounded up.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import jax
import numpy as np

from etace.derive import Results
from etace.errors import StructureError
from etace.graph import AtomGraph, same_shape
from etace.inference.atoms import atom_graph
from etace.neighbours import Neighbours, reverse_index
from etace.structure import Bonds, Paired

if TYPE_CHECKING:
    from etace.inference.form import Inference

Array = Any
MANY = 1024  # structures that a batch has place for, at least: their cells are all they cost


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Segment:
    """The neighbours of one species.

    species: index into the model's species
    neighbour: [blocks, K, B], int32, an atom
    shift: [blocks, 3, K, B], whole numbers: r_ij = x_j - x_i + shift @ cell
    real: [blocks, K, B], bool
    reverse: [blocks, K, B], int32, the edge j -> i among all edges of the graph; itself where not real
    """

    species: int = dataclasses.field(metadata={"static": True})
    neighbour: Array
    shift: Array
    real: Array
    reverse: Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Part:
    """A range of blocks, for one core or device; all parts of a graph have the same shapes.

    size: slots per block; count: number of blocks with atoms, which come first
    species: [blocks], int32
    atom: [blocks, B], int32, the atom in each slot; 0 for padding
    real: [blocks, B], bool
    segments: by species of the neighbours, ascending
    """

    size: int = dataclasses.field(metadata={"static": True})
    count: Array
    species: Array
    atom: Array
    real: Array
    segments: tuple[Segment, ...]

    @property
    def blocks(self) -> int:
        return int(self.species.shape[0])


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class BlockGraph:
    """One structure, or many in a row.

    positions: [N, 3], Å; cell: [3, 3] or [S, 3, 3], Å, vectors are rows; N includes padding
    slot: [N], int32, where each atom stands among the slots of all parts
    real: [N], bool
    structure: [N], int32, for a batch, else None
    bonds: the species and cutoffs that it was made for
    """

    positions: Array
    cell: Array
    slot: Array
    real: Array
    parts: tuple[Part, ...]
    structure: Array | None = None
    bonds: Bonds | None = dataclasses.field(default=None, metadata={"static": True})

    @property
    def n_atoms(self) -> int:
        return int(self.positions.shape[0])

    @property
    def n_structures(self) -> int:
        return 1 if self.structure is None else int(self.cell.shape[0])

    def with_positions(self, positions: Array, cell: Array | None = None) -> BlockGraph:
        """The same neighbours at other positions [N, 3] (and in another cell), Å."""
        x = same_shape(positions, self.positions)
        cell = self.cell if cell is None else same_shape(cell, self.cell)
        return dataclasses.replace(self, positions=x, cell=cell)

    # ------------------------------------------------------------ what derivatives are made of

    def tables(self, inference: Inference, params: Any) -> Any:
        """Frozen tables of the inference form."""
        return inference.freeze(params)

    def evaluate(self, inference: Inference, tables: Any) -> Results:
        """Energy, energies per atom, forces and virial, by the inference form."""
        return inference(tables, self)

    def atom_graph(self, n_species: int) -> AtomGraph:
        """The same structures in the layout of the training form."""
        return atom_graph(self, n_species)


@dataclasses.dataclass(frozen=True)
class Capacity:
    """Shapes of a graph: what a compiled function is made for.

    atoms: N; blocks: per part; slots: K of each species; size: slots per block; structures: S of a
    batch, 0 for a single structure
    """

    atoms: int
    blocks: int
    slots: tuple[int, ...]
    size: int
    parts: int
    structures: int

    def holds(self, need: Capacity) -> bool:
        return (
            self.atoms >= need.atoms
            and self.blocks >= need.blocks
            and self.structures >= need.structures
            and (self.size, self.parts) == (need.size, need.parts)
            and (self.structures > 0) == (need.structures > 0)
            and all(a >= b for a, b in zip(self.slots, need.slots, strict=True))
        )

    def rounded(self) -> Capacity:
        """The next bucket: blocks to a power of 2 (empty ones cost no time), slots to a multiple of 4, of
        8 above 32, of 16 above 64 and so on."""
        blocks = _power(self.blocks)
        slots = tuple(-(-k // _step(k)) * _step(k) for k in self.slots)
        atoms = _power(max(self.atoms, 8))
        structures = _power(max(self.structures, MANY)) if self.structures else 0
        return Capacity(atoms, blocks, slots, self.size, self.parts, structures)


def _power(n: int) -> int:
    return 1 << max(n - 1, 0).bit_length()


def _step(k: int) -> int:
    return max(4, _power(k) // 8)


def block_size(n: int, batch: bool) -> int:
    """Slots per block for n atoms: enough lanes to fill vectors, few enough to stay in L2. Batches all
    have one size, so that a last, small one needs no other compilation."""
    return 8 if n <= 96 and not batch else 16 if n <= 256 and not batch else 32


def pack(
    structures: Sequence[Paired],
    n_species: int,
    dtype: str,
    capacity: Callable[[Capacity], Capacity] = lambda need: need,
    parts: int = 1,
    batch: bool = False,
) -> BlockGraph:
    """The graph of one structure, or of many (batch) one after the other.

    capacity: from the shapes needed to those to use, at least as large

    Raises StructureError: more places for neighbours than one graph can hold.
    """
    pairs = joined(structures)
    z = np.concatenate([s.species for s in structures])
    n = len(z)
    key = pairs.i * n_species + z[pairs.j]  # row of an edge: its centre, the species of its end
    counts = np.bincount(key, minlength=n * n_species)
    most = counts.reshape(n, n_species).max(axis=0)
    shapes = capacity(_needed(n, z, most, parts, len(structures) if batch else 0))
    slot, blocks = _slots(z, shapes)
    place = _places(key, counts, slot[pairs.i], shapes)

    total = parts * shapes.blocks * shapes.size
    atom, real = np.zeros(total, np.int32), np.zeros(total, bool)
    atom[slot], real[slot] = np.arange(n), True
    species = np.zeros(parts * shapes.blocks, np.int32)
    species[slot // shapes.size] = z
    edges = _edge_arrays(pairs, place, n, total * sum(shapes.slots))
    made = [_part(k, shapes, blocks[k], species, atom, real, edges) for k in range(parts)]

    positions = np.zeros((shapes.atoms, 3), dtype)
    positions[:n] = np.concatenate([s.positions for s in structures])
    where = np.zeros(shapes.atoms, np.int32)
    where[:n] = slot
    cell, structure = structures[0].cell, None
    if batch:
        cell = np.tile(np.eye(3), (shapes.structures, 1, 1))
        cell[: len(structures)] = [s.cell for s in structures]
        structure = np.full(shapes.atoms, shapes.structures - 1, np.int32)
        structure[:n] = np.repeat(np.arange(len(structures)), [len(s) for s in structures])
    taken = np.arange(shapes.atoms) < n
    bonds = structures[0].bonds
    return BlockGraph(positions, cell.astype(dtype), where, taken, tuple(made), structure, bonds)


def joined(structures: Sequence[Paired]) -> Neighbours:
    """The pairs of all structures, atoms counted through."""
    if len(structures) == 1:
        return structures[0].pairs
    first = np.cumsum([0, *(len(s) for s in structures)])
    ends = [(s.pairs.i + o, s.pairs.j + o) for s, o in zip(structures, first, strict=False)]
    return Neighbours(
        np.concatenate([i for i, _ in ends]),
        np.concatenate([j for _, j in ends]),
        np.concatenate([s.pairs.shift for s in structures]),
        np.concatenate([s.pairs.r for s in structures]),
    )


def _slots(z: np.ndarray, shapes: Capacity) -> tuple[np.ndarray, list[int]]:
    """The slot of every atom, and the number of blocks with atoms in each part.

    Atoms by species, every species from the start of a block; blocks dealt out evenly to the parts.
    """
    order = np.argsort(z, kind="stable")
    counts = np.bincount(z)
    needed = -(-counts // shapes.size)
    first = (np.cumsum(needed) - needed) * shapes.size
    rank = np.empty(len(z), np.int64)
    rank[order] = np.arange(len(z)) - (np.cumsum(counts) - counts)[z[order]]
    block, lane = np.divmod(first[z] + rank, shapes.size)
    total = int(needed.sum())
    each = -(-total // shapes.parts)
    slot = (block // each * shapes.blocks + block % each) * shapes.size + lane
    return slot, [min(each, max(total - k * each, 0)) for k in range(shapes.parts)]


def _places(key: np.ndarray, counts: np.ndarray, slot: np.ndarray, shapes: Capacity) -> np.ndarray:
    """Where each edge stands among all edges: part, segment, block, neighbour, lane.

    key: [edges], centre * n_species + species of the neighbour, with `counts` edges to each key;
    slot: [edges], of the centre
    """
    widths = np.array(shapes.slots, np.int64)
    other = key % len(widths)
    order = np.argsort(key, kind="stable")
    number = np.empty(len(key), np.int64)  # of an edge among those of its key
    number[order] = np.arange(len(key)) - (np.cumsum(counts) - counts)[key[order]]
    part, inside = np.divmod(slot, shapes.blocks * shapes.size)
    block, lane = np.divmod(inside, shapes.size)
    row = part * shapes.blocks * widths.sum() + (np.cumsum(widths) - widths)[other] * shapes.blocks
    place: np.ndarray = (row + block * widths[other] + number) * shapes.size + lane
    return place


def _edge_arrays(
    pairs: Neighbours, place: np.ndarray, n: int, size: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """neighbour, shift [3], real and reverse of all places for edges, flat."""
    if size >= 2**31:
        raise StructureError(
            f"{size} places for neighbours are more than one graph can hold (2^31)"
        )
    neighbour, real = np.zeros(size, np.int32), np.zeros(size, bool)
    neighbour[place], real[place] = pairs.j, True
    reverse = np.arange(size, dtype=np.int32)
    reverse[place] = place[reverse_index(pairs, n)]
    most = int(np.abs(pairs.shift).max(initial=0))
    shift = np.zeros((3, size), np.int8 if most < 128 else np.int16 if most < 2**15 else np.int32)
    for d in range(3):
        if pairs.shift[:, d].any():
            shift[d, place] = pairs.shift[:, d]
    return neighbour, shift, real, reverse


def _part(
    k: int,
    shapes: Capacity,
    count: int,
    species: np.ndarray,
    atom: np.ndarray,
    real: np.ndarray,
    edges: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> Part:
    """Part number k: its range of all the arrays."""
    neighbour, shift, there, reverse = edges
    lanes = shapes.blocks * shapes.size
    start = k * lanes * sum(shapes.slots)
    segments = []
    for s, width in enumerate(shapes.slots):
        if width:
            cut, shape = slice(start, start + lanes * width), (shapes.blocks, width, shapes.size)
            start += lanes * width
            own = np.ascontiguousarray(np.moveaxis(shift[:, cut].reshape(3, *shape), 0, 1))
            segments.append(
                Segment(
                    s,
                    neighbour[cut].reshape(shape),
                    own,
                    there[cut].reshape(shape),
                    reverse[cut].reshape(shape),
                )
            )
    rows, blocks = (
        slice(k * lanes, (k + 1) * lanes),
        slice(k * shapes.blocks, (k + 1) * shapes.blocks),
    )
    return Part(
        shapes.size,
        np.int32(count),
        species[blocks],
        atom[rows].reshape(-1, shapes.size),
        real[rows].reshape(-1, shapes.size),
        tuple(segments),
    )


def _needed(n: int, z: np.ndarray, most: np.ndarray, parts: int, structures: int) -> Capacity:
    """The smallest capacity with `most` neighbours of every species. most: [species]"""
    size = block_size(n, structures > 0)
    blocks = int((-(-np.bincount(z) // size)).sum())
    slots = [int(c) + int(c) % 2 for c in most]
    if not any(slots):
        slots[0] = 2  # isolated atoms: a segment all the same, without an edge in it
    return Capacity(n, -(-blocks // parts), tuple(slots), size, parts, structures)
