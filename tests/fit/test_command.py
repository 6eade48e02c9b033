"""`etace fit` as a user meets it."""

import json
import tomllib
from pathlib import Path

import etace
import pytest
from ase.io import read, write
from etace.io.model_file import read_model
from etacec.cli import app
from typer.testing import CliRunner

ROOT = Path(__file__).parents[2]
TRAIN = ROOT / "examples/data/SiO2_EDI_train.xyz"
TEST = ROOT / "examples/data/SiO2_EDI_test.xyz"
SPEC = """etace 1
species Si, O
onebody E0 { Si = -0.8 eV, O = -1.0 eV }
use linear_ace as ace { max_order = 2, max_level = 5, max_l = 2, cutoff = 4.5 Å }
model m = E0 + ace.two_body + ace.many_body
"""


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "small.etace"
    path.write_text(SPEC)
    return path


@pytest.fixture(autouse=True)
def no_cache_on_disk(monkeypatch, tmp_path):
    monkeypatch.setenv("ETACE_CACHE_DIR", str(tmp_path / "cache/coupling"))


def etace_fit(*arguments):
    return CliRunner().invoke(app, ["fit", *map(str, arguments)])


def test_a_fit_leaves_a_model_its_settings_and_its_progress(spec, tmp_path):
    out = tmp_path / "m.safetensors"
    options = ("--train", TRAIN, "--test", TEST, "--no-virial", "--no-report")
    done = etace_fit(
        spec, *options, "--weight", "energy=20", "--weight", "glass:forces=2", "-o", out
    )
    assert done.exit_code == 1 and "glass" in done.stderr  # no such config type
    done = etace_fit(spec, *options, "--weight", "energy=20", "-o", out)
    assert done.exit_code == 0, done.stderr
    model = etace.load(out)
    frame = read(TEST, 0)
    assert model.energy(frame) == pytest.approx(frame.get_potential_energy(), abs=0.3)
    settings = tomllib.loads((tmp_path / "m.fit.toml").read_text())
    assert settings["weights"]["default"] == {"energy": 20.0, "forces": 1.0, "virial": 1.0}
    assert settings["kinds"] == ["energy", "forces"]
    assert not [k for k, v in settings.items() if v == {}]
    events = [json.loads(x) for x in (tmp_path / "m.progress.jsonl").read_text().splitlines()]
    assert events[-1]["event"] == "done"
    assert {e.get("step") for e in events} >= {
        "read the data",
        "rows and QR",
        "solve",
        "write the model",
    }
    assert not list(tmp_path.glob("*.checkpoint"))
    tensors, metadata = read_model(out)
    again = etace_fit(tmp_path / "m.fit.toml", "--no-report")
    assert again.exit_code == 0, again.stderr
    tensors_again, again = read_model(out)
    assert {k: t.tobytes() for k, t in tensors_again.items()} == {
        k: t.tobytes() for k, t in tensors.items()
    }
    for card in (metadata["card"], again["card"]):
        del card["date"], card["command"]
    assert again == metadata


