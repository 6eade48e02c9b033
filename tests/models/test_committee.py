"""Committees: every member as a model of its own, in files, in ASE and in the command."""

from pathlib import Path

import etace
import numpy as np
import pytest
from ase.build import bulk
from ase.io import read
from etace.inference.form import full
from etacec.cli import app
from typer.testing import CliRunner

ROOT = Path(__file__).parents[2]
FRAMES = ROOT / "examples/data/SiO2_EDI_test.xyz"
ORDER_5 = """etace 1
species Si
use linear_ace as ace { max_order = 5, max_level = 6, max_l = 2, cutoff = 4.5 Å }
model m = ace.two_body + ace.many_body
"""


def with_committee(model, members=4):
    rng = np.random.default_rng(0)
    c = 0.1 * rng.normal(size=model.length_basis)
    model.set_linear_parameters(c)
    model.set_committee(c + 0.02 * rng.normal(size=(members, len(c))))
    return model


@pytest.fixture(scope="module")
def silica():
    return with_committee(etace.load(ROOT / "specs/si_o.etace", "si_o"))


def structures(model):
    if len(model.species) == 2:
        return read(FRAMES, ":3")
    atoms = bulk("Si", cubic=True) * (2, 1, 1)
    atoms.rattle(0.1, seed=1)
    return [atoms, atoms[:1]]


@pytest.mark.parametrize("name", ["si_o", "si_ace_small", "order 5"])
def test_members_are_models_of_their_own(name, tmp_path, silica):
    if name == "order 5":
        (tmp_path / "m.etace").write_text(ORDER_5)
        model = with_committee(etace.load(tmp_path / "m.etace"))
    else:
        model = (
            silica if name == "si_o" else with_committee(etace.load(ROOT / f"specs/{name}.etace"))
        )
    frames = structures(model)
    plain = model.evaluate_batch(frames)
    cheap = list(model.committee_many(frames, forces=False))
    whole = list(model.committee_many(frames))
    mean, members = model.get_linear_parameters(), model.committee
    single = etace.load(tmp_path / "m.etace") if name == "order 5" else None
    alone = single or etace.load(ROOT / f"specs/{name}.etace", "si_o" if name == "si_o" else None)
    for k, c in enumerate(members):
        alone.set_linear_parameters(c)
        for p, a, b, own in zip(plain, cheap, whole, alone.evaluate_batch(frames), strict=True):
            scale = np.abs(own.energies).sum()
            assert abs(a.member_energies[k] - own.energy) <= 1e-12 * scale
            assert abs(b.member_energies[k] - own.energy) <= 1e-12 * scale
            assert np.abs(b.member_forces[k] - own.forces).max() <= 1e-12 * scale
            assert np.abs(full(b.member_virials[k]) - own.virial).max() <= 1e-11 * scale
            assert (a.energy, b.energy) == pytest.approx((p.energy, p.energy), rel=1e-13)
            np.testing.assert_allclose(b.forces, p.forces, atol=1e-13 * scale)
    assert mean.shape == members[0].shape
    spread = whole[0]
    assert spread.energy_std == pytest.approx(
        np.sqrt(np.mean((spread.member_energies - spread.energy) ** 2))
    )
    assert cheap[0].forces_std is None and cheap[0].virial_std is None
    gaps = full(spread.member_virials) - spread.virial
    np.testing.assert_allclose(spread.virial_std, np.sqrt(np.mean(gaps**2, axis=0)))


def test_it_lives_in_the_model_file(silica, tmp_path):
    path = tmp_path / "m.safetensors"
    silica.save(path)
    again = etace.load(path)
    np.testing.assert_array_equal(again.committee, silica.committee)
    frame = read(FRAMES, 0)
    one, two = silica.evaluate_committee(frame), again.evaluate_committee(frame)
    assert one.energy_std == two.energy_std
    again.set_linear_parameters(again.get_linear_parameters())
    assert again.committee is None
    with pytest.raises(etace.EtaceError, match="no committee"):
        again.evaluate_committee(frame)
    with pytest.raises(etace.EtaceError, match=r"\[members, 240\]"):
        again.set_committee(np.zeros((3, 7)))


def test_ase_has_standard_deviations(silica):
    frame = read(FRAMES, 0)
    expected = silica.evaluate_committee(frame)
    frame.calc = silica.calculator()
    assert frame.get_potential_energy() == pytest.approx(expected.energy, rel=1e-12)
    assert frame.calc.results["energy_std"] == pytest.approx(expected.energy_std, rel=1e-9)
    assert "forces_std" not in frame.calc.results
    found = frame.calc.get_property("forces_std", frame)
    np.testing.assert_allclose(found, expected.forces_std, rtol=1e-9)
    frame.calc = silica.calculator(uncertainty="none")
    frame.get_potential_energy()
    assert "energy_std" not in frame.calc.results


def test_the_command_shows_and_writes_them(silica, tmp_path):
    path, out = tmp_path / "m.safetensors", tmp_path / "out.xyz"
    silica.save(path)
    done = CliRunner().invoke(app, ["run", str(path), str(FRAMES), "-o", str(out)])
    assert done.exit_code == 0, done.output
    frame = read(out, 0)
    expected = silica.evaluate_committee(read(FRAMES, 0))
    assert frame.info["etace_energy_std"] == pytest.approx(expected.energy_std, rel=1e-6)
    np.testing.assert_allclose(frame.arrays["etace_forces_std"], expected.forces_std, atol=1e-7)


def test_parts_on_several_cores_agree(silica):
    atoms = read(FRAMES, 0).repeat((4, 3, 3))
    two = etace.load(ROOT / "specs/si_o.etace", "si_o", cores=2)
    two.set_linear_parameters(silica.get_linear_parameters())
    two.set_committee(silica.committee)
    one = etace.load(ROOT / "specs/si_o.etace", "si_o", cores=1)
    one.set_linear_parameters(silica.get_linear_parameters())
    one.set_committee(silica.committee)
    a, b = one.evaluate_committee(atoms), two.evaluate_committee(atoms)
    np.testing.assert_allclose(a.member_forces, b.member_forces, atol=1e-11)
    np.testing.assert_allclose(a.member_energies, b.member_energies, rtol=1e-12)
