"""Arrays and whole numbers as C takes them."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

ALIGNED = 64  # bytes


def aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    """An empty array whose first number stands at a multiple of 64 bytes."""
    size = int(np.prod(shape)) * dtype.itemsize
    raw = np.empty(size + ALIGNED, np.uint8)
    start = -raw.ctypes.data % ALIGNED
    return raw[start : start + size].view(dtype).reshape(shape)


def whole(value: int) -> ctypes.c_int64:
    return ctypes.c_int64(value)


def at(array: np.ndarray | None) -> ctypes.c_void_p:
    return ctypes.c_void_p(None if array is None else array.ctypes.data)