def test_elements_are_enough(tmp_path):
    out = tmp_path / "m.safetensors"
    few = tmp_path / "few.xyz"
    write(few, read(TRAIN, ":6"))
    done = etace_fit(
        "--elements", "Si,O", "--size", "small", "--train", few, "-o", out, "--no-report"
    )
    assert done.exit_code == 0, done.stderr
    assert "least squares" in done.stderr
    text = (tmp_path / "m.etace").read_text()
    assert "species O, Si" in text
    assert etace.load(out).length_basis == etace.load(tmp_path / "m.etace").length_basis


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["--train", TRAIN, "-o", "m.safetensors"], "either a SPEC or --elements", 2),
        (["SPEC", "--train", TRAIN], "-o NAME.safetensors", 2),
        (["SPEC", "--train", TRAIN, "-o", "m.pt"], "not `m.pt`", 2),
        (["SPEC", "-o", "m.safetensors"], "a fit needs data", 1),
        (["SPEC", "--train", "none.xyz", "-o", "m.safetensors"], "none.xyz: no such file", 1),
        (["SPEC", "--train", TRAIN, "-o", "nowhere/m.safetensors"], "no such folder", 2),
        (["SPEC", "--train", TRAIN, "-o", "m.safetensors", "--weight", "energy"], "--weight", 2),
        (["SPEC", "--train", TRAIN, "-o", "m.safetensors", "--prior", "smooth"], "no prior", 1),
        (
            ["SPEC", "--train", TRAIN, "-o", "m.safetensors", "--energy-key", "e"],
            "keys there are",
            1,
        ),
        (["--elements", "Si,Xx", "--train", TRAIN, "-o", "m.safetensors"], "no element", 2),
        (["--elements", "Si", "--train", TRAIN, "-o", "m.safetensors"], "contains O", 1),
        (["m.toml"], "no such file", 1),
    ],
)
def test_mistakes_are_said_in_a_line(spec, tmp_path, monkeypatch, arguments, message, code):
    monkeypatch.chdir(tmp_path)
    done = etace_fit(*[spec if a == "SPEC" else a for a in arguments])
    assert done.exit_code == code, (done.stderr, done.exception)
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "m.safetensors").exists()


def test_a_test_set_with_new_species_is_refused_before_the_work(spec, tmp_path):
    other = tmp_path / "other.xyz"
    frame = read(TEST, 0)
    frame.symbols[0] = "Ge"
    write(other, frame)
    done = etace_fit(spec, "--train", TRAIN, "--test", other, "-o", tmp_path / "m.safetensors")
    assert done.exit_code == 1
    assert "other.xyz:0 contains Ge" in done.stderr


def test_a_folder_that_is_none_is_said(spec, tmp_path):
    done = etace_fit(spec, "--train", TRAIN, "--no-report", "-o", "/dev/full/m.safetensors")
    assert done.exit_code == 2


def test_a_structure_that_cannot_be_is_named(spec, tmp_path):
    frames = read(TRAIN, ":3")
    frames[1].positions[1] = frames[1].positions[0]
    write(tmp_path / "same.xyz", frames)
    done = etace_fit(spec, "--train", tmp_path / "same.xyz", "-o", tmp_path / "m.safetensors")
    assert done.exit_code == 1
    assert "same.xyz:1: atom 0 and atom 1 are at the same place" in done.stderr.split("etace: ")[-1]
    done = etace_fit(
        spec, "--train", TRAIN, "--test", tmp_path / "same.xyz", "-o", tmp_path / "m.safetensors"
    )
    assert done.exit_code == 1 and "etace: same.xyz:1: atom 0 and atom 1" in done.stderr
    assert "rank" not in done.stderr  # before the work
    assert not (tmp_path / "m.safetensors").exists()


def test_what_makes_no_sense_is_refused_before_the_work(spec, tmp_path):
    few = tmp_path / "few.xyz"
    write(few, read(TRAIN, ":4"))
    out = tmp_path / "m.safetensors"
    options = (spec, "--train", few, "--no-virial", "--no-report", "-o", out)
    for more, message in (
        (("--smoothness", "nan"), "p of the prior is from 0 to 20"),
        (("--smoothness", "-1"), "p of the prior is from 0 to 20"),
        (("--weight", "forces=1e300"), "forces = 1e+300 is not from 0 to 1e+12"),
        (("--calibrate",), "calibrating is for a committee"),
    ):
        done = etace_fit(*options, *more)
        assert done.exit_code == 1 and message in done.stderr and not out.exists()


def test_a_settings_file_takes_no_other_settings(spec, tmp_path):
    few = tmp_path / "few.xyz"
    write(few, read(TRAIN, ":4"))
    out = tmp_path / "m.safetensors"
    done = etace_fit(spec, "--train", few, "--no-virial", "--no-report", "-o", out)
    assert done.exit_code == 0, done.stderr
    before = out.read_bytes()
    again = etace_fit(tmp_path / "m.fit.toml", "--solver", "qr", "--no-forces", "--no-report")
    assert again.exit_code == 2 and "it takes no --forces, --solver" in again.stderr
    assert out.read_bytes() == before
