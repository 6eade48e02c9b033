"""Labelled structures that are in memory already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from etace.data.frames import Frame
from etace.data.labelled import Dataset, Found, Keys, Labelled
from etace.data.reading import KINDS, of_frames
from etace.errors import DataError


def from_atoms(
    structures: Sequence[Any],
    keys: Keys = Keys(),  # noqa: B008 (frozen)
    want: Sequence[str] = KINDS,
    name: str = "structure",
) -> Dataset:
    """The same as `read` of a file of these structures.

    structures: `ase.Atoms` with labels in their calculator, `info` or `arrays`; or `Labelled`, as they
        are; name: of them in messages, `name:3`

    Raises DataError: labels that `read` refuses; something that is no structure; nothing.
    """
    if not structures:
        raise DataError(f"{name}: no structures are given")
    if all(isinstance(s, Labelled) for s in structures):
        out, found = list(structures), _found(structures, want, name)
    else:
        out, found = of_frames(name, _frames(structures, name), keys, want)
    return Dataset(tuple(out), (found,))


def _frames(structures: Sequence[Any], name: str) -> Iterator[Frame]:
    for k, given in enumerate(structures):
        if not hasattr(given, "numbers") or not hasattr(given, "positions"):
            raise DataError(f"{name}:{k} is {type(given).__name__}, not an ase.Atoms")
        yield Frame(f"{name}:{k}", given)


def _found(structures: Sequence[Labelled], want: Sequence[str], name: str) -> Found:
    missing = {kind: sum(getattr(s, kind) is None for s in structures) for kind in want}
    given = {kind: "as given" if missing[kind] < len(structures) else "" for kind in want}
    return Found(name, len(structures), sum(len(s.atoms) for s in structures), given, missing)
