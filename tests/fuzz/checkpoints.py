"""Checkpoints that were damaged, or changed by a writer who makes the digest anew: other factors are never used."""

from __future__ import annotations

import copy
import random
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from etace.errors import ModelFileError
from etace.fit.checkpoint import Checkpoint
from etace.fit.factors import Factor, Key
from etace.io.model_file import read_model, write_model

from .harness import SAME, Case, Fault
from .mutations import edited, mutated

FIT = "ab" * 32
FACTORS = {
    Key("train", "edi", "energy"): Factor(7, np.triu(np.arange(16.0).reshape(4, 4) + 1)),
    Key("train", "edi", "forces"): Factor(30, np.triu(np.full((4, 4), 0.1))),
    Key("validation", "glass", "forces"): Factor(2, np.ones((2, 4))),
}
VALUES = (0.0, -0.0, 1e-320, 2.0, 1e300, np.nan, np.inf)


@cache
def whole() -> tuple[bytes, dict[str, np.ndarray], dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        mark = Checkpoint(Path(folder) / "c", FIT)
        mark.keep(3, FACTORS)
        mark.write()
        return mark.path.read_bytes(), *read_model(mark.path)


def cases(seed: int) -> Iterator[Case]:
    draw = random.Random(seed)
    while True:
        name, content = draw.choice((_bytes, _about, _tensors))(draw)
        yield Case(name, content, {"case.checkpoint": content})


def check(case: Case) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.checkpoint"
        path.write_bytes(case.data)
        mark = Checkpoint(path, FIT)
        done, factors = mark.load()
    if not done:
        if factors or not mark.unused or "\n" in mark.unused:
            raise Fault(f"not used, and it says: {mark.unused!r}")
        raise ModelFileError(mark.unused)
    same = factors.keys() == FACTORS.keys() and all(
        f.rows == FACTORS[k].rows and np.array_equal(f.R, FACTORS[k].R) for k, f in factors.items()
    )
    if done != 3 or not same:
        raise Fault("other factors, without a word")
    return SAME


def _bytes(draw: random.Random) -> tuple[str, bytes]:
    times = draw.choice((1, 1, 2, 5))
    return f"{times} changes of bytes", mutated(draw, whole()[0], times)


def _about(draw: random.Random) -> tuple[str, bytes]:
    _, tensors, about = whole()
    made = copy.deepcopy(about)
    name = edited(draw, made)
    return f"description {name}", _written(tensors, made)


def _tensors(draw: random.Random) -> tuple[str, bytes]:
    _, tensors, about = whole()
    made = dict(tensors)
    name = draw.choice(list(made))
    a = made[name].copy()
    how = draw.choice(("value", "gone", "more", "dtype", "shape", "swapped"))
    if how == "value":
        a.flat[draw.randrange(a.size)] = draw.choice(VALUES)
    elif how == "dtype":
        a = a.astype(np.float32)
    elif how == "shape":
        a = draw.choice((a.reshape(-1), a[:, :-1], a[None]))
    elif how == "swapped":
        other = draw.choice(list(made))
        a, made[other] = made[other], a
    made["3" if how == "more" else name] = a
    if how == "gone":
        del made[name]
    return f"factor {name} {how}", _written(made, about)


def _written(tensors: dict[str, np.ndarray], about: dict[str, Any]) -> bytes:
    """With the right digest: what is wrong is the seal."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m"
        try:
            write_model(path, tensors, about)
            return path.read_bytes()
        except ModelFileError as error:
            return str(error).encode(errors="replace")
