"""Model files that were damaged, or changed by a writer who makes the digest anew.

A file that was damaged is refused, or gives the same numbers. So is one with another description and a right
digest. Other parameters with a right digest are another model: its numbers are finite.
"""

from __future__ import annotations

import copy
import io
import json
import math
import random
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

import etacec
import numpy as np
import safetensors.numpy
from ase import Atoms
from ase.build import bulk
from etace.errors import ModelFileError
from etace.extrapolation import HELD_OUT
from etace.io.model_file import KEY, read_model, write_model
from etace.loading import load
from etace.model import Model
from etace.uncertainty import Calibration, Scale
from etacec.cli import app
from etacec.pipeline import spec_digest
from typer.main import get_command

from .harness import ACCEPTED, SAME, Case, Fault
from .mutations import edited, mutated

SPEC = """etace 1
species Si, O
onebody E0 { Si = -0.8 eV, O = -1.0 eV }
use linear_ace as ace { max_order = 2, max_level = 3, max_l = 1, cutoff = 4.5 Å }
model m = E0 + ace.two_body + ace.many_body
"""
VALUES = (0.0, -0.0, 1e-320, 1e-30, 1.0, -3.5, 1e15, 1e29, 1e31, 1e300, np.nan, np.inf, -np.inf)
OPENINGS = 10_000  # of brackets in one another


@dataclass(frozen=True)
class Change:
    """content: of the file; other: whether it may have other numbers"""

    content: bytes
    other: bool


@cache
def atoms() -> Atoms:
    found = bulk("NaCl", "rocksalt", 4.2, cubic=True)
    found.symbols = ["Si", "O"] * 4
    found.rattle(0.1, seed=0)
    return found


@cache
def whole() -> tuple[bytes, dict[str, np.ndarray], dict[str, Any]]:
    """A small model with a committee, grades and a card: (its file, tensors, metadata)."""
    _remember_compilations()
    with tempfile.TemporaryDirectory() as folder:
        spec, path = Path(folder) / "a.etace", Path(folder) / "m.safetensors"
        spec.write_text(SPEC, encoding="utf8")
        model = load(spec)
        draw = np.random.default_rng(0)
        model.set_linear_parameters(draw.normal(size=model.length_basis))
        scale = Scale(4.0, 0.1, (1.0, 1.6, 2.1, 2.8, math.inf), 99)
        calibration = Calibration({"energy": scale, "forces": scale}, 5, 40)
        model.set_committee(draw.normal(size=(2, model.length_basis)), calibration)
        n, F = model.potential.site_columns.shape
        model.set_extrapolation(draw.normal(size=(n, F, F)), HELD_OUT)
        model.card = {"model": "m", "elements": ["Si", "O"], "data": {"train": {"structures": 3}}}
        model.save(path)
        return path.read_bytes(), *read_model(path)


@cache
def numbers() -> dict[str, np.ndarray]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.safetensors"
        path.write_bytes(whole()[0])
        return _numbers(load(path))


def _numbers(model: Model) -> dict[str, np.ndarray]:
    model.cores = 1
    found = model.evaluate(atoms())
    out = {"energy": np.array(found.energy), "forces": found.forces, "virial": found.virial}
    if model.committee is not None:
        (of_members,) = model.committee_many([atoms()])
        out["members"] = of_members.member_energies
    if model.extrapolation is not None:
        (out["grades"],) = model.extrapolation_grades([atoms()])
    return out


def _remember_compilations() -> None:
    """Most cases carry the same texts: they are compiled once."""
    compiled, known = etacec.compile_text, {}

    def remembered(
        text: str, name: str, *, files: Any, overrides: Any, dtype: str, cache: Any
    ) -> Any:
        key = json.dumps([text, name, dict(files.carried_texts or {}), dict(overrides), dtype])
        if files.carried_arrays or key not in known:
            known[key] = compiled(
                text, name, files=files, overrides=overrides, dtype=dtype, cache=cache
            )  # type: ignore[arg-type]
        return known[key]

    def dispatched(text: str, name: str = "model.etace", **keywords: Any) -> Any:
        if keywords.get("files") is None or keywords["files"].carried_texts is None:
            return compiled(text, name, **keywords)
        return remembered(text, name, **keywords)

    etacec.compile_text = dispatched  # type: ignore[assignment]


def cases(seed: int) -> Iterator[Case]:
    draw = random.Random(seed)
    makers = (_bytes, _text, _metadata, _metadata, _tensors, _tensors, _spec)
    while True:
        name, change = draw.choice(makers)(draw)
        yield Case(name, change, {"case.safetensors": change.content})


def check(case: Case) -> str:
    change: Change = case.data
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "case.safetensors"
        path.write_bytes(change.content)
        if crc32(change.content) % 4 == 0:
            _inform(path)
        model = load(path)
    found, expected = _numbers(model), numbers()
    same = found.keys() == expected.keys() and all(
        own.shape == expected[k].shape and np.allclose(own, expected[k], rtol=1e-12, atol=1e-12)
        for k, own in found.items()
    )
    if same:
        return SAME
    if not change.other:
        raise Fault("other numbers, without a word")
    if bad := [k for k, own in found.items() if not np.isfinite(own).all()]:
        raise Fault(f"{bad[0]} is not finite")
    return ACCEPTED


