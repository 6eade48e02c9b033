"""The product against recorded values and against an independent evaluation in numpy."""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from cases import case
from etace import radial
from etace.loading import run_module
from etacec import compile_text
from oracle import Tutorial, neighbours

GOLDEN = json.loads((Path(__file__).parent / "golden_values.json").read_text())
pytestmark = pytest.mark.usefixtures("x64")


def embedding(transform, envelope):
    """The two functions of a radial on Si-O bonds with r0 = 2.05 Å, rcut = 5.5 Å."""
    text = f"""etace 1
species Si, O
bond *-* {{ rcut = 5.5 Å, r0 = 2.05 Å }}
radial R[n in 1..2] {{ transform = {transform}, envelope = {envelope}, polynomials = legendre(2) }}
pair V {{ from = R }}
model m = V
"""
    module = run_module(compile_text(text).module, "golden")
    return module.R_transform, module.R_envelope


@pytest.mark.parametrize(("p", "q"), [(2, 2), (1, 4), (2, 4)])
def test_agnesi_transforms(p, q):
    transform, _ = embedding(f"agnesi(p = {p}, q = {q})", "two_sided")
    for r, values in GOLDEN["agnesi_y_SiO_r0=2.05_rcut5.5"].items():
        assert float(transform(jnp.asarray(float(r)))) == pytest.approx(
            values[f"({p},{q})"], abs=1e-12
        )


def test_envelopes():
    g = GOLDEN["envelopes"]
    assert float(embedding("agnesi(2, 2)", "two_sided")[1](jnp.asarray(0.3))) == pytest.approx(
        g["mb y=.3"], abs=1e-12
    )
    assert float(embedding("agnesi(2, 2)", "inverse_power")[1](jnp.asarray(2.0))) == pytest.approx(
        g["pair r=2 rc=5.5 p=1"], abs=1e-12
    )
    text = "etace 1\nspecies Si\nbond *-* { rcut = 5.5 Å, r0 = 2.4 Å }\nradial R[n in 1..2] { transform = agnesi(1, 3), envelope = inverse_power_shifted, polynomials = legendre(2) }\npair V { from = R }\nmodel m = V\n"
    module = run_module(compile_text(text).module, "golden")
    assert float(module.R_envelope(jnp.asarray(2.0))) == pytest.approx(
        g["pair_ace1 r=2 rc=5.5 r0=2.4 p=2"], abs=1e-12
    )


def test_polynomials():
    y = jnp.asarray(0.3)
    assert np.allclose(radial.legendre(y, 15), GOLDEN["legendre15_at_0.3"], rtol=0, atol=1e-12)
    assert np.allclose(radial.jacobi(y, 10, 4, 4), GOLDEN["jacobi44_10_at_0.3"], rtol=0, atol=1e-12)
    assert np.allclose(radial.chebyshev(y, 6), GOLDEN["cheb6_at_0.3"], rtol=0, atol=1e-12)


def test_the_recorded_cluster():
    c = case("si_o")
    g = GOLDEN["cluster"]
    atoms = Atoms(g["species"], g["positions"])
    params = {**c.params, "R": {"weights": np.ones((37, 15, 4)) / 15}}
    graph = c.graph(atoms, pad=False)
    pair = jnp.sum(c.module.R2(params, graph), axis=1)
    assert np.allclose(pair, g["pair_basis"], rtol=0, atol=1e-12)
    labels = [
        p.function for p in c.potential.linear_parameters if p.block == "V" and p.species == "Si"
    ]
    wanted = [f"(n={n}, l=0)" for n in range(1, 11)] + ["(n=1, l=0)" * 2, "(n=1, l=0)(n=2, l=0)"]
    B = np.asarray(c.module.B(params, graph))[:, [labels.index(w) for w in wanted]]
    assert np.allclose(B**2, g["site_block_squares_first12"], rtol=1e-12, atol=1e-18)


def test_energy_forces_and_virial_are_those_of_the_oracle():
    c = case("si_o")
    rng = np.random.default_rng(11)
    cell = np.diag([5.0, 5.3, 4.8]) + rng.normal(scale=0.2, size=(3, 3))
    positions = np.array([[0, 0, 0], [1.7, 1.5, 0.2], [0.3, 2.4, 2.6]]) + rng.normal(
        scale=0.1, size=(3, 3)
    )
    kinds = [0, 1, 1]
    atoms = Atoms("SiOO", positions, cell=cell, pbc=True)
    e, _, f, v = c(atoms)
    oracle = Tutorial(c.module, c.params)
    pairs = neighbours(positions, cell, 5.5)
    assert len(pairs) == c.graph(atoms).n_edges
    scale = c.scale(atoms)
    zero = np.zeros((3, 3), dtype=complex)
    assert abs(oracle.energy(positions, kinds, pairs, zero).real - e) < 1e-10 * scale
    for i, a in [(0, 0), (1, 1), (2, 2), (2, 0)]:
        moved = positions.astype(complex)
        moved[i, a] += 1e-30j
        slope = oracle.energy(moved, kinds, pairs, zero).imag / 1e-30
        assert abs(f[i, a] + slope) < 1e-10 * scale
    for a, b in [(0, 0), (0, 1), (2, 1)]:
        strain = zero.copy()
        strain[a, b] = 1e-30j
        slope = oracle.energy(positions, kinds, pairs, strain).imag / 1e-30
        assert abs(v[a, b] + slope) < 1e-10 * scale
