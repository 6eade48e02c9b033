"""Whether JAX can start here, and on what: asked without starting it where that is possible.

JAX has threads of its own once it has started, and a process that is forked then has none of them: what it
asks of JAX may wait for ever. Native kernels need no JAX.
"""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from importlib.util import find_spec

import jax

from etace.errors import RequestError

_started = False  # by us, in this process
_lost = False  # in the process that this one was forked from


def platform() -> str:
    """What JAX computes on by default: cpu, gpu or tpu. Starts JAX.

    Raises RequestError: JAX cannot start, or it had started before this process was forked.
    """
    global _started
    if _lost:
        raise RequestError(
            "JAX was in use before this process was forked and cannot be used in it: start processes "
            'by "spawn" or "forkserver", or use the backend native'
        )
    try:
        found = jax.default_backend()
    except Exception as error:  # JAX raises whatever its plugins do
        raise RequestError(_why(error)) from None
    _started = True
    return found


def accelerator() -> bool:
    """Whether JAX computes on one by default. Starts JAX only where there may be one."""
    asked = _asked()
    if asked.split(",")[0] == "cpu" or not _may_have_one():
        return False
    try:
        return platform() != "cpu"
    except RequestError:
        return False


def _asked() -> str:
    return str(jax.config.jax_platforms or "")  # type: ignore[attr-defined]


def _may_have_one() -> bool:
    """Whether a plugin for one is installed: a plain jaxlib knows the CPU alone."""
    return (
        find_spec("jax_plugins") is not None
        or find_spec("libtpu") is not None
        or "TPU_LIBRARY_PATH" in os.environ
        or bool(entry_points(group="jax_plugins"))
    )


def _why(error: Exception) -> str:
    if asked := _asked():
        return f"JAX_PLATFORMS asks for {asked}, and there is none here"
    first = str(error).strip().split("\n")[0]
    return f"JAX does not start here ({first or type(error).__name__})"


def _after_fork() -> None:
    global _lost
    _lost = _lost or _started


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
