"""`etace.fit_model`: the command's fit as one function."""

import inspect
from dataclasses import fields
from pathlib import Path

import etace
import numpy as np
import pytest
from ase.io import read as read_frames
from ase.io import write
from etace.errors import DataError, EtaceError, RequestError
from etace.fit.settings import Settings
from etace.io.model_file import read_model
from etacec.cli import app
from typer.testing import CliRunner

TRAIN = Path(__file__).parents[2] / "examples/data/SiO2_EDI_train.xyz"
SPEC = """etace 1
species Si, O
onebody E0 { Si = -0.8 eV, O = -1.0 eV }
use linear_ace as ace { max_order = 2, max_level = 5, max_l = 2, cutoff = 4.5 Å }
model m = E0 + ace.two_body + ace.many_body
"""
LIGHT = {"extrapolation": False, "kinds": ("energy", "forces")}


@pytest.fixture
def spec(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ETACE_CACHE_DIR", str(tmp_path / "cache"))
    path = tmp_path / "small.etace"
    path.write_text(SPEC)
    return path


def test_lists_of_atoms_become_a_model_and_no_file(spec, tmp_path):
    frames = read_frames(TRAIN, ":12")
    found = etace.fit_model(spec, frames[:10], test=frames[10:], **LIGHT)
    here = {p.name for p in tmp_path.iterdir()} - {"cache"}
    assert here == {"small.etace"} and found.files == ()
    assert {(r["set"], r["count"]) for r in found.report.errors} == {("train", 10), ("test", 2)}
    errors = [
        found.model.energy(f) / len(f) - f.get_potential_energy() / len(f) for f in frames[10:]
    ]  # fmt: skip
    rmse = 1000 * float(np.sqrt(np.mean(np.square(errors))))
    assert found.report.rmse("energy") == pytest.approx(rmse, rel=1e-6)
    assert "RMSE" in str(found.report) and found.model.card["errors"] == found.report.errors
    assert "test energy RMSE" in repr(found) and len(repr(found)) < 500
    with pytest.raises(RequestError, match="no virial errors"):
        found.report.rmse("virial")


def test_files_and_atoms_and_the_command_give_the_same_numbers(spec, tmp_path):
    write(tmp_path / "few.xyz", read_frames(TRAIN, ":12"))
    more = {"test_fraction": 0.2, "split_seed": 1, "committee": 3, "allow_holes": True, **LIGHT}
    by_file = etace.fit_model(spec, "few.xyz", **more)
    by_atoms = etace.fit_model(spec, read_frames("few.xyz", ":"), **more)
    kept = etace.fit_model(spec, ["few.xyz"], output="py.safetensors", **more)
    done = CliRunner().invoke(
        app,
        ["fit", "small.etace", "--train", "few.xyz", "--no-virial", "--no-extrapolation", "-o",
         "cli.safetensors", "--test-fraction", "0.2", "--split-seed", "1", "--committee", "3",
         "--no-report", "--allow-holes"],
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    c = by_file.model.get_linear_parameters()
    np.testing.assert_array_equal(by_atoms.model.get_linear_parameters(), c)
    names = {p.name for p in kept.files} - {"py.holes.xyz"}
    assert (
        {"py.safetensors", "py.fit.toml", "py.html"} >= names >= {"py.safetensors", "py.fit.toml"}
    )
    a, b = (read_model(tmp_path / f"{n}.safetensors")[0] for n in ("py", "cli"))
    assert {k: v.tobytes() for k, v in a.items()} == {k: v.tobytes() for k, v in b.items()}
    text = [(tmp_path / f"{n}.fit.toml").read_text().split("[record")[0] for n in ("py", "cli")]
    assert text[0].replace("py.", "cli.") == text[1]


def test_elements_are_enough(spec, tmp_path):
    frames = read_frames(TRAIN, ":6")
    said = []
    found = etace.fit_model(elements="Si,O", size="small", train=frames, say=said.append, **LIGHT)
    assert found.model.species == ("O", "Si") and any("least squares" in s for s in said)
    assert {p.name for p in tmp_path.iterdir()} - {"cache"} == {"small.etace"}
    assert any("not determined by the data" in s for s in said)


def test_options_and_defaults_are_those_of_the_command(spec):
    from etacec.cli.fit import command

    own = inspect.signature(etace.fit_model).parameters
    other = inspect.signature(command).parameters
    for name in set(own) & set(other) - {"train", "test", "weights"}:
        assert own[name].default == other[name].default, name
    for f in fields(Settings):
        assert f.name in own or f.name in ("split_rule", "packings"), f.name  # of old files alone


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({}, RequestError, "either a spec or elements"),
        ({"spec": "small.etace"}, RequestError, "a fit needs data"),
        ({"spec": "small.etace", "train": "none.xyz"}, EtaceError, "none.xyz: no such file"),
        ({"spec": "small.etace", "train": [3]}, DataError, "train:0 is int, not an ase.Atoms"),
        ({"spec": "small.etace", "train": "ATOMS", "committee": 1}, RequestError, "committee"),
        ({"spec": "small.etace", "train": "ATOMS", "solver": "lu"}, RequestError, "`solver`"),
        ({"spec": "small.etace", "train": "ATOMS", "output": "m.pt"}, RequestError, "`output`"),
        ({"spec": "none.etace", "train": "ATOMS"}, EtaceError, "none.etace"),
        ({"elements": "Si,Xx", "train": "ATOMS"}, RequestError, "Xx is no element"),
        ({"elements": "Si,o", "train": "ATOMS"}, RequestError, "o is no element: write O"),
        (
            {"elements": "Si", "train": "ATOMS"},
            RequestError,
            "contains O, but .* only Si: name all",
        ),
    ],
)
def test_mistakes_are_said(spec, more, error, words):
    if more.get("train") == "ATOMS":
        more = {**more, "train": read_frames(TRAIN, ":3")}
    with pytest.raises(error, match=words):
        etace.fit_model(**more)


def test_help_says_units_errors_and_an_example():
    text = etace.fit_model.__doc__
    assert all(w in text for w in ("eV/Å", "Raises", "found = etace.fit_model("))
    hints = inspect.signature(etace.fit_model)
    assert hints.return_annotation == "FitResult"
    assert all(
        p.annotation is not p.empty and p.annotation != "Any" for p in hints.parameters.values()
    )
