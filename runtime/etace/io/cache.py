"""The user's cache: which folders and files of it code may be loaded from, and that they are what was kept."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from etace.io.replace import replacing, sweep, sweep_scratch

VARIABLE = "ETACE_CACHE_DIR"
OTHERS = stat.S_IWGRP | stat.S_IWOTH


@dataclass(frozen=True)
class CodeFolder:
    """Where code is kept. path: to read from; None: nowhere; problem: why nothing is written, or empty"""

    path: Path | None
    problem: str = ""

    @property
    def writable(self) -> bool:
        return not self.problem


def folder(name: str) -> Path | None:
    """In $ETACE_CACHE_DIR, else in etace in $XDG_CACHE_HOME or ~/.cache; None: there is no home."""
    if own := os.environ.get(VARIABLE):
        return Path(own) / name
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "etace" / name
    try:
        return Path.home() / ".cache" / "etace" / name
    except RuntimeError:
        return None


def foreign(path: Path) -> str:
    """Why somebody else could have put there what it holds, or empty: also of a folder that is not there."""
    try:
        found = path.stat()
    except OSError:
        return ""
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
        return f"{path} is no ordinary file"
    if hasattr(os, "geteuid"):
        if found.st_uid not in (0, os.geteuid()):
            return f"{path} is somebody else's"
        if found.st_mode & OTHERS:
            return f"others can write to {path}"
    return ""


def code_folder(name: str) -> CodeFolder:
    """`folder` for code, made if need be, for this user alone; what somebody else could have put there is not
    read."""
    path = folder(name)
    if path is None:
        return CodeFolder(None, "there is no home folder")
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        if not path.is_dir():
            return CodeFolder(None, f"{path} cannot be made ({(error.strerror or '?').lower()})")
    if problem := foreign(path):
        return CodeFolder(None, problem)
    if not os.access(path, os.W_OK | os.X_OK):
        return CodeFolder(path, f"{path} cannot be written to")
    _swept(path)
    return CodeFolder(path)


@cache
def _swept(path: Path) -> None:
    """Once in a process: what killed ones left here and among the temporary files."""
    sweep(path)
    sweep_scratch()


def mark(key: str, content: bytes) -> str:
    """What binds a content to its key: kept beside it, and compared before the content is used."""
    return hashlib.sha256(key.encode() + b"\0" + content).hexdigest()


def kept(path: Path, key: str) -> bytes | None:
    """What `keep` kept there under this key; None: nothing, or it may be somebody else's or damaged."""
    if foreign(path):
        return None
    try:
        whole = path.read_bytes()
    except OSError:
        return None
    first, _, content = whole.partition(b"\n")
    return content if first == mark(key, content).encode() else None


def keep(path: Path, key: str, content: bytes) -> None:
    """Raises OSError."""
    write_own(path, mark(key, content).encode() + b"\n" + content)


def seal(text: str) -> str | None:
    """What only this user can make of a text, with a key in the cache; None: no key can be kept."""
    key = _key()
    return None if key is None else hmac.new(key, text.encode(), "sha256").hexdigest()


def _key() -> bytes | None:
    found = code_folder("key")
    if found.path is None:
        return None
    path = found.path / "seal"
    if (own := kept(path, "seal")) is None and found.writable:
        with suppress(OSError):
            keep(path, "seal", secrets.token_bytes(32))
        own = kept(path, "seal")  # another process may have been first
    return own


def write_own(path: Path, content: bytes) -> None:
    """A whole file that this user alone can read and write. Raises OSError."""
    with replacing(path) as beside:
        beside.touch(mode=0o600)
        beside.write_bytes(content)
