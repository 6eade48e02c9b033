"""The repulsion of nuclei: its formula, its ends, and its part in a fit."""

from dataclasses import replace
from fractions import Fraction

import ase.units
import jax
import numpy as np
import pytest
from ase import Atoms
from ase.data import atomic_numbers
from cases import HEAD, RADIAL, TEXTS, case, crystal, made
from etace import repulsion
from etace.errors import ParameterError
from etace.graph import AtomGraph
from etace.inference.evaluator import Evaluator
from etacec import Mistakes, compile_text
from etacec.model.elements import closest

pytestmark = pytest.mark.usefixtures("x64")

BARE = "etace 1\nspecies {species}\n{bond}\nzbl core {{ {fields} }}\nmodel m = core\n"
DISTANCES = [0.01, 0.1, 0.3, 0.5, 0.7, 0.75, 0.9, 1.0, 1.1, 1.2, 1.3, 1.43, 1.44, 1.5, 2.0, 4.9]
# Shortest distances in sets of first-principles data: Zuo et al. 2020 (Si, Mo), SiO2 zeolites, 3BPA.
SHORTEST = {
    "Si-Si": 1.829, "Mo-Mo": 1.883, "Si-O": 1.503,
    "C-C": 1.313, "C-H": 0.981, "C-N": 1.268, "C-O": 1.307, "N-H": 0.938, "H-H": 1.562,
    "H-O": 1.801,
}  # fmt: skip


def bare(species, fields="", bond="bond *-* { rcut = 5 Å }"):
    return made("bare", BARE.format(species=species, fields=fields, bond=bond))


def dimer(a, b, r):
    direction = np.array([0.36, 0.48, 0.8])
    return Atoms([a, b], [[0, 0, 0], r * direction])


def reference(a, b, r, inner, outer):
    """Written out from the paper, with the constants of another source."""
    coulomb = ase.units._e / (4 * np.pi * ase.units._eps0) * 1e10
    z1, z2 = atomic_numbers[a], atomic_numbers[b]
    x = r / (0.8854 * ase.units.Bohr / (z1**0.23 + z2**0.23))
    phi = (
        0.1818 * np.exp(-3.2 * x)
        + 0.5099 * np.exp(-0.9423 * x)
        + 0.2802 * np.exp(-0.4029 * x)
        + 0.02817 * np.exp(-0.2016 * x)
    )
    t = min(max((r - inner) / (outer - inner), 0.0), 1.0)
    return coulomb * z1 * z2 / r * phi * (1 - 10 * t**3 + 15 * t**4 - 6 * t**5)


@pytest.mark.parametrize("form", ["training", "inference"])
@pytest.mark.parametrize("pair", ["Si-Si", "Si-O", "O-O", "O-Si"])
def test_energy_of_two_atoms_is_the_papers(form, pair):
    a, b = pair.split("-")
    near = float(closest(a, b))
    inner, outer = 0.325 * near, 0.65 * near
    c = bare("Si, O")
    c = replace(c, form=form)
    for r in DISTANCES:
        e, ei, f, v = c(dimer(a, b, r))
        expected = reference(a, b, r, inner, outer)
        assert e == pytest.approx(expected, rel=1e-7, abs=0)
        assert ei[0] == ei[1] == pytest.approx(e / 2, rel=1e-14, abs=0)
        if r >= outer:
            assert e == 0
            assert not f.any()
            assert not v.any()
        else:
            assert f[1] @ [0.36, 0.48, 0.8] > 0


def test_known_points():
    """Silicon at 0.5 Å, digit by digit: Z1 Z2 = 196, a = 0.12768 Å, phi = 0.0834."""
    V = repulsion.curve(np.float64(0.5), 14.399645 * 196, 0.12768, 0.9, 1.4)
    x = 0.5 / 0.12768
    assert x == pytest.approx(3.91604, rel=1e-5)
    phi = 0.1818 * 3.607e-6 + 0.5099 * 0.024957 + 0.2802 * 0.20645 + 0.02817 * 0.45406
    assert float(V) == pytest.approx(14.399645 * 196 / 0.5 * phi, rel=1e-4)
    assert silicon(0.01) > 1e4
    assert silicon(0.001) > silicon(0.01)
    assert abs(repulsion.COULOMB - 14.399645) < 1e-6


def silicon(r):
    return bare("Si")(dimer("Si", "Si", r))[0]


