"""Surds are exact, print as formulas, and round once."""

from fractions import Fraction
from math import inf, nextafter, sqrt

import numpy as np
import pytest
import sympy
from coupling.samples import REPEATED
from etacec.coupling import Pattern, Surd, couple
from etacec.coupling.surd import split_square, surd, times


def assert_nearest(x: Surd):
    """The exact square lies between the squares of the midpoints to the neighbouring doubles."""
    value = abs(float(x))
    square = Fraction(x.numerator**2 * x.radicand, x.denominator**2)
    low, high = ((Fraction(value) + Fraction(nextafter(value, end))) / 2 for end in (0.0, inf))
    assert low**2 <= square <= high**2


def test_rounds_to_the_nearest_double():
    rng = np.random.default_rng(0)
    for digits in (1, 5, 20, 60, 200):
        for _ in range(50):
            n, d, r = (int("".join(map(str, rng.integers(1, 10, digits)))) for _ in range(3))
            assert_nearest(surd(n, d, r % 10**18))
            assert_nearest(surd(-n, d, r % 10**18))
    assert float(surd(1, 1, 2)) == sqrt(2)
    assert float(surd(-1, 2, 3)) == -sqrt(3) / 2
    assert float(surd(1, 3)) == 1 / 3
    assert float(surd(0)) == 0.0


def test_very_large_and_very_small_ones():
    assert float(surd(10**150, 1, 2)) == pytest.approx(sqrt(2) * 1e150, rel=1e-15)
    assert float(surd(1, 10**150, 2)) == pytest.approx(sqrt(2) * 1e-150, rel=1e-15)
    assert float(surd(10**400, 10**401, 2)) == pytest.approx(sqrt(2) / 10, rel=1e-15)


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ((1, 3, 3), "sqrt(3)/3"),
        ((-2, 15, 5), "-2*sqrt(5)/15"),
        ((1, 2, 1), "1/2"),
        ((1, 1, 1), "1"),
        ((-1, 1, 1), "-1"),
        ((-1, 1, 2), "-sqrt(2)"),
        ((2, -4, 3), "-sqrt(3)/2"),
        ((1, 6, 12), "sqrt(3)/3"),
        ((5, 10, 4), "1"),
        ((0, 7, 5), "0"),
        ((3, 1, 0), "0"),
    ],
)
def test_prints_as_a_formula(parts, text):
    assert str(surd(*parts)) == text


def test_the_formula_is_the_number():
    for pattern in [Pattern(((1, 1), (1, 1), (2, 1))), *REPEATED]:
        for x in {x for *_, x in couple(pattern).entries}:
            formula = sympy.sympify(str(x))
            exact = sympy.Rational(x.numerator, x.denominator) * sympy.sqrt(x.radicand)
            assert formula == exact
            assert float(x) == pytest.approx(float(formula.evalf(30)), rel=1e-15)


def test_no_square_is_left_under_the_root():
    for pattern in REPEATED:
        for x in {x for *_, x in couple(pattern).entries}:
            assert all(power == 1 for power in sympy.factorint(x.radicand).values())
    rng = np.random.default_rng(1)
    for n in map(int, rng.integers(1, 10**12, 300)):
        root, rest = split_square(n)
        assert root**2 * rest == n
        assert all(power == 1 for power in sympy.factorint(rest).values())


def test_a_product_splits_as_its_factors():
    for a in range(1, 60):
        for b in range(1, 60):
            assert times(split_square(a), split_square(b)) == split_square(a * b)


def test_no_real_number_no_surd():
    with pytest.raises(ValueError, match="no real surd"):
        surd(1, 2, -3)
    with pytest.raises(ValueError, match="no real surd"):
        surd(1, 0, 3)
