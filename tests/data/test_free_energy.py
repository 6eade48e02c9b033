"""Where energy and free energy are both there, the one that forces belong to counts, and it is said."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from etace.data import Keys, read


def frames(n=8, entropy=lambda k: 0.4 + 0.1 * k):
    """Cu4 by EMT: `free` is what the forces are derivatives of."""
    rng, out = np.random.default_rng(0), []
    start = np.array([[0.0, 0, 0], [2.4, 0, 0], [0, 2.4, 0], [0, 0, 2.4]])
    for k in range(n):
        atoms = Atoms("Cu4", start + rng.normal(0, 0.06, (4, 3)))
        atoms.calc = EMT()
        out.append((atoms, atoms.get_potential_energy(), atoms.get_forces(), entropy(k)))
    return out


def written(path, rows, swap=False, leave_out=(), forces=True):
    images = []
    for k, (atoms, free, own, entropy) in enumerate(rows):
        copy = atoms.copy()
        energies = {"free_energy": free, "energy": free + entropy}
        if swap:
            energies = {"energy": free, "free_energy": free - entropy}
        if k in leave_out:
            del energies["free_energy"]
        copy.info.update(energies)
        if forces:
            copy.arrays["forces"] = own
        images.append(copy)
    write(path, images)
    return path


def energies(data):
    return np.array([s.energy for s in data.structures])


def test_the_free_energy_counts_beside_forces_and_it_is_said(tmp_path):
    rows = frames()
    path = written(tmp_path / "a.xyz", rows)
    data = read([path])
    assert energies(data) == pytest.approx([r[1] for r in rows], abs=1e-6)
    assert data.found[0].keys["energy"] == "free_energy (info)"
    (remark,) = data.remarks
    assert (remark.structures, remark.first) == (8, "a.xyz:0")
    assert "275 meV/atom: `free_energy` is used" in str(remark)
    assert "--energy-key energy takes the other" in str(remark)


@pytest.mark.parametrize("key", ["energy", "free_energy"])
def test_the_user_may_choose(tmp_path, key):
    rows = frames()
    data = read([written(tmp_path / "a.xyz", rows)], Keys(energy=key))
    more = 0 if key == "free_energy" else np.array([r[3] for r in rows])
    assert energies(data) == pytest.approx(np.array([r[1] for r in rows]) + more, abs=1e-6)
    assert data.remarks == ()


def test_energies_that_follow_the_forces_are_preferred_whatever_they_are_called(tmp_path):
    rows = frames(entropy=lambda k: 3.0 + np.sin(5 * k))
    data = read([written(tmp_path / "a.xyz", rows, swap=True)])
    assert data.found[0].keys["energy"] == "energy (info)"
    assert "`energy` is used, as forces agree with it" in str(data.remarks[0])


def test_a_free_energy_that_is_missing_in_some_is_not_mixed_in(tmp_path):
    data = read([written(tmp_path / "a.xyz", frames(), leave_out=(2, 5))])
    assert data.found[0].keys["energy"] == "energy (info)"
    assert "missing in 2" in str(data.remarks[0])


def test_without_forces_the_energy_counts(tmp_path):
    path = written(tmp_path / "a.xyz", frames(), forces=False)
    data = read([path], want=("energy",))
    assert "`energy` is used, as no forces are read" in str(data.remarks[0])


def test_equal_to_rounding_nothing_is_said(tmp_path):
    data = read([written(tmp_path / "a.xyz", frames(entropy=lambda k: 1e-6))])
    assert data.remarks == ()
    assert data.found[0].keys["energy"] == "energy (info)"


def test_a_free_energy_alone_is_the_energy(tmp_path):
    (tmp_path / "a.xyz").write_text(
        "1\nProperties=species:S:1:pos:R:3 DFT_free_energy=-2\nCu 0 0 0\n"
    )
    data = read([tmp_path / "a.xyz"])
    assert (data.structures[0].energy, data.remarks) == (-2.0, ())


def test_in_calculators_of_other_formats_too(tmp_path):
    images = []
    for atoms, free, forces, entropy in frames(4):
        copy = atoms.copy()
        copy.calc = SinglePointCalculator(
            copy, energy=free + entropy, free_energy=free, forces=forces
        )
        images.append(copy)
    write(tmp_path / "a.traj", images)
    data = read([tmp_path / "a.traj"])
    assert data.found[0].keys["energy"] == "free_energy (calculator)"
    assert len(data.remarks) == 1


def test_files_with_different_energies_are_said(tmp_path):
    a = written(tmp_path / "a.xyz", frames())
    b = written(tmp_path / "b.xyz", frames(6, entropy=lambda k: 0.0))
    said = [str(r) for r in read([a, b]).remarks]
    assert any("those of others are not" in text for text in said)
