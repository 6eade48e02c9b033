"""What must hold of any potential, whatever its weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from cases import EVERY, case, clear_crystal, crystal, some
from etace.errors import PrecisionError
from etace.graph import AtomGraph

pytestmark = pytest.mark.usefixtures("x64")


@pytest.fixture(params=some(EVERY))
def model(request):
    """The training form; what is said of rows and parameters is said of it alone."""
    return case(request.param)


@pytest.fixture(params=["training", pytest.param("inference", marks=pytest.mark.slow), "native"])
def form(request):
    return request.param


@pytest.fixture(params=some(EVERY))
def either(request, form):
    """All forms, one after the other."""
    return case(request.param, form=form)


def orthogonal(seed, sign):
    q, r = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * (sign * np.sign(np.linalg.det(q)))


@pytest.mark.parametrize("sign", [1, -1], ids=["rotation", "reflection"])
def test_energy_is_invariant_forces_and_virial_turn_along(either, sign):
    atoms = crystal(either)
    q = orthogonal(3, sign)
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ q.T)
    turned.positions = atoms.positions @ q.T
    (e, ei, f, v), (e2, ei2, f2, v2) = either(atoms), either(turned)
    scale = either.scale(atoms)
    assert abs(e - e2) < 1e-11 * scale
    assert np.allclose(ei, ei2, rtol=0, atol=1e-11 * scale)
    assert np.allclose(f @ q.T, f2, rtol=0, atol=1e-10 * scale)
    assert np.allclose(q @ v @ q.T, v2, rtol=0, atol=1e-10 * scale)
    assert np.allclose(v, v.T, rtol=0, atol=1e-10 * scale)


def test_translation_wrapping_and_permutation_change_nothing(either):
    atoms = crystal(either)
    e, _, f, _ = either(atoms)
    moved = atoms.copy()
    moved.positions += [0.3, -11.0, 4.4]
    moved.positions[2] += atoms.cell.array[1]
    order = np.random.default_rng(5).permutation(len(atoms))
    e2, _, f2, _ = either(moved[order])
    assert abs(e - e2) < 1e-11 * either.scale(atoms)
    assert np.allclose(f[order], f2, rtol=0, atol=1e-9 * either.scale(atoms))
    assert np.allclose(f.sum(axis=0), 0, atol=1e-10 * either.scale(atoms))


@pytest.mark.parametrize(
    "n", [3, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 5, 10))]
)
def test_energy_is_extensive(either, n):
    atoms = crystal(either)
    (e, _, f, v), (e2, _, f2, v2) = either(atoms), either(atoms.repeat((1, n, 1)))
    scale = either.scale(atoms)
    assert abs(e2 / n - e) < 1e-10 * scale
    assert np.allclose(f2[:8], f, rtol=0, atol=1e-9 * scale)
    assert np.allclose(v2 / n, v, rtol=0, atol=1e-9 * scale)


def test_another_cell_of_the_same_crystal_has_the_same_energy(either):
    atoms = crystal(either)
    other = make_supercell(atoms, [[1, 1, 0], [0, 1, 0], [0, -2, 1]])
    assert len(other) == 8
    assert abs(either(other)[0] - either(atoms)[0]) < 1e-10 * either.scale(atoms)


def one_body(model, atoms):
    alone = {s: model(Atoms(s))[0] for s in set(atoms.symbols)}
    return sum(alone[s] for s in atoms.symbols)


def test_far_atoms_have_their_one_body_energy_exactly(either):
    species = either.potential.species
    reach = either.potential.cutoff_radius
    for cell in (None, [30, 30, 30]):
        pair = Atoms(
            [species[0], species[-1]],
            [[0, 0, 0], [reach + 1e-6, 0, 0]],
            cell=cell,
            pbc=cell is not None,
        )
        e, _, f, v = either(pair)
        assert e == one_body(either, pair)
        assert not f.any()
        assert not v.any()


def test_energy_and_forces_go_to_zero_smoothly_at_each_bonds_own_cutoff(either):
    species = either.potential.species
    for i, a in enumerate(species):
        for j, b in enumerate(species):
            pair = Atoms([a, b], [[0, 0, 0], [either.potential.cutoffs[i, j] - 1e-5, 0, 0]])
            e, _, f, _ = either(pair)
            assert abs(e - one_body(either, pair)) < 1e-7
            assert np.abs(f).max() < 1e-2


@pytest.mark.parametrize("name", ["diamond", "fcc", "sc"])
def test_perfect_lattices_have_no_force_and_no_nan(either, name):
    s = either.potential.species[0]
    lattice = bulk(s, name, a=5.43 if name == "diamond" else 3.9 if name == "fcc" else 2.6)
    e, _, f, v = either(lattice)
    assert np.isfinite(e)
    assert np.allclose(f, 0, atol=1e-9 * either.scale(lattice))
    assert np.allclose(v, v[0, 0] * np.eye(3), atol=1e-9 * either.scale(lattice))
    if either.form == "training":
        rows = either.rows(either.params, either.graph(lattice))
        assert all(np.isfinite(np.asarray(r)).all() for r in rows)


def test_forces_are_minus_the_gradient_of_the_energy(either):
    atoms = clear_crystal(either)
    _, _, f, _ = either(atoms)
    rng = np.random.default_rng(1)
    for _ in range(3):
        step = rng.normal(size=f.shape)

        def energy(h, step=step):
            moved = atoms.copy()
            moved.positions += h * step
            return either(moved)[0]

        assert slope(energy, 1e-4) == pytest.approx(
            -(f * step).sum(), rel=1e-7, abs=1e-8 * either.scale(atoms)
        )


def test_virial_is_minus_the_derivative_in_the_strain(either):
    atoms = clear_crystal(either)
    v = either(atoms)[3]
    rng = np.random.default_rng(2)
    for _ in range(2):
        strain = rng.normal(size=(3, 3))

        def energy(h, strain=strain):
            f = np.eye(3) + h * strain
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ f.T)
            strained.positions = atoms.positions @ f.T
            return either(strained)[0]

        assert slope(energy, 3e-5) == pytest.approx(
            -(v * strain).sum(), rel=1e-6, abs=1e-7 * either.scale(atoms)
        )


def slope(f, h):
    """df/dh at 0, six points: error of order h^6."""
    d = [f(k * h) - f(-k * h) for k in (1, 2, 3)]
    return (45 * d[0] - 9 * d[1] + d[2]) / (60 * h)


def test_design_rows_add_up_to_energy_forces_and_virial(model):
    atoms = crystal(model, seed=4)
    p, graph = model.potential, model.graph(atoms)
    rows, r = model.rows(model.params, graph), model.evaluate(model.params, graph)
    alone, fixed = jax.jit(p.fixed_part)(model.params, graph)
    c = p.get_linear_parameters(model.params)
    scale = float(np.abs(np.asarray(rows.energy) * c).sum()) + model.scale(atoms)
    for row, whole, rest in (
        (rows.energy, r.energy, alone + fixed.energy),
        (rows.forces, r.forces, fixed.forces),
        (rows.virial, r.virial, fixed.virial),
    ):
        assert np.allclose(
            np.asarray(row) @ c + np.asarray(rest), np.asarray(whole), rtol=0, atol=1e-10 * scale
        )
    energy = jax.jit(p.energy_rows)(model.params, graph)
    assert np.allclose(energy, rows.energy, rtol=0, atol=1e-12 * np.abs(rows.energy).max())


def test_columns_of_a_species_that_is_absent_are_zero(model):
    species = model.potential.species
    if len(species) < 2:
        pytest.skip("a model of one species")
    atoms = crystal(model)
    atoms.symbols[:] = species[0]
    rows = model.rows(model.params, model.graph(atoms))
    other = [k for k, x in enumerate(model.potential.linear_parameters) if x.species != species[0]]
    assert not np.asarray(rows.energy)[other].any()
    assert not np.asarray(rows.forces)[..., other].any()


def test_site_basis_and_weights_give_the_site_energies(model):
    atoms = crystal(model)
    p, graph = model.potential, model.graph(atoms)
    B = np.asarray(jax.jit(p.site_basis)(model.params, graph))
    energies = jax.jit(p.site_energies)
    sites = np.asarray(energies(model.params, graph))
    zero = p.set_linear_parameters(model.params, np.zeros(p.length_basis))
    bare = np.asarray(energies(zero, graph))
    start, total = 0, np.zeros(len(sites))
    for term in p.terms:
        if hasattr(term, "labels") and term.learnable:
            W = np.asarray(model.params[term.block]["weights"])
            total += (B[:, start : start + len(W)] * W.T[np.asarray(graph.species)]).sum(axis=1)
            start += len(W)
        elif term.learnable:
            total += (
                term.factor
                * np.asarray(model.params[term.block]["energies"])[np.asarray(graph.species)]
            )
    mask = np.asarray(graph.atom_mask)
    assert np.allclose((total + bare)[mask], sites[mask], rtol=0, atol=1e-11 * model.scale(atoms))


@pytest.mark.parametrize("name", some(["si_o", "bonds", "order5", "zbl"]))
def test_padding_and_batching_change_nothing(name):
    model = case(name)
    atoms = [crystal(model, seed=k).repeat((k + 1, 1, 1)) for k in range(3)]
    graphs = [model.graph(a) for a in atoms]
    singles = [model.evaluate(model.params, g) for g in graphs]
    batch = model.evaluate(model.params, AtomGraph.batch(graphs, n_structures=4))
    exact = model.evaluate(model.params, model.graph(atoms[0], pad=False))
    roomy = model.evaluate(model.params, model.graph(atoms[0], capacity=(40, 80)))
    scale = model.scale(atoms[2])
    for k, single in enumerate(singles):
        assert abs(float(batch.energy[k]) - float(single.energy)) < 1e-12 * scale
        assert np.allclose(batch.virial[k], single.virial, rtol=0, atol=1e-11 * scale)
    assert float(batch.energy[3]) == 0
    assert np.allclose(
        np.asarray(batch.forces)[:8], np.asarray(singles[0].forces)[:8], rtol=0, atol=1e-11 * scale
    )
    for other in (exact, roomy):
        assert abs(float(other.energy) - float(singles[0].energy)) < 1e-12 * scale


@pytest.mark.parametrize("name", some(["scratch", "bonds", "zbl"], ["scratch"]))
def test_all_of_it_can_be_differentiated_by_jax(name):
    model = case(name)
    atoms = crystal(model)
    p, graph = model.potential, model.graph(atoms)
    x0 = jnp.asarray(graph.positions)

    def energy(params, x):
        return p.energy(params, graph.with_positions(x))

    gx = jax.jit(jax.grad(energy, argnums=1))
    forces = np.asarray(model.evaluate(model.params, graph).forces)
    assert np.allclose(-gx(model.params, x0), forces, rtol=0, atol=1e-11 * model.scale(atoms))
    rng = np.random.default_rng(9)
    step = jnp.asarray(rng.normal(size=x0.shape))
    hvp = jax.jvp(lambda x: gx(model.params, x), (x0,), (step,))[1]
    numeric = (gx(model.params, x0 + 1e-5 * step) - gx(model.params, x0 - 1e-5 * step)) / 2e-5
    assert np.allclose(hvp, numeric, rtol=1e-5, atol=1e-5 * float(jnp.abs(hvp).max()))
    gp = jax.jit(jax.grad(energy))(model.params, x0)
    for block, arrays in model.params.items():
        for key, array in arrays.items():
            d = rng.normal(size=array.shape)

            def along(h, block=block, key=key, array=array, d=d):
                changed = {**model.params, block: {**model.params[block], key: array + h * d}}
                return float(energy(changed, x0))

            expected = float((np.asarray(gp[block][key]) * d).sum())
            assert slope(along, 1e-3) == pytest.approx(
                expected, rel=1e-6, abs=1e-8 * model.scale(atoms)
            )


@pytest.mark.parametrize(
    "name", some(["si_o", "scratch", "bonds", "order5", "scalar", "zbl", "si_ace_small"])
)
def test_float32_is_within_rounding_of_float64(name, form):
    """Errors in units of eps * (sum of |terms| of the linear sum): 64 for E, 512 per Å for F and V."""
    double, single = case(name), case(name, "float32", form)
    atoms = crystal(double)
    rows = double.rows(double.params, double.graph(atoms))
    c = np.abs(double.potential.get_linear_parameters(double.params))
    eps = np.finfo(np.float32).eps
    e, _, f, v = double(atoms)
    with jax.enable_x64(False):
        e32, ei, f32, v32 = single(atoms)
    assert ei.dtype == np.float32
    terms = (np.abs(rows.energy) * c).sum() + double.scale(atoms)
    assert abs(e32 - e) < 64 * eps * terms
    slopes = (np.abs(rows.forces) * c).sum(axis=-1).max() + terms
    assert np.abs(f32 - f).max() < 512 * eps * slopes
    assert np.abs(v32 - v).max() < 512 * eps * (
        (np.abs(rows.virial) * c).sum(axis=-1).max() + terms
    )


def test_a_float64_module_refuses_32_bit_mode_also_inside_jit():
    model = case("scratch")
    graph = model.graph(crystal(model))
    with jax.enable_x64(False):
        with pytest.raises(PrecisionError, match="enable_x64"):
            model.potential.energy(model.params, graph)
        with pytest.raises(PrecisionError, match="enable_x64"):
            jax.jit(model.potential.energy)(model.params, graph)


def test_rows_of_a_batch_are_the_rows_of_its_structures():
    model = case("bonds")
    graphs = [model.graph(crystal(model, seed=k)) for k in range(2)]
    batch = AtomGraph.batch(graphs)
    rows = jax.jit(model.potential.design_rows)(model.params, batch)
    energy = jax.jit(model.potential.energy_rows)(model.params, batch)
    for k, graph in enumerate(graphs):
        single = model.rows(model.params, graph)
        scale = np.abs(single.forces).max()
        assert np.allclose(rows.energy[k], single.energy, rtol=0, atol=1e-12 * scale)
        assert np.allclose(energy[k], single.energy, rtol=0, atol=1e-12 * scale)
        assert np.allclose(rows.virial[k], single.virial, rtol=0, atol=1e-11 * scale)
        assert np.allclose(
            rows.forces[8 * k : 8 * k + 8], single.forces[:8], rtol=0, atol=1e-12 * scale
        )
