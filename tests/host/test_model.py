"""Models on the host: one answer by every way in, files that are complete, calculators ASE trusts."""

import shutil
from pathlib import Path

import etace
import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.fd import calculate_numerical_forces, calculate_numerical_stress
from ase.io import read
from etace.errors import EtaceError, ModelFileError, ParameterError, StructureError

ROOT = Path(__file__).parents[2]
FRAMES = ROOT / "examples/data/SiO2_EDI_test.xyz"


@pytest.fixture(scope="module")
def model():
    return etace.load(ROOT / "examples/si_o.safetensors")


@pytest.fixture(scope="module")
def frames():
    return read(FRAMES, index=":")


def test_one_energy_by_every_way_in(model, frames):
    atoms = frames[0]
    single = model.evaluate(atoms)
    scale = np.abs(single.energies).sum()
    batch = model.evaluate_batch(frames)[0]
    calculator = model.calculator(skin=0.0)
    assert abs(batch.energy - single.energy) < 1e-12 * scale
    assert abs(calculator.get_potential_energy(atoms) - single.energy) < 1e-12 * scale
    with jax.enable_x64(True):
        direct = model.module.si_o.energy(model.params, model.graph(atoms))
        assert abs(float(direct) - single.energy) < 1e-12 * scale
    assert np.allclose(batch.forces, single.forces, rtol=0, atol=1e-11)
    assert np.allclose(batch.virial, single.virial, rtol=0, atol=1e-10)


def test_the_users_jax_is_left_alone(model, frames):
    before = jax.config.jax_enable_x64
    model.energy(frames[0])
    assert jax.config.jax_enable_x64 == before


def test_ase_forces_and_stress_are_derivatives_of_its_energy(model, frames):
    atoms = frames[3].copy()
    atoms.calc = model.calculator()
    forces = calculate_numerical_forces(atoms, eps=1e-5, iatoms=[0, 11])
    assert np.allclose(atoms.get_forces()[[0, 11]], forces, rtol=0, atol=1e-6)
    stress = calculate_numerical_stress(atoms, eps=1e-6)
    assert np.allclose(atoms.get_stress(), stress, rtol=0, atol=1e-7)
    assert atoms.get_potential_energies().sum() == pytest.approx(atoms.get_potential_energy())


def test_a_skin_changes_nothing_but_time(model, frames):
    rng = np.random.default_rng(0)
    kept, fresh = model.calculator(skin=1.0), model.calculator(skin=0.0)
    atoms = frames[5].copy()
    for step in range(6):
        atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
        if step == 4:
            atoms.set_cell(atoms.cell * 1.01, scale_atoms=True)
        assert kept.get_potential_energy(atoms) == pytest.approx(
            fresh.get_potential_energy(atoms), abs=1e-10
        )
        assert np.allclose(kept.get_forces(atoms), fresh.get_forces(atoms), rtol=0, atol=1e-10)


def test_a_stack_is_the_sum_of_its_calculators(frames):
    spec = ROOT / "specs/scratch.etace"
    a, b = (etace.load(spec, n, seed=3).calculator() for n in ("scratch", "combined"))
    stack = etace.Stack(a, b)
    atoms = frames[0]
    expected = a.get_potential_energy(atoms) + b.get_potential_energy(atoms)
    assert stack.get_potential_energy(atoms) == pytest.approx(expected, rel=1e-12)
    assert stack.length_basis == 24
    assert stack.lengths == [12, 12]
    rows, c = stack.energy_forces_virial_basis(atoms), stack.get_linear_parameters()
    assert rows.energy @ c == pytest.approx(expected - 15.0 * ((-0.846 - 2 * 1.023) / 3), rel=1e-10)
    stack.set_linear_parameters(2 * c)
    doubled = stack.get_potential_energy(atoms)
    assert doubled == pytest.approx(expected + rows.energy @ c, rel=1e-10)


def test_linear_parameters_are_copies(model):
    values = model.get_linear_parameters()
    values[:] = 0
    assert np.any(model.get_linear_parameters())
    with pytest.raises(ParameterError, match="240 linear parameters"):
        model.set_linear_parameters(np.zeros(3))


def test_new_parameters_are_noticed_by_a_calculator_in_use(frames):
    model = etace.load(ROOT / "examples/si_o.safetensors")
    atoms = frames[0].copy()
    atoms.calc = model.calculator()
    before = atoms.get_potential_energy()
    model.set_linear_parameters(np.zeros(240))
    assert atoms.get_potential_energy() == pytest.approx(5 * -0.846 + 10 * -1.023)
    assert before != atoms.get_potential_energy()


