"""Settings of a fit from everywhere: settings files, files of weights, options of the command, Python.

What is accepted is written, read again and the same; it solves a small real system, and what comes out
is finite or refused.
"""

from __future__ import annotations

import json
import math
import random
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import chdir
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import etace
import numpy as np
from etace.data import read
from etace.errors import EtaceError
from etace.fit.assemble import assemble, plan
from etace.fit.crossvalidation import draw as draw_members
from etace.fit.factors import KINDS
from etace.fit.fitting import solve, targets
from etace.fit.gather import keys_of
from etace.fit.job import prior_of, tuned
from etace.fit.rules import Flag, Maybe, Number, Rule, Whole, Word
from etace.fit.settings import Settings, from_toml, to_toml
from etace.fit.solvers import has_posterior, solver
from etace.fit.table import PRIOR, SETTINGS, SOLVERS, WEIGHT
from etace.fit.weights import Weights

from .harness import ACCEPTED, Case, Fault
from .mutations import mutated

ROOT = Path(__file__).parents[2]
SPEC = """etace 1
species Si, O
onebody E0 { Si = -3 eV, O = -1 eV }
use linear_ace as ace { max_order = 2, max_level = 4, max_l = 2, cutoff = 4.0 Å }
model whole = E0 + ace.two_body + ace.many_body
"""
TOML = """spec = "a.etace"
output = "m.safetensors"
train = ["a.xyz", "b.xyz@0:10"]
test = ["c.xyz"]
model = "whole"
kinds = ["energy", "forces", "virial"]
solver = "blr"
repulsion = true
test_fraction = 0.0
valid_fraction = 0.1
split_seed = 0
committee = 4
calibrate = "folds"
seed = 3
keys = { energy = "E", stress = "" }
overrides = { max_level = "4" }

[weights.default]
energy = 30.0
forces = 1.0

[weights.bulk]
virial = 2

[prior]
kind = "exponential"
p = 4.0
wl = 0.7
blocks = { "ace.two_body" = 2.0 }

[solver_options]
noise = 1e-3

[record]
date = "2026-01-01"
"""
NUMBERS: tuple[Any, ...] = (
    0, 1, -1, 2, 3, 7, 10**9, 10**40, -(10**19), 2**63, 2**64, 0.0, -0.0, 0.5, 1.0, 1.5, 4.0, 1e-3, 1e-30, 1e30, 20.0,
    1e-320, 1e-300, 1e12, 1e300, float("nan"), float("inf"), -float("inf"), 0.999999999, 1e-14, 10000, 0.01,
)  # fmt: skip
TEXTS = (
    "", " ", "true", "false", "no", "None", "nan", "energy", "force", "blr", "qr", "lasso", "algebraic", "none",
    "a.xyz", "../..", "/", "~", "a\0b", "[red]", "{x}", "%s", "\u202e", "Å", "\N{BOM}", "a" * 3000, "1e3", "-1", "²", "٣", "x\ny",
)  # fmt: skip
WORDS = (
    "[", "]", "{", "}", "=", '"', "'", "#", "\n", ",", "inf", "-nan", "true", "0x1f", "1979-05-27T07:32:00Z", "1_0", "e",
    "[[", "]]", '"""', "\\", "\\u0000", "\\ud800", "9" * 5000, "[" * 2000, "a.b.c", "\r", "\t", "\0",
)  # fmt: skip
OPTIONS = (
    "--prior", "--smoothness", "--solver", "--valid-fraction", "--test-fraction", "--split-seed", "--committee", "--seed", "--weight", "--solver-option", "--weights",
    "--elements", "--size", "--e0", "--model", "--backend", "--cores", "--energy-key", "--group-key", "--test", "-D", "-o",
)  # fmt: skip


