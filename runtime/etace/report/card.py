"""The card of a model: what it is, what it was fitted to, and how well; a plain dict for the model file."""

from __future__ import annotations

import glob
import hashlib
import shlex
from collections.abc import Iterable, Mapping, Sequence
from datetime import date as Date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from etace.data.frames import without_password
from etace.fit.tables import UNITS, Comparison
from etace.io.jsontext import finite
from etace.potential import Linear
from etace.report.dynamics import sentence as md_sentence
from etace.report.errors import as_json, figure
from etace.words import count

FORMAT = 1


def card(
    model: Any,
    *,
    train: Sequence[Comparison] = (),
    test: Sequence[Comparison] | None = None,
    train_files: Iterable[str | Path] = (),
    test_files: Iterable[str | Path] = (),
    command: Sequence[str] | str | None = None,
    settings: str | None = None,
    seed: int | None = None,
    scale: float | None = None,
    train_digest: str | None = None,
    test_digest: str | None = None,
    date: str | None = None,
) -> dict[str, Any]:
    """What JSON can hold; the same input gives the same card.

    files: as `etace.data.read` takes them; read for their digests, their names go in without folders
    train_digest, test_digest: `Dataset.digest`
    command: as given to the shell, or its words; settings: text, of which the digest goes in
    seed: of the fit; scale: by which the committee's spread was scaled to the errors, if it was
    date: ISO 8601; default: today
    """
    p = model.potential
    linear = [t for t in p.terms if isinstance(t, Linear)]
    total = sum(int(np.prod(shape)) for arrays in p.blocks.values() for shape in arrays.values())
    sets = {
        "train": (train, train_files, train_digest),
        "test": (test or (), test_files, test_digest),
    }
    found: dict[str, Any] = {
        "format": FORMAT,
        "model": model.name,
        "elements": list(p.species),
        "cutoff": p.cutoff_radius,
        "functions": sum(len(t.labels) for t in linear),
        "parameters": {"linear": p.length_basis, "other": total - p.length_basis},
        "seed": seed,
        "committee": None
        if model.committee is None
        else {"members": len(model.committee), "scale": scale, **_calibration(model)},
        "extrapolation_grades": model.extrapolation is not None,
        "data": {name: data(*own) for name, own in sets.items() if len(own[0])},
        "errors": as_json({name: own[0] for name, own in sets.items() if own[0]}),
        "units": dict(UNITS),
        "versions": versions(),
        "date": date or Date.today().isoformat(),
        "command": command
        if isinstance(command, str | None)
        else shlex.join(map(without_password, command)),
        "settings_sha256": settings and hashlib.sha256(settings.encode()).hexdigest(),
    }
    out: dict[str, Any] = finite(found)
    return out


def data(
    found: Sequence[Comparison], files: Iterable[str | Path], digest: str | None = None
) -> dict[str, Any]:
    """Files with digests; numbers of structures, atoms and labels. digest: of the structures"""
    return {
        "files": [{"name": _name(f), "sha256": _of_file(f)} for f in _expanded(files)],
        "sha256": digest,
        "structures": len(found),
        "atoms": sum(c.atoms for c in found),
        "labels": {
            "energy": sum(c.energy is not None for c in found),
            "forces": sum(3 * c.atoms for c in found if c.forces is not None),
            "virial": sum(c.virial is not None for c in found),
        },
    }


def part(
    card: Any, digest: str | None, files: Sequence[Mapping[str, Any]]
) -> tuple[str, list[str]]:
    """What an evaluated data set was to the fit: (train, test or data, sentences to say of it).

    card: of the model, or None; digest: `Dataset.digest`; files: with name and sha256, as `data` has them
    """
    found = card.get("data") if isinstance(card, Mapping) else None
    sets = {
        name: own
        for name in ("train", "test")
        if isinstance(
            own := (found or {}).get(name) if isinstance(found, Mapping) else None, Mapping
        )
    }
    hashes = {name: _hashes(own.get("files")) for name, own in sets.items()}
    given = _hashes(files)
    for name, own in sets.items():
        same = digest is not None and own.get("sha256") == digest
        if same or (given and len(given) == len(files) and given <= hashes[name]):
            fitted = [
                "these structures are the training data of this model: their errors are no test"
            ]
            return name, fitted if name == "train" else []
    shared = [str(f["name"]) for f in files if f.get("sha256") in hashes.get("train", ())]
    return "data", [
        f"{name} is training data of this model: its errors are no test" for name in shared
    ]


