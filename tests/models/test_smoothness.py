"""The order of contact, proved two ways; poles, kinks and what cannot be decided; and how long that takes."""

import time
from fractions import Fraction

import pytest
import sympy as sp
from etacec import Mistakes, compile_text
from etacec.formula import contact, curves, finite, roots
from etacec.formula.interval import enclose
from etacec.formula.nodes import (
    Const,
    Var,
    add,
    const,
    div,
    evaluate,
    mul,
    power,
    sub,
    substitute,
    text,
)
from etacec.formula.work import Undecided, Work
from etacec.model.formulas import to_nodes
from etacec.model.values import Scope
from etacec.syntax.parse import parse_value

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


def formula(written, argument="r"):
    return to_nodes(parse_value(written, "a test"), argument, Scope({}))


def order_by_derivatives(node, at, side):
    """Of a named curve, without its clip, which holds inside: derivatives by sympy, until one is not 0."""
    r = sp.Symbol("r", positive=True)
    inside = text(node).replace("^", "**")
    f = sp.sympify(inside, {"r": r, "clip": lambda x, low, high: x}, rational=True)
    point = sp.Rational(at.numerator, at.denominator)
    for k in range(contact.DEEPEST + 1):
        value = sp.limit(f, r, point, "-" if side < 0 else "+") if k == 0 else f.subs(r, point)
        if not value.is_finite:
            return None if k == 0 else k
        if sp.simplify(value) != 0:
            return k
        f = sp.diff(f, r)
    return contact.DEEPEST + 1


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
            assert contact.order_of_zero(node, at, side) == order_by_derivatives(node, at, side)


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


# ---------------------------------------------------------------- ends of formulas that are not rational


@pytest.mark.parametrize(
    ("written", "order"),
    [
        ("(1 - r^2)^1000", 9),
        ("(1 - r)^1000000000", 9),
        ("1 - r^1000000", 1),
        ("exp(-1 / (1 - r^2))", 9),
        ("exp(-1 / (1 - r^2)) / (1 - r)^3", 9),
        ("exp(1 / (1 - r^2))", None),
        ("(sin(r^2))^2", 0),
        ("(sin(pi * r^2))^2", 2),
        ("(1 - r)^2 * exp(1000000 * r)", 2),
        ("(1 - r)^2.37 * exp(r)", 3),
        ("sqrt(1 - r^2)", 1),
        ("sqrt(1 - r) - sqrt(1 - r^2) / sqrt(2)", 2),
        ("r^(r^(r^(r^r)))", 0),
        ("log(r)^2", 2),
        ("exp(r - 1) - r", 2),
        ("cos(r - 1) - 1 + (r - 1)^2 / 2", 4),
    ],
)
def test_order_of_a_zero_at_one(written, order):
    assert contact.order_of_zero(formula(written), Fraction(1), -1) == order


@pytest.mark.parametrize(
    "written", ["exp(exp(exp(exp(exp(exp(r))))))", "(1 - r)^2 * log(1 - r)", "sin(1e300 * r)"]
)
def test_an_end_that_is_not_decided(written):
    with pytest.raises(Undecided):
        contact.order_of_zero(formula(written), Fraction(1), -1)


def test_roots_of_the_distance_for_short_distances():
    assert contact.power_at_zero(formula("(1 - sqrt(r))^2")) == (0, True)
    assert contact.power_at_zero(formula("exp(-r) / r^1.5")) == (Fraction(-3, 2), True)
    assert contact.power_at_zero(formula("sin(1 / r)")) is None


# ---------------------------------------------------------------- inside


def found(written, low=-1, high=1):
    places, _ = finite.places(formula(written, "y"), Fraction(low), Fraction(high))
    return [(p.kind, round(p.at, 6)) for p in places]


