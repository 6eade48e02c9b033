"""float32 or float64: never a silent change from one to the other.

The library never switches the user's JAX. Generated functions check (`require`); only code on the
host, which hands out numpy arrays, enters 64-bit mode for itself (`host_precision`).
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import jax
import numpy as np

from etace import devices
from etace.errors import PrecisionError


def require(dtype: str, **arrays: Any) -> None:
    """Check that JAX and the arguments of a function work in `dtype`, "float32" or "float64".

    arrays: by their names. An array must have the dtype; of a container (a graph, a dict of
        parameters) only the floating point arrays must. Traced values are as good as concrete ones.

    Raises PrecisionError: float64 while JAX is in 32-bit mode (it would compute in float32 under a
    float64 name), or an array of another dtype.
    """
    # inside jit this is the mode of the trace, which is what counts
    if dtype == "float64" and not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise PrecisionError(
            "this module is compiled for float64, but JAX is in 32-bit mode: wrap the call in "
            "`with jax.enable_x64(True):` or compile the module with dtype float32"
        )
    for name, value in arrays.items():
        if hasattr(value, "dtype"):
            _check(dtype, name, value)
            continue
        for path, leaf in jax.tree_util.tree_leaves_with_path(value):
            if hasattr(leaf, "dtype") and jax.numpy.issubdtype(leaf.dtype, np.inexact):
                _check(dtype, name + jax.tree_util.keystr(path), leaf)


def _check(dtype: str, name: str, array: Any) -> None:
    if array.dtype != np.dtype(dtype):
        raise PrecisionError(
            f"{name} has dtype {array.dtype}, but this module is compiled for {dtype}: convert the "
            f"array, or compile the module with dtype {array.dtype}"
        )


def host_precision(dtype: str) -> AbstractContextManager[Any]:
    """A context in which JAX computes in `dtype`; the user's setting is back after it.

    Raises RequestError: JAX cannot be used here (`devices.platform`).
    """
    devices.platform()
    return jax.enable_x64(True) if dtype == "float64" else nullcontext()
