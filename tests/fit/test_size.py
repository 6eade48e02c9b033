"""The size of a default model: what cross-validation says, and that elements are alike in it."""

from itertools import permutations

import numpy as np
import pytest
from ase import Atoms
from etace.data import Labelled
from etace.fit.assemble import assemble, plan
from etace.fit.factors import system
from etace.fit.fitting import fit, targets
from etace.fit.folds import folds
from etace.fit.priors import Prior, gamma
from etace.fit.size import choose
from etace.fit.size.columns import Columns
from etace.fit.size.moments import moments
from etace.fit.size.path import Step, smallest
from etace.fit.size.validated import Errors, Validation
from etace.fit.weights import Weights
from etace.loading import from_text
from etacec import defaults

ZERO = {"Cu": 0.0, "Au": 0.0, "Ni": 0.0}


def alloy(n, elements=("Au", "Cu", "Ni"), seed=0, spread=0.25, group="default"):
    """Rattled fcc cells with the energies and forces of a pair potential that tells elements apart."""
    draw = np.random.default_rng(seed)
    out = []
    for k in range(n):
        cell = np.array([3.9, 3.9, 3.9]) * (1 + 0.04 * draw.normal())
        base = np.array([[0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]]) * cell
        atoms = Atoms(
            draw.choice(elements, 4), base + spread * draw.normal(size=(4, 3)), cell=cell, pbc=True
        )
        energy, forces = pair_energies(atoms)
        out.append(Labelled(atoms, energy, forces, None, group, 1.0, f"alloy:{k}"))
    return out


def pair_energies(atoms, cutoff=5.5):
    from ase.neighborlist import neighbor_list

    i, j, d, D = neighbor_list("ijdD", atoms, cutoff)
    size = {"Au": 1.3, "Cu": 1.0, "Ni": 0.9}
    own = np.array([size[s] for s in atoms.get_chemical_symbols()])
    strength, length = np.sqrt(own[i] * own[j]), 2.3 * (own[i] + own[j]) / 2
    x, smooth = np.exp(-1.3 * (d - length)), (1 - (d / cutoff) ** 2) ** 3
    e = strength * (x * x - 2 * x)
    slope = (
        strength * -1.3 * (2 * x * x - 2 * x) * smooth
        - e * 6 * d / cutoff**2 * (1 - (d / cutoff) ** 2) ** 2
    )
    forces = np.zeros((len(atoms), 3))
    np.add.at(forces, i, (slope / d)[:, None] * D)
    return 0.5 * float((e * smooth).sum()), forces


def made(elements, shape):
    return from_text(defaults.spec(elements, ZERO, shape), "default.etace")


def goals(data, places):
    from dataclasses import replace

    found = targets(data, ("energy", "forces"), Weights())
    return [replace(t, fold=f) for t, f in zip(found, places, strict=True)]


@pytest.mark.parametrize("elements", [("Cu",), ("Au", "Cu"), ("Au", "Cu", "Ni")])
@pytest.mark.parametrize("l_weight", [1.5, 0.75])
def test_a_large_model_holds_the_smaller_ones(elements, l_weight):
    large = made(elements, defaults.Shape((8, 6, 5), l_weight))
    columns = Columns(large, l_weight)
    assert len(columns.of((8, 6, 5))) == large.length_basis
    atoms = alloy(1, elements)[0].atoms
    rows = large.row_kernel.rows(large.params, [large.paired(atoms)]).forces
    for degrees in [(4, 3), (6, 5, 4), (8, 5, 4), (5, 6)]:
        small = made(elements, defaults.Shape(degrees, l_weight))
        own = columns.of(degrees)
        assert len(own) == small.length_basis
        few = small.row_kernel.rows(small.params, [small.paired(atoms)]).forces
        np.testing.assert_allclose(
            np.sort(np.linalg.norm(few, axis=(0, 1))),
            np.sort(np.linalg.norm(rows[..., own], axis=(0, 1))),
            rtol=1e-9,
            atol=1e-12,
        )


def test_errors_are_those_of_fits_without_each_fold():
    data = alloy(20, ("Au", "Cu"))
    model = made(("Au", "Cu"), defaults.Shape((6, 4)))
    places = folds(data)
    own = goals(data, places)
    g = gamma(model.potential, Prior())
    sums = moments(model, own, plan(model, own), 1)
    columns, ridge = np.arange(model.length_basis), 1e-6
    found = Validation(sums, Weights(), g).errors(columns, ridge)
    factors = assemble(model, own, plan(model, own), 1)
    weight = Weights()
    whole = system(factors, lambda k: weight(k.group, k.kind))
    strength = ridge * np.mean(np.sum(whole.R**2, axis=0) / g**2) * g**2
    left, energies = [], []
    for fold in sorted(set(places)):
        seen = system(factors, lambda k, f=fold: weight(k.group, k.kind) if k.fold != f else 0.0)
        A = np.concatenate([seen.R, np.diag(np.sqrt(strength))])
        c = np.linalg.lstsq(A, np.concatenate([seen.z, 0 * g]), rcond=None)[0]
        model.set_linear_parameters(c)
        for s in (s for s, f in zip(data, places, strict=True) if f == fold):
            result = model.evaluate(s.atoms)
            left.append(np.ravel(result.forces - s.forces))
            energies.append((result.energy - s.energy) / np.sqrt(len(s.atoms)))
    rmse = np.sqrt(np.mean(np.concatenate(left) ** 2))
    assert found.rmse["forces"] == pytest.approx(rmse, rel=1e-5)
    assert found.rmse["energy"] == pytest.approx(np.sqrt(np.mean(np.square(energies))), rel=1e-5)
    assert found.median == pytest.approx(np.median(np.abs(energies)), rel=1e-4)
    assert found.train["forces"] < found.rmse["forces"]


