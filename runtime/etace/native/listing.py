"""A layout by the list of neighbours in C (`list.c`), which is compiled once and serves every model.

It makes the pairs of `etace.neighbours` and packs them as `etace.native.layout` does, ten times as fast; what
it refuses, or where it cannot be had, is left to them, who say what is wrong.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from etace.native.build import BuildError, library
from etace.native.layout import APART, Layout, layout, most_parts
from etace.native.toolchain import Toolchain
from etace.neighbours import MAX_PAIRS
from etace.structure import Paired

SOURCE = Path(__file__).with_name("list.c")

NUMBERS = ("atoms", "extended", "blocks", "longest", "each")
LONG, SHORT = ("slot", "rows", "images"), ("species", "atom", "neighbour", "owner", "shift")
REAL = ("closest", "farthest")
KIND: dict[str, np.dtype[Any]] = {
    **dict.fromkeys(LONG, np.dtype(np.int64)),
    **dict.fromkeys(SHORT, np.dtype(np.int32)),
    **dict.fromkeys(REAL, np.dtype(np.float64)),
}


class List(ctypes.Structure):
    """`struct etace_list`."""

    _fields_ = [
        *((name, ctypes.c_int64) for name in NUMBERS),
        *((name, ctypes.c_void_p) for name in (*LONG, *SHORT, *REAL)),
    ]

    def array(self, name: str, *shape: int) -> np.ndarray:
        """A copy of one of the arrays. shape: not empty"""
        kind = KIND[name]
        content = ctypes.string_at(getattr(self, name), prod(shape) * kind.itemsize)
        return np.frombuffer(content, kind).reshape(shape).copy()

    def spans(self, structures: int, n_species: int) -> np.ndarray:
        """[structures, 2, species, species], as `Paired.span` of each."""
        found = [self.array(name, structures, n_species, n_species) for name in REAL]
        return np.sqrt(np.stack(found, axis=1))

    def layout(self, n_species: int, lanes: int, structure: np.ndarray | None) -> Layout:
        """A copy. structure: [atoms], of a batch"""
        array = self.array
        rows = array("rows", self.blocks * n_species + 1)
        return Layout(
            self.atoms,
            self.each,
            array("slot", self.atoms),
            array("species", self.blocks),
            array("atom", self.blocks, lanes),
            rows,
            array("neighbour", int(rows[-1]), lanes) if rows[-1] else np.zeros((0, lanes), "i4"),
            array("owner", self.extended),
            array("shift", self.extended, 3),
            array("images", self.atoms + 1),
            structure,
        )


def listed(
    structures: Sequence[Paired], n_species: int, lanes: int, batch: bool, toolchain: Toolchain
) -> Layout:
    """The same as `layout`, by C where that can be; what is kept, if it is. Raises StructureError."""

    def make() -> Layout:
        c = lister(toolchain)
        found = None if c is None else _listed(c, structures, n_species, lanes, batch)
        return layout(structures, n_species, lanes, batch) if found is None else found

    kept = structures[0].kept
    return make() if kept is None else kept.listed(structures, (n_species, lanes, batch), make)


@lru_cache(maxsize=4)
def lister(toolchain: Toolchain) -> ctypes.CDLL | None:
    """The list in C; None: it cannot be compiled."""
    try:
        text = SOURCE.read_text(encoding="utf8")
        return library(text, toolchain, what="the list of neighbours")
    except BuildError:
        return None


def _listed(
    c: ctypes.CDLL, structures: Sequence[Paired], n_species: int, lanes: int, batch: bool
) -> Layout | None:
    """None: something is wrong."""
    counts = np.array([len(s) for s in structures], np.int64)
    arrays = (
        counts,
        np.concatenate([s.species for s in structures], dtype=np.int32),
        np.concatenate([s.positions for s in structures], dtype=np.float64),
        np.array([s.cell for s in structures], np.float64),
        np.array([s.pbc for s in structures], np.int32),
    )
    ordered = [np.ascontiguousarray(a) for a in arrays]  # one array by itself keeps its order
    at = [ctypes.c_void_p(a.ctypes.data) for a in ordered]
    reach = np.ascontiguousarray(structures[0].reach, np.float64)
    parts, made = most_parts(int(counts.sum())), List()
    failed = c.etace_list_make(
        ctypes.byref(made), ctypes.c_int64(len(structures)), *at, ctypes.c_int32(n_species),
        ctypes.c_void_p(reach.ctypes.data), ctypes.c_int32(lanes), ctypes.c_int32(parts),
        ctypes.c_int32(APART), ctypes.c_int64(int(MAX_PAIRS)),
    )  # fmt: skip
    if failed:
        return None
    try:
        for s, own in zip(structures, made.spans(len(counts), n_species), strict=True):
            s.know_span(own)
        structure = np.repeat(np.arange(len(counts), dtype=np.int32), counts) if batch else None
        return made.layout(n_species, lanes, structure)
    finally:
        c.etace_list_free(ctypes.byref(made))
