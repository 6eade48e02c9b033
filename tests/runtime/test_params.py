"""Starts of parameters are reproducible for ever, and have the statistics they promise."""

import numpy as np
import pytest
from etace.errors import ParameterError
from etace.params import glorot_normal, normal, one_hot, zeros

GOLDEN = [
    0.596908139748634,
    -0.7561638396969409,
    -1.3776459733385285,
    1.7357835627484202,
    -0.0954816809298744,
]


def test_the_numbers_never_change():
    np.testing.assert_allclose(normal(0, "ace.W", (5,)), GOLDEN, rtol=1e-14)


def test_another_seed_block_or_shape():
    a = normal(1, "a", (3, 4))
    np.testing.assert_array_equal(a, normal(1, "a", (3, 4)))
    np.testing.assert_array_equal(2.5 * a, normal(1, "a", (3, 4), std=2.5))
    for other in (normal(2, "a", (3, 4)), normal(1, "b", (3, 4))):
        assert (a != other).all()
    assert a.shape == (3, 4)
    assert a.dtype == np.float64
    assert normal(1, "a", ()).shape == ()
    assert normal(1, "a", (0, 3)).shape == (0, 3)


def test_moments_of_a_normal_distribution():
    x = normal(7, "moments", (200_000,))
    n = np.sqrt(len(x))
    assert abs(x.mean()) < 4 / n
    assert abs((x**2).mean() - 1) < 4 * np.sqrt(2) / n
    assert abs((x**3).mean()) < 4 * np.sqrt(15) / n
    assert abs((x**4).mean() - 3) < 4 * np.sqrt(96) / n
    half = len(x) // 2  # the two members of a Box-Muller pair do not know each other
    assert abs((x[:half] * x[half:]).mean()) < 4 / np.sqrt(half)


def test_glorot_scale():
    x = glorot_normal(0, "W", (30, 6, 4), 6, 30)
    np.testing.assert_array_equal(x, normal(0, "W", (30, 6, 4), np.sqrt(2 / 36)))
    with pytest.raises(ParameterError, match="fan_in"):
        glorot_normal(0, "W", (2,), 0, 0)


def test_one_hot_alternates_species_and_climbs_polynomials():
    """The tutorial's pair basis: 10 functions, 2 species, 15 polynomials of which 5 are used."""
    w = one_hot(range(1, 11), 15, 2).reshape(10, 15, 2, 2)
    for n in range(10):
        for q in range(15):
            for neighbour in range(2):
                expected = 1.0 if (q == n // 2 and neighbour == n % 2) else 0.0
                assert (w[n, q, :, neighbour] == expected).all()


def test_one_hot_without_enough_polynomials_is_zero():
    w = one_hot([1, 5, 2, 2], 2, 2)
    assert w.shape == (4, 2, 4)
    assert w.sum(axis=(1, 2)).tolist() == [2, 0, 2, 2]
    np.testing.assert_array_equal(w[2], w[3])
    with pytest.raises(ParameterError, match="start at 1"):
        one_hot([0], 2, 2)


def test_zeros():
    assert not zeros([2, 3]).any()
    assert zeros([2, 3]).shape == (2, 3)
