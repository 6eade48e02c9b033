"""The one table of settings: what each of a fit may be, of a solver, of a prior and of weights.

Who reads a setting from anywhere (the command's options, a settings file, a file of weights, Python) checks
it here. `fit.settings` holds the defaults, `fit.solvers` those of options.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from etace.data.labelled import Keys
from etace.fit.factors import KINDS
from etace.fit.rules import (
    Fields,
    File,
    Flag,
    ListOf,
    Maybe,
    Number,
    Rule,
    SettingError,
    TableOf,
    Text,
    Whole,
    Word,
    known,
)

LARGEST = 1e30  # its square, and that of its inverse, are numbers with room to spare
MEMBERS = 10_000
CALIBRATE = ("folds", "validation", "none")
OLD_RULE = "0.1"  # the version whose draws and scales a fit repeats
FILES = ListOf(File(), "names of files")
POSITIVE = Number(1 / LARGEST, LARGEST)
PART = Number(0, 1, without_least=True)
FRACTION = Number(0, 1, without_most=True)
SEED = Whole(-(2**63), 2**63 - 1)
SIZE = Whole(1, 1_000_000_000)
ITERATIVE = {
    "damp": Number(0, LARGEST),
    "atol": Number(0, 1),
    "conlim": Number(0, LARGEST),
    "maxiter": Whole(1, 1_000_000),
}
PATH = {"size": Maybe(SIZE), "within": Number(1, LARGEST), "max_size": Maybe(SIZE)}

# (100 / 0.01)^20 is still a number
PRIOR = Fields(
    {
        "kind": Word(("algebraic", "exponential", "gaussian", "algebraic_ace1", "none")),
        "p": Number(0, 20),
        "wl": Maybe(Number(0.01, 20)),
        "wn": Maybe(Number(0.01, 20)),
        "n": Word(("degree", "index")),
        "blocks": Maybe(TableOf(Number(0, 1e12), "numbers, one for each block")),
    }
)
WEIGHT = Number(0, 1e12)
WEIGHTS = TableOf(Fields(dict.fromkeys(KINDS, WEIGHT)), "tables, one for each config type")
SOLVERS: Mapping[str, Mapping[str, Rule]] = {
    "blr": {"noise": Maybe(POSITIVE), "prior_scale": Maybe(POSITIVE)},
    "qr": {"lambda": Number(0, LARGEST), "rtol": PART},
    "rrqr": {"rtol": PART, "solution": Word(("minimum_norm", "basic"))},
    "tsvd": {"rtol": Maybe(PART)},
    "ard": {
        "threshold": Number(1, LARGEST, without_least=True),
        "tol": PART,
        "maxiter": Whole(1, 10_000),
    },
    "lsqr": ITERATIVE,
    "lsmr": ITERATIVE,
    "omp": PATH,
    "lars": {**PATH, "rtol": PART, "refit": Flag()},
}
SETTINGS: Mapping[str, Rule] = {
    "spec": File(),
    "output": File(".safetensors"),
    "train": FILES,
    "test": FILES,
    "model": Maybe(Text()),
    "overrides": TableOf(Text(), "texts, one for each param"),
    "keys": Fields({f.name: Text() for f in fields(Keys)}),
    "kinds": ListOf(Word(KINDS), f"some of {', '.join(KINDS)}"),
    "weights": WEIGHTS,
    "prior": PRIOR,
    "solver": Word(tuple(SOLVERS)),
    "repulsion": Flag(),
    "packings": Flag(),
    "allow_holes": Flag(),
    "tune_prior": Flag(),
    "noise_per_kind": Flag(),
    "test_fraction": FRACTION,
    "valid_fraction": FRACTION,
    "split_seed": SEED,
    "split_rule": Word(("copies", OLD_RULE)),
    "committee": Whole(0, MEMBERS),
    "calibrate": Word(CALIBRATE),
    "extrapolation": Flag(),
    "md": Flag(),
    "seed": SEED,
}


def options(solver: str, given: Any) -> dict[str, Any]:
    """Options of a solver, checked. Those of Python may have an underscore: `lambda_`."""
    own = Fields(SOLVERS[SETTINGS["solver"].check("solver", solver)])
    if isinstance(given, Mapping):
        given = {k.removesuffix("_") if isinstance(k, str) else k: v for k, v in given.items()}
    return own.check("solver_options", given)


def parse_option(solver: str, name: str, text: str) -> Any:
    """The value of an option that a word of a command line stands for."""
    rules = SOLVERS[SETTINGS["solver"].check("solver", solver)]
    known("solver_options", {name: text}, rules)
    return rules[name].parse(f"solver_options.{name}", text)


def parse_weight(group: str, kind: str, text: str) -> float:
    """A weight that a word of a command line stands for."""
    known(f"weights.{group}", {kind: text}, dict.fromkeys(KINDS))
    return WEIGHT.parse(f"weights.{group}.{kind}", text)


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of a fit, each checked and then against the others.

    Raises SettingError: the name of the setting, what it must be and what was found.
    """
    out = {k: SETTINGS[k].check(k, v) for k, v in given.items() if k != "solver_options"}
    out["solver_options"] = options(out["solver"], given["solver_options"])
    _together(out)
    return out


def _together(found: Mapping[str, Any]) -> None:
    """What each allows, but not both."""
    kinds, committee = found["kinds"], found["committee"]
    if not found["train"]:
        raise SettingError("train", "names no file: a fit needs data")
    if not kinds or len(set(kinds)) < len(kinds):
        raise SettingError("kinds", f"must name some of {', '.join(KINDS)}, each once")
    if committee == 1:
        raise SettingError("committee", "must be 0, or 2 members or more, found 1")
    by_validation = found["calibrate"] == "validation"
    if by_validation and not committee:
        raise SettingError("calibrate", "is for a committee, and there is none")
    if by_validation and not found["valid_fraction"] and found["split_rule"] != OLD_RULE:
        raise SettingError(
            "calibrate",
            "by validation needs structures that are not fitted, such as valid_fraction = 0.1; `folds` needs none "
            "(the test set only judges)",
        )
    if found["test_fraction"] and found["test"]:
        raise SettingError(
            "test_fraction",
            "takes a test set from the training data, and `test` names another: take one",
        )
    if found["tune_prior"] and found["prior"].get("kind") == "none":
        raise SettingError("tune_prior", "has nothing to tune in a prior of kind `none`")
    if found["noise_per_kind"] and len(kinds) < 2:
        raise SettingError("noise_per_kind", "needs labels of two kinds at least")
