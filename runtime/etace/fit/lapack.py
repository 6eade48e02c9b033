"""LAPACK's routines in place, on parts of larger arrays: those that scipy is built with, without its wrappers.

Arrays are float64 in Fortran's order, or such parts of them as rows and columns in one piece. The interpreter is
free while a routine works, so threads may each work on a part.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from scipy.linalg import cython_lapack

_name = ctypes.pythonapi.PyCapsule_GetName
_name.restype, _name.argtypes = ctypes.c_char_p, [ctypes.py_object]
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]

Argument = np.ndarray | int | str


@cache
def _routine(name: str, count: int) -> Callable[..., Any]:
    capsule = cython_lapack.__pyx_capi__[name]
    kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * count)
    return kind(_pointer(capsule, _name(capsule)))


def lapack(name: str, *arguments: Argument) -> None:
    """One call; its last argument, info, is added. Lengths, leading dimensions included, are the caller's to know.

    Raises LinAlgError: the routine says that it failed.
    """
    info = ctypes.c_int(0)
    kept = [*map(_passed, arguments), ctypes.byref(info)]
    _routine(name, len(kept))(*kept)
    if info.value:
        raise np.linalg.LinAlgError(f"LAPACK's {name} failed ({info.value})")


def _passed(argument: Argument) -> Any:
    if isinstance(argument, np.ndarray):
        return ctypes.c_void_p(argument.ctypes.data)
    if isinstance(argument, str):
        return ctypes.c_char_p(argument.encode())
    return ctypes.byref(ctypes.c_int(argument))


def lead(array: np.ndarray) -> int:
    """The leading dimension of a part of an array in Fortran's order."""
    return array.strides[1] // array.itemsize if array.shape[1] > 1 else max(1, len(array))