def _hashes(files: Any) -> set[str]:
    every = files if isinstance(files, list) else []
    return {str(f["sha256"]) for f in every if isinstance(f, Mapping) and f.get("sha256")}


def _expanded(files: Iterable[str | Path]) -> list[str]:
    """Patterns as the files they stand for."""
    out: list[str] = []
    for file in map(str, files):
        pattern = "://" not in file and not Path(file).exists() and any(c in file for c in "*?[")
        out += (sorted(glob.glob(file)) or [file]) if pattern else [file]
    return out


def _name(file: str) -> str:
    """Without its folder; of a database only what kind it is: its address may hold a password."""
    return f"{file.split('://')[0]} database" if "://" in file else Path(file).name


def _of_file(file: str) -> str | None:
    """sha256; `name@0:10` is a part of `name`. None: not a file."""
    path = Path(file)
    if "://" not in file and not path.is_file():
        path = Path(file.rpartition("@")[0] or file)
    if "://" in file or not path.is_file():
        return None
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def versions() -> dict[str, str]:
    """Of etace and of what computed the numbers."""
    from etace import __version__

    out = {"etace": __version__}
    for name in ("jax", "numpy"):
        try:
            out[name] = version(name)
        except PackageNotFoundError:
            out[name] = "unknown"
    return out