def test_the_order_of_species_changes_nothing():
    data = alloy(12)
    test = [s.atoms for s in alloy(3, seed=1)]
    found = []
    for elements in permutations(("Au", "Cu", "Ni")):
        model = made(elements, defaults.Shape((6, 4, 4), 0.75))
        fit(model, data, kinds=("energy", "forces"), repulsion=True)
        found.append([(r.energy, r.forces) for r in model.evaluate_batch(test)])
    for other in found[1:]:
        for (e, f), (e0, f0) in zip(other, found[0], strict=True):
            assert e / 4 == pytest.approx(e0 / 4, abs=1e-8)
            np.testing.assert_allclose(f, f0, atol=1e-8)


def test_the_choice_is_that_of_the_data_whatever_their_order_and_names():
    data = alloy(24, ("Au", "Cu"))
    said = []
    first = choose(("Au", "Cu"), ZERO, data, "small", kinds=("energy", "forces"), tell=said.append)
    again = choose(("Cu", "Au"), ZERO, data[::-1], "small", kinds=("energy", "forces"))
    assert first.shape == again.shape
    assert first.step.force == pytest.approx(again.step.force, rel=1e-4)
    assert first.step.columns <= max(s.columns for t in first.stages for s in t.steps)
    assert str(first.step.columns) in said[-1]


def test_a_size_is_never_exceeded(monkeypatch):
    small = defaults.Size(3, 40, 70)
    monkeypatch.setitem(defaults.SIZES, "small", small)
    found = choose(("Au", "Cu"), ZERO, alloy(40, ("Au", "Cu")), "small", kinds=("energy", "forces"))
    assert found.shape.order <= 3
    assert found.step.columns <= small.columns
    assert max(s.columns for t in found.stages if t.what == "small" for s in t.steps) <= 70


def test_of_many_structures_a_part_is_looked_at_whatever_their_order(monkeypatch):
    import sys

    module = sys.modules["etace.fit.size.choose"]
    monkeypatch.setattr(module, "ATOMS", 60)
    data = alloy(40, ("Cu",))
    some = module._sample(data, 3)
    assert 8 <= len(some) < 40
    again = module._sample(data[::-1], 3)
    assert {s.source for s in some} == {s.source for s in again}


def test_few_structures_are_told_to_be_few():
    for n in (1, 2, 5):
        found = choose(("Au", "Cu"), ZERO, alloy(n, ("Au", "Cu")), "large")
        assert found.step is None
        assert "too few to compare sizes" in found.told[-1]
        rows = sum(1 + 3 * 4 for _ in range(n))
        columns = 2 * defaults.functions(("Au", "Cu"), found.shape)
        assert columns <= max(rows, 70)


def test_config_types_with_large_errors_get_small_weights():
    mild = alloy(24, ("Cu",), spread=0.05, group="crystal")
    hot = alloy(24, ("Cu",), seed=5, spread=0.6, group="hot")
    found = choose(("Cu",), ZERO, [*mild, *hot], "small", kinds=("energy", "forces"))
    if found.weights:
        assert found.weights["hot"]["forces"] < found.weights["crystal"]["forces"]
    given = Weights({"default": {"energy": 10.0}})
    kept = choose(("Cu",), ZERO, [*mild, *hot], "small", kinds=("energy", "forces"), weights=given)
    assert kept.weights == given.groups


def test_the_smallest_within_a_margin_of_both_errors():
    def step(columns, force, energy, n=400):
        errors = Errors(
            {"forces": force}, {"forces": force}, energy,
            {("default", "energy"): np.zeros(n)}, 1.0, 1e-10,
        )  # fmt: skip
        return Step((columns,), columns, errors)

    path = [step(10, 2.0, 2.0), step(20, 1.02, 1.5), step(40, 1.01, 1.02), step(80, 1.0, 1.0)]
    assert smallest(path).columns == 40
    rough = [step(10, 1.02, 1.12, n=9), step(80, 1.0, 1.0, n=9)]
    assert smallest(rough).columns == 10, "the median of nine energies says little"
