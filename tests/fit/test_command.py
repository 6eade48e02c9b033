"""`etace fit` as a user meets it."""

import json
import tomllib
from pathlib import Path

import etace
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from etace.fit.settings import Settings, to_toml
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
    monkeypatch.setenv("ETACE_CACHE_DIR", str(tmp_path / "cache"))


def etace_fit(*arguments):
    return CliRunner().invoke(app, ["fit", *map(str, arguments)])


def test_a_fit_leaves_a_model_its_settings_and_its_progress(spec, tmp_path):
    out = tmp_path / "m.safetensors"
    options = ("--train", TRAIN, "--test", TEST, "--no-virial", "--no-report", "--allow-holes")
    done = etace_fit(
        spec, *options, "--weight", "energy=20", "--weight", "glass:forces=2", "-o", out
    )
    assert done.exit_code == 2 and "glass" in done.stderr  # no such config type
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
        "--elements",
        "Si,O",
        "--size",
        "small",
        "--train",
        few,
        "-o",
        out,
        "--no-report",
        "--allow-holes",
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
        (["SPEC", "-o", "m.safetensors"], "a fit needs data", 2),
        (["SPEC", "--train", "none.xyz", "-o", "m.safetensors"], "none.xyz: no such file", 2),
        (["SPEC", "--train", TRAIN, "-o", "nowhere/m.safetensors"], "no such folder", 2),
        (["SPEC", "--train", TRAIN, "-o", "m.safetensors", "--weight", "energy"], "--weight", 2),
        (
            ["SPEC", "--train", TRAIN, "-o", "m.safetensors", "--prior", "smooth"],
            "--prior must be one of algebraic",
            2,
        ),
        (
            ["SPEC", "--train", TRAIN, "-o", "m.safetensors", "--energy-key", "e"],
            "keys there are",
            1,
        ),
        (["--elements", "Si,Xx", "--train", TRAIN, "-o", "m.safetensors"], "no element", 2),
        (["--elements", "Si", "--train", TRAIN, "-o", "m.safetensors"], "contains O", 2),
        (["m.toml"], "no such file", 2),
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
        (("--smoothness", "nan"), "--smoothness must be a number from 0 to 20, found nan"),
        (("--smoothness", "-1"), "--smoothness must be a number from 0 to 20, found -1"),
        (
            ("--weight", "forces=1e300"),
            "--weight default:forces must be a number from 0 to 1e+12, found 1e+300",
        ),
        (("--committee", "1"), "--committee must be 0, or 2 members or more, found 1"),
    ):
        done = etace_fit(*options, *more)
        assert done.exit_code == 2 and message in done.stderr and not out.exists()


def test_a_settings_file_takes_no_other_settings(spec, tmp_path):
    few = tmp_path / "few.xyz"
    write(few, read(TRAIN, ":4"))
    out = tmp_path / "m.safetensors"
    done = etace_fit(spec, "--train", few, "--no-virial", "--no-report", "--allow-holes", "-o", out)
    assert done.exit_code == 0, done.stderr
    before = out.read_bytes()
    again = etace_fit(tmp_path / "m.fit.toml", "--solver", "qr", "--no-forces", "--no-report")
    assert again.exit_code == 2 and "it takes no --forces, --solver" in again.stderr
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--holdout", "0.9999"], "leaves none to fit"),
        (["--test-fraction", "0.001"], "a test part of 0.001 takes no structure"),
        (["--weight", "energy=0", "--weight", "forces=0", "--no-virial"], "all weights"),
        (["--train", TRAIN], "named twice"),
    ],
)
def test_nothing_to_fit_is_said(spec, tmp_path, arguments, message):
    done = etace_fit(spec, "--train", TRAIN, "-o", tmp_path / "m.safetensors", *arguments)
    assert done.exit_code == 2, done.stderr
    assert message in done.stderr
    assert not list(tmp_path.glob("m.*"))


def test_doubts_on_the_data_are_said_and_stay_with_the_model(tmp_path):
    few = read(TRAIN, ":8")
    other = read(TEST, 0)
    other.calc = SinglePointCalculator(
        other, energy=other.get_potential_energy(), forces=60 + other.get_forces()
    )
    few_path, test = tmp_path / "few.xyz", tmp_path / "test.xyz"
    write(few_path, few)
    write(test, [few[2], other])
    spec = tmp_path / "more.etace"
    spec.write_text(
        SPEC.replace("Si, O", "Si, O, H").replace("O = -1.0 eV", "O = -1.0 eV, H = 0 eV")
    )
    out = tmp_path / "m.safetensors"
    options = ("--no-report", "--allow-holes")
    done = etace_fit(spec, "--train", few_path, "--test", test, "-o", out, *options)
    assert done.exit_code == 0, done.stderr
    for line in (
        "no training structure has H",
        "1 of 2 test structures are in the training set too",
        "test set: forces do not sum to zero",
    ):
        assert f"warning: {line}" in done.stderr, done.stderr


def test_a_fit_that_fails_leaves_what_an_earlier_one_wrote(tmp_path):
    few, bad = tmp_path / "few.xyz", tmp_path / "bad.xyz"
    write(few, read(TRAIN, ":6"))
    write(bad, read(TRAIN, ":5"))
    options = (
        "--elements",
        "Si,O",
        "--no-report",
        "--allow-holes",
        "-o",
        tmp_path / "m.safetensors",
    )
    assert etace_fit(*options, "--size", "small", "--train", few).exit_code == 0
    kept = {p: p.read_bytes() for p in tmp_path.glob("m.*")}
    assert len(kept) >= 4
    bad.write_text(bad.read_text().replace("Si", "Ge"))
    done = etace_fit(*options, "--train", few, "--test", bad)
    assert done.exit_code == 1
    assert "Ge" in done.stderr
    assert {p: p.read_bytes() for p in tmp_path.glob("m.*")} == kept


def test_a_sparse_fit_becomes_a_smaller_model(spec, tmp_path):
    few, out, small = (tmp_path / n for n in ("few.xyz", "m.safetensors", "pruned.safetensors"))
    write(few, read(TRAIN, ":8"))
    done = etace_fit(
        spec,
        "--train",
        few,
        "--solver",
        "omp",
        "--solver-option",
        "size=12",
        "-o",
        out,
        "--no-report",
        "--allow-holes",
    )
    assert done.exit_code == 0, done.stderr
    assert "coefficients are 0: `etace prune`" in done.stderr
    made = CliRunner().invoke(app, ["prune", str(out), "-o", str(small)])
    assert made.exit_code == 0, made.output
    old, new = etace.load(out), etace.load(small)
    assert new.length_basis < old.length_basis
    frame = read(TEST, 0)
    assert new.energy(frame) == pytest.approx(old.energy(frame), abs=1e-10)
    assert etace.load(small.with_suffix(".etace")).length_basis == new.length_basis
    assert new.card["errors"] == old.card["errors"]
    assert new.card["functions"] < old.card["functions"] == new.card["pruned_from"]["functions"]


def test_a_password_stays_out_of_what_is_handed_on():
    settings = Settings("a.etace", "m.safetensors", ("postgresql://me:secret@host/db@natoms<9",))
    assert 'train = ["postgresql://me@host/db@natoms<9"]' in to_toml(settings, {})
