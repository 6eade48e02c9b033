"""Files that are complete or not there: written beside their place, then renamed; and folders to work in.

What is not done yet has the process and its machine in its name, so that what a killed process left is known,
and goes when another one begins.
"""

from __future__ import annotations

import contextlib
import errno
import os
import platform
import re
import secrets
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place at the end; whatever happens before, the
    old one stays and nothing else is left: what a killed process had begun here goes with the next
    one. Through a symbolic link, rather than over it. Raises OSError, also where a device or a pipe stands.
    """
    target = _target(path)
    sweep(target.parent)
    beside = target.with_name(f".{target.stem}.{_mark()}{target.suffix}")
    try:
        yield beside
        os.replace(beside, target)
    finally:  # also after KeyboardInterrupt; after success there is nothing to remove
        with contextlib.suppress(OSError):
            beside.unlink()


def check_writable(path: str | os.PathLike[str]) -> None:
    """Before long work: raises OSError if no file can be put at `path`; leaves nothing behind."""
    target = _target(path)
    probe = target.with_name(f".{target.stem}.{_mark()}")
    with probe.open("xb"):
        pass
    probe.unlink()


def _target(path: str | os.PathLike[str]) -> Path:
    """Behind links. A device would be replaced by a file, as root may do that."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder", str(path))
    if target.exists() and not target.is_file():
        raise OSError(errno.EINVAL, "it is no ordinary file", str(path))
    return target


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder of this process alone, among the temporary files; gone at the end. Raises OSError."""
    folder = Path(tempfile.gettempdir()) / f"etace-{_mark()}"
    folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(folder: Path) -> None:
    """Remove what processes of this machine that are no more had begun to write here."""
    _sweep(folder, r"\..*\.", lambda path: path.unlink(missing_ok=True))


def sweep_scratch() -> None:
    """Remove the folders to work in of such processes, those of this user."""

    def remove(path: Path) -> None:
        found = path.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid():
            shutil.rmtree(path, ignore_errors=True)

    _sweep(Path(tempfile.gettempdir()), "etace-", remove)


def _sweep(folder: Path, start: str, remove: Callable[[Path], None]) -> None:
    if os.name != "posix":  # elsewhere there is no harmless signal to ask by
        return
    own = re.compile(
        rf"{start}(\d{{1,10}})@{re.escape(_host())}\.[0-9a-f]{{8}}(\.[^.]*)?", re.DOTALL
    )
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            if (found := own.fullmatch(name)) and not _alive(int(found[1])):
                with contextlib.suppress(OSError):
                    remove(folder / name)


def _mark() -> str:
    return f"{os.getpid()}@{_host()}.{secrets.token_hex(4)}"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True  # somebody else's, or no process
    return True


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", platform.node())[:64]
