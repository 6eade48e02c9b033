"""A pruned spec says in the language what is left, and gives the energies of the old one."""

import etace
import etacec
import numpy as np
import pytest
from ase.build import bulk
from etace.errors import RequestError

SPEC = """etace 1
## A model.
param top = 4
species Si, O
bond *-* { rcut = 10/3 * 1 Å, rin = 0.5 Å }
learnable onebody E0 { Si = -1/3 * 1 eV, O = 0.001 Ha }
use ace1 as ace { max_order = 2, totaldegree = 4 }
radial R[n in 1..top, k in 0..1, l in 0..1] {
  where n + k + 2 * l <= top
  transform(r) = 1 - 2 * (r - bond.rin) / (bond.rcut - bond.rin)
  envelope = two_sided
  polynomials = jacobi(top, 1/3, 0.5)
  weights = learnable(init = normal(0.1))
}
radial R2[n in 1..6] {
  transform(r) = 1 - 2 * exp(-r / top)
  envelope(r) = (1 - r / bond.rcut)^2
  polynomials = chebyshev(5)
}
angular Y[l in 0..2] { harmonics = solid }
basis B { factors = R * Y, order = 2..3, where sum(n + 2 * l) <= order + 2 }
readout V { from = B }
pair V2 { from = R2, weights = learnable(init = zeros) }
pair V3 { from = R2, weights = learnable(init = zeros) }
basis N { factors = R2, order = 1, where sum(n) < 3 }
readout W { from = N }
model whole = E0 - 0.5 * ace.many_body + V + 1/3 * V2 + 2 * V3 + ace.two_body
model few   = V2 + W
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("spec") / "a.etace"
    path.write_text(SPEC, encoding="utf8")
    return path


@pytest.fixture(scope="module")
def atoms():
    a = bulk("NaCl", "rocksalt", 4.2, cubic=True)
    a.symbols = ["Si", "O"] * 4
    a.rattle(0.1, seed=0)
    return a


def filled(path, name):
    model = etace.load(path, name, seed=1)
    c = np.random.default_rng(0).normal(size=model.length_basis)
    model.set_linear_parameters(c)
    return model


@pytest.mark.parametrize("name", ["whole", "few"])
def test_a_pruned_model_has_the_same_energies(path, atoms, name):
    """As the old one with the other coefficients at 0."""
    model = filled(path, name)
    keep = np.random.default_rng(2).random(model.length_basis) < 0.1
    found = etacec.prune(model, keep)
    c = model.get_linear_parameters()
    model.set_linear_parameters(np.where(keep, c, 0.0))
    assert found.model.energy(atoms) == pytest.approx(model.energy(atoms), rel=1e-12)
    assert set(np.flatnonzero(keep)) <= set(found.kept)
    assert found.extra == len(found.kept) - keep.sum()
    old, new = model.potential.linear_parameters, found.model.potential.linear_parameters
    assert [(old[k].species, old[k].function) for k in found.kept] == [
        (p.species, p.function) for p in new
    ]


def test_nothing_pruned_twice_is_the_same_text(path):
    model = filled(path, "whole")
    once = etacec.prune(model, np.ones(model.length_basis, bool))
    assert once.extra == 0 and list(once.kept) == list(range(model.length_basis))
    twice = etacec.prune(once.model, np.ones(model.length_basis, bool))
    assert twice.text.splitlines()[2:] == once.text.splitlines()[2:]


def test_the_text_is_plain(path, tmp_path):
    """One function of a pair and one product: the file says no more than that, and loads."""
    model = filled(path, "few")
    names = [str(p) for p in model.potential.linear_parameters]
    keep = np.array([n in ("V2[Si; (n=2)]", "V2[O; (n=5)]", "W[Si; (n=1)]") for n in names])
    found = etacec.prune(model, keep)
    assert "where" not in found.text  # a basis reads R2 too, so its channels stay
    keep = np.array([n in ("V2[Si; (n=2)]", "V2[O; (n=5)]") for n in names])
    found = etacec.prune(model, keep)
    assert "where n == 2 or n == 5" in found.text
    assert "basis" not in found.text
    assert found.extra == 2
    (tmp_path / "b.etace").write_text(found.text, encoding="utf8")
    assert etace.load(tmp_path / "b.etace").length_basis == 4


def test_what_cannot_be_pruned_is_said(path):
    model = filled(path, "few")
    with pytest.raises(RequestError, match="no linear parameter is to be kept"):
        etacec.prune(model, np.zeros(model.length_basis, bool))
    with pytest.raises(RequestError, match="bools, one for each linear parameter"):
        etacec.prune(model, np.ones(3, bool))


LOADED = """etace 1
species Si
bond Si-Si { r0 = 2 Å, rcut = 4 Å }
radial R2[n in 1..3] {
  transform(r) = 1 - 2 * r / bond.rcut
  envelope(y)  = (1 - y^2)^2
  polynomials  = chebyshev(2)
  weights      = frozen(load = "R2.npy")
}
pair V2 { from = R2, weights = learnable(load = "V2.npy") }
model m = V2
"""


def test_loaded_arrays_go_along(tmp_path):
    """Loaded radial weights keep their shape, so all channels stay; loaded coefficients are carried."""
    np.save(tmp_path / "R2.npy", np.arange(6.0).reshape(3, 2, 1))
    np.save(tmp_path / "V2.npy", np.array([[1.0], [2.0], [3.0]]))
    (tmp_path / "a.etace").write_text(LOADED, encoding="utf8")
    model = etace.load(tmp_path / "a.etace")
    found = etacec.prune(model, np.array([True, False, True]))
    assert found.extra == 1
    assert list(found.model.get_linear_parameters()) == [1, 0, 3]
    assert 'load = "R2.npy"' in found.text and "V2.npy" not in found.text
    found.model.save(tmp_path / "b.safetensors")
    again = etace.load(tmp_path / "b.safetensors")
    assert list(again.get_linear_parameters()) == [1, 0, 3]
