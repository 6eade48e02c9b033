"""Extrapolation grades: what they are, and what they are good for."""

import json
from pathlib import Path

import etace
import numpy as np
import pytest
from ase import Atoms
from ase.io import read as read_frames
from ase.io import write
from etace.extrapolation import ALWAYS, HELD_OUT, MARGIN, _reach, learned
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


def functions(model, frames):
    """(species, functions and 1) of all atoms."""
    with host_precision("float64"):
        B = np.concatenate(
            [
                np.asarray(model.potential.site_basis(model.params, model.graph(a)))[: len(a)]
                for a in frames
            ]
        )
    species = np.concatenate([a.get_chemical_symbols() for a in frames])
    return species, np.column_stack([B, np.ones(len(B))])


def test_a_grade_is_the_leverage_over_what_atoms_that_are_left_out_reach(fitted):
    """By least squares on the rows themselves: of all frames, and of those of the other folds."""
    model, frames = fitted
    species, B = functions(model, frames)
    fold = np.repeat([k % 3 for k in range(len(frames))], [len(a) for a in frames])
    _, found = learned(model, frames, [k % 3 for k in range(len(frames))])
    found = np.concatenate(found)
    for z in ("Si", "O"):
        own, f = B[species == z], fold[species == z]
        assert np.linalg.matrix_rank(own) == own.shape[1]
        inside = reached(own, own)
        outside = np.concatenate([reached(own[f == k], own[f != k]) for k in range(3)])
        one = inside / found[species == z]
        np.testing.assert_allclose(one, one[0], rtol=0.1)  # of the ridge
        if z == "O":  # few: the largest lengths, and a margin
            assert MARGIN * outside.max() * 0.9 < one[0] < 6 * outside.max()
    assert found.max() < 1


def reached(rows, of):
    """Lengths of the rows of atoms, by the leverage in others."""
    R = np.linalg.qr(of, mode="r")
    return np.linalg.norm(np.linalg.solve(R.T, rows.T), axis=0)


def test_one_is_a_quantile_and_few_atoms_have_a_margin():
    rng = np.random.default_rng(0)
    many = np.exp(0.3 * rng.normal(size=50_000))
    assert _reach(many) == np.quantile(many, 0.999)
    for n in (3, 30, 300):
        ratio = [_reach(many[k * n : (k + 1) * n]) / _reach(many) for k in range(50)]
        assert 0.7 < np.median(ratio) < 3 and np.max(ratio) < 30
    assert _reach(np.ones(3)) > 1.5 and _reach(np.ones(1)) > 1.5


def test_atoms_like_those_in_training_are_no_extrapolation():
    """At most 0.2 % of the atoms of structures that the model never saw; far more where they are others."""
    model = etace.load(ROOT / "tests/legacy/small.etace")
    frames = read_frames(TRAIN, ":")
    new = read_frames(str(TRAIN).replace("train", "test"), ":")
    model.set_extrapolation(learned(model, frames)[0], HELD_OUT)
    found = np.concatenate(list(model.extrapolation_grades(new)))
    assert np.mean(found > 1) <= 0.002

    def share(change):
        others = [a.copy() for a in new[:20]]
        for a in others:
            change(a)
        return np.mean(np.concatenate(list(model.extrapolation_grades(others))) > 1)

    rng = np.random.default_rng(0)
    assert share(lambda a: a.set_cell(0.85 * a.cell, scale_atoms=True)) > 0.9
    assert share(lambda a: a.set_cell(1.2 * a.cell, scale_atoms=True)) > 0.5
    assert share(lambda a: a.rattle(0.2, rng=rng)) > 0.05
    alone = [Atoms(z, cell=[30, 30, 30], pbc=True) for z in ("Si", "O")]
    assert min(g[0] for g in model.extrapolation_grades(alone)) > 1


def test_an_atom_that_is_always_in_training_is_no_extrapolation(fitted):
    model, frames = fitted
    alone = Atoms("Si", cell=[30, 30, 30], pbc=True)
    without, _ = learned(model, frames, [k % 5 for k in range(12)])
    _, own = learned(model, [alone, *frames], [ALWAYS, *(k % 5 for k in range(12))])
    model.set_extrapolation(without, HELD_OUT)
    before = next(model.extrapolation_grades([alone]))[0]
    assert own[0][0] <= 1 and own[0][0] < before
    # a species that no fold leaves out has a scale all the same
    lonely, own = learned(model, frames[:1], [ALWAYS])
    assert np.isfinite(lonely).all() and max(g.max() for g in own) < 1


def test_it_grows_where_there_are_no_data(fitted):
    model, frames = fitted
    model.set_extrapolation(learned(model, frames)[0], HELD_OUT)
    squeezed = frames[0].copy()
    squeezed.set_cell(0.85 * squeezed.cell, scale_atoms=True)
    near = frames[0].copy()
    near.positions[3] = near.positions[0] + [0.9, 0.0, 0.0]
    plain, dense, hit = model.extrapolation_grades([frames[0], squeezed, near])
    assert plain.max() < 1 and dense.min() > 2 and hit[[0, 3]].min() > 10


def test_it_is_kept_in_the_file_and_goes_with_the_parameters(fitted, tmp_path):
    model, frames = fitted
    model.save(tmp_path / "m.safetensors")
    again = etace.load(tmp_path / "m.safetensors")
    assert again.graded_by == model.graded_by == HELD_OUT
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

    options = (
        "--train",
        few,
        "--test",
        few,
        "--no-virial",
        "--no-report",
        "--allow-holes",
        "-o",
        model,
    )
    done = call("fit", spec, *options, "--committee", 4, "--seed", 3)
    assert done.exit_code == 0 and "extrapolation grade of the test set: at most " in done.stderr
    facts = json.loads(call("info", model, "--json").stdout)
    assert (facts["committee"], facts["extrapolation"], facts["card"]["seed"]) == (4, True, 3)
    assert facts["card"]["extrapolation_grades"] is True
    shown = " ".join(call("info", model).stdout.split())
    assert "committee 4 members, calibrated by 5 folds of 8 structures: energy, forces" in shown
    assert f"settings, sha256 {facts['card']['settings_sha256']}" in shown
    assert "{" not in shown and "written by etace" in shown
    assert "yes; 1: beyond 99.9 % of the atoms that cross-validation left out" in shown
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
