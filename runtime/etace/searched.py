"""Neighbours of structures that are asked for again and again, such as those of a fit: searched for once and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar
from weakref import ref

import numpy as np

if TYPE_CHECKING:
    from etace.structure import Paired

Kept = TypeVar("Kept")

Numbers = tuple[np.ndarray, ...]

LIMIT = 1 << 31  # bytes that are kept, at most


class Searched:
    """What was found of structures that nobody changes while this is there (`Model.search_once`).

    Kernels list the neighbours of several structures together. So that what one step has listed serves the next,
    all steps take these batches, by `groups`. Within a budget: beyond it, structures are searched again.
    """

    def __init__(self, batches: Iterable[Sequence[Any]], budget: int = LIMIT):
        """batches: of `ase.Atoms`; budget: bytes"""
        self.left = budget
        self._batches = [tuple(batch) for batch in batches]  # alive, so that no id is another's
        self._place = {id(a): k for k, batch in enumerate(self._batches) for a in batch}
        self._paired: dict[int, tuple[Numbers, Paired]] = {}
        self._lists: dict[tuple[Any, ...], Any] = {}
        self._lock = Lock()

    def place(self, atoms: Any) -> int | None:
        """Of their batch; None: they are of none."""
        return self._place.get(id(atoms))

    def paired(self, atoms: Any, make: Callable[[], Paired]) -> Paired:
        """The same each time, of atoms of a batch; made anew if they have changed all the same."""
        kept = self._paired.get(id(atoms))
        if kept is not None and _alike(kept[0], _numbers(atoms)):
            return kept[1]
        found = make()
        if kept is None and self.place(atoms) is not None:
            now = tuple(a.copy() for a in _numbers(atoms))
            found.positions, found.pbc = found.positions.copy(), found.pbc.copy()  # no views
            if self.room(2 * sum(a.nbytes for a in now)):
                found.keeper = ref(self)
                _, found = self._paired.setdefault(id(atoms), (now, found))
        return found

    def listed(
        self, structures: Sequence[Paired], about: tuple[Any, ...], make: Callable[[], Kept]
    ) -> Kept:
        """What `make` made of the same structures before. about: what else it depends on"""
        key = (*map(id, structures), *about)
        if key in self._lists:
            kept: Kept = self._lists[key]
            return kept
        found = make()
        whole = all(s.kept is self for s in structures)  # their ids stay theirs
        arrays = [a for a in vars(found).values() if isinstance(a, np.ndarray)]
        if whole and self.room(sum(a.nbytes for a in arrays)):
            self._lists[key] = found
        return found

    def room(self, size: int) -> bool:
        """Whether so many bytes may be kept, which then they are."""
        with self._lock:
            if size > self.left:
                return False
            self.left -= size
            return True


def _numbers(atoms: Any) -> Numbers:
    cell = getattr(atoms.cell, "array", atoms.cell)
    return tuple(map(np.asarray, (atoms.positions, atoms.numbers, cell, atoms.pbc)))


def _alike(a: Numbers, b: Numbers) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def in_order(structures: Sequence[Any], searched: Searched | None) -> list[int]:
    """Places of `ase.Atoms` such that batches stand together, others as `densest_first` says."""
    from etace.structure import densest_first

    places = [None if searched is None else searched.place(a) for a in structures]
    known = sorted((place, k) for k, place in enumerate(places) if place is not None)
    others = [k for k, place in enumerate(places) if place is None]
    dense = densest_first([structures[k] for k in others])
    return [*(others[n] for n in dense), *(k for _, k in known)]


def groups(
    structures: Iterable[Any], atoms: int, searched: Searched | None = None
) -> Iterator[list[Any]]:
    """`ase.Atoms` in their order, some at a time: batches that were searched, others up to so many atoms."""
    group: list[Any] = []
    count, place = 0, None
    for one in structures:
        own = None if searched is None else searched.place(one)
        full = own != place or (own is None and count + len(one) > atoms)
        if group and full:
            yield group
            group, count = [], 0
        group.append(one)
        count, place = count + len(one), own
    if group:
        yield group
