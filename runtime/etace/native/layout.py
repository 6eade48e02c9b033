"""A graph as kernels read it: atoms in blocks of lanes, neighbours as rows of positions with images.

Blocks hold atoms of one species; their neighbours stand species after species, one row for the k-th
neighbour of every lane. Periodic images that are somebody's neighbour are rows of X behind the atoms.

Blocks are dealt into parts, which threads may work on at the same time: what a part's atoms see of
another part's is a row of its own, as an image is, so that no row of forces is written by two. Behind all
rows each part has one that is far from everything, for lanes without a neighbour or an atom.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etace.inference.blocks import joined
from etace.neighbours import Neighbours
from etace.structure import Paired

FAR = 1e9  # Å, from the origin: beyond all coordinates that there may be
PARTS = 16  # at most: threads that can be at work
ATOMS = 256  # of a part, at least
APART = 4  # rows between those far away: a line of the cache for each


@dataclass(frozen=True, eq=False)
class Layout:
    """atoms: number; slot: [atoms], of each in the lanes of all blocks; each: blocks of a part
    species: [blocks]; atom: [blocks, lanes], rows of X; rows: [blocks * species + 1]
    neighbour: [rows, lanes], rows of X
    owner: [atoms + images]; shift: [atoms + images, 3], also of the atoms themselves, relative to each
    other; images: [atoms + 1], where those of each atom start among the images
    structure: [atoms], of a batch, else None
    """

    atoms: int
    each: int
    slot: np.ndarray
    species: np.ndarray
    atom: np.ndarray
    rows: np.ndarray
    neighbour: np.ndarray
    owner: np.ndarray
    shift: np.ndarray
    images: np.ndarray
    structure: np.ndarray | None

    @property
    def parts(self) -> int:
        return -(-self.blocks // self.each)

    @property
    def rows_of_X(self) -> int:
        """Atoms, images, and what is far away."""
        return len(self.owner) + APART * self.parts

    @property
    def blocks(self) -> int:
        return len(self.species)

    @property
    def longest(self) -> int:
        """Rows of the block that has most."""
        n = (len(self.rows) - 1) // max(self.blocks, 1)
        return int(np.diff(self.rows[::n]).max()) if self.blocks else 0


def most_parts(atoms: int) -> int:
    """How many there may be: as the structure is, whatever the machine."""
    return max(1, min(PARTS, atoms // ATOMS))


def layout(structures: Sequence[Paired], n_species: int, lanes: int, batch: bool) -> Layout:
    pairs, n = joined(structures), sum(len(s) for s in structures)
    z = np.concatenate([s.species for s in structures])
    slot, species = _blocks(z, lanes)
    blocks = len(species)
    each = max(1, -(-blocks // most_parts(n)))
    target, owner, shift, images = _images(pairs, n, slot // lanes // each)
    far = (len(owner) + APART * (np.arange(blocks) // each)).astype(np.int32)  # of each block
    atom = np.repeat(far, lanes)
    atom[slot] = np.arange(n)
    # the number of an edge among those of its centre and neighbour's species
    key = pairs.i.astype(np.int64) * n_species + z[pairs.j]
    counts = np.bincount(key, minlength=n * n_species)
    order = np.argsort(key, kind="stable")
    number = np.empty(len(key), np.int64)
    number[order] = np.arange(len(key)) - (np.cumsum(counts) - counts)[key[order]]
    widest = np.zeros((blocks, n_species), np.int64)
    np.maximum.at(widest, slot // lanes, counts.reshape(n, n_species))
    rows = np.concatenate([[0], np.cumsum(widest.ravel())])
    neighbour = np.repeat(far, rows[n_species::n_species] - rows[:-1:n_species])[:, None]
    neighbour = np.repeat(neighbour, lanes, axis=1)
    block, lane = np.divmod(slot[pairs.i], lanes)
    neighbour[rows[block * n_species + z[pairs.j]] + number, lane] = target
    structure = None
    if batch:
        structure = np.repeat(
            np.arange(len(structures), dtype=np.int32), [len(s) for s in structures]
        )
    return Layout(
        n,
        each,
        slot,
        species,
        atom.reshape(blocks, lanes),
        rows,
        neighbour,
        owner,
        shift,
        images,
        structure,
    )


def _images(
    pairs: Neighbours, n: int, part: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(row of X of every edge's end, owner, shift, images). part: [n], of each atom"""
    reader = part[pairs.i]
    moved = pairs.shift.any(axis=1) | (reader != part[pairs.j])
    target = pairs.j.astype(np.int32)
    low = pairs.shift.min(axis=0, initial=0)
    span = (pairs.shift.max(axis=0, initial=0) - low + 1).astype(np.int64)
    parts = int(part.max(initial=0)) + 1
    own = (pairs.shift[moved] - low).astype(np.int64)
    code = ((pairs.j[moved] * span[0] + own[:, 0]) * span[1] + own[:, 1]) * span[2] + own[:, 2]
    code = code * parts + reader[moved]
    found, place = np.unique(code, return_inverse=True)
    target[moved] = n + place.reshape(-1)
    rest, c = np.divmod(found // parts, span[2])
    rest, b = np.divmod(rest, span[1])
    j, a = np.divmod(rest, span[0])
    owner = np.concatenate([np.arange(n), j]).astype(np.int32)
    shift = np.zeros((len(owner), 3), np.int32)
    shift[n:] = np.stack([a, b, c], axis=1) + low
    images = np.concatenate([[0], np.cumsum(np.bincount(j, minlength=n))]).astype(np.int64)
    return target, owner, shift, images


def _blocks(z: np.ndarray, lanes: int) -> tuple[np.ndarray, np.ndarray]:
    """(slot of every atom, species of every block): atoms by species, in their order."""
    order = np.argsort(z, kind="stable")
    counts = np.bincount(z)
    needed = -(-counts // lanes)
    first = (np.cumsum(needed) - needed) * lanes
    slot = np.empty(len(z), np.int64)
    slot[order] = first[z[order]] + np.arange(len(z)) - (np.cumsum(counts) - counts)[z[order]]
    return slot, np.repeat(np.arange(len(counts)), needed).astype(np.int32)
