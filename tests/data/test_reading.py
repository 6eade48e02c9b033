"""Labels found, checked or refused; the census."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read as ase_read
from ase.io import write
from etace.data import Keys, read
from etace.data.census import census
from etace.errors import DataError
from etacec.cli import app
from typer.testing import CliRunner

ROOT = Path(__file__).parents[2]
TRAIN = ROOT / "examples/data/SiO2_EDI_train.xyz"


def copper(seed=0):
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=seed)
    return atoms


def computed(seed=0):
    atoms = copper(seed)
    atoms.calc = EMT()
    found = {p: atoms.calc.get_property(p, atoms) for p in ("energy", "forces", "stress")}
    atoms.calc = SinglePointCalculator(atoms, **found)
    return atoms


@pytest.mark.parametrize("name", ["a.xyz", "a.xyz.gz", "a.traj", "a.db", "a.json"])
def test_labels_that_ase_keeps_in_a_calculator(tmp_path, name):
    path = tmp_path / name
    write(path, [computed(0), computed(1)])
    found = read([path])
    for k, s in enumerate(found.structures):
        expected = computed(k)
        assert s.energy == pytest.approx(expected.get_potential_energy())
        np.testing.assert_allclose(s.forces, expected.get_forces(), atol=1e-7)
        assert s.atoms.calc is None
        assert s.source == f"{name}:{k}"
    assert "stress (calculator), 6 numbers, times -volume" in str(found.found[0])


def test_a_stress_becomes_the_virial_of_a_strain(tmp_path):
    path = tmp_path / "a.xyz"
    write(path, computed())
    (s,) = read([path]).structures
    numeric = np.zeros((3, 3))
    for a in range(3):
        for b in range(3):
            for sign in (1, -1):
                atoms, strain = copper(), np.zeros((3, 3))
                strain[a, b] += 0.5e-4 * sign
                strain[b, a] += 0.5e-4 * sign
                atoms.set_cell(atoms.cell @ (np.eye(3) + strain), scale_atoms=True)
                atoms.calc = EMT()
                numeric[a, b] -= sign * atoms.get_potential_energy() / 2e-4
    np.testing.assert_allclose(s.virial, numeric, atol=1e-5)


@pytest.mark.parametrize(
    ("info", "arrays"),
    [
        ({"REF_energy": -1.0}, {"REF_forces": 1}),
        ({"DFT_Energy": -1.0}, {"force": 1}),
        ({"total_energy": -1.0}, {"dft_forces": 1}),
    ],
)
def test_names_are_found_in_any_case(tmp_path, info, arrays):
    atoms = copper()
    atoms.info |= info
    for k in arrays:
        atoms.arrays[k] = np.ones((4, 3))
    atoms.info["virial"] = np.arange(9.0) // 4 * 0 + 2
    atoms.info["Config_Type"] = "bulk"
    write(tmp_path / "a.xyz", atoms)
    (s,) = read([tmp_path / "a.xyz"]).structures
    assert (s.energy, s.group) == (-1.0, "bulk")
    np.testing.assert_array_equal(s.forces, np.ones((4, 3)))
    np.testing.assert_array_equal(s.virial, np.full((3, 3), 2.0))


def test_keys_patterns_slices_and_weights(tmp_path):
    for k in range(3):
        atoms = computed(k)
        atoms.info["mine"], atoms.info["w"] = float(k), 0.5
        write(tmp_path / f"f{k}.xyz", [atoms, atoms])
    found = read([str(tmp_path / "f*.xyz")], Keys(energy="mine", weight="w"))
    assert [s.energy for s in found.structures] == [0, 0, 1, 1, 2, 2]
    assert {s.weight for s in found.structures} == {0.5}
    assert len(read([str(tmp_path / "f0.xyz@0:1")]).structures) == 1
    assert len(census(found).duplicates) == 3


def refused(tmp_path, frames, message, keys=Keys()):  # noqa: B008
    path = tmp_path / "bad.xyz"
    write(path, frames)
    with pytest.raises(DataError, match=message):
        read([path], keys)


def test_labels_that_are_refused(tmp_path):
    none = copper()
    none.info["colour"] = "red"
    refused(tmp_path, none, r"no structure has an energy; the keys there are: colour")
    both = computed()
    both.info["dft_energy"] = 3.0
    refused(tmp_path, both, "both there and differ: say which with --energy-key")
    bad = computed()
    bad.calc.results["energy"] = np.nan
    refused(tmp_path, [computed(), bad], r"bad.xyz:1: energy \(calculator\) holds NaN")
    bad = computed()
    bad.calc.results["forces"][1, 2] = np.inf
    refused(tmp_path, bad, "infinite")
    bad = computed()
    del bad.calc.results["stress"]
    bad.info["virial"] = np.array([[1.0, 2, 0], [0, 1, 0], [0, 0, 1]])
    refused(tmp_path, bad, "not symmetric")
    del bad.info["virial"]
    bad.info["dft_virial"] = np.ones(5)
    refused(tmp_path, bad, "5 numbers, not 3 x 3, 9 or 6")
    refused(tmp_path, computed(), "no structure has an energy", Keys(energy="e_dft"))


def test_one_structure_without_a_label_is_counted(tmp_path):
    write(tmp_path / "a.xyz", [computed(), copper()])
    found = read([tmp_path / "a.xyz"])
    assert found.found[0].missing == {"energy": 1, "forces": 1, "virial": 1}
    assert found.structures[1].energy is None
    assert "missing in 1" in str(found.found[0])


def test_isolated_atoms_need_no_forces(tmp_path):
    atoms = Atoms("Si")
    atoms.info["energy"] = -1.0
    write(tmp_path / "a.xyz", atoms)
    (s,) = read([tmp_path / "a.xyz"]).structures
    assert (s.energy, s.forces, s.virial) == (-1.0, None, None)


def test_files_that_are_refused(tmp_path):
    (tmp_path / "empty.xyz").write_text("")
    (tmp_path / "cut.xyz").write_text(TRAIN.read_text()[:1500])
    (tmp_path / "noise.xyz").write_bytes(bytes(range(256)))
    (tmp_path / "cut.xyz.gz").write_bytes(gzip.compress(TRAIN.read_bytes())[:2000])
    for name, message in {
        "empty.xyz": "the file is empty",
        "cut.xyz": "ASE cannot read it",
        "noise.xyz": "ASE cannot read it",
        "cut.xyz.gz": "ASE cannot read it",
        "none.xyz": "no such file",
        "*.cif": "no file is called so",
        ".": "a folder",
    }.items():
        with pytest.raises(DataError, match=message) as error:
            read([str(tmp_path / name)])
        assert "\n" not in str(error.value)


def test_a_digest_is_of_the_data_alone(tmp_path):
    for name, frames in (
        ("a.xyz", [computed()]), ("b.traj", [computed()]), ("c.xyz", [computed(1)]),
    ):  # fmt: skip
        write(tmp_path / name, frames)
    a, again, c = (read([tmp_path / n]).digest for n in ("a.xyz", "a.xyz", "c.xyz"))
    assert a == again != c


def test_the_census_counts_and_warns(tmp_path):
    frames = [computed(k) for k in range(12)]
    frames[3].calc.results["forces"][0] += 80.0
    frames[5].calc.results["energy"] += 50.0
    frames[7].positions[1] = frames[7].positions[0] + [0.3, 0, 0]
    write(tmp_path / "a.xyz", frames)
    found = census(read([tmp_path / "a.xyz"]))
    assert (found.structures, found.atoms, found.species) == (12, 48, {"Cu": 48})
    text = "\n".join(found.warnings)
    assert "forces above 50 eV/Å in a.xyz:3" in text
    assert "do not add up to zero in a.xyz:3" in text
    assert "energies far from those of like composition in a.xyz:5" in text
    assert "Cu-Cu 0.300 Å apart in a.xyz:7" in text
    assert not census(read([TRAIN])).warnings
    far = found.rdf["Cu", "Cu"][-20:].mean()
    assert far == pytest.approx(1, abs=0.3)


def test_the_command(tmp_path):
    done = CliRunner().invoke(app, ["data", str(TRAIN), "--plot", str(tmp_path / "c.png")])
    assert done.exit_code == 0, done.output
    assert "shortest O-Si" in done.stdout
    assert (tmp_path / "c.png").stat().st_size > 10_000
    done = CliRunner().invoke(app, ["data", str(TRAIN), "--json"])
    assert json.loads(done.stdout)["structures"] == len(ase_read(TRAIN, ":"))
    done = CliRunner().invoke(app, ["data", str(tmp_path / "none.xyz")])
    assert done.exit_code == 1 and "no such file" in done.stderr
