"""Powers and exponentials in formulas, by the native kernel and by numpy."""

import etace
import numpy as np
import pytest
from ase import Atoms
from etacec import Mistakes, compile_text

SPEC = """etace 1
species Si
bond *-* { rin = 0 Å, r0 = 2 Å, rcut = 5 Å }
radial R[n in 1..1] {
  transform(r) = 1 - 2 * r / bond.rcut
  envelope(y) = FORMULA
  polynomials = monomial(1)
  weights = frozen(init = one_hot)
}
pair V { from = R }
model m = V
"""
W = "(1 - y^2)^3 * "
POWERS = [
    ("y^65", lambda y: y**65),
    ("y^300", lambda y: y**300),
    ("y^1000001", lambda y: y**1000001),
    ("1 / (2 + y^301)", lambda y: 1 / (2 + y**301)),
    ("2^y", lambda y: 2**y),
    ("2^(2^(y + 1))", lambda y: 2 ** (2 ** (y + 1))),
    ("bond.r0^y", lambda y: 2**y),
    ("y^(bond.rcut / bond.r0 * 2 - 2)", lambda y: y**3),
    ("(y - 3)^(bond.rcut / bond.r0 * 2 - 1)", lambda y: (y - 3) ** 4),
    ("abs(y)^2.7", lambda y: np.abs(y) ** 2.7),
    ("(y + 3)^65.5", lambda y: (y + 3) ** 65.5),
]


@pytest.mark.parametrize(("written", "function"), POWERS, ids=[w for w, _ in POWERS])
def test_powers_are_those_of_numpy_also_of_numbers_below_0(written, function, tmp_path):
    path = tmp_path / "a.etace"
    path.write_text(SPEC.replace("FORMULA", W + written), encoding="utf8")
    model = etace.load(path, backend="native")
    model.set_linear_parameters(np.ones(model.length_basis))

    def wanted(r):
        y = 1 - 2 * r / 5
        return 2 * (1 - y**2) ** 3 * function(y)

    scale = max(1.0, abs(wanted(2.0)))
    for r in (0.3, 1.1, 2.0, 2.5, 3.1, 4.9):
        found = model.evaluate(Atoms("Si2", [[0, 0, 0], [0, 0, r]]))
        assert abs(found.energy - wanted(r)) < 1e-11 * scale
        slope = (wanted(r + 1e-6) - wanted(r - 1e-6)) / 2e-6
        assert abs(found.forces[0, 2] - slope) < 1e-5 * scale


@pytest.mark.parametrize("written", ["1 / (1 + exp(-1e5 * (y - 0.3)))", "1 / (1 + (y + 3)^2000)"])
def test_what_overflows_on_its_way_is_refused(written):
    """Its value is a number, its slope is none: infinite divided by infinite."""
    with pytest.raises(Mistakes) as caught:
        compile_text(SPEC.replace("FORMULA", W + written), "a.etace")
    assert [x.code for x in caught.value.diagnostics] == ["E410"]


def test_polynomials_too_small_for_numbers_are_refused():
    """Of jacobi(1, 1000, 1) all values would be 0."""
    text = SPEC.replace("FORMULA", "(1 - y^2)^3").replace("monomial(1)", "jacobi(1, 1000, 1)")
    with pytest.raises(Mistakes, match="up to 50"):
        compile_text(text, "a.etace")
