"""Design rows are the derivatives of energy, forces and virial in the linear parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from cases import EVERY, case, crystal, some
from etace import rows
from etace.graph import AtomGraph
from etace.potential import Linear

pytestmark = pytest.mark.usefixtures("x64")
NAMES = ("energy", "forces", "virial")


def with_linear(potential, params, c):
    """`set_linear_parameters` in JAX."""
    out = {block: dict(arrays) for block, arrays in params.items()}
    start = 0
    for term in potential.terms:
        size = potential.lengths[term.block]
        if size:
            key = "weights" if isinstance(term, Linear) else "energies"
            shape = potential.blocks[term.block][key]
            out[term.block][key] = c[start : start + size].reshape(shape[::-1]).T
        start += size
    return out


def by_autodiff(model, graph):
    """energy, forces and virial of the plain form, differentiated forward in each parameter, a few
    parameters at a time: all at once, the large sets would take gigabytes."""
    p = model.potential

    def results(c):
        r = p.energy_forces_virial(with_linear(p, model.params, c), graph)
        return r.energy, r.forces, r.virial

    def column(tangent):
        return jax.jvp(results, (jnp.zeros_like(tangent),), (tangent,))[1]

    each = jax.jit(lambda eye: jax.lax.map(column, eye, batch_size=16))(jnp.eye(p.length_basis))
    return [jnp.moveaxis(x, 0, -1) for x in each]


def errors(found, expected, floor=1e-6):
    """Of energy, forces and virial, each relative to the largest number of its own column; of a small
    column, to `floor` times that of all: it may vanish by symmetry, and leave only rounding."""
    out = {}
    for name, x, y in zip(NAMES, found, expected, strict=True):
        x, y = np.asarray(x), np.asarray(y)
        assert x.shape == y.shape, name
        scale = np.abs(y).reshape(-1, y.shape[-1]).max(axis=0)
        out[name] = (np.abs(x - y) / np.maximum(scale, floor * scale.max())).max()
    return out


def compare(found, expected, tolerance=1e-10):
    assert max(errors(found, expected).values()) < tolerance


@pytest.mark.parametrize("name", some(EVERY))
def test_rows_are_derivatives_in_the_linear_parameters(name):
    model = case(name)
    graph = model.graph(crystal(model, seed=2))
    compare(model.rows(model.params, graph), by_autodiff(model, graph))


def test_rows_of_a_batch_with_a_lone_atom_and_empty_structures():
    model = case("bonds")
    lone = Atoms("O", cell=[20, 20, 20], pbc=True)
    chain = Atoms("SiOSi", [[0, 0, 0], [1.8, 0, 0], [50, 0, 0]])
    graphs = [model.graph(a) for a in (crystal(model), lone, chain)]
    batch = AtomGraph.batch(graphs, n_structures=5)
    found = model.rows(model.params, batch)
    compare(found, by_autodiff(model, batch))
    assert not np.asarray(found.forces)[8].any()
    assert not np.asarray(found.energy)[3:].any()
    single = model.rows(model.params, graphs[1])
    assert not np.asarray(single.forces).any()
    assert np.array_equal(single.energy, found.energy[1])


@pytest.mark.parametrize("atoms", [1, 3, 8])
def test_blocks_of_any_size_give_the_same_rows(atoms, monkeypatch):
    model = case("si_o")
    structure = crystal(model, seed=3)
    graph = model.graph(structure, capacity=(10, 60))
    expected = model.rows(model.params, graph)
    functions = max(len(t.labels) for t in model.potential.terms if isinstance(t, Linear))
    monkeypatch.setattr(rows, "BLOCK", atoms * 3 * graph.n_slots * functions)
    compare(jax.jit(model.potential.design_rows)(model.params, graph), expected, 1e-12)


@pytest.mark.parametrize("name", some(["si_o", "bonds", "order5", "scalar"]))
def test_rows_in_float32_are_as_good_as_the_plain_form(name):
    double, single = case(name), case(name, "float32")
    atoms = crystal(double)
    expected = double.rows(double.params, double.graph(atoms))
    with jax.enable_x64(False):
        found = single.rows(single.params, single.graph(atoms))
        plain = errors(by_autodiff(single, single.graph(atoms)), expected, 1e-2)
    assert found.forces.dtype == np.float32
    for name, error in errors(found, expected, 1e-2).items():
        assert error < 4 * plain[name] + 16 * np.finfo(np.float32).eps


def test_memory_beyond_the_result_does_not_grow_with_it(monkeypatch):
    """Only what the graph itself takes grows: some numbers for each edge, not one for each column."""
    monkeypatch.setattr(rows, "BLOCK", 50_000)
    model = case("si_o")
    atoms = crystal(model)

    def temporary(graph):
        compiled = jax.jit(model.potential.design_rows).lower(model.params, graph).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    small, large = (model.graph(atoms.repeat((k, 4, 2)), capacity=(1, 40)) for k in (2, 8))
    edges = (large.n_atoms - small.n_atoms) * large.n_slots
    assert temporary(large) - temporary(small) < 80 * edges


def test_rows_can_be_differentiated_in_the_radials():
    model = case("si_o")
    graph = model.graph(crystal(model))
    weights = {k: jnp.asarray(v["weights"]) for k, v in model.params.items() if "R" in k}

    def total(scale):
        changed = {k: {"weights": scale * w} for k, w in weights.items()}
        return jnp.sum(model.potential.design_rows({**model.params, **changed}, graph).forces ** 2)

    slope = jax.jit(jax.grad(total))(1.0)
    numeric = (jax.jit(total)(1 + 1e-5) - jax.jit(total)(1 - 1e-5)) / 2e-5
    assert slope == pytest.approx(float(numeric), rel=1e-6)
