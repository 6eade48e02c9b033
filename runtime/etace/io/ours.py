"""Whether a file that stands where something is to be written is one of ours, as we wrote it: only then may
another take its place unasked."""

from __future__ import annotations

import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterable
from pathlib import Path

from etace.io.replace import replacing

MARK = "Written by etace"
KEY = "etace_sha256"
SEAL = re.compile(KEY.encode() + b"=([0-9a-f]{64})")
EMPTY = f"{KEY}={'0' * 64}".encode()
COMMENTS = {  # of a line at the end, by what a file is called
    ".py": b"# %s\n", ".etace": b"# %s\n", ".toml": b"# %s\n", ".dot": b"// %s\n", ".c": b"/* %s */\n",
    ".h": b"/* %s */\n", ".html": b"<!-- %s -->\n", ".svg": b"<!-- %s -->\n", ".pdf": b"%% %s\n",
}  # fmt: skip
FRAMES = (".xyz", ".extxyz")
CRC = 4  # bytes after a chunk of a PNG, which depend on the seal in it
LARGEST = 200e6  # bytes of a file that is looked into
ROWS = (  # of JSON: what each has, and what it may have
    (
        {"structure", "energy", "forces"},
        {"energies", "virial", "pressure_GPa", "energy_std", "forces_std", "extrapolation_grade"},
    ),
    ({"kind", "rmse"}, {"set", "group", "count", "mae", "largest"}),
)


def sealed(content: bytes | str, suffix: str) -> bytes:
    """A file with a seal that tells whether somebody changes a byte of it: a sha256 of all the rest, in a
    comment at the end, in the first comment line of an XYZ file, in a chunk of a PNG.

    suffix: of its name; a file that has no room for a seal (JSON) stays as it is. Text becomes UTF-8.
    """
    data = content.encode("utf8") if isinstance(content, str) else content
    line = f"{MARK}; ".encode() + EMPTY
    if suffix in COMMENTS:
        data += (b"" if data.endswith(b"\n") else b"\n") + COMMENTS[suffix] % line
    elif suffix in FRAMES:
        end = data.index(b"\n", data.index(b"\n") + 1)
        data = data[:end] + b" " + EMPTY + data[end:]
    elif suffix == ".png":
        end = data.rindex(b"IEND") - 4
        data = data[:end] + _chunk(b"Comment\0" + line) + data[end:]
    else:
        return data
    found = _seal(data)
    assert found is not None
    digest = _digest(data, found, suffix)
    if suffix == ".png":
        chunk = _chunk(b"Comment\0" + line.replace(b"0" * 64, digest))
        return data[:end] + chunk + data[end + len(chunk) :]
    return data[: found.start(1)] + digest + data[found.end(1) :]


def write_sealed(path: Path, content: bytes | str) -> None:
    """A sealed file in the place of what is there. Raises OSError."""
    with replacing(path) as beside:
        beside.write_bytes(sealed(content, path.suffix))


def is_ours(path: str | os.PathLike[str]) -> bool:
    """Whether etace wrote this file, and nobody has edited it since; False of what cannot be read."""
    file = Path(path)
    try:
        if not file.is_file() or file.stat().st_size > LARGEST:
            return False
        if file.suffix in (".safetensors", ".checkpoint"):
            return _is_model_file(file)
        content = file.read_bytes()
    except OSError:
        return False
    if file.suffix in (".json", ".jsonl"):
        return _is_our_json(content.decode("utf8", errors="replace"))
    found = _seal(content)
    return found is not None and found[1] == _digest(content, found, file.suffix)


def is_one_of(path: str | os.PathLike[str], others: Iterable[str | os.PathLike[str]]) -> bool:
    """Whether this file is one of the others, also by another name or through a link."""
    if not os.path.exists(path):
        return False
    there = (other for other in others if os.path.exists(other))
    return any(os.path.samefile(path, other) for other in there)


def _seal(data: bytes) -> re.Match[bytes] | None:
    """The last: those before it are of texts that the file shows."""
    found = list(SEAL.finditer(data))
    return found[-1] if found else None


def _digest(data: bytes, found: re.Match[bytes], suffix: str) -> bytes:
    """Of all but the seal's own."""
    after = found.end(1) + (CRC if suffix == ".png" else 0)
    return hashlib.sha256(data[: found.start(1)] + data[after:]).hexdigest().encode()


def _chunk(text: bytes) -> bytes:
    """Of a PNG: length, kind, content, check."""
    body = b"tEXt" + text
    return len(text).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(CRC, "big")


def _is_model_file(file: Path) -> bool:
    """By its header alone: a damaged one is still ours."""
    with file.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        return 0 < size < LARGEST and b'"etace":' in stream.read(size)


def _is_our_json(text: str) -> bool:
    try:
        rows = json.loads(text.split("\n", 1)[0]) if text.startswith('{"at"') else json.loads(text)
    except (ValueError, RecursionError):
        return False
    if isinstance(rows, dict):  # a fit's progress
        return {"at", "event"} <= rows.keys()
    return bool(rows) and isinstance(rows, list) and all(
        isinstance(row, dict) and any(own <= row.keys() <= own | more for own, more in ROWS) for row in rows
    )  # fmt: skip
