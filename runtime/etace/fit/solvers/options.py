"""Checks of the values of options."""

from __future__ import annotations

import math
from typing import Any

from etace.errors import RequestError


def above(name: str, value: Any, least: float = 0.0, equal: bool = False) -> float:
    """The number. Raises RequestError: not a number, or not above `least` (`equal`: or at it)."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < least or (value == least and not equal):
        bound = f"{least:g} or more" if equal else f"above {least:g}"
        raise RequestError(f"option `{name}` must be a number {bound}, found {value!r}")
    return float(value)


def whole(name: str, value: Any) -> int:
    """The whole number, 1 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise RequestError(f"option `{name}` must be a whole number of 1 or more, found {value!r}")
    return value


def one_of(name: str, value: Any, words: tuple[str, ...]) -> str:
    if value not in words:
        raise RequestError(f"option `{name}` must be one of {', '.join(words)}, found {value!r}")
    return str(value)
