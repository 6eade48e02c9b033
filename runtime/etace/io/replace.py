"""Files that are complete or not there: written beside their place, then renamed."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place at the end; whatever happens before, the
    old one stays and nothing else is left: what a killed process had begun here goes with the next
    one. Through a symbolic link, rather than over it. Raises OSError.
    """
    target = Path(os.path.realpath(path))
    _sweep(target)
    own = f"{os.getpid()}@{_host()}.{secrets.token_hex(4)}"
    beside = target.with_name(f".{target.stem}.{own}{target.suffix}")
    try:
        yield beside
        os.replace(beside, target)
    finally:  # also after KeyboardInterrupt; after success there is nothing to remove
        with contextlib.suppress(OSError):
            beside.unlink()


def check_writable(path: str | os.PathLike[str]) -> None:
    """Before long work: raises OSError if no file can be put at `path`; leaves nothing behind."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise IsADirectoryError(21, "it is a folder", str(path))
    probe = target.with_name(f".{target.stem}.{os.getpid()}@{_host()}.{secrets.token_hex(4)}")
    with probe.open("xb"):
        pass
    probe.unlink()


def _sweep(target: Path) -> None:
    """Remove what processes of this machine that are no more had begun to write for `target`."""
    if os.name != "posix":  # elsewhere there is no harmless signal to ask by
        return
    own = re.compile(
        rf"\.{re.escape(target.stem)}\.(\d+)@{re.escape(_host())}\.[0-9a-f]{{8}}{re.escape(target.suffix)}"
    )
    with contextlib.suppress(OSError):
        for name in os.listdir(target.parent):
            if (found := own.fullmatch(name)) and not _alive(int(found[1])):
                (target.parent / name).unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", platform.node())[:64]
