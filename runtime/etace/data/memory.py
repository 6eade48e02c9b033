"""Labelled structures that are in memory already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from etace.data.frames import Frame
from etace.data.labelled import Dataset, Keys, Labelled
from etace.data.reading import KINDS, labelled
from etace.errors import DataError


def from_atoms(
    structures: Sequence[Any],
    keys: Keys = Keys(),  # noqa: B008 (frozen)
    want: Sequence[str] = KINDS,
    name: str = "structure",
) -> Dataset:
    """The same as `read` of a file of these structures.

    structures: `ase.Atoms` with labels in their calculator, `info` or `arrays`, or `Labelled` as they are
    name: of them in messages, `name:3`

    Raises DataError: labels as `read` refuses them; something that is no structure.
    """
    if not structures:
        raise DataError(f"{name}: no structures are given")
    bare = [s for s in structures if not isinstance(s, Labelled)]
    read: list[Labelled] = []
    found = None
    if bare:
        read, found = labelled(_frames(structures, name), name, keys, want)
    new = iter(read)
    out = [s if isinstance(s, Labelled) else next(new) for s in structures]
    missing = {kind: sum(getattr(s, kind) is None for s in out) for kind in want}
    atoms = sum(len(s.atoms) for s in out)
    if found is None:
        found = labelled((), name, keys, (), survey=True)[1]
        found = replace(found, keys=dict.fromkeys(want, ""))
    return Dataset(tuple(out), (replace(found, structures=len(out), atoms=atoms, missing=missing),))


def _frames(structures: Sequence[Any], name: str) -> Iterator[Frame]:
    for k, given in enumerate(structures):
        if isinstance(given, Labelled):
            continue
        if not hasattr(given, "numbers") or not hasattr(given, "positions"):
            raise DataError(f"{name}:{k} is {type(given).__name__}, not an ase.Atoms")
        yield Frame(f"{name}:{k}", given)
