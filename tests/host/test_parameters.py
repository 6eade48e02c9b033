"""Parameters that change are noticed at the next use, or cannot be changed: no numbers of the old ones."""

import copy

import etace
import numpy as np
import pytest
from etace.errors import ParameterError
from small import crystal, small_model, with_everything

TWO = """etace 1
species Si, O
learnable onebody A { Si = -1 eV, O = -2 eV }
learnable onebody B { Si = -3 eV, O = -4 eV }
bond *-* { rcut = 3 Å }
zbl core { inner = 0.5 Å, outer = 0.9 Å }
model m = A + B + core
"""


@pytest.fixture(params=["native", "jax"])
def model(request, tmp_path):
    return small_model(tmp_path, request.param)


@pytest.fixture
def native(tmp_path):
    return small_model(tmp_path)


def readout(model):
    """A block and an array of it."""
    return next((b, k) for b, arrays in model.params.items() for k in arrays)


def fresh(model, atoms):
    """The energy by a model that has never seen other parameters."""
    again = copy.deepcopy(model)
    again.backend = "native"
    again.params = {b: {k: np.array(v) for k, v in a.items()} for b, a in model.params.items()}
    return again.energy(atoms)


def test_arrays_cannot_be_written_to(native):
    block, key = readout(native)
    array = native.params[block][key]
    with pytest.raises(ValueError, match="read-only"):
        array[...] = 0
    with pytest.raises(ValueError, match="read-only"):
        array *= 2
    with pytest.raises(ValueError, match="WRITEABLE"):
        array.flags.writeable = True


def test_whatever_is_put_into_the_parameters_is_used(model):
    atoms, (block, key) = crystal(), readout(model)
    near = model.prepare(atoms)

    def replace_array(values):
        model.params[block][key] = values

    def replace_block(values):
        model.params[block] = {**model.params[block], key: values}

    def replace_all(values):
        model.params = {**model.params, block: {**model.params[block], key: values}}

    def setter(values):
        model.set_params(block, key, values)

    kept = model.params  # by somebody who goes on with it

    def through_what_was_kept(values):
        kept[block][key] = values

    ways = (replace_array, through_what_was_kept, replace_block, setter, replace_all)
    for n, way in enumerate(ways):
        old = model.evaluate_prepared(near).energy
        values = np.array(model.params[block][key]) * (1.1 + 0.1 * n)
        way(values)
        new = model.evaluate_prepared(near).energy
        assert new != old, way.__name__
        assert new == pytest.approx(fresh(model, atoms), abs=1e-10), way.__name__
        values[...] = 0  # it was copied
        assert model.evaluate_prepared(near).energy == new


def test_blocks_that_share_a_dict_are_still_two(tmp_path):
    (tmp_path / "two.etace").write_text(TWO, encoding="utf8")
    model = etace.load(tmp_path / "two.etace", backend="native")
    model.params["A"] = model.params["B"]
    assert model.energy(crystal()) == pytest.approx(4 * 2 * -3 + 4 * 2 * -4)
    revision = model.revision
    model.energy(crystal())
    assert model.revision == revision
    model.params["A"]["energies"] = [0, 0]
    assert model.energy(crystal()) == pytest.approx(4 * -3 + 4 * -4)


def test_the_evaluator_itself_notices_too(model):
    atoms, (block, key) = crystal(), readout(model)
    params, near = {b: dict(a) for b, a in model.params.items()}, model.prepare(atoms)
    old = model.evaluator(params, near).energy[0]
    params[block][key] = 2 * params[block][key]
    assert model.evaluator(params, near).energy[0] != old