@pytest.mark.parametrize(
    ("written", "places"),
    [
        ("(1 - y^2)^2 / (y - 0.37)", [("infinite", 0.37)]),
        ("(1 - y^2)^2 / (y^2 - 0.1)", [("infinite", -0.316228), ("infinite", 0.316228)]),
        ("(1 - y^2)^2 / (y^5 - y - 0.1)", [("infinite", -0.97326), ("infinite", -0.10001)]),
        ("(1 - y^2)^2 / (y - 0.37)^2", [("infinite", 0.37)]),
        ("(1 - y^2)^1000 / (y - 0.37)", [("infinite", 0.37)]),
        ("(1 - y^2)^2 * (y - 0.37)^-1", [("infinite", 0.37)]),
        ("1e-30 / (y - 0.37) + exp(y)", [("infinite", 0.37)]),
        ("(1 - y^2)^2 / (y^2 + 0.1)", []),
        ("1 / sin(y)", [("infinite", 0)]),
        ("1 / (exp(y) - 1.2)", [("infinite", 0.182322)]),
        ("1 / (1.5 + sin(1e6 * y))", []),
        ("1 / (abs(y) - 0.5)", [("infinite", -0.5), ("infinite", 0.5), ("kink", 0)]),
        ("log(y)", [("not real", -0.5)]),
        ("log(y + 2)", []),
        ("sqrt(y - 0.2)", [("not real", -0.4)]),
        ("(y - 0.2)^0.5", [("not real", -0.4)]),
        ("sqrt(1 - y^2)", []),
        ("sqrt(y^2)", [("kink", 0)]),
        ("y^y", [("not real", -0.5)]),
        ("(2 + y)^y", []),
        ("(y^2 - 0.25) / (y - 0.5)", [("0/0", 0.5)]),
        ("sin(y) / y", [("0/0", 0)]),
        ("exp(-1 / (y - 0.3)^2)", [("0/0", 0.3)]),
        ("abs(y - 0.3)", [("kink", 0.3)]),
        ("abs(y - 0.3)^3", []),
        ("max(y, 0.2)", [("kink", 0.2)]),
        ("max(y, 0)^2", []),
        ("max(2, y)", []),
        ("1 / (1 - cos(y))", [("undecided", 0)]),
        ("exp(-1 / (1 - y^2))", []),
        ("1 / (1 - y)", []),  # at an end, which is not inside
    ],
)
def test_places_inside(written, places):
    assert found(written) == places


def test_roots_are_counted_exactly():
    """Of products of (x - k/7), with roots that touch, and of polynomials with none."""
    for wanted in ([1], [1, 2, 3], [-3, 5, 6], [2, 2], [1, 1, 1, 4]):
        node = const(1)
        for k in wanted:
            node = mul(node, sub(Var("y"), const(f"{k}/7")))
        p, _ = roots.quotient(node, Work(10**6))
        got = roots.roots(p, Fraction(-1), Fraction(1), Work(10**6))
        assert [round(x * 7, 9) for x, _ in got] == sorted(set(wanted))
        assert [changes for _, changes in got] == [
            wanted.count(k) % 2 == 1 for k in sorted(set(wanted))
        ]


@pytest.mark.parametrize(
    "written",
    ["sin(3 * y) * exp(-y)", "cos(y^2) / (1.2 + y)", "(y^3 - y)^3", "(y + 1.5)^2.5", "abs(y) - max(y, 0.1)",
     "log(y + 2)^2 / sqrt(y + 1.1)", "y^-2", "(y + 2)^y"],
)  # fmt: skip
def test_intervals_hold_all_values(written):
    node = formula(written, "y")
    for k in range(-10, 10):
        low, high = k / 10, (k + 1) / 10
        least, most = enclose(node, (low, high), Work(10**6))
        for j in range(11):
            x = low + (high - low) * j / 10
            value = float(evaluate(node, {"y": x}))
            assert least <= value <= most or x == 0


# ---------------------------------------------------------------- in a spec


def codes(*args, **keywords):
    try:
        return {d.code for d in compile_text(spec(*args, **keywords)).warnings}
    except Mistakes as mistakes:
        return {d.code for d in mistakes.diagnostics}


