"""A checkpoint of the factors, so that a fit that was stopped goes on where it was.

Beside the model while a fit runs, and gone when it is done. It belongs to one fit: to its model, data,
labels and cuts; any other fit starts anew. So does one whose checkpoint was changed, or written by somebody
else: a seal, made with a key in this user's cache, says whose it is.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from etace.errors import ModelFileError, NoDigestWarning
from etace.fit.assemble import Joining, Plan, Target
from etace.fit.factors import JOINED, KINDS, Factor, Key
from etace.io import schema
from etace.io.cache import seal
from etace.io.model_file import digest, read_model, write_model

EVERY = 20.0  # seconds between two, at least
SHARE = 20.0  # and so many times as long as one takes to write
GROUP = schema.text("a config type", longest=schema.LONG)
ABOUT = schema.record(
    {
        "fit": schema.text("a sha256", schema.HEX),
        "done": schema.whole(1),
        "keys": schema.listed(
            schema.row(
                schema.one_of("train", "validation"),
                GROUP,
                schema.one_of(*KINDS, JOINED),
                schema.whole(-1),
            )
        ),
        "rows": schema.listed(schema.whole()),
    },
    {"seal": schema.text("a seal", schema.HEX)},
)


class Checkpoint:
    """path: of the file; belongs: fingerprint of the fit it is good for

    unused: after `load`, why a checkpoint that is there is not used, or empty
    """

    def __init__(self, path: Path, belongs: str):
        self.path, self.belongs, self.unused = path, belongs, ""
        self.last, self.pause = time.monotonic(), EVERY
        self.found: tuple[int, dict[Key, Factor]] = (0, {})

    def load(self) -> tuple[int, dict[Key, Factor]]:
        """(tasks done, their factors); (0, {}) where there is no checkpoint of this fit."""
        self.unused = ""
        if not self.path.exists():
            return 0, {}
        try:
            return self._read()
        except NoDigestWarning:
            self.unused = "it is of etace 0.1 and carries no digest"
        except ModelFileError as error:
            self.unused = str(error)
        except schema.Wrong as wrong:
            self.unused = f"it is damaged: {wrong}"
        return 0, {}

    def _read(self) -> tuple[int, dict[Key, Factor]]:
        with warnings.catch_warnings():
            warnings.simplefilter("error", NoDigestWarning)
            tensors, about = read_model(self.path)
        ABOUT(about, schema.DESCRIPTION)
        if about["fit"] != self.belongs:
            raise ModelFileError("it is of another fit")
        sealed = about.pop("seal", "")
        if not hmac.compare_digest(sealed, seal(digest(tensors, about)) or "no key"):
            raise ModelFileError("it was written by somebody else, or with another cache of etace")
        keys = [Key(*k) for k in about["keys"]]
        factors = {
            k: Factor(n, np.asfortranarray(tensors[str(i)]))
            for i, (k, n) in enumerate(zip(keys, about["rows"], strict=True))
        }
        return about["done"], factors

    def keep(self, done: int, factors: dict[Key, Factor]) -> None:
        """Remember; write if the last time is long ago."""
        self.found = (done, dict(factors))
        if time.monotonic() - self.last > self.pause:
            with suppress(ModelFileError):  # a full disk: the fit can go on without
                self.write()

    def write(self) -> None:
        """Nothing where no factors are done, or no seal can be made, or what was found is being overwritten: then
        what was written before stays."""
        done, factors = self.found
        if not done or any(f.spent for f in factors.values()):
            return
        begun = time.monotonic()
        keys = sorted(factors)
        about: dict[str, Any] = {
            "fit": self.belongs,
            "done": done,
            "keys": [[k.split, k.group, k.kind, k.fold] for k in keys],
            "rows": [factors[k].rows for k in keys],
        }
        tensors = {str(i): factors[k].R for i, k in enumerate(keys)}
        if sealed := seal(digest(tensors, about)):
            write_model(self.path, tensors, {**about, "seal": sealed})
        self.last = time.monotonic()
        self.pause = max(EVERY, SHARE * (self.last - begun))

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
        h.update(f"{t.split}/{t.fold}/{t.group}/{t.weight}/".encode())
        for a in (
            t.atoms.positions, t.atoms.numbers, np.asarray(t.atoms.cell), t.atoms.pbc,
            t.energy, t.forces, t.virial,
        ):  # fmt: skip
            h.update(b"-" if a is None else np.ascontiguousarray(a).tobytes())
    h.update(repr([(t.batches, t.slots) for t in shape.tasks]).encode())
    if shape.joining is not Joining.NONE:
        h.update(shape.joining.value.encode())
        h.update(json.dumps(shape.weights.resolved(), sort_keys=True).encode())
    return h.hexdigest()