def test_it_falls_all_the_way_and_needs_no_cutoff_below_its_end():
    energies = [silicon(r) for r in np.linspace(0.05, 1.44, 60)]
    assert (np.diff(energies) < 0).all()


def test_by_default_it_is_silent_at_the_distances_of_data():
    for pair, shortest in SHORTEST.items():
        a, b = pair.split("-")
        c = bare(a if a == b else f"{a}, {b}")
        assert c(dimer(a, b, 0.95 * shortest))[0] == 0
        assert c(dimer(a, b, 0.5 * float(closest(a, b))))[0] > 1


@pytest.mark.parametrize("pair", ["Si-Si", "Si-O"])
def test_second_derivatives_are_continuous(pair):
    """Across both ends of the switch; the third derivative jumps."""
    c = bare("Si, O", "inner = 0.5 Å, outer = 1.2 Å")
    a, b = pair.split("-")
    z = [atomic_numbers[a], atomic_numbers[b]]
    table = repulsion.Zbl(tuple(z), np.full(4, 0.5), np.full(4, 1.2))

    def curve(r):
        return repulsion.curve(r, table.strengths[1], table.lengths[1], 0.5, 1.2)

    orders = [curve]
    for _ in range(3):
        orders.append(jax.grad(orders[-1]))
    for at in (0.5, 1.2):
        jumps = [
            abs(float(d(at + 1e-9) - d(at - 1e-9))) / max(1.0, abs(float(d(0.5)))) for d in orders
        ]
        if at == 1.2:  # from there on the term is cut, and all is 0
            jumps = [abs(float(d(at - 1e-9))) / max(1.0, abs(float(d(0.5)))) for d in orders]
        assert max(jumps[:3]) < 1e-6
        assert jumps[3] > 1e-3
    (contact,) = {(k.cutoff, k.inner) for k in compiled("inner = 0.5 Å, outer = 1.2 Å").contacts}
    assert contact == (2, 2)
    assert c(dimer(a, b, 1.2))[0] == 0


def compiled(fields, species="Si, O", bond="bond *-* { rcut = 5 Å }"):
    return compile_text(BARE.format(species=species, fields=fields, bond=bond))


def lengths(fields, **keywords):
    done = compiled(fields, **keywords)
    (z,) = done.spec.potentials
    return dict(zip(done.spec.bond_names(), zip(z.inner, z.outer, strict=True), strict=True))


def test_the_more_specific_field_wins():
    found = lengths(
        "inner = 0.3 Å, outer = 1 Å, outer(O-*) = 0.9 Å, outer(O-Si) = 0.8 * bond_length"
    )
    assert found["Si-Si"] == (Fraction(3, 10), 1)
    assert found["O-O"] == (Fraction(3, 10), Fraction(9, 10))
    assert found["Si-O"] == (Fraction(3, 10), Fraction(4, 5) * Fraction("2.05"))


def test_an_element_in_no_table_takes_the_bonds_length():
    bond = "bond *-* { rcut = 9 Å, r0 = 3 Å }"
    assert lengths("", species="Fm", bond=bond)["Fm-Fm"][1] == Fraction(65, 100) * 3
    with pytest.raises(Mistakes):
        compiled("outer = 1.2 * bond_length", species="Fm", bond=bond)


def test_the_default_may_be_beyond_a_short_cutoff_and_says_so():
    with pytest.raises(Mistakes) as caught:
        compiled("", species="Mo", bond="bond *-* { r0 = 1 Å, rcut = 1.5 Å }")
    assert [d.code for d in caught.value.diagnostics] == ["E414"]


def test_masked_edges_and_coinciding_rows_give_no_nan():
    """Padding, atoms without neighbours, and an edge of the list beyond the outer length."""
    c = case("zbl")
    lone = Atoms("O", cell=[20, 20, 20], pbc=True)
    graphs = [c.graph(a) for a in (crystal(c), lone, dimer("Si", "O", 3.9))]
    batch = AtomGraph.batch(graphs, n_structures=5)

    def energy(x):
        return c.potential.energy(c.params, batch.with_positions(x)).sum()

    g = jax.jit(jax.grad(energy))(batch.positions)
    assert np.isfinite(np.asarray(g)).all()
    for r in jax.tree.leaves(c.evaluate(c.params, batch)):
        assert np.isfinite(np.asarray(r)).all()


