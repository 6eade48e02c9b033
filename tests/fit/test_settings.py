"""Settings from anywhere: each is checked once against one table, and the message says what it takes."""

import inspect
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest
from etace.errors import EtaceError, RequestError
from etace.fit.job import _check_room
from etace.fit.priors import DEFAULTS, Prior
from etace.fit.rules import SettingError
from etace.fit.settings import Settings, from_toml, to_toml
from etace.fit.solvers import SOLVERS, solver
from etace.fit.table import PRIOR, SETTINGS
from etace.fit.table import SOLVERS as OPTIONS
from etace.fit.weights import Weights
from etacec.cli import app
from typer.testing import CliRunner

LEAST = {"spec": "a.etace", "output": "m.safetensors", "train": ("a.xyz",)}
TOML = 'spec = "a.etace"\noutput = "m.safetensors"\ntrain = ["a.xyz"]\n'


def test_the_table_has_every_setting_and_every_option():
    assert {*SETTINGS, "solver_options"} == {f.name for f in fields(Settings)}
    assert SETTINGS["solver"].words == tuple(SOLVERS) == tuple(OPTIONS)
    for name, solve in SOLVERS.items():
        own = [p for p in inspect.signature(solve).parameters.values() if p.kind is p.KEYWORD_ONLY]
        assert {p.name.removesuffix("_") for p in own} == set(OPTIONS[name])
        for p in own:  # a default is what the table allows
            OPTIONS[name][p.name.removesuffix("_")].check(p.name, p.default)
    assert PRIOR.rules["kind"].words == tuple(DEFAULTS)
    assert set(PRIOR.rules) == {f.name for f in fields(Prior)} - {"diagonal"}


# Lines of a settings file, and what is said of them
WRONG = [
    ('repulsion = "false"', '`repulsion` must be true or false, without quotes, found "false"'),
    ("repulsion = 0", "`repulsion` must be true or false, found 0"),
    ("calibrate = 1", "`calibrate` must be one of folds, validation, none, found 1"),
    ("extrapolation = []", "`extrapolation` must be true or false, found an empty list"),
    ("calibrate = true", "`calibrate` is for a committee, and there is none"),
    ("committee = 1000000000", "`committee` must be a whole number from 0 to 10000"),
    ("committee = 1", "`committee` must be 0, or 2 members or more"),
    ("committee = -3", "`committee` must be a whole number from 0"),
    ("committee = 4.0", "`committee` must be a whole number from 0 to 10000, found 4.0"),
    ("committee = true", "`committee` must be a whole number from 0 to 10000, found true"),
    ("holdout = nan", "`holdout` must be a number from 0 to less than 1, found nan"),
    ("holdout = 1", "`holdout` must be a number from 0 to less than 1, found 1"),
    ("valid_fraction = 1", "`valid_fraction` must be a number from 0 to less than 1, found 1"),
    ("committee = 4\ncalibrate = true", "`calibrate` by validation needs structures that are not fitted"),
    ('test = ["b.xyz"]\ntest_fraction = 0.1', "`test` names another"),
    ('holdout = "0.1"', '`holdout` must be a number from 0 to less than 1, found "0.1"'),
    ("seed = 1.5", "`seed` must be a whole number"),
    (f"seed = {10**40}", "`seed` must be a whole number"),
    ("seed = 1979-05-27", "`seed` must be a whole number"),
    ('test = "b.xyz"', '`test` must be a list of names of files, found "b.xyz"'),
    ("test = [1]", "`test[0]` must be the name of a file, found 1"),
    ('test = [""]', '`test[0]` must be the name of a file, found ""'),
    ('test = ["a\\u0000"]', "`test[0]` is the name of a file that is not UTF-8"),
    ("kinds = []", "`kinds` must name some of energy, forces, virial"),
    ('kinds = "energy"', "`kinds` must be a list of some of energy, forces, virial"),
    ('kinds = ["energy", "energy"]', "each once"),
    ('kinds = ["force"]', '`kinds[0]` must be one of energy, forces, virial, found "force"'),
    ("model = 3", "`model` must be text in quotes, found 3"),
    ('solver = "brl"', '`solver` must be one of blr, qr'),
    ("solver = []", "`solver` must be one of blr, qr"),
    ("overrides = { max_level = 4 }", "`overrides.max_level` must be text in quotes, found 4"),
    ("keys = { energie = 'e' }", "`keys.energie` is unknown (did you mean `energy`?)"),
    ("keys = { energy = 3 }", "`keys.energy` must be text in quotes, found 3"),
    ("weights = { default = 3 }", "`weights.default` must be a table with some of energy, forces"),
    ("weights = { default = { force = 3 } }", "(did you mean `forces`?)"),
    ("weights = { a = { energy = -1 } }", "`weights.a.energy` must be a number from 0 to 1e+12"),
    ("weights = { a = { energy = inf } }", "`weights.a.energy` must be a number from 0 to 1e+12"),
    ("weights = [1]", "`weights` must be a table"),
    ('prior = "none"', "`prior` must be a table with some of kind, p, wl, wn, n, blocks"),
    ("prior = { smoothness = 4 }", "`prior.smoothness` is unknown"),
    ("prior = { kind = 4 }", "`prior.kind` must be one of algebraic"),
    ("prior = { p = [4] }", "`prior.p` must be a number from 0 to 20, found a list with 4"),
    ("prior = { wl = 0 }", "`prior.wl` must be a number from 0.01 to 20, found 0"),
    ("prior = { wn = 1e-300 }", "`prior.wn` must be a number from 0.01 to 20, found 1e-300"),
    ("prior = { blocks = { V = -1 } }", "`prior.blocks.V` must be a number from 0"),
    ("solver_options = { noise = -1 }", "`solver_options.noise` must be a number from 1e-30"),
    ("solver_options = { rtol = 1 }", "`solver_options.rtol` is unknown"),
    ("solver_options = 3", "`solver_options` must be a table"),
    ('solver = "lars"\nsolver_options = { refit = "false" }', "must be true or false"),
    ('solver = "omp"\nsolver_options = { size = true }', "must be a whole number"),
    ('tune_prior = true\nprior = { kind = "none" }', "`tune_prior` has nothing to tune"),
    ('noise_per_kind = true\nkinds = ["energy"]', "`noise_per_kind` needs labels of two kinds"),
    ("commitee = 4", "`commitee` is unknown (did you mean `committee`?)"),
    ("a = " + "[" * 5000, "nested too deep"),
    ("seed = " + "9" * 5000, "is not TOML"),
    ("seed =", "is not TOML"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "message"), WRONG, ids=lambda x: x[:30])