def test_design_rows_predict_what_the_model_does(model, frames):
    atoms = frames[1]
    rows, result = model.energy_forces_virial_basis(atoms), model.evaluate(atoms)
    c = model.get_linear_parameters()
    one_body = sum({"Si": -0.846, "O": -1.023}[s] for s in atoms.symbols)
    scale = np.abs(rows.energy * c).sum()
    assert rows.energy.shape == (240,)
    assert rows.forces.shape == (15, 3, 240)
    assert rows.virial.shape == (3, 3, 240)
    assert abs(rows.energy @ c + one_body - result.energy) < 1e-10 * scale
    assert np.allclose(rows.forces @ c, result.forces, rtol=0, atol=1e-10 * scale)
    assert np.allclose(rows.virial @ c, result.virial, rtol=0, atol=1e-10 * scale)
    assert np.allclose(
        model.energy_basis(atoms), rows.energy, rtol=0, atol=1e-12 * abs(rows.energy).max()
    )


def test_saved_and_loaded_is_the_same_model_in_the_same_bytes(model, frames, tmp_path):
    model.save(tmp_path / "a.safetensors")
    again = etace.load(tmp_path / "a.safetensors")
    again.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    assert again.energy(frames[2]) == model.energy(frames[2])
    assert again.source == model.source


def test_a_model_file_needs_no_other_file(frames, tmp_path):
    weights = np.random.default_rng(1).normal(size=(6, 6, 4))
    np.savez(tmp_path / "w.npz", weights=weights)
    text = (ROOT / "specs/scratch.etace").read_text().replace("l in 0..max_l", "l in 0..0")
    text = text.replace("learnable per pair", 'frozen(load = "w.npz") per pair')
    (tmp_path / "used.etace").write_text(text)
    (tmp_path / "spec.etace").write_text(
        'etace 1\nspecies Si, O\nuse "used.etace" as u { cutoff = 5.0 Å }\nmodel m = u.E0 + u.V\n'
    )
    model = etace.load(tmp_path / "spec.etace", seed=5)
    energy = model.energy(frames[0])
    model.save(tmp_path / "m.safetensors")
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tmp_path / "m.safetensors", tmp_path / "elsewhere/m.safetensors")
    for name in ("w.npz", "used.etace", "spec.etace"):
        (tmp_path / name).unlink()
    assert etace.load(tmp_path / "elsewhere/m.safetensors").energy(frames[0]) == energy


def test_wrong_files_are_errors_in_words(tmp_path):
    with pytest.raises(EtaceError, match="no such file"):
        etace.load(tmp_path / "nothing.etace")
    (tmp_path / "bad.etace").write_text("etace 1\nspecies Sj\n")
    with pytest.raises(EtaceError, match="E221"):
        etace.load(tmp_path / "bad.etace")
    data = (ROOT / "examples/si_o.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelFileError, match=r"cut\.safetensors"):
        etace.load(tmp_path / "cut.safetensors")


@pytest.mark.parametrize(
    ("atoms", "word"),
    [
        (Atoms("FeO", [[0, 0, 0], [2, 0, 0]]), "Fe"),
        (Atoms("SiO", [[0, 0, 0], [np.nan, 0, 0]]), "atom 1"),
        (Atoms(), "no atoms"),
        (Atoms("SiO", [[0, 0, 0], [1e300, 0, 0]]), "atom 1"),
    ],
)
def test_wrong_structures_are_errors_in_words(model, atoms, word):
    with pytest.raises(StructureError, match=word):
        model.evaluate(atoms)


def test_isolated_atoms_have_their_one_body_energy(model):
    assert model.evaluate(Atoms("Si")).energy == -0.846
    assert model.evaluate(Atoms("SiO", [[0, 0, 0], [9, 0, 0]])).energy == pytest.approx(
        -0.846 - 1.023, abs=1e-15
    )
    assert np.all(model.evaluate(Atoms("Si")).forces == 0)


def test_float32_is_close_and_says_what_it_is(frames):
    double = etace.load(ROOT / "examples/si_o.safetensors")
    single = etace.load(ROOT / "examples/si_o.safetensors", dtype="float32")
    assert "float32" in repr(single)
    rows = double.energy_basis(frames[0])
    terms = np.abs(rows * double.get_linear_parameters()).sum()
    error = abs(single.energy(frames[0]) - double.energy(frames[0]))
    assert error < 16 * np.finfo(np.float32).eps * terms


def test_a_batch_of_many_sizes_compiles_a_handful_of_times(model):
    jax.clear_caches()
    fresh = etace.load(ROOT / "examples/si_o.safetensors")
    structures = [bulk("Si", "diamond", a=5.4).repeat((n, 1, 1)) for n in range(1, 9)]
    results = fresh.evaluate_batch(structures, atoms_per_batch=16)
    assert fresh.evaluator.compilations <= 2
    per_atom = [r.energy / len(a) for r, a in zip(results, structures, strict=True)]
    assert np.ptp(per_atom) < 1e-10
