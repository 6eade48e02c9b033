"""Frames of one file or database, each with its name for messages.

XYZ files are read by `etace.data.extxyz`, all others by ASE, whose word is then checked by
`etace.data.foreign`.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import sys
import warnings
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from etace.data import extxyz, foreign
from etace.errors import DataError, NoFileError
from etace.words import plain

NAMES = ".xyz, .traj, .db, .cif, .lammpstrj, OUTCAR, vasprun.xml, ..."
FORMATS = f"its format is not known by name or content: name the file after it ({NAMES})"
PICKLES = (".pckl", ".pkl", ".pickle", ".pckl.gzip", ".pkl.gzip", ".pickle.gzip")
PICKLED = re.compile(rb"\x80[\x02-\x05].")
NO_PICKLES = (
    "a pickle, as pacemaker's data frames are, runs any code when it is read, so it is not; convert one "
    "you trust: import pandas, ase.io; d = pandas.read_pickle('set.pckl.gzip', compression='gzip'); "
    "[r.ase_atoms.info.update(energy=r.energy) or r.ase_atoms.arrays.update(forces=r.forces) or "
    "ase.io.write('set.xyz', r.ase_atoms, append=True) for r in d.itertuples()]"
)


def split(name: str) -> tuple[str, str]:
    """(`train.xyz`, `0:10`) of `train.xyz@0:10`; ("...", "") of a file called so or without @."""
    head, slash, tail = name.rpartition("/")
    path, at, index = tail.rpartition("@")
    if not at or os.path.exists(name):
        return name, ""
    return head + slash + path, index


def shown(name: str) -> str:
    """As given, but an absolute path without its folders and a URL without user and password: reports
    and model files, which are handed on, carry these names."""
    if "://" in name:
        return plain(re.sub(r"://[^/]*@", "://", name))
    return plain(os.path.basename(os.path.normpath(name)) if os.path.isabs(name) else name)


def without_password(name: str) -> str:
    """A URL as files that are handed on may hold it; other names as they are."""
    return re.sub(r"(://[^/:@]*):[^/]*@", r"\1@", name)


@dataclass(frozen=True)
class Frame:
    """source: `train.xyz:12`, counted from 0 in the whole file; rows of a database by their id,
        `train.db:id=12`
    atoms: an `ase.Atoms` with its labels where they stood
    remarks: what a user should know of how it was read
    elements: False where atom types stand for them
    """

    source: str
    atoms: Any
    remarks: tuple[str, ...] = ()
    elements: bool = True


def frames(name: str, index: str, survey: bool = False) -> Iterator[Frame]:
    """Each frame of a file. index: `3`, `0:10:2`, of a database also a selection of ASE's.

    survey: only to count and look, so types of atoms may stand for elements

    Raises DataError: no such file, a folder, empty, cut short, of no known format, no frames, no elements.
    """
    short = shown(name)
    _check(name, short)
    mark = kind = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ASE's, about keys it skips
            kind = _kind(name, short)
            for mark, atoms, remarks, elements in _found(name, index, kind, short):
                if not elements and not survey:
                    raise foreign.no_elements(f"{short}:{mark}")
                yield Frame(f"{short}:{mark}", atoms, remarks, elements)
    except DataError:
        raise
    except ImportError as error:
        what = "pip install ase-db-backends" if "://" in name else error
        raise DataError(f"{short}: a package is missing to read it ({what})") from None
    except Exception as error:  # ASE's readers raise whatever they meet
        at = f" after frame {mark}" if mark else ""
        raise DataError(f"{short}: {_reason(error, name, kind)}{at}") from None
    if not mark:
        raise DataError(f"{short}: no structures in it" + (f" at @{index}" if index else ""))


def _check(name: str, short: str) -> None:
    if "://" in name:
        return
    if "\0" in name or not os.path.lexists(name):
        raise NoFileError(f"{plain(name[:200]) or repr(name)}: no such file")
    if os.path.isdir(name):
        raise DataError(f"{plain(name)}: a folder, not a file")
    try:
        if Path(name).stat().st_size == 0:
            raise DataError(f"{short}: the file is empty")
        if name.endswith((".xyz", ".extxyz")) and _cut_in_a_row(Path(name)):
            raise DataError(f"{short}: the file is cut short, within its last line")
        with open(name, "rb"):
            pass
    except OSError as error:
        raise DataError(f"{plain(name)}: {(error.strerror or 'cannot be read').lower()}") from None


def _cut_in_a_row(path: Path) -> bool:
    """Whether the last number lacks its end, which still reads as a number.

    Said only where it is sure: no line break at the end, rows above in columns of fixed width, and the
    last row like them but for a number of eight characters or more that is shorter.
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        rows = file.read().split(b"\n")[-3:]
    first, second, last = (
        [m.span() for m in re.finditer(rb"\S+", row)] for row in [b""] * (3 - len(rows)) + rows
    )
    # without symbols, which stand to the left
    ends = [[end for _, end in row[1:]] for row in (first, second, last)]
    if not ends[2] or ends[0] != ends[1] or len(ends[2]) != len(ends[1]):
        return False
    start, end = second[-1]
    return ends[2][:-1] == ends[1][:-1] and ends[2][-1] < end and end - start >= 8


