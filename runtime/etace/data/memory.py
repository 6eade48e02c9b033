"""Labelled structures that are in memory already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from etace.data.labelled import Dataset, Found, Keys, Labelled
from etace.data.reading import KINDS, _structure
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
    out: list[Labelled] = []
    places: dict[str, set[str]] = {kind: set() for kind in want}
    for k, given in enumerate(structures):
        if isinstance(given, Labelled):
            out.append(given)
            continue
        if not hasattr(given, "numbers") or not hasattr(given, "positions"):
            raise DataError(f"{name}:{k} is {type(given).__name__}, not an ase.Atoms")
        made, where = _structure(given, f"{name}:{k}", keys, want)
        out.append(made)
        for kind, place in where.items():
            places[kind].add(place)
    if not out:
        raise DataError(f"{name}: no structures are given")
    missing = {kind: sum(getattr(s, kind) is None for s in out) for kind in want}
    for kind in want:
        if missing[kind] == len(out) and kind == "energy":
            raise DataError(f"{name}: no structure has an energy")
    atoms = sum(len(s.atoms) for s in out)
    keys_of = {kind: ", ".join(sorted(own)) for kind, own in places.items()}
    return Dataset(tuple(out), (Found(name, len(out), atoms, keys_of, missing),))
