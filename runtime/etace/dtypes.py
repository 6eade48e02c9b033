"""The numbers a model computes in: their names, and what is said of any other."""

from __future__ import annotations

from typing import Any

from etace.errors import RequestError

DTYPES = ("float64", "float32")


def known(dtype: Any) -> str:
    """`dtype`, if it is one of the two names. Raises RequestError."""
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise RequestError(f"the dtype is {' or '.join(DTYPES)}, not {str(dtype)[:40]!r}")
    return dtype
