"""The inference form equals the training form, on every schedule, and in all its derivatives."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from cases import EVERY, HEAD, QUICK, RADIAL, case, crystal, made, some
from etace.inference.evaluator import Evaluator
from random_specs import random_spec

pytestmark = pytest.mark.usefixtures("x64")

TWO_BASES = (
    HEAD
    + "bond *-* { rcut = 4 Å }\n"
    + RADIAL
    + """
basis B { factors = R * Y, order = 1..3
  where sum(n + 1.5 * l) <= 6 }
basis C { factors = R * Y, order = 2..4
  where sum(n + 1.5 * l) <= 6 }
readout V { from = B }
readout U { from = C }
model m = V - 0.5 * U
"""
)
ORDER6 = (
    HEAD
    + "bond *-* { rcut = 3.6 Å }\n"
    + RADIAL
    + """
basis B { factors = R * Y, order = 1..6
  where sum(n + l) <= 8 and count(l == 0) <= 4 }
readout V { from = B, weights = learnable(init = normal(0.1)) }
model m = V
"""
)


def agree(c, atoms, found, tolerance=1e-11):
    """Results of the inference form against the training form's: in units of the sum of |E_i|, and
    for forces and virial of the sums of the edges' contributions (at least those of one edge)."""
    energy, energies, forces, virial = c(atoms)
    scale = float(np.abs(energies).sum()) + np.abs(forces).max() + np.abs(virial).max()
    assert abs(found.energy.sum() - energy) < tolerance * scale
    for mine, theirs in (
        (found.energies, energies),
        (found.forces, forces),
        (found.virial[0], virial),
    ):
        assert np.allclose(mine, theirs, rtol=0, atol=tolerance * scale)


def evaluate(c, atoms, evaluator=None):
    evaluator = evaluator or c.evaluator
    return evaluator(c.params, evaluator.prepare([c.paired(atoms)]))


@pytest.mark.parametrize("name", some(EVERY, [*QUICK, "si_o"]))
def test_all_forms_agree(name):
    c = case(name)
    for atoms in (crystal(c), crystal(c, seed=2).repeat((3, 1, 1))):
        agree(c, atoms, evaluate(c, atoms))
        agree(c, atoms, evaluate(c, atoms, c.native()))


@pytest.mark.parametrize(
    "seed",
    [k if k in (7, 23) else pytest.param(k, marks=pytest.mark.slow) for k in range(200)],
)
def test_all_forms_agree_on_random_specs(seed):
    c = made(f"random {seed}", random_spec(seed))
    atoms = crystal(c, seed=seed)
    agree(c, atoms, evaluate(c, atoms))
    agree(c, atoms, evaluate(c, atoms, c.native()))


@pytest.mark.parametrize("text", [TWO_BASES, ORDER6], ids=["two bases", "order 6"])
def test_bases_share_products_and_orders_go_up_to_six(text):
    c = made("special", text)
    atoms = crystal(c)
    agree(c, atoms, evaluate(c, atoms))


@pytest.mark.parametrize("name", some(["si_o", "bonds", "zbl"], ["bonds"]))
@pytest.mark.parametrize("cores", [2, 3])
def test_the_number_of_parts_changes_nothing(name, cores, monkeypatch):
    """Bit for bit in energies and forces; the virial is summed in another order."""
    monkeypatch.setattr("etace.inference.evaluator.SPLIT", 8)
    c = case(name)
    atoms = crystal(c).repeat((3, 2, 2))
    one = evaluate(c, atoms)
    several = Evaluator(c.potential.inference, cores)
    prepared = several.prepare([c.paired(atoms)])
    assert len(prepared.graph.parts) == cores
    found = several(c.params, prepared)
    assert np.array_equal(found.energies, one.energies)
    assert np.allclose(found.forces, one.forces, rtol=0, atol=1e-14 * np.abs(one.forces).max())
    assert np.allclose(found.virial, one.virial, rtol=0, atol=1e-12 * np.abs(one.virial).max())
    assert np.array_equal(found.forces, several(c.params, prepared).forces)


def test_parts_on_devices_of_their_own_give_the_same():
    """Several accelerators, played by several devices of the CPU."""
    code = """
import jax
jax.config.update("jax_num_cpu_devices", 2)
from cases import case, crystal
from etace.inference import evaluator
evaluator.SPLIT = 8
c = case("si_o")
atoms = crystal(c).repeat((3, 2, 1))
with jax.enable_x64(True):
    one, two = (evaluator.Evaluator(c.potential.inference, n) for n in (1, 2))
    prepared = two.prepare([c.paired(atoms)])
    assert len({d for p in prepared.graph.parts for d in p.species.devices()}) == 2
    a, b = one(c.params, one.prepare([c.paired(atoms)])), two(c.params, prepared)
print(abs(a.forces - b.forces).max() < 1e-13 * abs(a.forces).max())
"""
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parent
    )
    assert found.stdout.strip() == "True", found.stderr


@pytest.mark.parametrize("name", some(["si_o", "bonds", "order5", "zbl"], ["zbl"]))
def test_an_accelerators_schedule_gives_the_same(name):
    c = case(name)
    atoms = crystal(c).repeat((2, 2, 1))
    evaluator = Evaluator(c.potential.inference, 1)
    evaluator.inference = evaluator.inference.on_accelerator()
    agree(c, atoms, evaluate(c, atoms, evaluator))


