"""Frames of one file or database, each with its name for messages; whatever ASE reads."""

from __future__ import annotations

import io
import os
import re
import sys
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from etace.errors import DataError, NoFileError


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
        return re.sub(r"://[^/]*@", "://", name)
    return os.path.basename(os.path.normpath(name)) if os.path.isabs(name) else name


def without_password(name: str) -> str:
    """A URL as files that are handed on may hold it; other names as they are."""
    return re.sub(r"(://[^/:@]*):[^/]*@", r"\1@", name)


def frames(name: str, index: str) -> Iterator[tuple[str, Any]]:
    """(`train.xyz:12`, atoms) for each frame, counted from 0 in the whole file; rows of a database
    by their id, `train.db:id=12`. index: `3`, `0:10:2`, of a database also a selection of ASE's.

    Raises DataError: no such file, a folder, empty, cut short, none of ASE's formats, no frames.
    """
    short = shown(name)
    _check(name, short)
    mark = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ASE's, about keys it skips
            own = _rows(name, index) if _is_database(name) else _counted(name, index)
            for mark, atoms in own:
                yield f"{short}:{mark}", atoms
    except DataError:
        raise
    except ImportError as error:
        what = "pip install ase-db-backends" if "://" in name else error
        raise DataError(f"{short}: a package is missing to read it ({what})") from None
    except Exception as error:  # ASE's readers raise whatever they meet
        at = f" after frame {mark}" if mark else ""
        raise DataError(f"{short}: ASE cannot read it{at} ({_reason(error, name)})") from None
    if not mark:
        raise DataError(f"{short}: no structures in it" + (f" at @{index}" if index else ""))


def _check(name: str, short: str) -> None:
    if "://" in name:
        return
    if "\0" in name or not os.path.lexists(name):
        raise NoFileError(f"{name[:200] or repr(name)}: no such file")
    if os.path.isdir(name):
        raise DataError(f"{name}: a folder, not a file")
    try:
        if Path(name).stat().st_size == 0:
            raise DataError(f"{short}: the file is empty")
        if name.endswith((".xyz", ".extxyz")) and _cut_in_a_row(Path(name)):
            raise DataError(f"{short}: the file is cut short, within its last line")
        with open(name, "rb"):
            pass
    except OSError as error:
        raise DataError(f"{name}: {(error.strerror or 'cannot be read').lower()}") from None


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


def _is_database(name: str) -> bool:
    return "://" in name or name.endswith(".db")


def _counted(name: str, index: str) -> Iterator[tuple[str, Any]]:
    from ase.io import iread

    numbers = _numbers(name, index)
    forwards = numbers.start >= 0 and (numbers.stop is None or numbers.stop >= 0)
    last = numbers.stop if forwards else None
    options: dict[str, Any] = {"index": slice(0, last, 1), "do_not_split_by_at_sign": True}
    text = _unpacked(name)
    found = enumerate(iread(text or name, format="extxyz" if text else None, **options))
    chosen = islice(found, *numbers.indices(sys.maxsize)) if forwards else list(found)[numbers]
    for k, atoms in chosen:
        yield str(k), atoms


def _unpacked(name: str) -> io.StringIO | None:
    """A compressed extended XYZ file as text in memory, None for others: ASE's reader seeks back for
    every frame, which unpacks the file anew each time."""
    from ase.io.formats import filetype, get_compression, open_with_compression

    if get_compression(name)[1] is None or filetype(name) != "extxyz":
        return None
    with open_with_compression(name, "rt") as file:
        return io.StringIO(file.read())


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


def _rows(name: str, index: str) -> Iterator[tuple[str, Any]]:
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
        yield f"id={row.id}", atoms


def _reason(error: Exception, name: str) -> str:
    text = str(error).strip().split("\n")[0].removeprefix("ase.io.extxyz: ")
    if isinstance(error, StopIteration) or "StopIteration" in text or isinstance(error, EOFError):
        return "the file is cut short"
    if type(error).__name__ == "UnknownFileTypeError":
        return "none of its file formats"
    if isinstance(error, UnicodeDecodeError):
        return "not text"
    return (text[:160] or type(error).__name__).replace(name, shown(name))
