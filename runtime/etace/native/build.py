"""Shared objects of kernels (and of their wrapper for JAX), kept for this user by what they are made of, and
checked before they are loaded.

The key is a hash of the text, the compiler, its flags and the CPU it compiles for. Object and a hash of it
are one entry, `KEY.so` and `KEY.sha256`; both are written beside and renamed, so that builds at the same
time, a full disk or a killed build leave nothing half done, and an object that was damaged is made anew.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

from etace.errors import EtaceError
from etace.io.replace import replacing
from etace.native.toolchain import Toolchain

TIMEOUT = 600  # seconds for one kernel
SUFFIX = {"c": ".c", "c++": ".cc"}


class BuildError(EtaceError):
    """A kernel could not be compiled."""


def content_key(text: str, toolchain: Toolchain, *flags: str) -> str:
    """What names the object that `library` makes of the same."""
    what = "\0".join([text, toolchain.version, toolchain.target, *toolchain.flags, *flags])
    return hashlib.sha256(what.encode()).hexdigest()[:32]


def library(
    text: str, toolchain: Toolchain, *flags: str, what: str = "the kernel", keep: bool = True
) -> ctypes.CDLL:
    """The kernel, from the cache or compiled now. Raises BuildError.

    flags: more of them; what: what messages call it; keep: False: compiled anew, and not kept
    """
    folder = cache_folder() if keep else None
    kept = folder / f"{content_key(text, toolchain, *flags)}.so" if folder is not None else None
    if kept is not None and _whole(kept):
        with suppress(OSError):
            return ctypes.CDLL(str(kept))
    with tempfile.TemporaryDirectory(prefix="etace-") as scratch:
        made = _compiled(text, Path(scratch), toolchain, flags, what)
        if kept is not None and _keep(made, kept):
            made = kept
        try:
            return ctypes.CDLL(str(made))  # what is mapped stays, whatever becomes of the file
        except OSError as error:
            raise BuildError(f"{what}, compiled, cannot be loaded ({error})") from None


def cache_folder() -> Path | None:
    """Where kernels are kept; None: nowhere can be written."""
    base = os.environ.get("ETACE_CACHE_DIR")
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base).parent / "native" if base else Path(root) / "etace" / "native"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def _compiled(
    text: str, folder: Path, toolchain: Toolchain, flags: tuple[str, ...], what: str
) -> Path:
    source, out = folder / f"kernel{SUFFIX[toolchain.language]}", folder / "kernel.so"
    try:
        source.write_text(text, encoding="utf8")
        done = subprocess.run(
            [*toolchain.command, *toolchain.flags, *flags, "-o", str(out), str(source), "-lm"],
            capture_output=True, text=True, errors="replace", timeout=TIMEOUT,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise BuildError(f"{toolchain.name} took more than {TIMEOUT} s for {what}") from None
    except OSError as error:
        raise BuildError(f"{what} cannot be compiled ({error})") from None
    if done.returncode or not out.is_file():
        first = next((x for x in done.stderr.split("\n") if "error" in x), done.stderr[:200])
        raise BuildError(f"{toolchain.name} does not compile {what} ({first.strip()})")
    return out


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _whole(kept: Path) -> bool:
    try:
        return _digest(kept) == kept.with_suffix(".sha256").read_text()
    except (OSError, UnicodeDecodeError):
        return False


def _keep(made: Path, kept: Path) -> bool:
    """Whether the object now stands in the cache."""
    try:
        with replacing(kept) as beside:
            beside.write_bytes(made.read_bytes())
        with replacing(kept.with_suffix(".sha256")) as beside:
            beside.write_text(_digest(made))
    except OSError:
        return False
    return True