def test_many_neighbours_are_summed_in_chunks():
    c = case("scratch")
    atoms = Atoms(
        "Si40", np.random.default_rng(3).uniform(0, 6, size=(40, 3)), cell=[6, 6, 6], pbc=True
    )
    prepared = c.evaluator.prepare([c.paired(atoms)])
    assert prepared.graph.parts[0].segments[0].neighbour.shape[1] > 64
    agree(c, atoms, c.evaluator(c.params, prepared))


def test_a_batch_has_the_results_of_its_structures():
    c = case("bonds")
    structures = [crystal(c, seed=k).repeat((1, 1, 1 + k % 2)) for k in range(3)]
    structures.append(Atoms("O", cell=[9, 9, 9], pbc=True))
    found = c.evaluator(
        c.params, c.evaluator.prepare([c.paired(a) for a in structures], batch=True)
    )
    start = 0
    for k, atoms in enumerate(structures):
        one = evaluate(c, atoms)
        scale = np.abs(one.energies).sum() + np.abs(one.forces).max()
        stop = start + len(atoms)
        assert abs(found.energy[k] - one.energy[0]) < 1e-12 * scale
        assert np.allclose(found.forces[start:stop], one.forces, rtol=0, atol=1e-12 * scale)
        assert np.allclose(found.virial[k], one.virial[0], rtol=0, atol=1e-11 * scale)
        start = stop


@pytest.mark.parametrize(
    "batch", [pytest.param(False, marks=pytest.mark.slow), True], ids=["single", "batch"]
)
@pytest.mark.parametrize("name", some(["scratch", "bonds"], ["scratch"]))
def test_it_can_be_differentiated_in_positions_cell_and_parameters(name, batch):
    """Against the same derivatives of the training form, first and second."""
    c = case(name)
    p, params = c.potential, c.params
    structures = [crystal(c, seed=k) for k in range(2 if batch else 1)]
    graph = c.blocks(*structures, batch=batch)
    plain = graph.atom_graph(len(p.species))
    x0, cell0 = jnp.asarray(graph.positions), jnp.asarray(graph.cell)
    rng = np.random.default_rng(0)

    def fast(params, x, cell):
        return jnp.sum(p.energy(params, graph.with_positions(x, cell)))

    def slow(params, x, cell):
        return jnp.sum(p.energy(params, plain.with_positions(x).with_cell(cell)))

    gradients = [jax.jit(jax.grad(f, argnums=(0, 1, 2)))(params, x0, cell0) for f in (fast, slow)]
    for mine, theirs in zip(*map(jax.tree.leaves, gradients), strict=True):
        assert np.allclose(mine, theirs, rtol=0, atol=1e-10 * float(np.abs(theirs).max() + 1))
    step = jnp.asarray(rng.normal(size=x0.shape))
    hvp = [
        jax.jit(jax.jvp, static_argnums=0)(
            lambda x, f=f: jax.grad(f, argnums=1)(params, x, cell0), (x0,), (step,)
        )[1]
        for f in (fast, slow)
    ]
    assert np.allclose(*hvp, rtol=0, atol=1e-9 * float(jnp.abs(hvp[1]).max()))

    def loss(params):
        forces = p.energy_forces_virial(params, graph).forces
        return jnp.sum(forces * forces)

    def slow_loss(params):
        forces = jax.grad(slow, argnums=1)(params, x0, cell0)
        return jnp.sum(forces * forces)

    mine, theirs = jax.jit(jax.grad(loss))(params), jax.jit(jax.grad(slow_loss))(params)
    for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(theirs), strict=True):
        assert np.allclose(a, b, rtol=0, atol=1e-9 * float(np.abs(b).max() + 1))


@pytest.mark.slow
def test_fifty_sizes_and_breathing_lists_compile_a_handful_of_times():
    c = case("scratch")
    evaluator = Evaluator(c.potential.inference, 1)
    rng = np.random.default_rng(1)
    for n in rng.permutation(50):
        atoms = crystal(c).repeat((1 + n % 5, 1 + n // 10, 1))[: 8 + 7 * n]
        atoms.positions += rng.normal(scale=0.05, size=atoms.positions.shape)
        agree(c, atoms, evaluate(c, atoms, evaluator))
    assert evaluator.compilations <= 14
    assert evaluator._own_and_back._cache_size() == evaluator.compilations


def test_splined_radials_say_how_far_off_they_are():
    """Errors fall as h^4 (slopes as h^3), are what they are said to be, and the energy follows."""
    c = case("si_o")
    atoms = crystal(c)
    exact = evaluate(c, atoms)
    errors, gaps = [], []
    for knots in (201, 401, 801):
        evaluator = Evaluator(c.potential.inference, 1, splines=knots)
        found = evaluate(c, atoms, evaluator)
        (error,) = evaluator.spline_errors
        assert error.shell == "B"
        errors.append((error.value, error.slope))
        gaps.append(abs(found.energy[0] - exact.energy[0]))
    for coarse, fine in pairwise(errors):
        assert 12 < coarse[0] / fine[0] < 20
        assert 6 < coarse[1] / fine[1] < 10
    assert 0 < gaps[2] < gaps[0]
    assert gaps[2] < 100 * errors[2][0]


def test_a_model_says_what_its_inference_form_does():
    text = case("order5").potential.inference.explain()
    assert "envelope folded: a polynomial of y, of degree 4" in text
    assert "gradient first" in text
    assert "orders 4 and up" in text
    assert case("bonds").potential.inference.explain().count("pair: ") == 1
