"""Polynomials are those of the tables, orthonormal where they say so, smooth at the ends."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from etace.errors import ParameterError
from etace.radial import bernstein, chebyshev, jacobi, legendre, monomial

pytestmark = pytest.mark.usefixtures("strict")

Y = np.linspace(-1, 1, 41)
BASES = [
    chebyshev,
    legendre,
    monomial,
    bernstein,
    lambda y, n: jacobi(y, n, 4, 4),
    lambda y, n: jacobi(y, n, -0.5, 1.5),
]

# Computed by another program from adaptive quadrature of the norms, at y = 0.3.
LEGENDRE = [
    0.7071067811865475, 0.36742346141747667, -0.5771156729807292, -0.7155919752205162,
    0.15472380255838142, 0.8100025551131573, 0.329348697925794, -0.6136491317902857,
    -0.6970162197459617, 0.19633776265116448, 0.814876506497741, 0.2920400952955275,
    -0.6399393433467002, -0.6757571632902863, 0.23480900502957125,
]  # fmt: skip
JACOBI_4_4 = [
    1.1092649593311783, 1.1037046989571058, -0.008943180013284091, -1.0098897995457536,
    -0.6898245806744359, 0.5153954294676629, 1.0114197119719779, 0.14358375770353238,
    -0.9082000727294296, -0.7145731898767895,
]  # fmt: skip


def test_golden_values():
    y = np.array(0.3)
    np.testing.assert_allclose(legendre(y, 15), LEGENDRE, rtol=1e-13)
    np.testing.assert_allclose(jacobi(y, 10, 4, 4), JACOBI_4_4, rtol=2e-12)
    np.testing.assert_allclose(chebyshev(y, 6), [1, 0.3, -0.82, -0.792, 0.3448, 0.99888])


def test_chebyshev_polynomials_are_cosines():
    expected = np.cos(np.arange(12) * np.arccos(Y)[:, None])
    np.testing.assert_allclose(chebyshev(Y, 12), expected, atol=1e-13)


def test_legendre_polynomials_are_scaled_to_unit_norm():
    expected = [np.sqrt(k + 0.5) * scipy.special.eval_legendre(k, Y) for k in range(15)]
    np.testing.assert_allclose(legendre(Y, 15), np.transpose(expected), atol=1e-12)


@pytest.mark.parametrize("alpha", [-0.5, 0, 4])
@pytest.mark.parametrize("beta", [-0.5, 0, 1.5, 4])
def test_jacobi_polynomials_are_orthonormal_in_their_weight(alpha, beta):
    y, w = scipy.special.roots_jacobi(20, alpha, beta)
    p = np.asarray(jacobi(y, 15, alpha, beta))
    np.testing.assert_allclose(np.einsum("g,gi,gj->ij", w, p, p), np.eye(15), atol=1e-11)
    raw = np.transpose([scipy.special.eval_jacobi(k, alpha, beta, Y) for k in range(15)])
    ratio = np.asarray(jacobi(Y, 15, alpha, beta)) / np.where(np.abs(raw) > 1e-3, raw, np.nan)
    spread = np.nanmax(ratio, 0) - np.nanmin(ratio, 0)
    assert (spread < 1e-9 * np.nanmax(ratio, 0)).all()  # positive multiples of the standard ones


def test_monomials_are_powers():
    np.testing.assert_allclose(monomial(Y, 6), Y[:, None] ** np.arange(6), atol=1e-15)


def test_bernstein_polynomials_are_binomial_and_add_up_to_one():
    t = (1 + Y) / 2
    expected = [scipy.stats.binom.pmf(k, 6, t) for k in range(7)]
    np.testing.assert_allclose(bernstein(Y, 7), np.transpose(expected), atol=1e-14)
    np.testing.assert_allclose(np.asarray(bernstein(Y, 12)).sum(-1), 1, rtol=1e-14)


@pytest.mark.parametrize("basis", BASES)
def test_bases_are_nested_keep_the_shape_and_the_dtype(basis):
    y = jnp.asarray(Y[:12].reshape(3, 4))
    if basis is not bernstein:
        longest = np.asarray(basis(y, 9))
        for n in range(1, 9):
            np.testing.assert_array_equal(basis(y, n), longest[..., :n])
    for n in (1, 2, 3):
        assert basis(y, n).shape == (3, 4, n)
        assert basis(y[0, 0], n).shape == (n,)
        assert basis(y.astype(jnp.float32), n).dtype == jnp.float32
        assert basis(y, n).dtype == jnp.float64


@pytest.mark.parametrize("basis", BASES)
def test_derivatives_are_finite_and_right_also_at_the_ends(basis):
    y, h = jnp.asarray(Y), 1e-6
    _, slope = jax.jvp(lambda y: basis(y, 8), (y,), (jnp.ones_like(y),))
    difference = (np.asarray(basis(y + h, 8)) - np.asarray(basis(y - h, 8))) / (2 * h)
    np.testing.assert_allclose(slope, difference, atol=1e-6 * (1 + np.abs(difference).max()))
    back = jax.grad(lambda y: basis(y, 8).sum())(y)
    np.testing.assert_allclose(back, np.asarray(slope).sum(-1), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("basis", [chebyshev, legendre, monomial, bernstein])
def test_an_envelope_multiplies_all_of_them(basis):
    e = np.exp(Y)
    np.testing.assert_allclose(
        basis(Y, 5, times=jnp.asarray(e)), e[:, None] * basis(Y, 5), rtol=1e-14
    )


def test_wrong_sizes_are_refused():
    for basis in BASES:
        with pytest.raises(ParameterError, match="at least one"):
            basis(Y, 0)
    with pytest.raises(ParameterError, match="alpha, beta"):
        jacobi(Y, 3, -1, 0)
