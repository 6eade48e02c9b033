"""The order of contact, proved two ways: by series of fractions and by sympy."""

from fractions import Fraction

import pytest
from etacec import Mistakes, compile_text
from etacec.formula import contact, curves
from etacec.formula.nodes import Const, Var, add, const, div, mul, power, sub, substitute

R = Var("r")
LENGTHS = {"bond.rin": const("0"), "bond.r0": const("2.05"), "bond.rcut": const("5.5")}
INNER = {**LENGTHS, "bond.rin": const("0.7")}
CURVES = {
    "agnesi22": curves.agnesi(Fraction(2), Fraction(2)),
    "agnesi24": curves.agnesi(Fraction(2), Fraction(4)),
    "agnesi13": curves.agnesi(Fraction(1), Fraction(3)),
    "inverse": curves.inverse_power(Fraction(1)),
    "shifted": curves.inverse_power_shifted(Fraction(2)),
}


@pytest.mark.parametrize(
    "name",
    [
        n if n in ("agnesi22", "shifted") else pytest.param(n, marks=pytest.mark.slow)
        for n in CURVES
    ],
)
@pytest.mark.parametrize("lengths", [LENGTHS, INNER], ids=["rin=0", "rin=0.7"])
def test_series_and_sympy_agree(name, lengths):
    y = substitute(CURVES[name], lengths)
    rin, rcut = lengths["bond.rin"].value, lengths["bond.rcut"].value
    two_sided = mul(power(add(const(1), y), const(2)), power(sub(const(1), y), const(3)))
    for node in (y, two_sided, sub(const(1), y)):
        for at, side in ((rcut, -1), (rin, 1)):
            if at == 0 and name in ("inverse", "shifted"):
                continue
            assert contact.order_of_zero(node, at, side) == contact._order_by_sympy(node, at, side)
    assert contact.power_at_zero(y) == contact._power_by_sympy(y)


def test_known_orders():
    rcut = Fraction(3)
    u = div(R, Const(rcut))
    assert contact.order_of_zero(power(sub(const(1), u), const(4)), rcut, -1) == 4
    assert contact.order_of_zero(const(0), rcut, -1) == contact.DEEPEST + 1
    assert contact.order_of_zero(div(const(1), sub(const(1), u)), rcut, -1) is None
    assert contact.power_at_zero(power(R, const(-3))) == (-3, True)


def spec(envelope, transform="transform(r) = 2 * r / bond.rcut - 1", bond="rcut = 5 Å"):
    return f"""etace 1
species Si
bond *-* {{ {bond} }}
radial R[n in 1..2] {{
  {transform}
  {envelope}
  polynomials = chebyshev(2)
}}
pair V {{ from = R }}
model m = V
"""


def order(*args, **keywords):
    (found,) = compile_text(spec(*args, **keywords)).contacts
    return found.cutoff


@pytest.mark.parametrize(
    ("envelope", "k"),
    [
        ("envelope(y) = (1 - y)^2", 1),
        ("envelope(y) = (1 - y)^3", 2),
        ("envelope(r) = (1 + cos(pi * r / bond.rcut)) / 2", 1),
        ("envelope(r) = (1 + cos(pi * r / bond.rcut))^2 / 4", 3),
        ("envelope(r) = max(bond.rcut - r, 0)^4", 3),
        ("envelope = inverse_power(p = 3)", 1),
    ],
)
def test_contact_at_the_cutoff(envelope, k):
    assert order(envelope) == k


def test_a_kink_is_a_warning_and_a_jump_is_an_error():
    found = compile_text(spec("envelope(y) = 1 - y"))
    assert "W606" in [d.code for d in found.warnings]
    for envelope in ("envelope(y) = 1", "envelope(r) = exp(-r)"):
        with pytest.raises(Mistakes) as mistakes:
            compile_text(spec(envelope))
        assert "E413" in [d.code for d in mistakes.value.diagnostics]


def test_the_inner_radius_and_the_origin():
    bond = "rcut = 5 Å, r0 = 2.4 Å, rin = 0.5 Å"
    (found,) = compile_text(
        spec("envelope(y) = (1 - y^2)^2", "transform = agnesi(p = 2, q = 4)", bond)
    ).contacts
    assert (found.cutoff, found.inner) == (1, 7)
    (found,) = compile_text(
        spec("envelope(y) = (1 - y)^2", "transform = agnesi(p = 2, q = 4)", bond)
    ).contacts
    assert found.inner == 3
    (found,) = compile_text(spec("envelope = inverse_power(p = 2)")).contacts
    assert "r^-2" in found.origin
