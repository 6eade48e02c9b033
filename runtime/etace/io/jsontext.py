"""JSON as programs read it: no NaN and no infinity, which JSON does not have; null stands for them."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def as_text(value: Any, indent: int | None = 1) -> str:
    """value: of what JSON can hold, and numpy's numbers and arrays. Text that UTF-8 cannot hold is escaped."""
    text = json.dumps(finite(value), indent=indent, ensure_ascii=False, allow_nan=False)
    return text.encode("utf8", "backslashreplace").decode("utf8")


def finite(value: Any) -> Any:
    """The same with None for what is no finite number, and lists for arrays."""
    if isinstance(value, Mapping):
        return {str(k): finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [finite(v) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return finite(value.tolist())
    return None if isinstance(value, float) and not math.isfinite(value) else value
