"""An AtomGraph holds exactly the edges of its structure, padded; batches are sums of singles."""

import itertools

import ase
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from etace.errors import ParameterError, PrecisionError, StructureError
from etace.graph import SAFE_VECTOR, AtomGraph, atom_bucket, slot_bucket
from etace.neighbours import neighbour_list

SPECIES = ["Si", "O"]
CUTOFFS = np.array([[4.0, 2.5], [2.5, 3.0]])


def quartz(seed=0, n=7):
    rng = np.random.default_rng(seed)
    cell = rng.normal(size=(3, 3)) * 0.4 + 5 * np.eye(3)
    symbols = rng.choice(SPECIES, n)
    return ase.Atoms(symbols, rng.random((n, 3)) @ cell, cell=cell, pbc=True)


def graph(atoms, **options):
    return AtomGraph.from_atoms(atoms, SPECIES, CUTOFFS, **options)


def real_edges(g):
    """[(i, j, shift, vector)] in order, from the arrays alone."""
    i, k = np.nonzero(g.edge_mask)
    own = g.cell if g.structure is None else g.cell[g.structure[i]]
    s, j = g.shifts[i, k], g.neighbour[i, k]
    offset = s @ own if own.ndim == 2 else np.einsum("ed,edc->ec", s, own)
    return i, j, s, g.positions[j] - g.positions[i] + offset


@jax.jit
def toy_energy(g):
    """A smooth function of the edges that tells species and directions apart. [N] or [S]"""
    r = g.vectors
    weight = (1 + jnp.asarray(g.pairs(2), r.dtype)) * jnp.asarray(g.edge_mask, r.dtype)
    pair = jnp.exp(-jnp.sum(r * r, -1) / 4) * (1 + r[..., 0] * r[..., 1] / 10)
    site = (weight * pair).sum(1)
    return g.per_structure(site * site)


def test_edges_are_those_within_their_own_bonds_cutoff():
    atoms = quartz()
    g = graph(atoms)
    z = np.array([SPECIES.index(s) for s in atoms.get_chemical_symbols()])
    every = neighbour_list(atoms.positions, atoms.cell[:], atoms.pbc, 4.0)
    keep = every.r < CUTOFFS[z[every.i], z[every.j]]
    assert 0 < keep.sum() < len(keep)
    i, j, s, r = real_edges(g)
    np.testing.assert_array_equal(i, every.i[keep])
    np.testing.assert_array_equal(j, every.j[keep])
    np.testing.assert_array_equal(s, every.shift[keep])
    np.testing.assert_allclose(np.linalg.norm(r, axis=1), every.r[keep], rtol=1e-13)


def test_a_bond_without_cutoff_has_no_edges_even_with_a_skin():
    g = AtomGraph.from_atoms(quartz(), SPECIES, [[4.0, 0.0], [0.0, 0.0]], skin=1.0)
    i, j, _, r = real_edges(g)
    assert (g.species[i] == 0).all()
    assert (g.species[j] == 0).all()
    assert 4.0 < np.linalg.norm(r, axis=1).max() < 5.0


@pytest.mark.usefixtures("strict")
def test_vectors_are_those_of_the_edges_and_safe_elsewhere():
    g = graph(quartz())
    v = np.asarray(g.vectors)
    np.testing.assert_allclose(v[g.edge_mask], real_edges(g)[3], rtol=0, atol=1e-13)
    assert (v[~g.edge_mask] == SAFE_VECTOR).all()
    assert np.linalg.norm(SAFE_VECTOR) == pytest.approx(1, abs=1e-15)


def check_reverse(g):
    flat = g.reverse.reshape(-1)
    every = np.arange(flat.size)
    mask = g.edge_mask.reshape(-1)
    np.testing.assert_array_equal(flat[flat], every)
    np.testing.assert_array_equal(flat[~mask], every[~mask])
    assert (flat[mask] != every[mask]).all()
    centre = np.repeat(np.arange(g.n_atoms), g.n_slots)
    np.testing.assert_array_equal(centre[flat], g.neighbour.reshape(-1))
    np.testing.assert_array_equal(g.shifts.reshape(-1, 3)[flat], -g.shifts.reshape(-1, 3))


@pytest.mark.parametrize("pad", [True, False])
def test_every_edge_knows_its_reverse(pad):
    singles = [graph(quartz(seed, seed + 1), pad=pad) for seed in range(5)]
    for g in (*singles, AtomGraph.batch(singles, pad=pad)):
        check_reverse(g)


