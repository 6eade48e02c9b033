"""Holes: said, shown in a file, and accepted only by those who say so."""

from pathlib import Path

import etace
import pytest
from ase.io import read as read_frames
from ase.io import write
from etace.fit.holes import PARTS, TIGHT, of_packings, sentences
from etace.io.model_file import read_model
from etace.io.ours import is_ours
from etacec.cli import app
from typer.testing import CliRunner

TRAIN = Path(__file__).parents[2] / "examples/data/SiO2_EDI_train.xyz"
SPEC = """etace 1
species Si, O
onebody E0 { Si = -0.8 eV, O = -1.0 eV }
use linear_ace as ace { max_order = 3, max_level = 6, max_l = 1, cutoff = 4.5 Å }
model m = E0 + ace.two_body + ace.many_body
"""
LIGHT = ["--no-virial", "--no-extrapolation", "--no-report"]


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("m.etace").write_text(SPEC)
    write("few.xyz", read_frames(TRAIN, ":6"))
    return tmp_path


def fitted(*more, of=("m.etace",)):
    options = ["fit", *of, "--train", "few.xyz", "-o", "m.safetensors", *LIGHT, *more]
    return CliRunner().invoke(app, options)


def test_holes_have_an_exit_code_and_a_file_of_their_own(here):
    default = ("--elements", "Si,O", "--size", "small", "--force")
    done = fitted("--no-repulsion", of=default)
    assert done.exit_code == 3, done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert "m.holes.xyz" in last and "--allow-holes" in last
    assert fitted("--no-repulsion", "--allow-holes", of=default).exit_code == 0
    Path("m.etace").write_text(SPEC)
    done = fitted("--no-repulsion")
    assert done.exit_code == 0, done.stderr
    assert "holes, where atoms pull together" in done.stderr.strip().splitlines()[-1]
    shown = read_frames("m.holes.xyz", ":")
    assert is_ours("m.holes.xyz") and all(a.info["hole"] for a in shown)
    about = read_model(Path("m.safetensors"))[1]["card"]["holes"]
    assert about["packings"] + len(about["dimers"]) == len(shown)
    assert about["packings"] and set(about["elements"]) <= {"Si", "O"}
    assert Path("m.fit.toml").is_file()

    allowed = fitted("--no-repulsion", "--allow-holes")
    assert allowed.exit_code == 0 and Path("m.holes.xyz").is_file()
    again = CliRunner().invoke(app, ["fit", "m.fit.toml", "--no-report"])
    assert again.exit_code == 0, again.stderr  # allowed in the settings too


def test_from_python_holes_are_warnings_that_can_be_accepted(here):
    options = {"kinds": ("energy", "forces"), "extrapolation": False, "repulsion": False}
    found = etace.fit_model("m.etace", "few.xyz", **options)
    assert found.report.holes and not Path("model.holes.xyz").exists()
    said = sentences(found.report.holes)
    assert said and set(said) <= set(found.report.warnings)
    accepted = etace.fit_model("m.etace", "few.xyz", allow_holes=True, **options)
    assert len(accepted.report.holes) == len(found.report.holes)
    assert not set(said) & set(accepted.report.warnings)


def test_a_fit_mends_holes_and_removes_the_file_of_those_before(here):
    options = {"kinds": ("energy", "forces"), "extrapolation": False, "write_report": False}
    bare = etace.fit_model("m.etace", "few.xyz", repulsion=False, output="m.safetensors", **options)
    assert Path("m.holes.xyz").is_file()
    mended = etace.fit_model("m.etace", "few.xyz", output="m.safetensors", **options)
    assert len(mended.report.holes) < len(bare.report.holes)
    assert Path("m.holes.xyz").is_file() == bool(mended.report.holes)


class Spring:
    """E = -V0 / V per atom squeezed below a part of V0, else V0 / V: what falls only there."""

    def __init__(self, part):
        self.part = part

    def evaluate_many(self, frames, told):
        from types import SimpleNamespace

        import numpy as np

        for a in frames:
            part = a.cell.volume / (10.0 * len(a))
            sign = 1 if part > self.part else -1
            yield SimpleNamespace(
                energy=sign * len(a) / part, virial=sign * len(a) / part * np.eye(3)
            )


@pytest.mark.parametrize("part", [0.8, 0.55, 0.26, 0.2])
def test_the_first_part_that_falls_is_named(part):
    found = of_packings(Spring(part), {"Si": 10.0, "O": 10.0}, 0)
    below = [p for p in PARTS if p <= min(part, TIGHT)]
    assert {h.part for h in found} == {*below[:1]}
    assert all(h.atoms.cell.volume == pytest.approx(10 * len(h.atoms) * h.part) for h in found)
    assert bool(sentences(found)) == bool(below)
