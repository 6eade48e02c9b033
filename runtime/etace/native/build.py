"""Shared objects of kernels (and of their wrapper for JAX), kept for this user by what they are made of, and
checked before they are loaded.

The key is a hash of the text, the compiler, its flags and the CPU it compiles for. Object and a hash of key and
object are one entry, `KEY.so` and `KEY.sha256`, loaded only where this user wrote both; both are written beside and renamed, so that builds at the same
time, a full disk or a killed build leave nothing half done, and an object that was damaged is made anew.
"""

from __future__ import annotations

import ctypes
import hashlib
import re
import subprocess
from contextlib import suppress
from pathlib import Path

from etace.errors import EtaceError
from etace.io.cache import CodeFolder, code_folder, foreign, mark, write_own
from etace.io.replace import scratch
from etace.native.commands import ran
from etace.native.toolchain import Toolchain

TIMEOUT = 600  # seconds for one kernel
LONGEST = 200  # letters of what a compiler said
FUNCTION = r"^(?:int|int64_t|void) (etace_\w+)\("  # that others call
SUFFIX = {"c": ".c", "c++": ".cc"}


class BuildError(EtaceError):
    """A kernel could not be compiled."""


def content_key(text: str, toolchain: Toolchain, *flags: str) -> str:
    """What names the object that `library` makes of the same."""
    what = "\0".join([text, toolchain.version, toolchain.target, *toolchain.flags, *flags])
    return hashlib.sha256(what.encode()).hexdigest()[:32]


class Library(ctypes.CDLL):
    """unkept: why it is compiled anew whenever it is wanted, or empty"""

    unkept = ""

    def described(self, toolchain: Toolchain) -> str:
        """Of a kernel: what is in use, in words."""
        words = f"native, {self.etace_lanes()} lanes, {toolchain.name}"
        return f"{words}; compiled anew: {self.unkept}" if self.unkept else words


def library(
    text: str, toolchain: Toolchain, *flags: str, what: str = "the kernel", keep: bool = True
) -> Library:
    """The kernel, from the cache or compiled now. Raises BuildError.

    flags: more of them; what: what messages call it; keep: False: compiled anew, and not kept
    """
    folder = code_folder("native") if keep else CodeFolder(None)
    kept, problem = None, folder.problem
    if folder.path is not None:
        kept = folder.path / f"{content_key(text, toolchain, *flags)}.so"
        if _whole(kept):
            try:
                return _loaded(kept, text, what)
            except BuildError as error:
                problem = str(error)
    try:
        with scratch() as own:
            made = _compiled(text, own, toolchain, flags, what)
            if kept is not None and folder.writable:
                problem = _keep(made, kept) or problem
            found = _either(made, kept, text, what)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise BuildError(f"{what} cannot be compiled ({why})") from None
    found.unkept = problem
    return found


def _compiled(
    text: str, folder: Path, toolchain: Toolchain, flags: tuple[str, ...], what: str
) -> Path:
    source, out = folder / f"kernel{SUFFIX[toolchain.language]}", folder / "kernel.so"
    source.write_text(text, encoding="utf8")
    command = [*toolchain.command, *toolchain.flags, *flags, "-o", str(out), str(source), "-lm"]
    try:
        done = ran(command, TIMEOUT, scratch=folder)
    except subprocess.TimeoutExpired:
        raise BuildError(f"{toolchain.name} took more than {TIMEOUT} s for {what}") from None
    if done.returncode or not out.is_file():
        raise BuildError(f"{toolchain.name} does not compile {what} ({_why(done)})")
    return out


def _why(done: subprocess.CompletedProcess[str]) -> str:
    """The first error of a compiler, else the first line it said."""
    lines = [line.strip() for line in done.stderr.split("\n") if line.strip()]
    first = next((line for line in lines if "error" in line), lines[0] if lines else "")
    return first[:LONGEST] or f"it wrote nothing and ended with {done.returncode}"


def _either(made: Path, kept: Path | None, text: str, what: str) -> Library:
    """From where it was made, which stays mapped when that is gone; else from where it is kept, if
    programs may not be run there. What cannot be loaded is not kept."""
    try:
        return _loaded(made, text, what)
    except BuildError:
        if kept is None or not kept.is_file():
            raise
        try:
            return _loaded(kept, text, what)
        except BuildError:
            with suppress(OSError):
                for path in (kept, kept.with_suffix(".sha256")):
                    path.unlink(missing_ok=True)
            raise


def _loaded(path: Path, text: str, what: str) -> Library:
    """With all the functions that its text has."""
    try:
        found = Library(str(path))
    except OSError as error:
        raise BuildError(f"{what}, compiled, cannot be loaded ({error})") from None
    for name in re.findall(FUNCTION, text, flags=re.M):
        if not hasattr(found, name):
            raise BuildError(f"{what}, compiled, has no function {name}")
    return found


def _mark(path: Path, kept: Path) -> str:
    """Of the object at `path`, as that of `kept`."""
    return mark(kept.stem, path.read_bytes())


def _whole(kept: Path) -> bool:
    hashed = kept.with_suffix(".sha256")
    if foreign(kept) or foreign(hashed):
        return False
    try:
        return _mark(kept, kept) == hashed.read_text()
    except (OSError, UnicodeDecodeError):
        return False


def _keep(made: Path, kept: Path) -> str:
    """Puts the object into the cache; why it cannot be kept, or empty."""
    try:
        write_own(kept, made.read_bytes())
        write_own(kept.with_suffix(".sha256"), _mark(made, kept).encode())
    except OSError as error:
        return f"{kept.parent} cannot be written to ({(error.strerror or '?').lower()})"
    return ""