def test_sizes_are_bucketed_or_exact_or_as_asked():
    atoms = quartz(n=9)
    exact, padded = graph(atoms, pad=False), graph(atoms)
    assert exact.neighbour.shape == (9, exact.edge_mask.sum(1).max())
    assert padded.neighbour.shape == (atom_bucket(9), slot_bucket(exact.n_slots))
    assert graph(atoms, capacity=(50, 70)).neighbour.shape == (50, 70)
    grown = graph(atoms, capacity=(4, 2))
    assert grown.neighbour.shape == padded.neighbour.shape
    for g in (padded, grown):
        assert g.n_real == 9
        assert g.n_edges == exact.n_edges
        np.testing.assert_array_equal(real_edges(g)[3], real_edges(exact)[3])


def test_buckets_grow_by_about_a_quarter_octave():
    sizes = sorted({atom_bucket(n) for n in range(1, 5000)})
    assert sizes[:16] == [1, 2, 4, 6, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80]
    assert all(b / a <= 1.25 for a, b in itertools.pairwise(sizes[10:]))
    assert [atom_bucket(n) for n in (100, 1000, 2048)] == [112, 1024, 2048]
    slots = sorted({slot_bucket(k) for k in range(300)})
    assert slots[:14] == [4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96]
    for n in range(1, 3000):
        assert atom_bucket(n) >= n
        assert slot_bucket(n) >= n
        assert atom_bucket(atom_bucket(n)) == atom_bucket(n)


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize(
    "options", [{}, {"n_structures": 8}, {"capacity": (100, 64)}, {"pad": False}]
)
def test_a_batch_is_the_concatenation_of_its_structures(options):
    atoms = [quartz(seed, seed + 1) for seed in range(5)] + [ase.Atoms("O", [[3, 4, 5]])]
    singles = [graph(a, capacity=(6, 32)) for a in atoms]
    batch = AtomGraph.batch(singles, **options)
    np.testing.assert_array_equal(batch.atom_counts[:6], [1, 2, 3, 4, 5, 1])
    assert batch.n_edges == sum(g.n_edges for g in singles)
    r = np.concatenate([real_edges(g)[3] for g in singles])
    np.testing.assert_allclose(real_edges(batch)[3], r, rtol=0, atol=1e-13)
    energies = np.array([toy_energy(g) for g in singles])
    got = np.asarray(jax.jit(toy_energy)(batch))
    np.testing.assert_allclose(got[:6], energies, rtol=1e-13)
    assert got.shape == (options.get("n_structures", 6),)
    assert (got[6:] == 0).all()
    assert (np.diff(batch.structure) >= 0).all()


def differences(f, x, h=1e-4):
    g = np.zeros_like(x)
    for n in np.ndindex(*x.shape):
        up, down = x.copy(), x.copy()
        up[n] += h
        down[n] -= h
        g[n] = (f(up) - f(down)) / (2 * h)
    return g


@pytest.mark.usefixtures("strict")
def test_energies_are_differentiable_in_positions_cell_and_strain():
    g = graph(quartz(n=3))
    f = jax.jit(lambda x, c: toy_energy(g.with_positions(x).with_cell(c)))
    dx, dc = jax.grad(f, (0, 1))(g.positions, g.cell)
    np.testing.assert_allclose(dx, differences(lambda x: f(x, g.cell), g.positions), atol=1e-6)
    np.testing.assert_allclose(dc, differences(lambda c: f(g.positions, c), g.cell), atol=1e-6)
    assert (np.asarray(dx)[g.n_real :] == 0).all()

    e = jax.jit(lambda strain: toy_energy(g.strained(strain)))
    de = np.asarray(jax.grad(e)(np.zeros((3, 3))))
    np.testing.assert_allclose(de, differences(e, np.zeros((3, 3))), atol=1e-6)
    # dE/dstrain = sum over edges of dE/dr_ij times r_ij, row index = gradient
    x, c = g.positions, g.cell
    np.testing.assert_allclose(de, np.asarray(dx).T @ x + np.asarray(dc).T @ c, atol=1e-9)


