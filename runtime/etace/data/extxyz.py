"""Frames of an XYZ file, plain or extended, as the file has them.

Labels stay under their names in `info` and `arrays`: nothing is moved, renamed or filled in. Blank lines
between frames are skipped. Whatever else does not fit is an error that names its line: a frame that is cut
short, a row with too few or too many columns, text where a number should stand, text behind the last frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any, TextIO

import numpy as np

from etace.data.comment import BOOLEANS, number, pairs
from etace.errors import DataError

PLAIN = "species:S:1:pos:R:3"
SPECIAL = ("lattice", "properties", "pbc")  # in any case
MATRICES = {"virial", "stress"}  # nine numbers under these names are 3 x 3
NAMES = {"species": "symbols", "pos": "positions", "Z": "numbers", "charge": "charges"}  # as ASE's
BEYOND = "columns beyond the fourth are left out: no `Properties` says what they are"
BLANK = "the first line is blank: it is skipped"


@dataclass(frozen=True)
class Column:
    """Columns first to last (not included) of a row. kind: R, I, S or L"""

    name: str
    kind: str
    first: int
    last: int


class Lines:
    """Lines of a file, counted from 1."""

    def __init__(self, file: TextIO, name: str):
        self._file, self._name, self.number = file, name, 0

    def next(self) -> str | None:
        line = next(self._file, None)
        self.number += line is not None
        return line

    def next_filled(self) -> str | None:
        """The next that is not blank."""
        line = self.next()
        while line is not None and not line.strip():
            line = self.next()
        return line

    def block(self, n: int) -> list[str]:
        lines = list(islice(self._file, n))
        self.number += len(lines)
        return lines

    def error(self, text: str, line: int | None = None) -> DataError:
        return DataError(f"{self._name}: line {line or self.number}: {text}")


def read(
    file: TextIO, name: str, numbers: range | None = None, types: bool = False
) -> Iterator[tuple[int, Any, tuple[str, ...]]]:
    """(number of the frame from 0, `ase.Atoms`, remarks on how it was read).

    name: of the file, for messages; numbers: which frames, all unless given; the rest is skipped unread
    types: whether numbers of types may stand for elements

    Raises DataError with the number of the line.
    """
    lines = Lines(file, name)
    header = lines.next_filled()
    remarks: tuple[str, ...] = (BLANK,) if lines.number > 1 and header is not None else ()
    k = 0
    while header is not None and (numbers is None or k < numbers.stop):
        n, at = _count(header, lines), lines.number
        comment = lines.next()
        if comment is None:
            raise lines.error(f"the file is cut short: frame {k} has no comment line and no atoms")
        rows = lines.block(n)
        if len(rows) < n:
            raise lines.error(
                f"the file is cut short: frame {k} has {len(rows)} of the {n} atoms that line {at} says"
            )
        end = lines.number
        header = lines.next_filled()
        vectors = []
        while header is not None and header.lstrip().startswith("VEC"):
            vectors.append((header, lines.number))
            header = lines.next_filled()
        if numbers is None or k in numbers:
            frame = _Frame(lines, end - n, types)
            atoms = frame.atoms(comment.strip(), rows, vectors)
            yield k, atoms, (*remarks, *frame.remarks)
            remarks = ()
        k += 1


def count(file: TextIO, name: str) -> int:
    """How many frames there are."""
    return sum(1 for _ in _skipped(Lines(file, name)))


def looks_like(text: str) -> bool:
    """Whether the first lines are those of an XYZ file, whatever it is called."""
    rows = [line.split() for line in text.removeprefix("\ufeff").lstrip().splitlines()[:3]]
    if len(rows) < 3 or len(rows[0]) != 1 or not rows[0][0].isdecimal() or len(rows[2]) < 4:
        return False
    try:
        [number(t) for t in rows[2][1:4]]
    except ValueError:
        return "Properties=" in text
    return True


def _skipped(lines: Lines) -> Iterator[None]:
    header = lines.next_filled()
    while header is not None:
        if not header.lstrip().startswith("VEC"):
            lines.block(1 + _count(header, lines))
            yield
        header = lines.next_filled()


def _count(header: str, lines: Lines) -> int:
    text = header.strip()
    if not (text.isascii() and text.isdigit()) or len(text) > 12:
        shown = text if len(text) <= 60 else text[:59] + "…"
        raise lines.error(f"here should stand a number of atoms, not `{shown}`")
    return int(text)


class _Frame:
    """first: number of the line before the first atom"""

    def __init__(self, lines: Lines, first: int, types: bool):
        self._lines, self._first, self._types = lines, first, types
        self.remarks: list[str] = []

    def atoms(self, comment: str, rows: list[str], vectors: list[tuple[str, int]]) -> Any:
        from ase import Atoms

        info, special = self._info(comment)
        text = str(special.get("properties", PLAIN))
        try:
            columns = layout(text)
        except ValueError as error:
            raise self._error(str(error), 0) from None
        values = self._columns(columns, rows, exact="properties" in special)
        found = dict(zip((NAMES.get(c.name, c.name) for c in columns), values, strict=True))
        symbols = found.pop("symbols", None)
        numbers = found.pop("numbers", None)
        if numbers is None:
            numbers = self._elements(symbols)
        cell, pbc = self._cell(special, vectors)
        out = Atoms(numbers=numbers, positions=found.pop("positions"), cell=cell, pbc=pbc)
        out.info = info
        if (mask := found.pop("move_mask", None)) is not None:
            _fix(out, mask.astype(bool))
        for name, array in found.items():
            out.arrays[name] = array
        return out

    def _error(self, text: str, row: int) -> DataError:
        """row: of the atoms from 1, 0: the comment line"""
        return self._lines.error(text, self._first + row)

    def _info(self, comment: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """What is known of the frame, and what describes its rows and cell."""
        if "=" not in comment:  # a remark for people
            return ({"comment": comment} if comment else {}), {}
        try:
            info = pairs(comment)
        except ValueError as error:
            raise self._error(str(error), 0) from None
        special = {k.lower(): info.pop(k) for k in list(info) if k.lower() in SPECIAL}
        for key in MATRICES & info.keys():
            if np.shape(info[key]) == (9,):
                info[key] = info[key].reshape(3, 3)
        return info, special

    def _columns(self, columns: tuple[Column, ...], rows: list[str], exact: bool) -> list[Any]:
        width = columns[-1].last
        split = [row.split() for row in rows]
        most = 0
        for k, row in enumerate(split):
            if len(row) < width or (exact and len(row) > width):
                raise self._error(f"atom {k} has {len(row)} columns, not {width}", k + 1)
            most = max(most, len(row))
        if most > width:
            self.remarks.append(BEYOND)
        plain = not any("_" in row for row in rows)  # which Python takes within numbers
        return [self._column(c, split, plain) for c in columns]

    def _column(self, c: Column, rows: list[list[str]], plain: bool) -> Any:
        if c.kind == "S":
            words = [row[c.first : c.last] for row in rows]
            return np.array(words) if c.last - c.first > 1 else np.array([w[0] for w in words])
        try:
            if not plain:
                array = self._slowly(c, rows)
            elif c.kind == "R":
                array = np.array([[float(t) for t in row[c.first : c.last]] for row in rows])
            elif c.kind == "I":
                array = np.array([[int(t) for t in row[c.first : c.last]] for row in rows])
            else:
                array = np.array([[BOOLEANS[t] for t in row[c.first : c.last]] for row in rows])
        except (ValueError, KeyError, OverflowError):
            array = self._slowly(c, rows)
        array = array.reshape(len(rows), c.last - c.first)
        return array if c.last - c.first > 1 else array[:, 0]

    def _slowly(self, c: Column, rows: list[list[str]]) -> np.ndarray:
        """Exponents with a D; else the error of the first value that is none of its kind."""
        kinds = {"R": "number", "I": "whole number", "L": "T or F"}
        out = []
        for k, row in enumerate(rows):
            for t in row[c.first : c.last]:
                try:
                    value = BOOLEANS[t] if c.kind == "L" else number(t)
                    if c.kind == "I" and not float(value).is_integer():
                        raise KeyError
                except ValueError as error:
                    raise self._error(f"{c.name} of atom {k}: {error}", k + 1) from None
                except KeyError:
                    what = f"{c.name} of atom {k}: `{t}` is no {kinds[c.kind]}"
                    raise self._error(what, k + 1) from None
                out.append(value)
        return np.array(out, dtype=int if c.kind == "I" else None)

    def _elements(self, symbols: np.ndarray) -> list[int]:
        if self._types and all(s.isdecimal() and 0 < int(s) < 100 for s in symbols):
            return [int(s) for s in symbols]
        try:
            return [_element(str(s)) for s in symbols]
        except ValueError:
            for k, s in enumerate(symbols):
                try:
                    _element(str(s))
                except ValueError as error:
                    raise self._error(f"atom {k}: {error}", k + 1) from None
            raise AssertionError from None

    def _cell(
        self, special: dict[str, Any], vectors: list[tuple[str, int]]
    ) -> tuple[np.ndarray | None, np.ndarray]:
        cell = None
        if "lattice" in special:
            cell = np.asarray(special["lattice"])
            if cell.dtype.kind not in "if" or cell.shape not in ((9,), (3, 3)):
                raise self._error("`Lattice` takes nine numbers", 0)
            cell = cell.reshape(3, 3).astype(float)
        elif vectors:
            cell = np.zeros((3, 3))
        periodic = np.full(3, "lattice" in special)
        for row, line in vectors:
            words = row.split()
            try:
                d = "123".index(words[0][3:])
                cell[d] = [number(t) for t in words[1:]]  # type: ignore[index]
            except (ValueError, IndexError):
                raise self._lines.error("a cell vector is VEC1 x y z", line) from None
            periodic[d] = True
        if "pbc" in special:
            given = np.asarray(special["pbc"])
            if given.dtype.kind not in "bi" or given.shape not in ((), (3,)):
                raise self._error('`pbc` takes three of T and F, as in pbc="T T F"', 0)
            periodic = np.array(np.broadcast_to(given.astype(bool), 3))
        return cell, periodic


@lru_cache(maxsize=256)
def layout(properties: str) -> tuple[Column, ...]:
    """Columns of `species:S:1:pos:R:3:...`. Raises ValueError, in words."""
    fields = properties.split(":")
    if len(fields) % 3:
        raise ValueError(f"`Properties` has {len(fields)} fields, not NAME:TYPE:COLUMNS and again")
    out: list[Column] = []
    for name, kind, width in zip(fields[::3], fields[1::3], fields[2::3], strict=True):
        if kind not in "RISL" or len(kind) != 1:
            raise ValueError(f"`{kind}` in `Properties` is no type: R, I, S or L")
        if not (width.isascii() and width.isdigit()) or not 0 < int(width) < 10_000:
            raise ValueError(f"`{name}:{kind}:{width}` in `Properties`: columns are 1 or more")
        first = out[-1].last if out else 0
        if name in (c.name for c in out):
            raise ValueError(f"`{name}` is in `Properties` twice")
        out.append(Column(name, kind, first, first + int(width)))
    kinds = {c.name: (c.kind, c.last - c.first) for c in out}
    if kinds.get("pos") != ("R", 3):
        raise ValueError("`Properties` has no positions: pos:R:3")
    if kinds.get("species") != ("S", 1) and kinds.get("Z") != ("I", 1):
        raise ValueError("`Properties` has no elements: species:S:1 or Z:I:1")
    return tuple(out)


@lru_cache(maxsize=1024)
def _element(symbol: str) -> int:
    """Atomic number, of a symbol in any case. Raises ValueError, in words."""
    from ase.data import atomic_numbers, chemical_symbols

    name = symbol.capitalize()
    if name in atomic_numbers:
        return int(atomic_numbers[name])
    if symbol in ("D", "T"):
        raise ValueError(f"`{symbol}` is no element here: write H (isotopes have the same forces)")
    if symbol.isdecimal():
        z = int(symbol)
        element = f"; {z} is {chemical_symbols[z]}" if 0 < z < len(chemical_symbols) else ""
        raise ValueError(
            f"`{symbol}` stands where an element should{element}: write symbols, or say Z:I:1 in "
            "`Properties` if these are atomic numbers"
        )
    letters = symbol.rstrip("0123456789+-_*'").capitalize()
    hint = f": is it {letters}?" if letters in atomic_numbers else ""
    raise ValueError(f"`{symbol[:20]}` is no element{hint}")


def _fix(atoms: Any, free: np.ndarray) -> None:
    """free: [N] or [N, 3], what may move"""
    from ase.constraints import FixAtoms, FixCartesian

    if free.ndim == 1:
        atoms.set_constraint(FixAtoms(mask=~free))
    elif free.shape[1] == 3:
        atoms.set_constraint([FixCartesian(a, mask=~row) for a, row in enumerate(free)])