def test_a_settings_file_is_refused_in_one_line(tmp_path, line, message):
    path = tmp_path / "m.fit.toml"
    path.write_text(TOML + line + "\n", encoding="utf8")
    with pytest.raises(RequestError) as error:
        from_toml(path)
    assert str(error.value).startswith(str(path))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


ODD = [
    None, True, False, 0, 1, -1, 2, 10**9, 10**400, -(10**400), 0.0, -0.0, 0.5, 1e-320, 1e300,
    float("nan"), float("inf"), -float("inf"), 1j, "", " ", "false", "nan", "blr", "\0", "\ud800", "a" * 10_000,
    [], [[]], [None], ["a", 1], ("energy",), ("a.xyz", ""), {}, {"": 1}, {1: 2}, {"default": None}, {"kind": {}},
    {"wl": None, "p": 3}, {"default": {"energy": "3"}}, {"noise": float("nan")}, {"p": 10**400}, {"energy": ["e"]}, set(), b"x", object(), len,
]  # fmt: skip


def attempt(make):
    """(what is made, "") or (None, the one line that refuses it); nothing else may be raised."""
    try:
        return make(), ""
    except SettingError as error:
        said = str(error)
    assert said.count("\n") == 0
    return None, said


@pytest.mark.parametrize("name", [f.name for f in fields(Settings)])
def test_odd_values_are_refused_or_survive_the_file(tmp_path, name):
    """No other exception; what is accepted is written, read and the same."""
    for value in ODD:
        settings, said = attempt(lambda value=value: Settings(**{**LEAST, name: value}))
        assert len(said) < 400
        if settings is None:
            continue
        moved = Settings(
            **{**asdict(settings), "output": str(tmp_path / Path(settings.output).name)}
        )
        path = tmp_path / "m.fit.toml"
        path.write_text(to_toml(moved, {}), encoding="utf8")
        again = from_toml(path)
        for f in fields(Settings):
            if f.name not in ("spec", "output", "train", "test", "weights", "prior"):
                assert getattr(again, f.name) == getattr(moved, f.name)
        assert Prior(**again.prior) == Prior(**moved.prior)
        assert again.weights == Weights(moved.weights).resolved()


@pytest.mark.parametrize("name", OPTIONS)
def test_odd_options_are_refused_or_taken(name):
    for option in OPTIONS[name]:
        for value in ODD:
            found, said = attempt(lambda v=value, o=option: solver(name, **{o: v}))
            assert callable(found) or f"solver_options.{option}" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--smoothness", "nan"], "--smoothness must be a number from 0 to 20, found nan"),
        (["--holdout", "-0.1"], "--valid-fraction must be a number from 0 to less than 1, found -0.1"),
        (["--committee", "1000000000"], "--committee must be a whole number from 0 to 10000"),
        (["--seed", "9" * 30], "--seed must be a whole number"),
        (["--prior", "expo"], "--prior must be one of algebraic, exponential"),
        (["--solver", "svd"], "--solver must be one of blr"),
        (["--solver-option", "nois=1"], "--solver-option nois is unknown (did you mean `noise`?)"),
        (["--solver-option", "noise=loud"], '--solver-option noise must be a number from 1e-30 to'),
        (["--solver-option", "noise=²"], "--solver-option noise must be a number"),
        (["--solver", "lars", "--solver-option", "refit=no"], "refit must be true or false"),
        (["--solver", "omp", "--solver-option", "size=1e3"], "size must be a whole number"),
        (["--weight", "energy=nan"], "--weight default:energy must be a number from 0 to 1e+12"),
        (["--weight", "energie=1"], "--weight default:energie is unknown (did you mean `energy`?)"),
        (["--weight", "a:b:forces=x"], "--weight a:b:forces must be a number"),
        (["--weight", "=1"], "--weight takes [TYPE:]KIND=NUMBER"),
        (["--test", ""], '--test must be the name of a file, found ""'),
        (["--no-energy", "--no-forces", "--no-virial"], "--energy, --forces and --virial must"),
        (["--weights", "w.toml"], "w.toml: `weights.default.energy` must be a number from 0"),
        (["--weights", "none.toml"], "none.toml: no such file"),
    ],
    ids=lambda x: " ".join(x)[:40] if isinstance(x, list) else "",
)  # fmt: skip
def test_the_command_names_its_option(tmp_path, monkeypatch, options, message):
    """Before the spec or the data are looked for: neither is there."""
    monkeypatch.chdir(tmp_path)
    Path("w.toml").write_text('[default]\nenergy = "30"\n')
    done = CliRunner().invoke(
        app, ["fit", "a.etace", "--train", "a.xyz", "-o", "m.safetensors", *options]
    )
    assert done.exit_code == 2, done.output
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


