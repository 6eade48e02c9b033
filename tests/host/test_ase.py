"""The calculator in ASE's hands: everything written is read again, and says which model it is of."""

import copy
import hashlib
import json
from pathlib import Path

import ase.db
import etace
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError, all_properties
from ase.calculators.lj import LennardJones
from ase.io import read, write
from ase.io.trajectory import Trajectory
from ase.mep import NEB
from ase.stress import voigt_6_to_full_3x3_stress
from etace.errors import ParameterError
from small import crystal, small_model, with_everything

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return with_everything(small_model(tmp_path_factory.mktemp("spec")))


@pytest.fixture
def atoms(model):
    atoms = crystal()
    atoms.calc = model.calculator(uncertainty="forces", extrapolation=True)
    atoms.get_potential_energy()
    return atoms


def test_all_that_is_implemented_is_among_the_results(atoms):
    assert sorted(atoms.calc.results) == sorted(etace.Calculator.implemented_properties)
    for name in atoms.calc.implemented_properties:
        found = atoms.calc.get_property(name, atoms)
        np.testing.assert_array_equal(found, atoms.calc.results[name])


@pytest.mark.parametrize("backend", ["native", "jax"])
def test_stresses_of_atoms_add_up(tmp_path, backend):
    atoms = crystal()
    atoms.calc = small_model(tmp_path, backend).calculator()
    assert atoms.get_stresses().shape == (8, 6)
    assert np.allclose(atoms.get_stresses().sum(axis=0), atoms.get_stress(), rtol=0, atol=1e-12)
    # an atom's is that of its own energy: the derivative of it in a strain
    strain, h = np.zeros((3, 3)), 1e-5
    strain[0, 1] = strain[1, 0] = h / 2
    found = []
    for sign in (1, -1):
        other = atoms.copy()
        other.set_cell(atoms.cell.array @ (np.eye(3) + sign * strain), scale_atoms=True)
        found.append(atoms.calc.model.evaluate(other).energies)
    slope = (found[0] - found[1]) / (2 * h) / atoms.get_volume()
    assert np.allclose(atoms.get_stresses()[:, 5], slope, rtol=0, atol=1e-7)


def test_what_there_is_not_is_refused(model):
    alone = Atoms("Si", [[0, 0, 0]])
    alone.calc = model.calculator()
    for ask in (alone.get_stress, alone.get_stresses, alone.get_dipole_moment, alone.get_charges):
        with pytest.raises(PropertyNotImplementedError):
            ask()
    assert alone.get_potential_energy() == pytest.approx(-1)


def test_a_database_keeps_results_and_the_model(atoms, tmp_path):
    for name in ("x.db", "x.json"):
        with ase.db.connect(tmp_path / name) as db:
            db.write(atoms)
        row = ase.db.connect(tmp_path / name).get(1)
        assert row.calculator == "etace"
        assert dict(row.calculator_parameters) == atoms.calc.parameters
        assert row.energy == atoms.get_potential_energy()
        np.testing.assert_array_equal(row.forces, atoms.get_forces())
        np.testing.assert_array_equal(row.toatoms().get_stress(), atoms.get_stress())


def test_a_trajectory_keeps_results_and_the_model(atoms, tmp_path):
    with Trajectory(tmp_path / "x.traj", "w") as file:
        file.write(atoms)
    found = read(tmp_path / "x.traj")
    assert found.calc.name == "etace"
    assert dict(found.calc.parameters) == atoms.calc.parameters
    for name in ("energy", "free_energy", "energies", "forces", "stress", "stresses"):
        np.testing.assert_array_equal(found.calc.results[name], atoms.calc.results[name])


@pytest.mark.parametrize("name", ["x.extxyz", "x.json"])
def test_files_keep_results(atoms, tmp_path, name):
    write(tmp_path / name, [atoms, atoms])
    for found in read(tmp_path / name, index=":"):
        known = [p for p in atoms.calc.results if p in all_properties]
        assert sorted(found.calc.results) == sorted(known)
        for p in known:
            assert np.allclose(found.calc.results[p], atoms.calc.results[p], atol=1e-7)


def test_results_of_our_own_are_written_beside(atoms, tmp_path):
    atoms.info["energy"] = 7.0  # a label
    write(tmp_path / "x.extxyz", [atoms.calc.with_results(atoms)] * 2)
    found = read(tmp_path / "x.extxyz", index=1)
    assert found.get_potential_energy() == 7
    for name, value in atoms.calc.results.items():
        per_atom = np.ndim(value) > 0 and len(value) == len(atoms)
        own = (found.arrays if per_atom else found.info)[f"etace_{name}"]
        nine = ("stress", "virial", "stress_std", "virial_std")
        if name in ("stress", "stress_std"):
            value = voigt_6_to_full_3x3_stress(value)
        assert np.allclose(own, np.ravel(value) if name in nine else value, atol=1e-7), name


