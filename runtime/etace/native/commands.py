"""A compiler at work, within a time: whatever it started ends with it."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path


def ran(
    command: Sequence[str], seconds: float, given: str = "", scratch: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Raises OSError, or subprocess.TimeoutExpired. given: on its standard input; scratch: for its own
    temporary files"""
    # without PATH a shell would search the default one, and a compiler its linker nowhere
    known = {"PATH": os.defpath, **os.environ}
    if scratch is not None:
        known["TMPDIR"] = str(scratch)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, encoding="utf8", errors="replace", env=known, start_new_session=True,
    ) as process:  # fmt: skip
        try:
            out, said = process.communicate(given, timeout=seconds)
        except BaseException:
            _end(process)
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, said)


def _end(process: subprocess.Popen[str]) -> None:
    with suppress(OSError):
        if os.name == "posix":  # the process is the first of a group of its own
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
