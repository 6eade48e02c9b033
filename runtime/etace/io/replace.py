"""Files that are complete or not there: written beside their place, then renamed."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place at the end; whatever happens before, the
    old one stays and nothing else is left. Through a symbolic link, rather than over it. Raises OSError.
    """
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{target.stem}.{os.getpid()}.{secrets.token_hex(4)}{target.suffix}")
    try:
        yield beside
        os.replace(beside, target)
    finally:  # also after KeyboardInterrupt; after success there is nothing to remove
        with contextlib.suppress(OSError):
            beside.unlink()
