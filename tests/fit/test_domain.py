"""What a fit has seen goes with the model, and whoever asks it about anything else is told."""

import warnings

import etace
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from etace.domain import Domain
from etace.errors import DomainWarning, UnfittedWarning
from etace.extrapolation import learned

TEXT = """etace 1
species Cu, Au
learnable onebody E0 { Cu = -1 eV, Au = -2 eV }
use linear_ace as ace { max_order = 2, max_level = 6, max_l = 2, cutoff = 5.0 Å }
model m = E0 + ace.two_body + ace.many_body
"""


def crystals(element, n, seed=0):
    draw, out = np.random.default_rng(seed), []
    for _ in range(n):
        a = bulk(element, cubic=True)
        a.positions += draw.normal(0, 0.1, (len(a), 3))
        out.append(a)
    return out


def model_of(path, structures, backend="auto"):
    """A model that was fitted to these, as far as its domain goes."""
    path.write_text(TEXT)
    model = etace.load(path, backend=backend)
    values = np.random.default_rng(1).normal(0, 1e-3, model.length_basis)
    model.set_linear_parameters(values)
    model.domain = Domain.of(etace.domain.ranges(model, structures), structures)
    model.set_extrapolation(learned(model, structures)[0])
    return model


@pytest.fixture
def model(tmp_path):
    return model_of(tmp_path / "m.etace", [*crystals("Cu", 6), *crystals("Au", 6)])


def alloy():
    a = bulk("Cu", cubic=True)
    a.numbers[:2] = 79
    return a


def told(model, atoms):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        model.evaluate(atoms)
    return [str(w.message) for w in found if w.category is DomainWarning]


def squeezed():
    a = bulk("Cu", cubic=True)
    a.set_cell(0.8 * a.cell, scale_atoms=True)
    return a


def test_what_was_seen_is_silent(model):
    assert not told(model, crystals("Cu", 1, seed=5)[0])
    assert not told(model, Atoms("Cu"))


def test_a_pair_that_was_never_seen_is_said_once(model):
    (text,) = told(model, alloy())
    assert "no Cu-Au pair within the cutoff" in text and "2.55 Å" in text
    assert not told(model, alloy())


def test_a_pair_far_apart_is_none(model):
    far = Atoms("CuAu", positions=[[0, 0, 0], [0, 0, 5.2]])
    assert not told(model, far)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.prepare(far, skin=1.0)  # listed, but not within the cutoff
    far.positions[1, 2] = 4.9
    assert told(model, far)


def test_a_distance_much_closer_than_any_is_said(model):
    (text,) = told(model, squeezed())
    assert text.startswith("the pair Cu-Cu comes to 2.04 Å")


def test_a_species_that_was_never_seen_is_said(tmp_path):
    model = model_of(tmp_path / "m.etace", crystals("Cu", 6))
    (text,) = told(model, alloy())
    assert text.startswith("the training data have no Au:")


@pytest.mark.parametrize("backend", ["native", "jax"])
def test_every_way_in_says_it(tmp_path, backend):
    made = model_of(tmp_path / "m.etace", [*crystals("Cu", 6), *crystals("Au", 6)], backend)
    for use in (
        lambda m: m.prepare(alloy()),
        lambda m: m.evaluate_batch([alloy(), squeezed()][:1]),
        lambda m: m.fast_graph(alloy()),
        lambda m: setattr(a := alloy(), "calc", m.calculator()) or a.get_potential_energy(),
    ):
        made._told.clear()
        with pytest.warns(DomainWarning, match="Cu-Au"):
            use(made)


def test_structures_of_a_batch_are_told_apart(model):
    found = []
    list(
        model.evaluate_many(
            [*crystals("Cu", 1), alloy(), *crystals("Au", 1), squeezed()],
            atoms_per_batch=9,
            told=lambda frame, gap: found.append((frame, gap.names)),
        )
    )
    assert found == [(1, ("Cu", "Au")), (3, ("Cu", "Cu"))]


def test_lists_in_c_and_in_python_find_the_same_distances(model):
    for atoms in (alloy(), squeezed(), fcc111("Cu", (2, 2, 3), vacuum=4.0), Atoms("Cu")):
        by_python, by_c = model.paired(atoms, skin=0.3), model.paired(atoms, skin=0.3)
        model.evaluator.prepare([by_c])
        assert "span" in by_c.__dict__ or model.backend_in_use.startswith("jax")
        np.testing.assert_allclose(by_c.span, by_python.span, rtol=1e-12)


def test_it_is_kept_in_the_file_and_goes_with_the_parameters(model, tmp_path):
    model.save(tmp_path / "m.safetensors")
    again = etace.load(tmp_path / "m.safetensors")
    assert again.domain == model.domain and told(again, alloy())
    again.set_linear_parameters(again.get_linear_parameters())
    assert again.domain is None and not told(again, alloy())


@pytest.mark.parametrize("height", np.arange(2.5, 6.0, 0.5))
def test_an_atom_that_evaporates_never_looks_safe(model, height):
    slab = fcc111("Cu", (2, 2, 3), vacuum=10.0)
    slab += Atoms("Cu", [slab.positions[-1] + [0, 0, height]])
    (grades,) = model.extrapolation_grades([slab])
    assert grades[-1] > 1


def test_a_lone_atom_is_far_unless_the_data_have_one(model, tmp_path):
    (grade,) = model.extrapolation_grades([Atoms("Cu")])
    assert grade[0] > 10
    other = model_of(tmp_path / "o.etace", [*crystals("Cu", 6), Atoms("Cu"), *crystals("Au", 6)])
    (grade,) = other.extrapolation_grades([Atoms("Cu")])
    assert grade[0] == pytest.approx(1, rel=1e-6) or grade[0] < 1


def test_factors_of_old_files_have_their_meaning_but_for_lone_atoms(model):
    F = model.extrapolation.shape[1] - 1
    model.set_extrapolation(model.extrapolation[:, :F, :F])
    bulk_grades, lone = model.extrapolation_grades([crystals("Cu", 1)[0], Atoms("Cu")])
    assert np.isfinite(bulk_grades).all() and np.isinf(lone).all()


def test_what_is_no_number_is_not_safe(model):
    factors = model.extrapolation.copy()
    model._extrapolation = np.where(np.isfinite(factors), np.nan, factors)
    (grades,) = model.extrapolation_grades([crystals("Cu", 1)[0]])
    assert np.isinf(grades).all()


def test_a_calculator_says_that_nobody_fitted_its_model(tmp_path):
    (tmp_path / "m.etace").write_text(TEXT)
    model = etace.load(tmp_path / "m.etace")
    with pytest.warns(UnfittedWarning, match="`m` is not fitted"):
        model.calculator()
    model.set_linear_parameters(model.get_linear_parameters() + 1e-3)
    assert not model.unfitted
