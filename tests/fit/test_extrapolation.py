"""Extrapolation grades: what they are, and what they are good for."""

import json
from pathlib import Path

import etace
import numpy as np
import pytest
from ase.io import read as read_frames
from ase.io import write
from etace.extrapolation import learned
from etace.precision import host_precision
from etacec.cli import app
from typer.testing import CliRunner

ROOT = Path(__file__).parents[2]
TRAIN = ROOT / "examples/data/SiO2_EDI_train.xyz"
SPEC = """etace 1
species Si, O
learnable onebody E0 { Si = -0.8 eV, O = -1.0 eV }
use linear_ace as ace { max_order = 2, max_level = 5, max_l = 2, cutoff = 4.5 Å }
model m = E0 + ace.two_body + ace.many_body
"""


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    path = tmp_path_factory.mktemp("grades") / "m.etace"
    path.write_text(SPEC)
    model = etace.load(path)
    frames = read_frames(TRAIN, ":12")
    L, grades = learned(model, frames)
    model.set_extrapolation(L)
    np.testing.assert_allclose(  # in the order of the structures, whatever that of the work was
        np.concatenate(grades), np.concatenate(list(model.extrapolation_grades(frames))), rtol=1e-9
    )
    return model, frames


def test_a_grade_is_the_leverage_over_the_largest_in_training(fitted):
    model, frames = fitted
    with host_precision("float64"):
        B = np.concatenate(
            [
                np.asarray(model.potential.site_basis(model.params, model.graph(a)))[: len(a)]
                for a in frames
            ]
        )
    species = np.concatenate([a.get_chemical_symbols() for a in frames])
    expected = np.zeros(len(B))
    for z in ("Si", "O"):
        own = np.column_stack([B[species == z], np.ones((species == z).sum())])
        Q, _ = np.linalg.qr(own)  # the hat matrix is Q Q^T
        leverage = np.sum(Q * Q, axis=1)
        expected[species == z] = np.sqrt(leverage / leverage.max())
    found = np.concatenate(list(model.extrapolation_grades(frames)))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert found.max() == pytest.approx(1)


def test_it_grows_where_there_are_no_data(fitted):
    model, frames = fitted
    squeezed = frames[0].copy()
    squeezed.set_cell(0.85 * squeezed.cell, scale_atoms=True)
    near = frames[0].copy()
    near.positions[3] = near.positions[0] + [0.9, 0.0, 0.0]
    plain, dense, hit = model.extrapolation_grades([frames[0], squeezed, near])
    assert plain.max() <= 1 + 1e-12 and dense.min() > 2 and hit[[0, 3]].min() > 20


def test_it_is_kept_in_the_file_and_goes_with_the_parameters(fitted, tmp_path):
    model, frames = fitted
    model.save(tmp_path / "m.safetensors")
    again = etace.load(tmp_path / "m.safetensors")
    expected = next(model.extrapolation_grades(frames[:1]))
    np.testing.assert_allclose(next(again.extrapolation_grades(frames[:1])), expected, rtol=1e-3)
    atoms = frames[0].copy()
    atoms.calc = again.calculator()
    atoms.get_potential_energy()
    assert "extrapolation_grade" not in atoms.calc.results
    np.testing.assert_allclose(
        atoms.calc.get_property("extrapolation_grade", atoms), expected, rtol=1e-3
    )
    atoms.calc = again.calculator(extrapolation=True)
    atoms.get_potential_energy()
    assert atoms.calc.results["extrapolation_grade"].shape == (len(atoms),)
    with pytest.raises(etace.EtaceError, match="extrapolation needs"):
        again.set_extrapolation(np.zeros((1, 2, 2)))
    again.set_linear_parameters(again.get_linear_parameters())
    assert again.extrapolation is None
    with pytest.raises(etace.EtaceError, match="no extrapolation grades"):
        again.extrapolation_grades(frames)


def test_fit_and_run_speak_of_it(tmp_path, monkeypatch):
    monkeypatch.setenv("ETACE_CACHE_DIR", str(tmp_path / "cache"))
    spec, few = tmp_path / "m.etace", tmp_path / "few.xyz"
    spec.write_text(SPEC)
    write(few, read_frames(TRAIN, ":8"))
    model, out = tmp_path / "m.safetensors", tmp_path / "out.xyz"

    def call(*arguments):
        return CliRunner().invoke(app, [str(a) for a in arguments])

    options = ("--train", few, "--test", few, "--no-virial", "--no-report", "-o", model)
    done = call("fit", spec, *options, "--committee", 4, "--calibrate", "--seed", 3,
                "--valid-fraction", 0.25)  # fmt: skip
    assert done.exit_code == 0 and "extrapolation grade of the test set: at most " in done.stderr
    facts = json.loads(call("info", model, "--json").stdout)
    assert (facts["committee"], facts["extrapolation"], facts["card"]["seed"]) == (4, True, 3)
    assert facts["card"]["extrapolation_grades"] is True
    scale = facts["card"]["committee"]["scale"]
    shown = " ".join(call("info", model).stdout.split())
    assert f"committee 4 members, spread scaled by {scale:.4g} to the errors" in shown
    assert f"settings, sha256 {facts['card']['settings_sha256']}" in shown
    assert "{" not in shown and "written by etace" in shown
    ran = call("run", model, few, "--extrapolation", "-o", out)
    assert ran.exit_code == 0 and "max grade" in ran.stdout, ran.stderr
    grades = read_frames(out, ":")[0].arrays["etace_extrapolation_grade"]
    assert grades.min() > 0 and grades.max() < 100
    page = tmp_path / "page.html"
    judged = call("eval", model, few, "--extrapolation", "-o", page)
    assert judged.exit_code == 0, judged.stderr
    assert " % within 1 sd (68 % expected), " in judged.stdout
    assert "extrapolation grade: at most " in judged.stdout
    assert all(f'<section id="{x}">' in page.read_text() for x in ("grades", "calibration"))
    bare = call("fit", spec, *options, "--no-extrapolation", "--no-repulsion")
    assert bare.exit_code == 0
    assert "warning: the dimer O-O falls to -" in bare.stderr
    refused = call("eval", model, few, "--extrapolation")
    assert refused.exit_code == 2 and "no extrapolation grades" in refused.stderr
    shown = " ".join(call("info", model).stdout.split())
    assert "committee none extrapolation grades none" in shown and "members" not in shown
    refused = call("run", model, few, "--extrapolation")
    assert refused.exit_code == 1 and "no extrapolation grades" in refused.stderr
    assert not refused.stdout
    refused = call("fit", spec, *options, "--committee", 4, "--solver", "qr")
    assert refused.exit_code == 2 and "no posterior to draw a committee" in refused.stderr
