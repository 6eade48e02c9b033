"""Compressed packings: what atoms do at densities that no data hold."""

from itertools import islice

import etace
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111, molecule
from etace.data.labelled import Labelled
from etace.domain import ranges
from etace.fit import compression
from etace.fit.fitting import fit, solve
from etace.fit.mending import left, mended
from etace.fit.packings import compressed, mixtures, packings
from etace.fit.priors import Prior
from etace.fit.repulsion import zbl
from etace.fit.solvers import named
from etace.fit.volumes import of, volume, volumes
from etace.fit.weights import Weights

SPEC = """etace 1
species Cu
onebody E0 { Cu = 0 eV }
use linear_ace as ace { max_order = 3, max_level = 8, max_l = 2, cutoff = 5.0 Å }
model m = E0 + ace.two_body + ace.many_body
"""


def test_volumes_are_of_atoms_and_not_of_vacuum():
    cu = bulk("Cu")
    assert volume(cu) == pytest.approx(cu.cell.volume)
    slab = fcc111("Cu", (2, 2, 6), vacuum=12, periodic=True)
    assert cu.cell.volume < volume(slab) / len(slab) < 2 * cu.cell.volume < slab.cell.volume / 24
    each = volumes(["H", "C", "O"], [molecule("C6H6"), molecule("CH4")])
    assert each["H"] < each["O"] < each["C"] < 25  # O from its sphere alone
    salt = bulk("NaCl", "rocksalt", a=5.64)
    both = volumes(["Na", "Cl"], [salt] * 3)
    assert of(salt, both) == pytest.approx(salt.cell.volume, rel=0.02)


def test_packings_are_the_same_for_a_seed_and_hold_every_mixture():
    each = {"H": 5.0, "C": 14.0, "O": 10.0}
    a, b, other = (list(islice(packings(list(each), each, seed), 14)) for seed in (1, 1, 2))
    assert all(x == y for x, y in zip(a, b, strict=True)) and a[0] != other[0]
    assert len(mixtures(list(each))) == 7
    assert {frozenset(x.symbols) for x in a} == {frozenset(m) for m in mixtures(list(each))}
    for x in a:
        assert x.cell.volume == pytest.approx(of(x, each))
        dense = compressed(x, each, 0.3)
        assert dense.cell.volume == pytest.approx(0.3 * of(x, each))
        np.testing.assert_allclose(dense.get_scaled_positions(), x.get_scaled_positions())


def test_repulsion_is_the_sum_of_pairs_with_its_derivatives():
    atoms = Atoms("HCO", [[0, 0, 0], [1.1, 0.2, 0], [0.3, 1.2, 0.4]])
    energy, forces, virial = compression.repulsion(atoms)
    pairs = ((0, 1, 1, 6), (0, 2, 1, 8), (1, 2, 6, 8))
    by_hand = sum(float(zbl(atoms.get_distance(i, j), a, b)) for i, j, a, b in pairs)
    assert energy == pytest.approx(by_hand)
    moved = atoms.copy()
    moved.positions[1, 0] += 1e-5
    assert forces[1, 0] == pytest.approx(
        (energy - compression.repulsion(moved)[0]) / 1e-5, rel=1e-3
    )
    np.testing.assert_allclose(virial, forces.T @ atoms.positions, rtol=1e-6, atol=1e-9)


def test_a_fit_of_crystals_pushes_packings_apart(tmp_path):
    """Packings that the fit has not seen, without and with dense packings."""
    path = tmp_path / "cu.etace"
    path.write_text(SPEC)
    model = etace.load(path)
    data = _crystals()
    seen = ranges(model, [s.atoms for s in data])
    found = fit(model, data, repulsion=True)
    fallen, before = left(model, data, seen), _errors(model, data)
    assert len(fallen) > 5
    assert all(np.trace(model.virial(h.atoms)) < 0 for h in fallen if "pulls" in h.what)
    first = solve(model, found.factors, Weights(), Prior())
    mended(model, data, seen, found.factors, first, Weights(), Prior(), named("blr"), 1)
    assert len(left(model, data, seen)) < len(fallen) / 3
    assert _errors(model, data) < 1.2 * before + 1e-3


def _crystals():
    """Rattled cells of copper with the labels of a Morse potential."""
    from ase.calculators.morse import MorsePotential

    rng = np.random.default_rng(0)
    out = []
    for k in range(12):
        atoms = bulk("Cu", cubic=True) * (2, 1, 1)
        atoms.set_cell(atoms.cell * (1 + 0.02 * rng.normal()), scale_atoms=True)
        atoms.positions += 0.08 * rng.normal(size=atoms.positions.shape)
        atoms.calc = MorsePotential(epsilon=0.34, r0=2.87, rho0=3.9, rcut1=4.0, rcut2=4.9)
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = None
        out.append(Labelled(atoms, energy, forces, None, source=f"cu:{k}"))
    return out


def _errors(model, data):
    return float(np.sqrt(np.mean([(model.forces(s.atoms) - s.forces) ** 2 for s in data])))