def test_both_forms_agree_where_only_some_blocks_have_close_atoms():
    """A block without an edge so short does nothing; in the schedule of an accelerator all are asked."""
    text = (
        HEAD
        + "bond *-* { rcut = 4 Å }\n"
        + RADIAL
        + "zbl core { }\nbasis B { factors = R * Y, order = 1 }\nreadout V { from = B }\n"
        + "model m = core + V\n"
    )
    c = made("close", text)
    atoms = crystal(c).repeat((4, 3, 3))
    far = c(atoms)
    atoms.positions[5] = atoms.positions[100] + [0.3, 0.3, 0.2]
    expected = c(atoms)
    assert expected[0] > far[0] + 100
    together = Evaluator(c.potential.inference, 1)
    together.inference = together.inference.on_accelerator()
    for evaluator in (c.evaluator, together, Evaluator(c.potential.inference, 2)):
        found = evaluator(c.params, evaluator.prepare([c.paired(atoms)]))
        scale = np.abs(expected[1]).sum()
        assert abs(found.energy[0] - expected[0]) < 1e-11 * scale
        assert np.allclose(
            found.forces, expected[2], rtol=0, atol=1e-11 * np.abs(expected[2]).max()
        )
        assert np.allclose(found.virial[0], expected[3], rtol=0, atol=1e-11 * scale)


def test_it_has_no_columns_and_is_what_is_fixed():
    c = case("zbl")
    p, atoms = c.potential, crystal(c)
    assert p.lengths["repulsion"] == 0
    assert "repulsion" not in {q.block for q in p.linear_parameters} | set(p.init())
    alone, found = jax.jit(p.fixed_part)(c.params, c.graph(atoms))
    apart = sum({"Si": -1.0, "O": -2.0}[s] for s in atoms.symbols)
    core = 0.5 * sum(pair_energy(*edge) for edge in edges(c, atoms))
    assert core > 1
    assert alone == pytest.approx(apart, rel=1e-12)
    assert found.energy == pytest.approx(0.5 * core, rel=1e-7)


def edges(c, atoms):
    """(element, element, distance) of every directed edge."""
    pairs, elements = c.paired(atoms).pairs, atoms.get_chemical_symbols()
    return [
        (elements[i], elements[j], r) for i, j, r in zip(pairs.i, pairs.j, pairs.r, strict=True)
    ]


def pair_energy(a, b, r):
    """With the lengths of the spec `zbl` of `cases`."""
    r0 = {"SiSi": 2.4, "OO": 1.7}.get(a + b, 2.05)
    return reference(a, b, r, 0.5 * r0, 2.9 if a == b == "O" else 3.2)


def test_rows_are_those_of_the_model_without_it():
    c = case("zbl")
    without = made("without", TEXTS["zbl"].replace("+ 0.5 * repulsion", ""))
    atoms = crystal(c)
    found = c.rows(c.params, c.graph(atoms))
    expected = without.rows(c.params, without.graph(atoms))
    for a, b in zip(found, expected, strict=True):
        assert np.array_equal(a, b)


def test_a_fit_sees_the_labels_less_what_it_gives():
    """Labels of a model with a repulsive core give back the weights they were made with."""
    c = case("zbl")
    p, rng = c.potential, np.random.default_rng(0)
    planted = rng.normal(size=p.length_basis)
    A, y = [], []
    for seed in range(12):
        graph = c.graph(crystal(c, seed))
        rows = c.rows(c.params, graph)
        truth = c.evaluate(p.set_linear_parameters(c.params, planted), graph)
        alone, fixed = jax.jit(p.fixed_part)(c.params, graph)
        fixed = fixed._replace(energy=fixed.energy + alone)
        for name in ("energy", "forces", "virial"):
            A.append(np.asarray(getattr(rows, name)).reshape(-1, p.length_basis))
            y.append((np.asarray(getattr(truth, name)) - np.asarray(getattr(fixed, name))).ravel())
    c_found = np.linalg.lstsq(np.concatenate(A), np.concatenate(y), rcond=None)[0]
    gap = np.concatenate(A) @ (c_found - planted)
    assert np.abs(gap).max() < 1e-8


def test_a_model_of_nothing_else_has_no_linear_parameters():
    c = bare("Si")
    assert c.potential.length_basis == 0
    assert c.potential.site_basis(c.params, c.graph(crystal(c))).shape[1] == 0
    with pytest.raises(ParameterError, match="no linear parameters"):
        c.potential.design_rows(c.params, c.graph(crystal(c)))


def test_it_says_what_it_does():
    text = case("zbl").potential.inference.explain()
    assert "zbl: four exponentials, in blocks with an edge shorter than 2.9 to 3.2 Å only" in text