@cache
def _command() -> Any:
    return get_command(app)


def _inform(path: Path) -> None:
    """`etace info`: no traceback, and nothing that commands a terminal."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(out), suppress(SystemExit):
        _command()(["info", str(path)])
    if not out.getvalue().replace("\n", "").isprintable():
        raise Fault("`etace info` prints what commands a terminal")


def _bytes(draw: random.Random) -> tuple[str, Change]:
    times = draw.choice((1, 1, 1, 2, 5))
    return f"{times} changes of bytes", Change(mutated(draw, whole()[0], times), other=False)


def _text(draw: random.Random) -> tuple[str, Change]:
    """The description's text, on whatever is left of JSON."""
    _, tensors, metadata = whole()
    form = draw.choice((1, 2, 2, 3, 10**30))
    text = json.dumps({"format": form, "metadata": metadata, "sha256": "0" * 64}, sort_keys=True)
    match draw.randrange(5):
        case 0:
            text = text.replace("4.5", draw.choice(("NaN", "Infinity", "1e999", "9" * 5000)), 1)
        case 1:
            text = draw.choice(("[", '{"a":')) * OPENINGS
        case 2:
            text = draw.choice(("null", "[]", "3", '"etace"', "{}", '{"format": 2}', ""))
        case 3:
            k = draw.randrange(len(text))
            text = text[:k] + draw.choice(('"', "}", "\\", "\0", "é", ",")) + text[k + 1 :]
        case _:
            text = text.replace('"format"', draw.choice(('"Format"', '"format": 1, "format"')), 1)
    content = safetensors.numpy.save(tensors, metadata={KEY: text})
    return f"description {text[:40]!r}", Change(content, other=False)


def _metadata(draw: random.Random) -> tuple[str, Change]:
    _, tensors, metadata = whole()
    made = copy.deepcopy(metadata)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        name = edited(draw, made)
    return f"metadata {name}", _written(draw, tensors, made, other=False)


def _tensors(draw: random.Random) -> tuple[str, Change]:
    _, tensors, metadata = whole()
    made = dict(tensors)
    name = draw.choice(list(made))
    a = np.array(made[name])
    how = draw.choice(
        (
            "value",
            "value",
            "value",
            "dtype",
            "shape",
            "transposed",
            "swapped",
            "gone",
            "renamed",
            "new",
        )
    )
    if how == "value":
        a.flat[draw.randrange(a.size)] = draw.choice(VALUES)
    elif how == "dtype":
        a = a.astype(draw.choice((np.float16, np.float32, np.float64, np.int64, np.uint8, bool)))
    elif how == "shape":
        a = draw.choice(
            (a.reshape(-1), a[None], a[:-1], a[..., :-1], a[:0], np.concatenate([a, a]))
        )
    elif how == "transposed":
        a = a.T
    elif how == "swapped":
        other = draw.choice(list(made))
        a, made[other] = made[other], a
    made[name] = a
    if how in ("gone", "renamed"):
        del made[name]
    if how in ("renamed", "new"):
        made[
            draw.choice(
                ("params/x/y", "params/", "arrays/a.npy", "", "a\nb", "committee/x", "params/E0/é")
            )
        ] = a
    return f"{name} {how}", _written(draw, made, metadata, other=True)


def _spec(draw: random.Random) -> tuple[str, Change]:
    """A digit of a text is another; now and then with the spec's own digest made anew."""
    _, tensors, metadata = whole()
    made = copy.deepcopy(metadata)
    root = made["root"]
    places = [k for k, c in enumerate(made["sources"][root]) if c.isdigit() or c in ".-+"]
    k = draw.choice(places)
    text = made["sources"][root]
    made["sources"][root] = text[:k] + draw.choice("0123456789.-") + text[k + 1 :]
    mine = draw.random() < 0.05
    if mine:
        own = (made["sources"], {}, made["overrides"], made["dtype"], made["versions"]["etace"])
        made["spec_sha256"] = spec_digest(*own)
    return f"character {k} of the spec", _written(draw, tensors, made, other=mine)


def _written(
    draw: random.Random, tensors: dict[str, np.ndarray], metadata: dict[str, Any], other: bool
) -> Change:
    """With the digest of what is written, or (half of them) with the old one."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m"
        try:
            write_model(path, tensors, metadata)
            content = path.read_bytes()
        except ModelFileError as error:
            return Change(str(error).encode(errors="replace"), other=False)
    if draw.random() < 0.5:
        return Change(content, other)
    with_old = json.dumps(
        {"format": 2, "metadata": metadata, "sha256": _old_digest()}, sort_keys=True
    )
    arrays = {k: np.ascontiguousarray(a) for k, a in tensors.items()}
    return Change(safetensors.numpy.save(arrays, metadata={KEY: with_old}), other=False)


@cache
def _old_digest() -> str:
    content = whole()[0]
    text = content.partition(b'\\"sha256\\": \\"')[2][:64]
    assert len(text) == 64
    return text.decode()
