"""Extended XYZ files that were damaged, through the reader of labelled data and a native evaluation.

An accepted file gives finite energies and forces, or a StructureError that says why not.
"""

from __future__ import annotations

import random
import re
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from etace.data import read
from etace.errors import EtaceError

from .harness import ACCEPTED, Case, Fault
from .mutations import mutated

ROOT = Path(__file__).parents[2]
FRAMES = 3
NUMBER = re.compile(rb"-?\d+\.\d+")
NUMBERS = (
    b"nan", b"inf", b"-inf", b"1e300", b"-1e300", b"1e400", b"1e-320", b"0", b"-0.0", b"1,5", b"1.0d0", b"***",
    b"0x10", b"1_000", "\u0661".encode(), b"--1", b"1e", b"", b"None", b"True", b"99999999999999999999", b"1e12",
)  # fmt: skip
COUNTS = (b"0", b"-1", b"1", b"2", b"14", b"16", b"999999999", b"1.5", b"x", b"", b"15 15", b"1e1")
WORDS = (
    (b"Lattice", b"lattice"), (b"Properties", b"properties"), (b":R:3", b":S:3"), (b":R:3", b":R:2"),
    (b":R:3", b":R:999999999"), (b":R:3", b":I:3"), (b"pos", b"positions"), (b"species:S:1:", b""),
    (b'pbc="T T T"', b'pbc="T F"'), (b'pbc="T T T"', b'pbc="F F F"'), (b"=", b"=="), (b'"', b"'"), (b'"', b""),
    (b"Si", b"Xx"), (b"Si", b"X"), (b"Si", b"H"), (b"O ", b"0 "), (b"\n", b"\r\n"), (b"\n", b"\n\n"),
    (b"energy", b"energy=1.0 energy"), (b"forces", b"force"), (b" ", b"\t"), (b"\n", b""),
)  # fmt: skip


@cache
def text() -> bytes:
    """Three frames of silica, with energies, forces and virials."""
    lines = (ROOT / "examples/data/SiO2_EDI_test.xyz").read_bytes().splitlines(keepends=True)
    size = int(lines[0]) + 2
    return b"".join(lines[: FRAMES * size])


@cache
def model() -> Any:
    import etace

    return etace.load(ROOT / "examples/si_o.safetensors", backend="native", cores=1)


def cases(seed: int) -> Iterator[Case]:
    draw = random.Random(seed)
    while True:
        name, content = draw.choice((_bytes, _number, _number, _count, _word, _rows))(draw)
        yield Case(name, content, {"case.xyz": content})


def check(case: Case) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.xyz"
        path.write_bytes(case.data)
        data = read([path])
    for structure in data.structures:
        labels = (structure.energy, structure.forces, structure.virial, structure.atoms.positions)
        if not all(np.isfinite(label).all() for label in labels if label is not None):
            raise Fault(f"{structure.source}: a label or a position is not finite")
    asked = None
    for structure in data.structures:
        try:
            found = model().evaluate(structure.atoms)
        except EtaceError as refusal:
            asked = refusal
            continue
        for name, value in (("energy", found.energy), ("forces", found.forces)):
            if not np.isfinite(value).all():
                raise Fault(f"{structure.source}: the model's {name} is not finite")
    if asked is not None:
        raise asked
    return ACCEPTED


def _bytes(draw: random.Random) -> tuple[str, bytes]:
    times = draw.choice((1, 1, 2, 5, 20))
    return f"{times} changes of bytes", mutated(draw, text(), times)


def _number(draw: random.Random) -> tuple[str, bytes]:
    place = draw.choice(list(NUMBER.finditer(text())))
    new = draw.choice(NUMBERS)
    content = text()[: place.start()] + new + text()[place.end() :]
    return f"number at byte {place.start()} is {new!r}", content


def _count(draw: random.Random) -> tuple[str, bytes]:
    lines = text().splitlines(keepends=True)
    frame = draw.randrange(FRAMES)
    new = draw.choice(COUNTS)
    lines[frame * (len(lines) // FRAMES)] = new + b"\n"
    return f"frame {frame} says {new!r} atoms", b"".join(lines)


def _word(draw: random.Random) -> tuple[str, bytes]:
    old, new = draw.choice(WORDS)
    times = draw.choice((1, -1))
    return f"{old!r} is {new!r}, {times}", text().replace(old, new, times)


def _rows(draw: random.Random) -> tuple[str, bytes]:
    """A row away, twice, at another place, or cut."""
    lines = text().splitlines(keepends=True)
    k = draw.randrange(len(lines))
    how = draw.choice(("away", "twice", "moved", "cut", "an atom on top of another"))
    if how == "away":
        del lines[k]
    elif how == "twice":
        lines.insert(k, lines[k])
    elif how == "moved":
        lines.insert(draw.randrange(len(lines)), lines.pop(k))
    elif how == "cut":
        lines[k] = lines[k][: draw.randrange(len(lines[k]))] + b"\n"
    else:
        lines[3] = lines[2]
    return f"row {k} {how}", b"".join(lines)
