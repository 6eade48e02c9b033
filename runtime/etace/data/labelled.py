"""One structure with its labels, and many with where their labels were found."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from etace.words import count


@dataclass(frozen=True, eq=False)
class Labelled:
    """atoms: an `ase.Atoms`, bare
    energy: of the whole structure, eV; forces: [N, 3], eV/Å; virial: [3, 3], eV, -dE/dstrain =
        -stress * volume; None where there is no such label
    group: config type, "default" where there is none
    weight: a factor on all its rows
    source: file and number of the frame, `train.xyz:12`
    elements: False where atom types stand for them, in what was read only to look at it
    """

    atoms: Any
    energy: float | None
    forces: np.ndarray | None
    virial: np.ndarray | None
    group: str = "default"
    weight: float = 1.0
    source: str = ""
    elements: bool = True


@dataclass(frozen=True)
class Keys:
    """Under which keys labels stand. None: found by `labels.NAMES`; "": not read at all.

    virial: eV; stress: eV/Å^3, in ASE's sign; weight: no default
    """

    energy: str | None = None
    forces: str | None = None
    virial: str | None = None
    stress: str | None = None
    group: str | None = None
    weight: str | None = None


@dataclass(frozen=True)
class Remark:
    """What a user should know of some structures of a file. structures: how many; first: one of them"""

    text: str
    structures: int
    first: str

    def __str__(self) -> str:
        if self.structures == 1:
            return f"{self.first}: {self.text}"
        return f"{self.text} ({self.structures} structures, the first {self.first})"


@dataclass(frozen=True)
class Found:
    """Where the labels of one file were found.

    keys: kind -> `energy (calculator)`, `virial (info, 9 numbers)`, ...; "" where there is none
    missing: kind -> structures without it
    others: keys of the file that hold no label that was read
    remarks: labels set aside, and how frames were read
    """

    file: str
    structures: int
    atoms: int
    keys: dict[str, str]
    missing: dict[str, int]
    others: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()

    def __str__(self) -> str:
        parts = []
        for kind, key in self.keys.items():
            if not key:
                there = f" (the keys there are: {', '.join(self.others)})" if self.others else ""
                parts.append(f"no {kind}{there if kind != 'virial' else ''}")
                continue
            less = f" (missing in {self.missing[kind]})" if self.missing[kind] else ""
            parts.append(f"{kind} from {key}{less}")
        size = f"{count(self.structures, 'structure')}, {count(self.atoms, 'atom')}"
        return f"{self.file}: {size}; {'; '.join(parts)}"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Structures in the order of the files, and what was found in each file."""

    structures: tuple[Labelled, ...]
    found: tuple[Found, ...]

    @property
    def remarks(self) -> tuple[Remark, ...]:
        return tuple(r for f in self.found for r in f.remarks)

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(sorted({s.group for s in self.structures}))

    @property
    def species(self) -> tuple[str, ...]:
        return tuple(sorted({x for s in self.structures for x in set(s.atoms.symbols)}))

    @cached_property
    def digest(self) -> str:
        """sha256 of all that matters; the same data have the same, whatever their files are called."""
        return digest(self.structures)


def digest(structures: Sequence[Labelled]) -> str:
    h = hashlib.sha256()
    for s in structures:
        h.update(f"{s.group}/{s.weight!r}/{s.energy!r}/".encode())
        arrays = (s.atoms.positions, s.atoms.numbers, np.asarray(s.atoms.cell), s.atoms.pbc)
        for a in (*arrays, s.forces, s.virial):
            h.update(b"-" if a is None else np.ascontiguousarray(a).tobytes())
    return h.hexdigest()
