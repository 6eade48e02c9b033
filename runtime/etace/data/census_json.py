"""A census for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from etace.data.census import Census
from etace.data.labelled import Dataset


def as_dict(census: Census, dataset: Dataset) -> dict[str, Any]:
    """The fields of `Census`, those of every `Found`, and the digest; arrays as lists."""
    out = _plain({"found": [asdict(f) for f in dataset.found], **asdict(census)})
    return {"digest": dataset.digest, **out}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value.tolist() if isinstance(value, np.ndarray) else value
