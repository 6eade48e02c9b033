"""Files to labelled structures."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from etace.data import free_energy, labels
from etace.data.frames import Frame, frames, shown, split
from etace.data.labelled import Dataset, Found, Keys, Labelled
from etace.data.notes import Notes
from etace.errors import DataError, NoFileError
from etace.neighbours import MAX_COORDINATE
from etace.telling import Tell

KINDS = ("energy", "forces", "virial")


def read(
    files: Sequence[str | Path],
    keys: Keys | Mapping[str, Keys] = Keys(),  # noqa: B008 (frozen)
    want: Sequence[str] = KINDS,
    progress: Tell | None = None,
    survey: bool = False,
) -> Dataset:
    """All structures of all files, with the wanted labels.

    files: names ASE reads (also `name@0:10`), patterns with * or ? or [, databases (`.db`, URLs)
    keys: for all files, or for some by name, as given or without folders; the others go by the lists
    progress: told ("reading", structures so far, None) after each
    survey: only to look: files without labels are read too, and atom types without elements

    A label that cannot be meant (not finite, of a wrong shape, a stress without a volume, a virial that is
    not symmetric) is set aside: the structure stays, and `Found.remarks` counts it.

    Raises DataError, in words: a file that is missing, empty or cut short; one where no structure has
    an energy (or no forces) though wanted, or all labels of a kind are odd; two labels that differ, and
    nothing says which. Where no structure has a virial, that is only reported, unless its key was given.
    """
    structures: list[Labelled] = []
    found: list[Found] = []
    used: set[str] = set()
    before = 0

    def tell(n: int) -> None:
        if progress is not None:
            progress("reading", before + n, None)

    for given, name, index in expand(files):
        own_keys = _keys_of(keys, (given, name, os.path.basename(name)), used)
        own, report = _file(name, index, own_keys, want, survey, tell)
        structures += own
        before = len(structures)
        found.append(report)
    if not isinstance(keys, Keys) and (unused := sorted(set(keys) - used)):
        raise DataError(f"keys are given for {', '.join(unused)}, which is none of the files")
    return Dataset(tuple(structures), free_energy.alike(found))


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
            raise NoFileError(f"{shown(name)}: no file is called so")
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


def _file(
    name: str,
    index: str,
    keys: Keys,
    want: Sequence[str],
    survey: bool,
    tell: Callable[[int], None],
) -> tuple[list[Labelled], Found]:
    short = shown(name) + (f"@{index}" if index else "")
    return of_frames(short, frames(name, index, survey), keys, want, survey, tell)


def of_frames(
    name: str,
    own: Iterable[Frame],
    keys: Keys,
    want: Sequence[str],
    survey: bool = False,
    tell: Callable[[int], None] = lambda n: None,
) -> tuple[list[Labelled], Found]:
    """Frames of one source with their labels, and what was found. name: of the source; the others: see `read`"""
    notes = Notes()
    out: list[Labelled] = []
    free: list[float | None] = []
    for frame in own:
        made, other = _structure(frame, keys, want, notes)
        out.append(made)
        free.append(other)
        tell(len(out))
    if "energy" in want:
        out = free_energy.choose(out, free, notes)
    missing = {kind: sum(getattr(s, kind) is None for s in out) for kind in want}
    for kind in want:
        notes.refuse_if_all_odd(kind, len(out) - missing[kind])
        if missing[kind] == len(out) and _needed(kind, keys, survey, out):
            raise DataError(f"{name}: {_nothing(kind, notes)}")
    keys_of = {kind: ", ".join(sorted(notes.where[kind])) for kind in want}
    used = {place.split(" (")[0] for own in notes.where.values() for place in own}
    others = tuple(sorted(notes.keys - used))
    atoms = sum(len(s.atoms) for s in out)
    return out, Found(name, len(out), atoms, keys_of, missing, others, notes.remarks())


def _needed(kind: str, keys: Keys, survey: bool, structures: Sequence[Labelled]) -> bool:
    """Whether a file must have such labels: where their key was given; else virials never, others where
    it is read for them. Forces on the atoms of one-atom cells are zero, and need not be said."""
    given = (keys.virial or keys.stress) if kind == "virial" else getattr(keys, kind)
    if given or given == "" or survey or kind == "virial":
        return bool(given)
    return kind != "forces" or any(len(s.atoms) > 1 for s in structures)


def _nothing(kind: str, notes: Notes) -> str:
    what = {"energy": "an energy", "forces": "forces", "virial": "a virial or stress"}[kind]
    flag = f"--{kind}-key" if kind != "virial" else "--virial-key or --stress-key"
    blank = f" ({notes.blank[kind]} hold NaN in its place)" if notes.blank[kind] else ""
    return (
        f"no structure has {what}{blank}; the keys there are: "
        f"{', '.join(sorted(notes.keys)) or 'none'} ({flag} names one, --no-{kind} goes without)"
    )


def _structure(
    frame: Frame, keys: Keys, want: Sequence[str], notes: Notes
) -> tuple[Labelled, float | None]:
    """The structure, and the free energy that stands beside its energy."""
    from ase import Atoms

    atoms, source = frame.atoms, frame.source
    if len(atoms) == 0:
        raise DataError(f"{source}: there are no atoms in it")
    for what, values in (("a position", atoms.positions), ("the cell", np.asarray(atoms.cell))):
        if not (np.abs(values) <= MAX_COORDINATE).all():  # also finds NaN
            raise DataError(f"{source}: {what} is not finite, or beyond {MAX_COORDINATE:g} Å")
    notes.frame(frame)
    n = len(atoms)
    energy = forces = virial = free = None
    if "energy" in want:
        energy = notes.label(frame, "energy", keys, lambda x: labels.energy(x, n))
        if keys.energy is None:
            free = notes.label(frame, "free_energy", keys, lambda x: labels.energy(x, n))
    if "forces" in want:
        forces = notes.label(frame, "forces", keys, lambda x: labels.forces(x, n))
    if "virial" in want:
        virial, place, odd = labels.find_virial(atoms, keys, source)
        notes.virial(frame, keys, place, odd)
    weight = labels.look(atoms, "weight", keys, source) if keys.weight else None
    try:
        factor = 1.0 if weight is None else labels.weight(weight)
    except labels.OddLabel as error:
        raise DataError(f"{source}: {error}") from None
    bare = Atoms(numbers=atoms.numbers, positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    group = labels.config_type(atoms, keys, source)
    made = Labelled(bare, energy, forces, virial, group, factor, source, frame.elements)
    return made, free