def test_options_of_the_command_have_their_own_types():
    """`refit=false` is off, and a whole number stays one."""
    from etacec.cli.fit import _options, _weights

    assert _options("lars", ["refit=false", "size=3", "within=1"]) == {
        "refit": False,
        "size": 3,
        "within": 1.0,
    }
    assert _weights(["a:b:energy=2", "forces=1e-3"], None) == {
        "a:b": {"energy": 2.0},
        "default": {"forces": 1e-3},
    }


def test_weights_and_priors_in_python_are_those_of_the_table():
    for make in (
        lambda: Weights({"a": {"force": 1}}),
        lambda: Prior("smooth"),
        lambda: Prior(p=21),
    ):
        with pytest.raises(SettingError):
            make()


def test_a_committee_that_memory_is_not_for_is_refused_before_the_work():
    _check_room(100, 10_000)
    with pytest.raises(SettingError, match=r"takes 4.8 GB; the limit is 2 GB, so 41 members"):
        _check_room(100, 6_000_000)


@pytest.mark.parametrize("content", [b"\xff\xfe", b"\xef\xbb\xbf" + TOML.encode(), b""])
def test_other_bytes(tmp_path, content):
    path = tmp_path / "m.fit.toml"
    path.write_bytes(content)
    if content.startswith(b"\xef\xbb\xbf"):  # a byte order mark is no mistake
        assert from_toml(path).solver == "blr"
        return
    with pytest.raises(EtaceError):
        from_toml(path)


def test_what_an_earlier_version_wrote_is_read(tmp_path):
    """Every line of a file of version 0.1."""
    path = tmp_path / "m.fit.toml"
    path.write_text(
        'spec = "../a.etace"\noutput = "m.safetensors"\ntrain = ["a.xyz", "postgresql://h/db@x<9"]\n'
        'test = []\nkinds = ["energy", "forces", "virial"]\nsolver = "qr"\nrepulsion = true\n'
        "tune_prior = false\nnoise_per_kind = false\nholdout = 0.0\ncommittee = 0\ncalibrate = false\n"
        'extrapolation = true\nseed = 0\n\n[overrides]\nmax_l = "3"\n\n[keys]\nenergy = "E"\nstress = ""\n\n'
        "[weights.default]\nenergy = 30.0\nforces = 1.0\nvirial = 1.0\n\n[prior]\n"
        'kind = "algebraic"\np = 4.0\n\n[prior.blocks]\n"ace.two_body" = 2\n\n[solver_options]\nlambda = 1\n\n'
        '[record]\ndate = "2026-01-01T00:00:00+00:00"\nseconds_in_all = 1.0\n',
        encoding="utf8",
    )
    found = from_toml(path)
    assert found.solver_options == {"lambda": 1.0}
    assert found.calibrate == "none"
    assert found.keys == {"energy": "E", "stress": ""}
    prior = {"kind": "algebraic", "p": 4.0, "n": "index", "blocks": {"ace.two_body": 2.0}}
    assert found.prior == prior, "what n is was not asked then"
    assert found.train[1] == "postgresql://h/db@x<9"
    old = path.read_text().replace("holdout = 0.0", "holdout = 0.2").replace("seed = 0", "seed = 5")
    path.write_text(old, encoding="utf8")
    found = from_toml(path)
    assert (found.valid_fraction, found.split_seed, found.test_fraction) == (0.2, 5, 0.0)
    assert found.split_rule == "0.1"
    written = path.with_name("n.fit.toml")
    written.write_text(to_toml(replace(found, output=str(path.with_name("n.safetensors"))), {}))
    assert from_toml(written).split_rule == "0.1"  # repeats stay the same
    path.write_text(old.replace("holdout = 0.2", "valid_fraction = 0.2"), encoding="utf8")
    assert from_toml(path).split_rule == "copies"
