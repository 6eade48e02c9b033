"""A checkpoint of the factors, so that a fit that was stopped goes on where it was.

Beside the model while a fit runs, and gone when it is done. It belongs to one fit: to its model, data,
labels and cuts; any other fit starts anew.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from etace.errors import ModelFileError
from etace.fit.assemble import Plan, Target
from etace.fit.factors import Factor, Key
from etace.io.model_file import read_model, write_model

EVERY = 20.0  # seconds between two


class Checkpoint:
    """path: of the file; belongs: fingerprint of the fit it is good for"""

    def __init__(self, path: Path, belongs: str):
        self.path, self.belongs = path, belongs
        self.last = time.monotonic()
        self.found: tuple[int, dict[Key, Factor]] = (0, {})

    def load(self) -> tuple[int, dict[Key, Factor]]:
        """(tasks done, their factors); (0, {}) where there is no checkpoint of this fit."""
        if not self.path.exists():
            return 0, {}
        try:
            tensors, about = read_model(self.path)
            if about.get("fit") != self.belongs:
                return 0, {}
            keys = [Key(*k) for k in about["keys"]]
            factors = {
                k: Factor(int(n), tensors[str(i)])
                for i, (k, n) in enumerate(zip(keys, about["rows"], strict=True))
            }
            return int(about["done"]), factors
        except (ModelFileError, KeyError, TypeError, ValueError):
            return 0, {}

    def keep(self, done: int, factors: dict[Key, Factor]) -> None:
        """Remember; write if the last time is long ago."""
        self.found = (done, dict(factors))
        if time.monotonic() - self.last > EVERY:
            self.last = time.monotonic()
            with suppress(ModelFileError):  # a full disk: the fit can go on without
                self.write()

    def write(self) -> None:
        done, factors = self.found
        if not done:
            return
        keys = sorted(factors)
        about = {
            "fit": self.belongs,
            "done": done,
            "keys": [[k.split, k.group, k.kind] for k in keys],
            "rows": [factors[k].rows for k in keys],
        }
        write_model(self.path, {str(i): factors[k].R for i, k in enumerate(keys)}, about)
        self.last = time.monotonic()

    def remove(self) -> None:
        with suppress(OSError):
            self.path.unlink()


def fingerprint(model: Any, targets: Sequence[Target], shape: Plan) -> str:
    """Of all that the factors depend on."""
    from etace import __version__

    h = hashlib.sha256()
    h.update(json.dumps([__version__, np.__version__, model.potential.dtype]).encode())
    h.update(model.source.encode())
    for block, arrays in sorted(model.params.items()):
        for name, array in sorted(arrays.items()):
            if name == "weights" and block in model.potential.lengths:
                continue  # linear parameters are what is fitted
            h.update(f"{block}/{name}".encode() + np.asarray(array).tobytes())
    for t in targets:
        h.update(f"{t.split}/{t.group}/{t.weight}/".encode())
        for a in (
            t.atoms.positions, t.atoms.numbers, np.asarray(t.atoms.cell), t.atoms.pbc,
            t.energy, t.forces, t.virial,
        ):  # fmt: skip
            h.update(b"-" if a is None else np.ascontiguousarray(a).tobytes())
    h.update(repr([(t.batches, t.slots) for t in shape.tasks]).encode())
    return h.hexdigest()
