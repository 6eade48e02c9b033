"""A fit searches for the neighbours of each structure once, in bounded memory, and never uses stale ones."""

from collections import Counter
from pathlib import Path

import etace
import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read
from etace.domain import ranges
from etace.fit.assemble import batched, plan, searched
from etace.fit.fitting import targets
from etace.fit.weights import Weights
from etace.searched import LIMIT, Searched, groups, in_order

TRAIN = Path(__file__).parents[2] / "examples/data/SiO2_EDI_train.xyz"
SPEC = """etace 1
species Si, O
onebody E0 { Si = -0.8 eV, O = -1.0 eV }
use linear_ace as ace { max_order = 2, max_level = 4, max_l = 1, cutoff = 4.0 Å }
model m = E0 + ace.two_body + ace.many_body
"""


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "small.etace"
    path.write_text(SPEC)
    return path


@pytest.fixture
def searches(monkeypatch):
    """How often atoms of each place were searched, in C or in Python."""
    from etace import structure
    from etace.native import listing

    found: Counter[bytes] = Counter()
    in_c, in_python = listing._listed, structure.neighbour_list

    def by_c(c, structures, *more):
        found.update(s.positions.tobytes() for s in structures)
        return in_c(c, structures, *more)

    def by_python(positions, *more):
        found[positions.tobytes()] += 1
        return in_python(positions, *more)

    monkeypatch.setattr(listing, "_listed", by_c)
    monkeypatch.setattr(structure, "neighbour_list", by_python)
    return found


def large(atoms, k):
    """Twice the atoms, moved a little, as another config type."""
    double = atoms.repeat((2, 1, 1))
    double.rattle(0.01, seed=k)
    double.info["config_type"] = "large"
    energy, forces = 2 * atoms.get_potential_energy(), np.tile(atoms.get_forces(), (2, 1))
    double.calc = SinglePointCalculator(double, energy=energy, forces=forces)
    return double


def test_each_structure_of_a_fit_is_searched_once(spec, searches):
    frames = read(TRAIN, ":24")
    frames[3::4] = [large(a, k) for k, a in enumerate(frames[3::4])]  # sizes and types alternate
    found = etace.fit_model(
        spec, frames[:18], test=frames[18:], kinds=("energy", "forces"), committee=3,
        valid_fraction=0.2, calibrate=True, md=False,
    )  # fmt: skip
    times = [searches[np.asarray(a.positions, float).tobytes()] for a in frames]
    if found.model.row_kernel is None:
        pytest.skip("no compiler")
    assert times == [1] * len(frames)
    assert found.model.searched is None


def test_without_kernels_pairs_are_kept_too(spec, searches):
    model = etace.load(spec, backend="jax")
    data = etace.data.read([TRAIN], want=("energy", "forces")).structures[:5]
    assert model.row_kernel is None and model.batches is None
    kept = searched([data], 100)
    model.search_once(kept)
    ranges(model, [s.atoms for s in data])
    plan(model, targets(data, ("energy", "forces"), Weights()))
    for s in data:
        model.graph(s.atoms)
    assert [searches[s.atoms.positions.tobytes()] for s in data] == [1] * 5
    assert kept.left < LIMIT


def test_beyond_the_budget_results_are_the_same(spec, searches):
    model = etace.load(spec)
    frames = read(TRAIN, ":6")
    free = model.evaluate_batch(frames)
    for budget, most in ((0, 3), (10**8, 1)):
        searches.clear()
        kept = Searched([frames[:4]], budget)
        model.search_once(kept)
        for _ in range(3):
            found = model.evaluate_batch(frames)
            for a, b in zip(found, free, strict=True):
                np.testing.assert_allclose(a.forces, b.forces, atol=1e-12)
        assert {searches[a.positions.tobytes()] for a in frames[:4]} == {most}
        assert {searches[a.positions.tobytes()] for a in frames[4:]} == {3}
        assert 0 <= kept.left <= budget
        del kept
        assert model.searched is None


def test_structures_that_change_all_the_same_are_searched_again(spec):
    model = etace.load(spec)
    model.set_linear_parameters(np.random.default_rng(0).normal(size=model.length_basis))
    atoms = read(TRAIN, "0")
    kept = Searched([[atoms]])
    model.search_once(kept)
    before = model.evaluate(atoms)
    for change in (
        lambda: atoms.positions.__setitem__(0, atoms.positions[0] + 0.1),
        lambda: atoms.set_cell(1.01 * atoms.cell.array),
        lambda: atoms.numbers.__setitem__(slice(None), 14),
    ):
        change()
        found, wanted = model.evaluate(atoms), model.evaluate(atoms.copy())
        assert found.energy == wanted.energy != before.energy
    del kept


def test_batches_are_the_same_for_every_step(spec):
    frames = read(TRAIN, ":30")
    data = etace.data.read([TRAIN], want=("energy",)).structures[:30]
    kept = searched([data], 1000, folds=[k % 3 for k in range(30)])
    cut = batched(data, 1000, folds=[k % 3 for k in range(30)])
    assert sorted(k for b in cut for k in b) == list(range(30)) and len(cut) >= 3
    atoms = [s.atoms for s in data]
    order = in_order(atoms, kept)
    found = [list(map(id, g)) for g in groups([atoms[k] for k in order], 10**9, kept)]
    assert found == [[id(atoms[k]) for k in b] for b in cut]
    assert [len(g) for g in groups(frames, 40, kept)] == [40 // len(frames[0])] * 15
