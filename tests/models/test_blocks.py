"""Parts of a module beyond its energies: vectors and tensors, loaded weights, and JAX left alone."""

import jax
import numpy as np
import pytest
from ase import Atoms
from coupling.oracle import random_orthogonal, real_D
from etace.graph import AtomGraph
from etace.loading import run_module
from etacec import compile_text
from etacec.model.files import Files

SHAPE = """etace 1
species Si, O
bond *-* { rcut = 4.2 Å }
radial R[n in 1..2, l in 0..2] {
  transform(r) = 1 - 2 * r / bond.rcut
  envelope(y)  = (1 - y^2)^2
  polynomials  = chebyshev(3)
}
angular Y[l in 0..2] { harmonics = spherical }
"""
TENSORS = (
    SHAPE
    + """
basis B {
  factors = R * Y
  order   = 1..3
  L       = 0..2
  where sum(n + l) <= 5
}
basis S { factors = R * Y, order = 1..2 }
readout V { from = S }
model tensors = V
"""
)
LOADED = (
    SHAPE
    + """
basis B { factors = R * Y, order = 1, L = 0 }
readout V {
  from    = B
  weights = frozen(load = "readout.npy") per species
}
pair U { from = R2 }
radial R2[n in 1..2] {
  transform   = agnesi(p = 1, q = 3)
  envelope    = inverse_power(p = 1)
  polynomials = legendre(3)
  weights     = learnable(load = "radial.npy") per pair
}
model loaded = U + V
"""
)
ATOMS = Atoms("SiOSiO", [[0, 0, 0], [1.7, 0.3, 0], [-0.4, 2.2, 0.3], [1.1, 1.2, 2.0]])


def graph(potential, atoms=ATOMS):
    return AtomGraph.from_atoms(atoms, potential.species, potential.cutoffs, pad=False)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("sign", [1, -1], ids=["rotation", "reflection"])
def test_functions_of_every_L_turn_as_its_harmonics_do(sign):
    module = run_module(compile_text(TENSORS).module, "tensors")
    p = module.tensors
    params = module.init(2)
    Q = random_orthogonal(np.random.default_rng(8), sign)
    turned = ATOMS.copy()
    turned.positions = ATOMS.positions @ Q.T
    before, after = (module.B(params, graph(p, a)) for a in (ATOMS, turned))
    assert sorted(before) == [0, 1, 2]
    for L, B in before.items():
        assert B.shape == (
            (len(ATOMS), B.shape[1]) if L == 0 else (len(ATOMS), B.shape[1], 2 * L + 1)
        )
        rows = np.asarray(B).reshape(*B.shape[:2], 2 * L + 1)
        expected = (rows @ real_D(L, Q).T).reshape(B.shape)
        np.testing.assert_allclose(after[L], expected, rtol=0, atol=1e-11 * np.abs(rows).max())
        assert np.abs(rows).max() > 1e-3


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("carried", [True, False])
def test_weights_from_files_are_used_as_they_are(tmp_path, carried):
    rng = np.random.default_rng(3)
    arrays = {"readout.npy": rng.normal(size=(2, 2)), "radial.npy": rng.normal(size=(2, 3, 4))}
    for name, array in arrays.items():
        np.save(tmp_path / name, array)
    files = Files(carried_texts={}, carried_arrays=arrays) if carried else Files(tmp_path)
    module = run_module(compile_text(LOADED, files=files).module, "loaded")
    p = module.loaded
    params = p.init(0)
    assert p.lengths == {"U": 4, "V": 0}
    np.testing.assert_array_equal(params["R2"]["weights"], arrays["radial.npy"])
    g = graph(p)
    rest = p.fixed_part(params, g).bound.energies  # the frozen readout alone
    expected = (np.asarray(module.B(params, g)) * arrays["readout.npy"].T[g.species]).sum(axis=1)
    np.testing.assert_allclose(rest, expected, rtol=0, atol=1e-13)


def test_the_users_jax_is_left_as_it_was():
    with jax.enable_x64(False):
        before = dict(jax.config.values)
        module = run_module(compile_text(TENSORS, dtype="float32").module, "single")
        p = module.tensors
        g = AtomGraph.from_atoms(ATOMS, p.species, p.cutoffs, dtype="float32")
        assert p.energy_forces_virial(p.init(0), g).forces.dtype == np.float32
        assert dict(jax.config.values) == before