def test_wrong_parameters_are_refused_and_the_old_ones_stay(native):
    atoms, (block, key) = crystal(), readout(native)
    before, shape = native.energy(atoms), native.params[block][key].shape
    wrong = [np.zeros((*shape, 1)), np.full(shape, np.nan), np.zeros(shape, complex), "x", None]
    for values in wrong:
        with pytest.raises(ParameterError):
            native.set_params(block, key, values)
    for name in ((block, "nothing"), ("nothing", key)):
        with pytest.raises(ParameterError, match="unknown parameter"):
            native.set_params(*name, np.zeros(shape))
    for params in ({}, None, [1], {block: 3}, {**native.params, "more": {}}):
        with pytest.raises(ParameterError):
            native.params = params
    assert native.energy(atoms) == before


def test_what_is_wrong_is_named_and_taken_out_again(native):
    (block, key), before = readout(native), native.energy(crystal())
    right = native.params[block][key]
    native.params[block][key] = np.full(right.shape, np.nan)
    with pytest.raises(ParameterError, match=rf"`{block}\.{key}` must be finite numbers"):
        native.energy(crystal())
    del native.params[block]
    with pytest.raises(ParameterError, match=f"`{block}` is missing"):
        native.energy(crystal())
    native.params[block] = 3
    with pytest.raises(ParameterError, match="dict of blocks"):
        native.energy(crystal())
    assert native.energy(crystal()) == before
    assert native.params[block][key] is right


def test_what_is_of_other_parameters_goes(native):
    with_everything(native)
    block, key = readout(native)
    native.params[block][key] = 2 * native.params[block][key]
    assert native.committee is None
    assert native.extrapolation is None
    assert native.card is None


def test_arrays_of_a_committee_and_of_grades_cannot_be_written_to(native):
    with_everything(native)
    for array in (native.committee, native.extrapolation, native.potential.cutoffs):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    for array in (native.get_linear_parameters(), native.evaluate(crystal()).forces):
        array[...] = 0  # a copy
    assert native.get_linear_parameters().any()


def test_what_the_model_was_made_of_cannot_be_changed(native):
    with pytest.raises(TypeError):
        native.origin["root"] = "x"
    with pytest.raises(TypeError):
        native.origin["sources"]["small.etace"] = "x"
    with pytest.raises(TypeError):
        native.arrays["x"] = np.zeros(3)


def test_functions_in_jax_know_the_shapes_of_parameters(native, x64):
    block, key = readout(native)
    for graph in (native.graph(crystal()), native.fast_graph(crystal())):
        params = {**native.params, block: {key: np.zeros(3)}}
        with pytest.raises(ParameterError, match=rf"`{block}\.{key}` has shape"):
            native.potential.energy(params, graph)


def test_a_calculator_notices_every_change(native):
    atoms, (block, key) = crystal(), readout(native)
    atoms.calc = native.calculator()
    old = atoms.get_potential_energy()
    native.params[block][key] = 2 * native.params[block][key]
    new = atoms.get_potential_energy()
    assert new == native.energy(atoms) != old
    native.set_committee(np.outer([0.9, 1.1], native.get_linear_parameters()))
    assert atoms.calc.get_property("energy_std", atoms) > 0
    native.set_committee(np.outer([0.5, 1.5], native.get_linear_parameters()))
    std = atoms.calc.get_property("energy_std", atoms)
    assert std == pytest.approx(native.evaluate_committee(atoms).energy_std)
    native.cores = 1
    atoms.rattle(0.01, seed=1)
    assert atoms.get_potential_energy() == pytest.approx(native.energy(atoms), abs=1e-10)


def test_a_calculator_lists_neighbours_for_its_own_skin_and_model(native, tmp_path):
    atoms = crystal()
    calculator = atoms.calc = native.calculator(skin=0.01)
    atoms.get_potential_energy()
    calculator.skin = 3.0
    atoms.positions[0] += 1.2  # more than the old skin, less than the new one
    assert atoms.get_potential_energy() == pytest.approx(native.energy(atoms), abs=1e-10)
    other = small_model(tmp_path)
    other.set_linear_parameters(2 * native.get_linear_parameters())
    calculator.model = other
    assert atoms.get_potential_energy() == pytest.approx(other.energy(atoms), abs=1e-10)
