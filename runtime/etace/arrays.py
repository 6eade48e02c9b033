"""Arrays of real numbers from outside, checked before anything reads them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from etace.errors import EtaceError, ParameterError

SAFE = 1e8  # no number beyond it in an array whose sum of squares is at most its square


def reals(
    value: Any,
    shape: tuple[int, ...] | None,
    what: str,
    wanted: str = "",
    *,
    dtype: str | np.dtype[Any] = "float64",
    error: type[EtaceError] = ParameterError,
    safe: float = SAFE,
) -> tuple[np.ndarray, bool]:
    """(value as an array in C order, whether all its numbers are at most `safe`).

    shape: that it must have; None: any; what: its name in messages, in the plural; wanted: the end of the
    message on a wrong shape, else the shape itself
    dtype: of the result; it is `value` itself where that has this dtype already

    Raises `error`: another shape, numbers that are not real (complex, text, objects), not finite or masked.
    """
    found = _array(value, what, error)
    if shape is not None and found.shape != shape:
        wanted = wanted or f"{list(shape)} is needed"
        raise error(f"{what} have the shape {list(found.shape)}, {wanted}")
    if found.dtype.kind not in "fiu":
        raise error(f"{what} must be real numbers, found {_kind(found)}")
    x = found
    if x.dtype != dtype or not x.flags.c_contiguous:
        with np.errstate(over="ignore"):
            x = np.ascontiguousarray(found, dtype)
    if np.vdot(x, x) <= safe * safe:  # much faster than to look at each of a few numbers
        return x, True
    if not np.isfinite(x).all():
        where = np.argwhere(~np.isfinite(x))[0].tolist()
        raise error(f"{what} must be finite numbers, found {found[tuple(where)]} at {where}")
    return x, bool((np.abs(x) <= safe).all())


def frozen(value: np.ndarray) -> np.ndarray:
    """A read-only copy, which cannot be made writeable again."""
    own = np.array(value)
    own.setflags(write=False)
    return own.view()


def held(params: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The same blocks of the same arrays, in dicts that nobody else has."""
    return {block: dict(arrays) for block, arrays in params.items()}


def unchanged(params: Any, before: dict[str, dict[str, Any]]) -> bool:
    """Whether parameters are still what `held` has kept of them."""
    try:
        return bool(params == before)  # the same array is not looked into
    except ValueError:  # another array
        return False


def refuse_masked(value: Any, what: str, error: type[EtaceError]) -> None:
    """What an array masks, numpy would read as the numbers behind the mask."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise error(f"{what} must all be there, found masked ones")


def _array(value: Any, what: str, error: type[EtaceError]) -> np.ndarray:
    refuse_masked(value, what, error)
    try:
        return np.asarray(value)
    except (ValueError, TypeError, RuntimeError):
        raise error(f"{what} must be an array of numbers, found {type(value).__name__}") from None


def _kind(x: np.ndarray) -> str:
    names = {"c": "complex numbers", "U": "text", "S": "text", "O": "objects", "b": "booleans"}
    return names.get(x.dtype.kind, f"dtype {x.dtype}")
