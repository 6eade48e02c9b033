"""Files to labelled structures."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from etace.data import labels
from etace.data.labelled import Dataset, Found, Keys, Labelled
from etace.errors import DataError

KINDS = ("energy", "forces", "virial")


def read(
    files: Sequence[str | Path],
    keys: Keys = Keys(),  # noqa: B008 (frozen)
    want: Sequence[str] = KINDS,
) -> Dataset:
    """All structures of all files, with the wanted labels.

    files: names ASE reads (also `name@0:10`), patterns with * or ?, URLs of databases

    Raises DataError, in words: a file that is missing, empty or cut short; one where no structure has
    an energy (or no forces) though wanted; labels that are not finite numbers, of the wrong shape, or
    not clear. Where no structure has a virial, that is only reported, unless its key was given.
    """
    structures: list[Labelled] = []
    found: list[Found] = []
    for name in _expand(files):
        own, report = _file(name, keys, want)
        structures += own
        found.append(report)
    return Dataset(tuple(structures), tuple(found))


def _expand(files: Sequence[str | Path]) -> list[str]:
    out: list[str] = []
    for file in map(str, files):
        if "://" in file or Path(file).exists() or not any(c in file for c in "*?["):
            out.append(file)
            continue
        matches = sorted(glob.glob(file))
        if not matches:
            raise DataError(f"{file}: no file is called so")
        out += matches
    if not out:
        raise DataError("no files to read")
    return out


def _file(name: str, keys: Keys, want: Sequence[str]) -> tuple[list[Labelled], Found]:
    frames = _frames(name)
    short = name if "://" in name else Path(name).name
    out: list[Labelled] = []
    where: dict[str, Counter[str]] = {kind: Counter() for kind in want}
    for k, atoms in enumerate(frames):
        made, places = _structure(atoms, f"{short}:{k}", keys, want)
        out.append(made)
        for kind, place in places.items():
            where[kind][place] += 1
    missing = {kind: sum(getattr(s, kind) is None for s in out) for kind in want}
    for kind in want:
        if kind == "forces" and all(len(s.atoms) == 1 for s in out):
            continue  # isolated atoms have none
        explicit = getattr(keys, kind, None) or (kind == "virial" and keys.stress)
        if missing[kind] == len(out) and (kind != "virial" or explicit):
            there = ", ".join(sorted({k for a in frames for k in labels.present(a)})) or "none"
            flag = f"--{kind}-key" if kind != "virial" else "--virial-key or --stress-key"
            raise DataError(
                f"{short}: no structure has {_article(kind)}; the keys there are: {there} "
                f"({flag} names one, --no-{kind} goes without)"
            )
    shown = {kind: ", ".join(sorted(where[kind])) for kind in want}
    atoms_in_all = sum(len(s.atoms) for s in out)
    return out, Found(short, len(out), atoms_in_all, shown, missing)


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
    if "virial" in want:
        for kind in ("virial", "stress"):
            if label := labels.look(atoms, kind, keys, source):
                virial = labels.virial(label, kind, atoms, source)
                how = "as it is" if kind == "virial" else "times -volume"
                where["virial"] = f"{label.where}, {np.size(label.value)} numbers, {how}"
                break
    group = labels.look(atoms, "group", keys, source)
    weight = labels.look(atoms, "weight", keys, source) if keys.weight else None
    factor = 1.0 if weight is None else labels.energy(weight, source)
    if factor < 0:
        raise DataError(f"{source}: its weight is negative, {factor}")
    bare = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    name = "default" if group is None else str(group.value)
    return Labelled(bare, energy, forces, virial, name, factor, source), where


def _frames(name: str) -> list[Any]:
    from ase.io import read as ase_read

    path, _, index = name.partition("@")
    if "://" not in name:
        if Path(path).is_dir():
            raise DataError(f"{path}: a folder, not a file")
        if not Path(path).is_file():
            raise DataError(f"{path}: no such file")
        if Path(path).stat().st_size == 0:
            raise DataError(f"{path}: the file is empty")
    try:
        found = ase_read(path if "://" not in name else name, index=index or ":")
    except ImportError as error:
        hint = " (install ase-db-backends)" if "://" in name else ""
        raise DataError(f"{name}: {error}{hint}") from None
    except Exception as error:  # ASE's readers raise whatever they meet
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise DataError(f"{name}: ASE cannot read it ({reason})") from None
    frames = found if isinstance(found, list) else [found]
    if not frames:
        raise DataError(f"{name}: no structures in it")
    return frames