def _found(
    name: str, index: str, kind: str, short: str
) -> Iterator[tuple[str, Any, tuple[str, ...], bool]]:
    """(number or id, atoms, remarks, whether elements are known)"""
    known = foreign.look(name, kind, short)
    if kind == "database":
        own: Iterator[tuple[Any, Any, tuple[str, ...]]] = _rows(name, index)
    elif kind == "extxyz":
        own = _xyz(name, index, short, types=not known.elements)
    else:
        own = _by_ase(name, index, kind)
    for k, atoms, remarks in own:
        more = foreign.distrust(atoms, k, kind, known, f"{short}:{k}")
        if not known.elements:
            more.append(foreign.NO_ELEMENTS)
        yield str(k), atoms, (*remarks, *more), known.elements


def _kind(name: str, short: str) -> str:
    """`database`, `extxyz` or another of ASE's formats. Raises DataError: none of them, or a pickle."""
    from ase.io.formats import filetype, get_compression, open_with_compression

    if "://" in name or name.endswith(".db"):
        return "database"
    bare = get_compression(name)[0] or name
    if bare.lower().endswith((".xyz", ".extxyz")):
        return "extxyz"
    with suppress(OSError, EOFError, zlib.error), open_with_compression(name, "rb") as file:
        start = file.read(4000)
        if (
            bare.lower().endswith(PICKLES)
            or PICKLED.match(start)
            or PICKLED.match(_unzipped(start))
        ):
            raise DataError(f"{short}: {NO_PICKLES}")
        if extxyz.looks_like(start.decode("utf-8", "replace")):
            return "extxyz"
    return str(filetype(name))


def _unzipped(start: bytes) -> bytes:
    """The beginning of a gzip file under a name that does not say so."""
    try:
        return zlib.decompressobj(31).decompress(start, 100)
    except zlib.error:
        return b""


def _by_ase(name: str, index: str, kind: str) -> Iterator[tuple[int, Any, tuple[str, ...]]]:
    from ase.io import iread

    numbers = _numbers(name, index)
    forwards = numbers.start >= 0 and (numbers.stop is None or numbers.stop >= 0)
    last = numbers.stop if forwards else None
    options: dict[str, Any] = {"index": slice(0, last, 1), "do_not_split_by_at_sign": True}
    found = enumerate(iread(name, format=kind, **options))
    chosen = islice(found, *numbers.indices(sys.maxsize)) if forwards else list(found)[numbers]
    for k, atoms in chosen:
        yield k, atoms, ()


def _xyz(
    name: str, index: str, short: str, types: bool
) -> Iterator[tuple[int, Any, tuple[str, ...]]]:
    numbers = _numbers(name, index)
    whole = sys.maxsize
    if numbers.start < 0 or (numbers.stop is not None and numbers.stop < 0):
        with _text(name) as file:
            whole = extxyz.count(file, short)
    with _text(name) as file:
        yield from extxyz.read(file, short, range(*numbers.indices(whole)), types)


def _text(name: str) -> TextIO:
    """Of a file that may be compressed; without the mark that some programs put at its beginning."""
    opened = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}.get(Path(name).suffix, open)
    return opened(name, "rt", encoding="utf-8-sig")  # type: ignore[operator]


def _numbers(name: str, index: str) -> slice:
    """Of frames, with a start and a step."""
    parts = index.split(":")
    try:
        if len(parts) > 3:
            raise ValueError
        given = [int(p) if p.strip() else None for p in parts]
    except ValueError:
        raise DataError(
            f"{shown(name)}@{index}: after @ stands a number or a range of frames, as in @0:10"
        ) from None
    if not index:
        return slice(0, None, 1)
    if len(parts) == 1:
        k = given[0] or 0
        return slice(k, None if k == -1 else k + 1, 1)
    step = (given[2] if len(given) > 2 else None) or 1
    if step < 0:
        raise DataError(f"{shown(name)}@{index}: frames are taken forwards, the step is {step}")
    return slice(given[0] or 0, given[1], step)


def _rows(name: str, index: str) -> Iterator[tuple[str, Any, tuple[str, ...]]]:
    """Of an ase.db: labels in its columns, key-value pairs and data, all in one atoms object."""
    from ase.db import connect

    database = connect(name, serial=True)
    try:
        numbers, selection = _numbers(name, index), ""
    except DataError:
        numbers, selection = slice(0, None, 1), index
    ids = [row.id for row in database.select(selection, columns=["id"])]
    for k in range(*numbers.indices(len(ids))):
        row = database.get(id=ids[k])
        atoms = row.toatoms()
        atoms.info.update(row.data)
        atoms.info.update(row.key_value_pairs)
        yield f"id={row.id}", atoms, ()


def _reason(error: Exception, name: str, kind: str) -> str:
    text = str(error).strip().split("\n")[0]
    if isinstance(error, StopIteration) or "StopIteration" in text or isinstance(error, EOFError):
        return "the file is cut short"
    if type(error).__name__ == "UnknownFileTypeError":
        return FORMATS
    if isinstance(error, UnicodeDecodeError):
        return "not UTF-8 text"
    if isinstance(error, gzip.BadGzipFile | zlib.error | lzma.LZMAError):
        return f"cannot be unpacked ({text or type(error).__name__})"
    why = (text[:160] or type(error).__name__).replace(name, shown(name))
    if kind in ("database", ""):
        return f"ASE cannot read it ({why})"
    return (
        f"ASE cannot read it as {kind} ({why}); what has another format is named after it ({NAMES})"
    )
