"""Every setting of a fit, and the file that holds them: `etace fit model.fit.toml` repeats a fit.

The file stands beside the model; paths in it are relative to its folder. [record] is for people and is
not read back.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from etace.data.frames import without_password
from etace.errors import RequestError
from etace.fit.factors import KINDS
from etace.fit.rules import SettingError, known
from etace.fit.table import OLD_RULE, SETTINGS, checked
from etace.fit.weights import Weights
from etace.io.toml import read_toml

PRIOR = {"kind": "algebraic", "p": 4.0, "n": "degree"}
HEADER = "# Every setting of this fit; `etace fit {name}` repeats it.\n"


@dataclass(frozen=True)
class Settings:
    """spec: an .etace file; model: which of its models; overrides: values of its params
    train, test: files; keys: label -> key in the files, for labels not to be found by their usual names
    kinds: labels to fit; weights: config type -> kind -> weight
    prior: kind, p, wl, wn, n, blocks (`fit.priors`); solver: name; solver_options: its own
    repulsion: keep close atoms apart, by dimers and dense packings with the energies of ZBL (`fit.mending`)
    packings: and dense random packings (`fit.compression`), which settings files of before do not ask for
    allow_holes: accept a model that pulls atoms together where no data are (`fit.holes`)
    tune_prior: choose its numbers by evidence; noise_per_kind: one noise scale for each kind
    test_fraction: of the training structures, as a test set; valid_fraction: of the rest, not fitted, by
        which solvers choose; split_seed: of both draws, and of folds
    split_rule: copies (those of a structure go together, `fit.split`), or 0.1: as that version divided and
        calibrated; only its settings files ask for it
    committee: members drawn from the posterior
    calibrate: their spread to the errors, by cross-validation (folds), by those of the validation set, as versions
        before did, or not (none)
    extrapolation: grades of how far atoms are from the training data (`etace.extrapolation`)
    md: try the model in molecular dynamics (`fit.dynamics`)
    seed: of all that is drawn: starts of frozen random radials, committee
    output: the model file

    What each may be says `etace.fit.table`.
    """

    spec: str
    output: str
    train: tuple[str, ...]
    test: tuple[str, ...] = ()
    model: str | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    kinds: tuple[str, ...] = KINDS
    weights: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    prior: Mapping[str, Any] = field(default_factory=dict)
    solver: str = "blr"
    solver_options: Mapping[str, Any] = field(default_factory=dict)
    repulsion: bool = True
    packings: bool = True
    allow_holes: bool = False
    tune_prior: bool = False
    noise_per_kind: bool = False
    test_fraction: float = 0.0
    valid_fraction: float = 0.0
    split_seed: int = 0
    split_rule: str = "copies"
    committee: int = 0
    calibrate: str = "folds"
    extrapolation: bool = True
    md: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises SettingError: one that `fit.table` does not allow."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        for name, value in checked(given).items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "prior", {**PRIOR, **self.prior})


def beside(output: str | Path, ending: str) -> Path:
    """The file of that ending beside a model: si.safetensors -> si.fit.toml."""
    path = Path(output)
    return path.with_name(path.name.removesuffix(".safetensors") + ending)


def to_toml(settings: Settings, record: Mapping[str, Any]) -> str:
    """Text of the settings file beside `settings.output`."""
    folder = Path(settings.output).resolve().parent
    moved = replace(
        settings,
        weights=Weights(settings.weights).resolved(),
        spec=_relative(settings.spec, folder),
        output=Path(settings.output).name,
        train=tuple(_relative(p, folder) for p in settings.train),
        test=tuple(_relative(p, folder) for p in settings.test),
    )
    name = beside(settings.output, ".fit.toml").name
    lines = [HEADER.format(name=name)]
    tables = []
    for key, value in asdict(moved).items():
        if value is None:
            continue
        if isinstance(value, Mapping):
            tables.append((key, value))
        else:
            lines.append(f"{key} = {_value(value)}")
    for key, table in [*tables, ("record", record)]:
        lines += _table(key, table)
    return "\n".join(lines) + "\n"


def from_toml(path: Path) -> Settings:
    """Raises RequestError: not such a file, a key it does not know, a value that is not allowed."""
    found = read_toml(path)
    found.pop("record", None)
    folder = path.parent
    try:
        _renamed(found)
        known("", found, {f.name: f for f in fields(Settings)})
        for name in ("spec", "output", "train"):
            if name not in found:
                raise SettingError(name, "is missing")
        for name in ("spec", "output"):
            found[name] = str(folder / SETTINGS[name].check(name, found[name]))
        for name in ("train", "test"):
            given = SETTINGS[name].check(name, found.get(name, ()))
            found[name] = tuple(_absolute(p, folder) for p in given)
        return Settings(**found)
    except SettingError as error:
        raise RequestError(f"{path}: {error}") from None


def _renamed(found: dict[str, Any]) -> None:
    """What earlier versions called otherwise, or did not call at all: the hold-out of version 0.1, drawn from the
    seed of all by a rule of its own; the n of priors; whether to calibrate by the validation set."""
    if "holdout" in found and "valid_fraction" not in found:
        given = found.pop("holdout")
        found["valid_fraction"] = SETTINGS["valid_fraction"].check("holdout", given)
        found.setdefault("split_seed", found.get("seed", 0))
        if given or found.get("calibrate"):
            found.setdefault("split_rule", OLD_RULE)
    prior = found.get("prior")
    if isinstance(prior, dict) and "n" not in prior:  # there was no other n before, and no packings
        prior["n"] = "index"
        found.setdefault("packings", False)
    if isinstance(found.get("calibrate"), bool):
        found["calibrate"] = "validation" if found["calibrate"] else "none"


def _relative(path: str, folder: Path) -> str:
    return without_password(path) if "://" in path else os.path.relpath(path, folder)


def _absolute(path: str, folder: Path) -> str:
    return path if "://" in path else str(folder / path)


def _table(name: str, table: Mapping[str, Any]) -> list[str]:
    """A table, after an empty line; tables within it after its values. Nothing of an empty one."""
    plain = [f"{_key(k)} = {_value(v)}" for k, v in table.items() if not isinstance(v, Mapping)]
    lines = ["", f"[{name}]", *plain] if plain else []
    for k, v in table.items():
        if isinstance(v, Mapping):
            lines += _table(f"{name}.{_key(k)}", v)
    return lines


def _key(key: str) -> str:
    return key if key.replace("-", "").replace("_", "").isalnum() and key.isascii() else _text(key)


def _text(text: str) -> str:
    """A basic string: the escapes of TOML are those of JSON."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, float) and value != value:
        return "nan"
    return repr(value)