@pytest.mark.usefixtures("strict")
def test_a_batch_is_strained_as_a_whole_or_one_by_one():
    singles = [graph(quartz(seed, 4), capacity=(4, 32)) for seed in range(3)]
    batch = AtomGraph.batch(singles)
    strains = np.random.default_rng(0).normal(size=(3, 3, 3)) * 0.01
    each = [toy_energy(g.strained(s)) for g, s in zip(singles, strains, strict=True)]
    np.testing.assert_allclose(toy_energy(batch.strained(strains)), each, rtol=1e-12)
    same = [toy_energy(g.strained(strains[0])) for g in singles]
    np.testing.assert_allclose(toy_energy(batch.strained(strains[0])), same, rtol=1e-12)


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_padding_never_gives_a_nan_in_singular_functions(dtype):
    def energy(g):
        r = g.vectors
        d = jnp.sqrt((r * r).sum(-1))
        angle = jnp.arctan2(r[..., 1], r[..., 0]) / r[..., 2] + jnp.log(d) / d**3
        return g.per_structure(jnp.where(g.edge_mask, angle, jnp.zeros_like(angle)).sum(1))

    both = jax.jit(jax.value_and_grad(lambda g, x: energy(g.with_positions(x)), argnums=1))
    lonely = ase.Atoms("SiO", [[0, 0, 0], [90, 0, 0]])
    for atoms in (lonely, quartz(n=5), ase.Atoms("O", [[1, 2, 3]], cell=[9, 9, 9], pbc=True)):
        g = graph(atoms, dtype=dtype, capacity=(6, 32))
        value, slope = both(g, g.positions)
        assert value.dtype == slope.dtype == dtype
        assert np.isfinite(value)
        assert np.isfinite(slope).all()


@pytest.mark.usefixtures("strict")
def test_isolated_atoms_have_no_edges_but_a_row():
    for atoms in (ase.Atoms("Si", [[0, 0, 0]]), ase.Atoms("SiO2", 50 * np.eye(3))):
        for pad in (True, False):
            g = graph(atoms, pad=pad)
            assert g.n_slots >= 1
            assert g.n_edges == 0
            assert toy_energy(g) == 0
            check_reverse(g)


def test_building_a_graph_leaves_jax_alone():
    g = graph(quartz())
    for leaf in jax.tree.leaves(AtomGraph.batch([g, g])) + jax.tree.leaves(g):
        assert type(leaf) is np.ndarray
    assert g.shifts.dtype == g.positions.dtype == np.float64
    assert g.neighbour.dtype == g.reverse.dtype == g.species.dtype == np.int32
    assert graph(quartz(), dtype="float32").shifts.dtype == np.float32


def test_symbols_and_numbers_are_the_same():
    a = quartz()
    args = (a.cell[:], a.pbc, SPECIES, CUTOFFS)
    one = AtomGraph.from_arrays(a.positions, a.get_chemical_symbols(), *args)
    two = AtomGraph.from_arrays(a.positions, a.numbers, *args)
    for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_array_equal(x, y)


def test_pairs_count_centre_first():
    g = graph(ase.Atoms("SiO", [[0, 0, 0], [2, 0, 0]]))
    pairs = np.asarray(g.pairs(2))
    assert pairs[0, 0] == 1  # centre Si, neighbour O
    assert pairs[1, 0] == 2
    assert pairs.dtype == np.int32


def test_the_user_is_told_what_is_wrong():
    with pytest.raises(StructureError, match="contains Cl, Na, but the model knows only Si, O"):
        graph(ase.Atoms("NaCl", 2 * np.eye(3)[:2]))
    with pytest.raises(StructureError, match="no atoms"):
        graph(ase.Atoms())
    with pytest.raises(StructureError, match="2 positions, but 1 elements"):
        AtomGraph.from_arrays(np.eye(3)[:2], ["O"], np.eye(3), False, SPECIES, CUTOFFS)
    with pytest.raises(ParameterError, match=r"shape \[2, 2\]"):
        AtomGraph.from_atoms(quartz(), SPECIES, [[4.0]])
    with pytest.raises(ParameterError, match="symmetric"):
        AtomGraph.from_atoms(quartz(), SPECIES, [[4.0, 1.0], [2.0, 3.0]])
    with pytest.raises(ParameterError, match="skin"):
        graph(quartz(), skin=-0.1)
    with pytest.raises(StructureError, match="at least one structure"):
        AtomGraph.batch([])
    with pytest.raises(PrecisionError, match="one dtype"):
        AtomGraph.batch([graph(quartz()), graph(quartz(), dtype="float32")])
    with pytest.raises(StructureError, match="not of batches"):
        AtomGraph.batch([AtomGraph.batch([graph(quartz())])])
    with pytest.raises(StructureError, match=r"shape \[8, 3\]"):
        graph(quartz()).with_positions(np.zeros((7, 3)))


def test_atoms_too_far_away_for_float32_are_refused():
    far = ase.Atoms("SiO", [[0, 0, 0], [2e4, 0, 0]], cell=[4e4, 5, 5], pbc=True)
    assert graph(far).n_real == 2
    with pytest.raises(StructureError, match=r"atom 1 .* float32 resolves"):
        graph(far, dtype="float32")


def test_a_float64_graph_is_not_silently_halved_in_32_bit_mode():
    with jax.enable_x64(False), pytest.raises(PrecisionError, match="enable_x64"):
        _ = graph(quartz()).vectors
    with jax.enable_x64(False):
        assert graph(quartz(), dtype="float32").vectors.dtype == np.float32
