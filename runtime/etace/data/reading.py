"""Files to labelled structures."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from etace.data import labels
from etace.data.frames import frames, shown, split
from etace.data.labelled import Dataset, Found, Keys, Labelled
from etace.errors import DataError, NoFileError

KINDS = ("energy", "forces", "virial")


def read(
    files: Sequence[str | Path],
    keys: Keys | Mapping[str, Keys] = Keys(),  # noqa: B008 (frozen)
    want: Sequence[str] = KINDS,
    progress: Callable[[int], None] | None = None,
) -> Dataset:
    """All structures of all files, with the wanted labels.

    files: names ASE reads (also `name@0:10`), patterns with * or ? or [, databases (`.db`, URLs)
    keys: for all files, or for some by name, as given or without folders; the others go by the lists
    progress: told the number of structures read so far, after each file

    Raises DataError, in words: a file that is missing, empty or cut short; one where no structure has
    an energy (or no forces) though wanted; labels that are not finite numbers, of the wrong shape, or
    not clear. Where no structure has a virial, that is only reported, unless its key was given.
    """
    structures: list[Labelled] = []
    found: list[Found] = []
    used: set[str] = set()
    for given, name, index in expand(files):
        own, report = _file(
            name, index, _keys_of(keys, (given, name, os.path.basename(name)), used), want
        )
        structures += own
        found.append(report)
        if progress is not None:
            progress(len(structures))
    if not isinstance(keys, Keys) and (unused := sorted(set(keys) - used)):
        raise DataError(f"keys are given for {', '.join(unused)}, which is none of the files")
    return Dataset(tuple(structures), tuple(found))


def _keys_of(keys: Keys | Mapping[str, Keys], names: Sequence[str], used: set[str]) -> Keys:
    if isinstance(keys, Keys):
        return keys
    for name in names:
        if name in keys:
            used.add(name)
            return keys[name]
    return Keys()


def expand(files: Sequence[str | Path]) -> list[tuple[str, str, str]]:
    """As given, name without patterns, which frames: (`*.xyz@0:10`, `train.xyz`, `0:10`).

    Raises NoFileError: a pattern without a match, the same file twice.
    """
    if isinstance(files, str | Path):
        files = [files]
    out: list[tuple[str, str, str]] = []
    for file in map(str, files):
        name, index = split(file)
        if "://" in name or os.path.lexists(name) or not any(c in name for c in "*?["):
            out.append((file, name, index))
            continue
        matches = sorted(glob.glob(name))
        if not matches:
            raise NoFileError(f"{name}: no file is called so")
        out += [(file, match, index) for match in matches]
    if not out:
        raise NoFileError("no files to read")
    seen: set[tuple[str, str]] = set()
    for _, name, index in out:
        own = (name if "://" in name else os.path.realpath(name), index)
        if own in seen:
            raise NoFileError(f"{shown(name)}: named twice, its structures would count twice")
        seen.add(own)
    return out


def _file(name: str, index: str, keys: Keys, want: Sequence[str]) -> tuple[list[Labelled], Found]:
    short = shown(name) + (f"@{index}" if index else "")
    out: list[Labelled] = []
    where: dict[str, Counter[str]] = {kind: Counter() for kind in want}
    there: set[str] = set()
    for source, atoms in frames(name, index):
        made, places = _structure(atoms, source, keys, want)
        out.append(made)
        there.update(labels.present(atoms))
        for kind, place in places.items():
            where[kind][place] += 1
    missing = {kind: sum(getattr(s, kind) is None for s in out) for kind in want}
    alone = all(len(s.atoms) == 1 for s in out)
    for kind in want:
        if kind == "forces" and alone:
            continue  # isolated atoms have none
        if missing[kind] == len(out) and _needed(kind, keys):
            flag = f"--{kind}-key" if kind != "virial" else "--virial-key or --stress-key"
            raise DataError(
                f"{short}: no structure has {_article(kind)}; the keys there are: "
                f"{', '.join(sorted(there)) or 'none'} ({flag} names one, --no-{kind} goes without)"
            )
    places_of = {kind: ", ".join(sorted(where[kind])) for kind in want}
    atoms_in_all = sum(len(s.atoms) for s in out)
    return out, Found(short, len(out), atoms_in_all, places_of, missing)


def _needed(kind: str, keys: Keys) -> bool:
    """A virial only where its key was given; nothing whose key is "", not to be read."""
    if kind == "virial":
        return bool(keys.virial or keys.stress)
    return getattr(keys, kind) != ""


def _article(kind: str) -> str:
    return {"energy": "an energy", "forces": "forces", "virial": "a virial or stress"}[kind]


def _structure(
    atoms: Any, source: str, keys: Keys, want: Sequence[str]
) -> tuple[Labelled, dict[str, str]]:
    from ase import Atoms

    if len(atoms) == 0:
        raise DataError(f"{source}: there are no atoms in it")
    if not np.isfinite(atoms.positions).all():
        raise DataError(f"{source}: a position is not finite")
    where: dict[str, str] = {}
    energy = forces = virial = None
    if "energy" in want and (label := labels.look(atoms, "energy", keys, source)):
        energy, where["energy"] = labels.energy(label, source), label.where
    if "forces" in want and (label := labels.look(atoms, "forces", keys, source)):
        forces, where["forces"] = labels.forces(label, len(atoms), source), label.where
    if "virial" in want and (found := labels.find_virial(atoms, keys, source)):
        virial, where["virial"] = found
    weight = labels.look(atoms, "weight", keys, source) if keys.weight else None
    factor = 1.0 if weight is None else labels.energy(weight, source)
    if factor < 0:
        raise DataError(f"{source}: its weight is negative, {factor}")
    bare = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    group = labels.config_type(atoms, keys, source)
    return Labelled(bare, energy, forces, virial, group, factor, source), where