def lines(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The card for people: (name, text) of what is there, errors left out. Takes any dict."""
    parameters, found = card.get("parameters"), card.get("data")
    out = [
        ("model", card.get("model")),
        ("elements", elements(card)),
        ("cutoff", None if card.get("cutoff") is None else f"{card['cutoff']} Å"),
        ("functions per atom", card.get("functions")),
        ("parameters", _counts(parameters) if isinstance(parameters, Mapping) else parameters),
        ("committee", _committee_text(card.get("committee"))),
        ("errors within 1, 2, 3 sd", _coverage_text(card.get("coverage"))),
        (
            "extrapolation grades",
            _grades_text(card.get("extrapolation_grades"), card.get("grades")),
        ),
        ("test MD", md_sentence(card.get("md"))),
        ("holes", _holes_text(card.get("holes"))),
    ]
    sets = found if isinstance(found, Mapping) else {}
    for name in sorted(sets, key=lambda n: (n != "train", n != "test", n)):
        own = sets[name]
        out.append((f"{name} data", _data_text(own) if isinstance(own, Mapping) else own))
    versions = card.get("versions")
    out += [
        ("divided", _split_text(card.get("split"))),
        ("size", _size_text(card.get("size"))),
        ("command", card.get("command")),
        ("seed", card.get("seed")),
        ("date", card.get("date")),
        ("settings, sha256", card.get("settings_sha256")),
        ("versions", _counts(versions) if isinstance(versions, Mapping) else versions),
    ]
    return [(name, str(text)) for name, text in out if text not in (None, "")]


def elements(card: Mapping[str, Any]) -> str:
    found = card.get("elements")
    return ", ".join(map(str, found)) if isinstance(found, list) else str(found or "")


def _counts(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{k} {v}" for k, v in found.items())


def _committee_text(found: Any) -> str | None:
    if not isinstance(found, Mapping):
        return None
    return committee(found.get("members"), found.get("calibration"), found.get("scale"))


def committee(members: Any, calibration: Any, scale: Any) -> str:
    """A committee in words. calibration: as a model file has it, or None; scale: by which its members were scaled"""
    text = f"{members} members"
    if isinstance(calibration, Mapping):
        kinds, of = calibration.get("scales"), calibration.get("structures")
        shown = ", ".join(map(str, kinds)) if isinstance(kinds, Mapping) else ""
        folds = calibration.get("folds")
        return f"{text}, calibrated by {folds} folds of {of} structures: {shown}"
    if isinstance(scale, int | float):
        return f"{text}, spread scaled by {scale:.4g} to the errors"
    return (
        f"{text}, uncalibrated: the spread of the posterior, usually much smaller than the errors"
    )


def uncalibrated(model: Any) -> bool:
    """Whether a model's committee has the spread of its posterior alone."""
    said = (model.card or {}).get("committee")
    scale = said.get("scale") if isinstance(said, Mapping) else None
    return not model.calibration.scales and not isinstance(scale, int | float)


def _calibration(model: Any) -> dict[str, Any]:
    found = model.calibration
    return {"calibration": found.as_json()} if found.scales else {}


def _split_text(found: Any) -> str | None:
    """How the training files were divided."""
    if not isinstance(found, Mapping) or not isinstance(found.get("structures"), Mapping):
        return None
    return f"{_counts(found['structures'])}; drawn with split seed {found.get('seed')}"


def _size_text(found: Any) -> str | None:
    """Of a default model: what was chosen, and the cross-validated errors it was chosen by."""
    if not isinstance(found, Mapping):
        return None
    text = f"degrees {found.get('degrees')}, l weight {found.get('l_weight')}"
    own = found.get("cross_validated")
    if not isinstance(own, Mapping):
        return text
    units = {"energy": "meV/√N", "forces": "meV/Å", "virial": "meV/√N"}
    errors = ", ".join(
        f"{k} {figure(v) if isinstance(v, int | float) else v} {units.get(k, '')}"
        for k, v in own.items()
    )
    return f"{text}; chosen by cross-validated RMSE: {errors}"


def _coverage_text(found: Any) -> str | None:
    """A line for each set: `test set: energy 68, 95, 99 %; forces ...`."""
    sets: dict[str, list[str]] = {}
    for c in found if isinstance(found, list) else ():
        shares = [c.get(k) for k in ("one", "two", "three")] if isinstance(c, Mapping) else []
        numbers = [100 * x for x in shares if isinstance(x, int | float)]
        if len(numbers) == 3:
            shown = ", ".join(f"{x:.1f}" for x in numbers)
            sets.setdefault(str(c.get("of")), []).append(f"{c.get('kind')} {shown} %")
    return "\n".join(f"{of}: {'; '.join(own)}" for of, own in sets.items()) or None


def _grades_text(found: Any, sets: Any) -> str | None:
    if not isinstance(found, bool):
        return None
    lines = [
        f"{name}: {own.get('above')} of {own.get('atoms')} atoms above 1"
        for name, own in (sets.items() if isinstance(sets, Mapping) else ())
        if isinstance(own, Mapping)
    ]
    return "\n".join(["yes" if found else "none", *lines])


def _holes_text(found: Any) -> str | None:
    """Where the model pulls atoms together that should push. None: nobody looked"""
    if not isinstance(found, Mapping):
        return None
    dense, dimers = found.get("packings"), found.get("dimers")
    parts = [f"dimer {d}" for d in dimers] if isinstance(dimers, list) else []
    if isinstance(dense, int) and dense:
        of = found.get("elements")
        named = f" of {', '.join(map(str, of))}" if isinstance(of, list) else ""
        parts.insert(0, f"{count(dense, 'dense packing')}{named}")
    return "; ".join(parts) or "none found"


def _data_text(found: Mapping[str, Any]) -> str:
    labels = found.get("labels")
    sizes = (count(found.get(f"{what}s", 0), what) for what in ("structure", "atom"))
    parts = [", ".join(sizes)]
    if isinstance(labels, Mapping):
        parts[0] += f"; labels: {_counts(labels)}"
    files = found.get("files")
    for f in files if isinstance(files, list) else ():
        if isinstance(f, Mapping):
            digest = f" (sha256 {str(f['sha256'])[:16]}…)" if f.get("sha256") else ""
            parts.append(f"{f.get('name')}{digest}")
    return "\n".join(parts)