def test_properties_that_ase_has_names_for_are_exported(atoms):
    exported = atoms.calc.export_properties()
    assert exported["energy"] == atoms.get_potential_energy()
    assert "virial" not in exported
    assert "stresses" in atoms.calc.calculate_properties(atoms, ["energy", "forces", "stresses"])


def test_parameters_say_which_file(tmp_path):
    path = ROOT / "examples/si_o.safetensors"
    calculator = etace.Calculator(path)
    wanted = {
        "model": "si_o",
        "file": "si_o.safetensors",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    assert dict(calculator.parameters) == calculator.todict() == wanted
    assert repr(calculator) == f"<etace.Calculator of {calculator.model!r}; skin 0.5 Å>"
    calculator.model.set_linear_parameters(2 * calculator.model.get_linear_parameters())
    changed = calculator.todict()
    assert "file" not in changed
    assert changed["spec"] == "si_o.etace"
    assert len(changed["parameters_sha256"]) == 64
    json.dumps(changed)


def test_parameters_of_a_spec_say_which_numbers(tmp_path):
    model = small_model(tmp_path)
    first = model.described()
    assert first["spec"] == "small.etace"
    assert first["sha256"] == model.origin["spec_sha256"]
    model.set_linear_parameters(0.5 * model.get_linear_parameters())
    assert model.described()["parameters_sha256"] != first["parameters_sha256"]
    atoms = crystal()
    atoms.calc = model.calculator()
    atoms.get_potential_energy()
    assert dict(atoms.calc.parameters) == model.described()


def test_settings_are_set_as_in_ase(atoms):
    calculator = atoms.calc
    assert calculator.set(skin=0.5) == {}
    assert calculator.set(skin=0.3, uncertainty="none") == {"skin": 0.3, "uncertainty": "none"}
    assert calculator.skin == 0.3
    energy = atoms.get_potential_energy()
    assert "energy_std" not in calculator.results
    with pytest.raises(ParameterError, match="`kpts` cannot be set"):
        calculator.set(kpts=(1, 1, 1))
    with pytest.raises(ParameterError, match="uncertainty is energy, forces or none"):
        calculator.set(uncertainty="all")
    with pytest.raises(ParameterError, match=r"an etace\.Model is needed, not str"):
        calculator.model = "small.etace"
    assert atoms.get_potential_energy() == energy


def test_keywords_of_load_are_for_files(model):
    with pytest.raises(ParameterError, match="backend, seed: for a path"):
        etace.Calculator(model, backend="native", seed=1)


def test_a_band_of_images(model):
    first, last = crystal(seed=0), crystal(seed=1)
    calculator = model.calculator()
    for shared in (True, False):
        images = [first.copy(), *(first.copy() for _ in range(3)), last.copy()]
        for image in images:
            image.calc = calculator if shared else copy.deepcopy(calculator)
        band = NEB(images, allow_shared_calculator=shared, method="improvedtangent")
        band.interpolate()
        forces = band.get_forces()
        assert forces.shape == (24, 3)
        wanted = [model.energy(image) for image in images[1:-1]]
        assert np.allclose(band.energies[1:-1], wanted, atol=1e-10)


def test_a_stack_has_what_all_have(model, tmp_path):
    lj = LennardJones(sigma=1.5, epsilon=0.01, rc=4.0)
    atoms = crystal()
    atoms.calc = etace.Stack(model.calculator(), lj)
    both = model.energy(atoms) + LennardJones(**lj.parameters).get_potential_energy(atoms)
    assert atoms.get_potential_energy() == pytest.approx(both)
    assert atoms.get_stresses().shape == (8, 6)
    assert atoms.calc.name == "stack"
    assert repr(atoms.calc).startswith("<etace.Stack of <etace.Calculator of")
    assert atoms.calc.todict()["0"] == {"name": "etace", **model.described()}
    assert atoms.calc.export_properties()["energy"] == atoms.get_potential_energy()
    with ase.db.connect(tmp_path / "x.db") as db:
        db.write(atoms)
    assert ase.db.connect(tmp_path / "x.db").get(1).energy == atoms.get_potential_energy()
    with Trajectory(tmp_path / "x.traj", "w") as file:
        file.write(atoms)
    assert read(tmp_path / "x.traj").get_potential_energy() == atoms.get_potential_energy()


def test_a_stack_is_of_calculators(model):
    for wrong in ((), (model,), (model.calculator(), "lj")):
        with pytest.raises(ParameterError, match="a stack needs ASE calculators"):
            etace.Stack(*wrong)
    stack = etace.Stack(LennardJones())
    assert stack.get_linear_parameters().shape == (0,)
    with pytest.raises(ParameterError, match="no calculator of this stack"):
        stack.energy_forces_virial_basis(crystal())


def test_a_stack_notices_parameters(tmp_path):
    model = small_model(tmp_path)
    atoms = crystal()
    atoms.calc = etace.Stack(model.calculator(), model.calculator())
    old = atoms.get_potential_energy()
    model.set_linear_parameters(2 * model.get_linear_parameters())
    assert atoms.get_potential_energy() == pytest.approx(2 * model.energy(atoms))
    assert atoms.get_potential_energy() != old