@cache
def small() -> tuple[Any, Any]:
    """A model of 40 functions, and what makes rows of ten structures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.etace"
        path.write_text(SPEC, encoding="utf8")
        model = etace.load(path, backend="native", cores=1)
    data = read([f"{ROOT / 'examples/data/SiO2_EDI_train.xyz'}@0:10"])
    return model, data.structures


@cache
def factors(holdout: bool) -> Any:
    model, structures = small()
    goals = targets(structures, KINDS, Weights())
    if holdout:
        goals[-2:] = [replace(t, split="validation") for t in goals[-2:]]
    return assemble(model, goals, plan(model, goals), 1)


def cases(seed: int) -> Iterator[Case]:
    draw = random.Random(seed)
    while True:
        yield draw.choice((_value, _value, _allowed, _allowed, _text, _bytes, _options, _weights))(
            draw
        )


def check(case: Case) -> str:
    kind, given = case.data
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        for name, content in case.files.items():
            Path(name).write_bytes(content)
        if kind == "command":
            return _command(given)
        settings = from_toml(Path("case.fit.toml")) if kind == "file" else Settings(**given)
        _survives(settings)
        return _solves(settings)


def _command(words: list[str]) -> str:
    """The command ends in a line, not in a traceback: what it needs is not there."""
    from etacec.cli import app
    from typer.testing import CliRunner

    done = CliRunner().invoke(app, ["fit", *words])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    if done.exit_code == 0:
        raise Fault("the command says that it fitted a file that is not there")
    if not done.stderr.strip():
        raise Fault(f"exit {done.exit_code} without a word")
    raise EtaceError(done.stderr.strip())


def _survives(settings: Settings) -> None:
    """Written and read again, all is the same."""
    path = Path("again.fit.toml")
    path.write_text(to_toml(settings, {"seconds": {"a": 1.0}}), encoding="utf8")
    again = from_toml(path)
    for f in fields(Settings):
        if f.name in ("spec", "output", "train", "test", "weights", "prior"):
            continue
        if getattr(again, f.name) != getattr(settings, f.name):
            raise Fault(
                f"`{f.name}` is {getattr(again, f.name)!r}, was {getattr(settings, f.name)!r}"
            )
    if again.weights != Weights(settings.weights).resolved():
        raise Fault(f"weights are {again.weights}, were {settings.weights}")
    if prior_of(again) != prior_of(settings):
        raise Fault(f"the prior is {again.prior}, was {settings.prior}")
    keys_of(settings)


class _Silent:
    def note(self, text: str) -> None:
        pass


def _solves(settings: Settings) -> str:
    """As `job.run` does behind the rows."""
    model, structures = small()
    weights, prior = Weights(settings.weights), prior_of(settings)
    chosen = solver(settings.solver, **settings.solver_options)
    targets(structures, settings.kinds, weights)
    own = factors(settings.valid_fraction > 0)
    own = {k: f for k, f in own.items() if k.kind in settings.kinds}
    weights, prior = tuned(model, own, weights, prior, settings, _Silent())  # type: ignore[arg-type]
    with np.errstate(all="ignore"):
        found = solve(model, own, weights, prior, chosen)
    if not np.isfinite(found.c).all():
        raise Fault(f"coefficients are not finite: {settings.solver} {settings.solver_options}")
    if settings.committee and has_posterior(chosen):
        members = draw_members(found, settings.committee, settings.seed)
        if members is not None and not np.isfinite(members).all():
            raise Fault("members of the committee are not finite")
    return ACCEPTED


def _anything(draw: random.Random, depth: int = 0) -> Any:
    match draw.randrange(6 if depth < 3 else 3):
        case 0:
            return draw.choice(NUMBERS)
        case 1:
            return draw.choice(TEXTS)
        case 2:
            return draw.choice((True, False, None))
        case 3:
            return [_anything(draw, depth + 1) for _ in range(draw.randrange(3))]
        case 4:
            return {
                draw.choice((*TEXTS, *KINDS, *PRIOR.rules)): _anything(draw, depth + 1)
                for _ in range(draw.randrange(3))
            }
        case _:
            return tuple(_anything(draw, depth + 1) for _ in range(draw.randrange(3)))


def _value(draw: random.Random) -> Case:
    """One to three settings with any value."""
    given: dict[str, Any] = {"spec": "a.etace", "output": "m.safetensors", "train": ("a.xyz",)}
    for _ in range(draw.randint(1, 3)):
        name = draw.choice((*SETTINGS, "solver_options"))
        given[name] = draw.choice(NUMBERS) if draw.randrange(3) == 0 else _anything(draw)
        if name == "solver_options" and draw.randrange(2):
            given[name] = {draw.choice(("noise", "prior_scale", "noise_")): draw.choice(NUMBERS)}
    return Case(f"Settings(**{given!r})"[:300], ("python", given))


def _allowed(draw: random.Random) -> Case:
    """What the table allows of all that a solution depends on, its limits among them."""
    given: dict[str, Any] = {"spec": "a.etace", "output": "m.safetensors", "train": ("a.xyz",)}
    given["solver"] = draw.choice(list(SOLVERS))
    given["solver_options"] = _some(draw, SOLVERS[given["solver"]])
    given["prior"] = _some(draw, {k: r for k, r in PRIOR.rules.items() if k != "blocks"})
    if draw.randrange(3) == 0:
        given["prior"]["blocks"] = {"ace.two_body": _of(draw, Number(0, 1e12))}
    if draw.randrange(2):
        given["weights"] = {"default": _some(draw, dict.fromkeys(KINDS, WEIGHT))}
    if draw.randrange(4) == 0:
        given["kinds"] = tuple(draw.sample(KINDS, draw.randint(1, 3)))
    for name, often in (
        ("tune_prior", 30),
        ("noise_per_kind", 30),
        ("valid_fraction", 3),
        ("seed", 2),
    ):
        if draw.randrange(often) == 0:
            given[name] = True if often == 30 else _of(draw, SETTINGS[name])
    given["committee"] = draw.choice((0, 2, 20))
    return Case(f"Settings(**{given!r})"[:300], ("python", given))


def _some(draw: random.Random, rules: Mapping[str, Rule]) -> dict[str, Any]:
    return {name: _of(draw, rule) for name, rule in rules.items() if draw.randrange(2)}


def _of(draw: random.Random, rule: Rule) -> Any:
    """A value that a rule allows: its ends, and between them any power of ten."""
    if isinstance(rule, Maybe):
        return draw.choice((None, _of(draw, rule.rule), _of(draw, rule.rule)))
    if isinstance(rule, Flag):
        return draw.choice((True, False))
    if isinstance(rule, Word):
        return draw.choice(rule.words)
    if isinstance(rule, Whole):
        return draw.choice((rule.least, rule.most, min(draw.randint(1, 50), rule.most)))
    assert isinstance(rule, Number)
    ends = (rule.least,) * (not rule.without_least) + (rule.most,) * (not rule.without_most)
    low, high = math.log10(max(rule.least, 1e-30)), math.log10(rule.most)
    between = 10 ** draw.uniform(low, high)
    usual = min(max(draw.uniform(0, 10), rule.least), rule.most)
    return draw.choice((*ends, between, between, usual, usual))


def _text(draw: random.Random) -> Case:
    """Words put into a settings file, lines moved, taken out or doubled."""
    lines = TOML.splitlines(keepends=True)
    for _ in range(draw.randint(1, 4)):
        k = draw.randrange(len(lines))
        match draw.randrange(5):
            case 0:
                del lines[k]
            case 1:
                lines.insert(draw.randrange(len(lines)), lines[k])
            case 2:
                lines[k] = lines[k].replace(draw.choice(lines[k]), draw.choice(WORDS), 1)
            case 3:
                head, equals, _ = lines[k].partition("=")
                value = draw.choice((*map(repr, NUMBERS), *map(json.dumps, TEXTS), "[]", "{}"))
                lines[k] = f"{head}{equals} {value}\n" if equals else lines[k]
            case _:
                lines[k] = draw.choice(WORDS) + lines[k]
        lines = lines or [""]
    return _file("words", "".join(lines).encode("utf8", "surrogatepass"))


def _bytes(draw: random.Random) -> Case:
    times = draw.choice((1, 2, 5, 20))
    return _file(f"{times} changes of bytes", mutated(draw, TOML.encode(), times))


def _file(name: str, content: bytes) -> Case:
    return Case(f"a settings file, {name}", ("file", None), {"case.fit.toml": content})


def _options(draw: random.Random) -> Case:
    """Words of a command line; data and spec are not there."""
    words = ["a.etace", "--train", "a.xyz", "-o", "m.safetensors"]
    if draw.randrange(3) == 0:
        words[:3] = ["--elements", "Si,O", "--train", "a.xyz"]
    for _ in range(draw.randint(1, 3)):
        option = draw.choice(OPTIONS)
        value = draw.choice((*map(str, NUMBERS[:-4]), *TEXTS)).replace("\0", "\ud800")
        if option in ("--weight", "--solver-option", "-D", "--e0"):
            name = draw.choice(("energy", "a:forces", "noise", "x", "", "Si", ":", "=="))
            value = f"{name}={value}"
        words += [option, value]
    return Case(f"etace fit {words}"[:300], ("command", words))


def _weights(draw: random.Random) -> Case:
    text = "[default]\nenergy = 30\nforces = 1.0\n['a b']\nvirial = 2\n"
    if draw.randrange(2):
        content = mutated(draw, text.encode(), draw.choice((1, 2, 5)))
    else:
        old = draw.choice(("30", "1.0", "energy", "default", "2", "[default]"))
        new = draw.choice((*map(repr, NUMBERS), *map(json.dumps, TEXTS), *WORDS))
        content = text.replace(old, new).encode("utf8", "surrogatepass")
    words = ["a.etace", "--train", "a.xyz", "-o", "m.safetensors", "--weights", "w.toml"]
    return Case("a file of weights", ("command", words), {"w.toml": content})