AGNESI = "transform = agnesi(p = 2, q = 4)"
WITH_RIN = "rin = 0.5 Å, r0 = 2.4 Å, rcut = 5 Å"


@pytest.mark.parametrize(
    ("envelope", "transform", "bond", "expected"),
    [
        ("envelope(y) = (1 - y^2)^2 / (y - 0.37)", AGNESI, "rcut = 5 Å", {"E410"}),
        ("envelope(r) = (1 - r / bond.rcut)^2 / (r - 0.1)", AGNESI, WITH_RIN, {"E410"}),
        ("envelope(y) = (1 - y)^2 / (y + 1)", AGNESI, "rcut = 5 Å", set()),
        ("envelope(r) = (1 - r / bond.rcut)^2 / r^12", AGNESI, "rcut = 5 Å", set()),
        ("envelope(y) = (1 - y)^2", "transform(r) = (r - 2) / (r - 3.1)", "rcut = 5 Å", {"E410"}),
        # y = 1 in the middle of the range of r, not at the cutoff
        ("envelope(y) = (1 - y)^-1 * (y + 1)^2", "transform(r) = 1 - (r - 2)^2 / 4.5", "rcut = 5 Å", {"E410"}),
        # beyond the values that y takes
        ("envelope(y) = (1 - y)^2 / (y + 0.5)", "transform(r) = r / bond.rcut", "rcut = 5 Å", set()),
        ("envelope(y) = (1 - y)^2", "transform(r) = abs(2 * r / bond.rcut - 1)", "rcut = 5 Å", {"W608"}),
        ("envelope(y) = exp(-1 / (1 - y^2))", AGNESI, WITH_RIN, set()),
        ("envelope(y) = (sin(y^2))^2", AGNESI, WITH_RIN, {"E413"}),
        ("envelope(y) = (1 - y^2)^1000", AGNESI, WITH_RIN, set()),
        ("envelope(y) = (1 - y)^2 * log(1 - y)", AGNESI, "rcut = 5 Å", {"W607"}),
        ("envelope(y) = (1 - y)^2 * exp(exp(exp(exp(exp(2 * y)))))", AGNESI, "rcut = 5 Å", {"E410"}),
        ("envelope(y) = (1 - y)^2 * (3^64)^64^64", AGNESI, "rcut = 5 Å", {"E410"}),
        ("envelope(y) = (1 - y)^2 * exp((sqrt(y) / (y - 0.5))^1e9 / (y / 0.37))", AGNESI, "rcut = 5 Å", {"E410"}),
    ],
)  # fmt: skip
def test_what_a_spec_is_told(envelope, transform, bond, expected):
    begun = time.process_time()
    assert codes(envelope, transform, bond) == expected
    assert time.process_time() - begun < 2


def test_the_same_spec_gives_the_same_bytes():
    """Budgets count steps, not seconds: an open question is open on any machine."""
    written = spec(
        "envelope(y) = (1 - y)^2 * log(1 - y) / (1.5 + exp(y) - 1 - y - y^2 / 2)", AGNESI
    )
    first = compile_text(written)
    assert "smoothness not decided at r_cut" in first.module
    contact.order_of_zero.cache_clear()
    finite.places.cache_clear()
    assert compile_text(written).module == first.module


def test_strict_refuses_what_is_not_decided(tmp_path, capfd):
    from etacec.cli import main

    path = tmp_path / "a.etace"
    path.write_text(spec("envelope(y) = (1 - y)^2 * log(1 - y)", AGNESI), encoding="utf8")
    exits = []
    for more in ([], ["--strict"], ["--strict", "--format", "json"]):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["etace", "check", str(path), *more])
            with pytest.raises(SystemExit) as stopped:
                main()
        exits.append(stopped.value.code or 0)
        out, err = capfd.readouterr()
        assert "cannot decide how smoothly" in out + err
    assert exits == [0, 1, 1]
