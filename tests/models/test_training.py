"""The fast ways of the training form against the plain ones, with their derivatives."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import case, crystal, some
from etace import tensor
from etace.blocks import SIZE, in_blocks

pytestmark = pytest.mark.usefixtures("x64")
NAMES = some(["bonds", "order5", "scalar", "si_ace_small"])


def parts(name):
    """Case, pool, table of products and the name of a basis."""
    model = case(name)
    m = model.module
    prefix = next(k for k in vars(m) if k.endswith("_TABLE"))[: -len("_TABLE")]
    return model, getattr(m, f"{prefix}_POOL"), getattr(m, f"{prefix}_TABLE"), prefix


@pytest.mark.parametrize("name", NAMES)
def test_sums_before_mixing_are_sums_of_mixed_edges(name):
    model, _, _, prefix = parts(name)
    graph = model.graph(crystal(model))
    edges = getattr(model.module, f"{prefix}_edges")(model.params, graph)
    A = getattr(model.module, f"{prefix}_A")(model.params, graph)
    expected = jnp.sum(edges, axis=1)
    assert np.allclose(A, expected, rtol=0, atol=1e-12 * float(jnp.abs(expected).max()))


@pytest.mark.parametrize("name", NAMES)
def test_energies_without_a_basis_are_those_of_the_basis(name):
    model, _, table, prefix = parts(name)
    graph = model.graph(crystal(model))
    A = getattr(model.module, f"{prefix}_A")(model.params, graph)
    weights = jnp.asarray(
        np.random.default_rng(3).normal(size=(table.functions, len(model.potential.species)))
    )

    def fast(A, w):
        return jnp.sum(tensor.evaluate(A, w, table, graph))

    def plain(A, w):
        return jnp.sum(tensor.readout(tensor.couple(A, table), w, graph))

    for order in (lambda f: f, lambda f: jax.grad(f, argnums=(0, 1)), second):
        got, expected = order(fast)(A, weights), order(plain)(A, weights)
        for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
            assert np.allclose(a, b, rtol=0, atol=1e-11 * float(jnp.abs(b).max()) + 1e-300)


def second(f):
    """A derivative in the weights of a number that contains a derivative in A."""
    return jax.grad(lambda A, w: jnp.sum(jax.grad(f)(A, w) ** 2), argnums=(0, 1))


@pytest.mark.parametrize(
    ("name", "repeat"),
    [
        ("scratch", (3, 3, 1)),
        *(pytest.param("bonds", n, marks=pytest.mark.slow) for n in ((3, 3, 1), (3, 4, 1))),
    ],
)
def test_blocks_of_atoms_change_nothing_also_in_second_derivatives(name, repeat):
    """72 and 96 atoms: more than one block, full ones and not."""
    model = case(name)
    atoms = crystal(model).repeat(repeat)
    graph = model.graph(atoms, pad=False)
    p = model.potential
    assert graph.n_atoms > SIZE
    whole = jax.jit(p.sites)(model.params, graph)
    blocks = jax.jit(lambda q, g: in_blocks(lambda b: p.sites(q, b), g))(model.params, graph)
    assert np.allclose(blocks, whole, rtol=0, atol=1e-12 * model.scale(atoms))

    def slopes(params, sites):
        def energy(x):
            return jnp.sum(sites(params, graph.with_positions(x)))

        return jnp.sum(jax.grad(energy)(jnp.asarray(graph.positions)) ** 2)

    def forces(params):
        return jnp.sum(p.energy_forces_virial(params, graph).forces ** 2)

    plain = jax.jit(jax.grad(lambda q: slopes(q, p.sites)))(model.params)
    for loss in (forces, lambda q: slopes(q, p.site_energies)):
        got = jax.jit(jax.grad(loss))(model.params)
        for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(plain), strict=True):
            assert np.allclose(a, b, rtol=0, atol=1e-10 * float(jnp.abs(b).max()))


def test_many_sets_of_parameters_can_be_evaluated_at_once():
    model = case("bonds")
    graph = model.graph(crystal(model))
    two = jax.tree.map(lambda a: jnp.stack([a, 2 * a]), dict(model.params))
    forces = lambda q: model.potential.energy_forces_virial(q, graph).forces  # noqa: E731
    got = jax.jit(jax.vmap(forces))(two)
    assert np.allclose(got[0], model.evaluate(model.params, graph).forces, rtol=0, atol=1e-11 * 10)


def test_edges_can_be_given_as_an_array_or_by_component():
    model = case("si_o")
    graph = model.graph(crystal(model))
    v = graph.vectors
    sites = jax.jit(model.potential.sites)
    expected = sites(model.params, graph)
    for given in (v, (v[..., 0], v[..., 1], v[..., 2])):
        energies = sites(model.params, replace(graph, edge_vectors=given))
        assert np.allclose(energies, expected, rtol=0, atol=1e-12 * model.scale(crystal(model)))


def test_what_is_not_finite_stays_with_its_atom():
    model = case("bonds")
    graph = model.graph(crystal(model).repeat((3, 4, 1)))
    x, y, z = (np.array(a) for a in graph.components)
    good = model.evaluate(model.params, replace(graph, edge_vectors=(x, y, z))).energies
    x[5, 0] = np.nan
    with jax.debug_nans(False):
        bad = model.evaluate(model.params, replace(graph, edge_vectors=(x, y, z))).energies
    others = np.arange(len(x)) != 5
    assert np.array_equal(np.asarray(bad)[others], np.asarray(good)[others])
