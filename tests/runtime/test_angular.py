"""Spherical harmonics are orthonormal, real, in the sphericart convention, and never NaN."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from etace.angular import (
    solid_gradients,
    solid_harmonics,
    spherical_gradients,
    spherical_harmonics,
)
from etace.errors import ParameterError

pytestmark = pytest.mark.usefixtures("strict")


def directions(n=40, seed=0):
    r = np.random.default_rng(seed).normal(size=(n, 3))
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    return np.concatenate([r / np.linalg.norm(r, axis=1, keepdims=True), axes])


def reference(u, l_max):
    """Real harmonics from scipy's complex ones, which carry the Condon-Shortley sign."""
    polar, azimuth = np.arccos(np.clip(u[:, 2], -1, 1)), np.arctan2(u[:, 1], u[:, 0])
    columns = []
    for l in range(l_max + 1):
        for m in range(-l, l + 1):
            y = scipy.special.sph_harm_y(l, abs(m), polar, azimuth) * (-1) ** m
            columns.append(y.real if m == 0 else np.sqrt(2) * (y.real if m > 0 else y.imag))
    return np.transpose(columns)


def test_they_agree_with_scipy_up_to_l_8():
    u = directions()
    np.testing.assert_allclose(solid_harmonics(u, 8), reference(u, 8), rtol=0, atol=1e-13)
    np.testing.assert_allclose(spherical_harmonics(3 * u, 8), reference(u, 8), rtol=0, atol=1e-13)


def test_closed_forms():
    x, y, z = r = np.random.default_rng(1).normal(size=3)
    pi = np.pi
    one = np.sqrt(3 / 4 / pi) * np.array([y, z, x])
    two = [
        np.sqrt(15 / 4 / pi) * x * y,
        np.sqrt(15 / 4 / pi) * y * z,
        np.sqrt(5 / 16 / pi) * (3 * z * z - r @ r),
        np.sqrt(15 / 4 / pi) * x * z,
        np.sqrt(15 / 16 / pi) * (x * x - y * y),
    ]
    values = np.asarray(solid_harmonics(r, 3))
    np.testing.assert_allclose(values[:9], [np.sqrt(1 / 4 / pi), *one, *two], rtol=1e-13)
    ends = np.sqrt(35 / 32 / pi) * np.array([y * (3 * x * x - y * y), x * (x * x - 3 * y * y)])
    np.testing.assert_allclose(values[[9, 15]], ends, rtol=1e-13)


def test_solid_harmonics_are_homogeneous():
    r = np.random.default_rng(2).normal(size=(4, 5, 3))
    l = np.repeat(np.arange(7), 2 * np.arange(7) + 1)
    length = np.linalg.norm(r, axis=-1)[..., None]
    np.testing.assert_allclose(
        solid_harmonics(r, 6), np.asarray(spherical_harmonics(r, 6)) * length**l, rtol=1e-11
    )


@pytest.mark.parametrize("harmonics", [solid_harmonics, spherical_harmonics])
@pytest.mark.parametrize("l_max", [0, 1, 4])
def test_derivatives_match_differences(harmonics, l_max):
    r, h = np.random.default_rng(3).normal(size=3), 1e-5
    jacobian = np.asarray(jax.jacrev(lambda r: harmonics(r, l_max))(r))
    for c in range(3):
        step = h * np.eye(3)[c]
        up, down = np.asarray(harmonics(r + step, l_max)), np.asarray(harmonics(r - step, l_max))
        np.testing.assert_allclose(jacobian[:, c], (up - down) / (2 * h), atol=1e-8)


def test_nothing_is_singular_on_the_axes_or_at_the_origin():
    r = np.concatenate([np.zeros((1, 3)), np.eye(3), -np.eye(3)])
    for harmonics in (solid_harmonics, spherical_harmonics):
        values = harmonics(r, 5)
        slopes = jax.jit(jax.vmap(jax.jacfwd(lambda r, f=harmonics: f(r, 5))))(r)
        back = jax.jit(jax.vmap(jax.jacrev(lambda r, f=harmonics: f(r, 5))))(r)
        assert np.isfinite(values).all()
        assert np.isfinite(slopes).all()
        np.testing.assert_allclose(slopes, back, atol=1e-12)


def test_dtype_and_shape_are_those_of_the_vectors():
    r = jnp.ones((2, 4, 3), jnp.float32)
    for harmonics in (solid_harmonics, spherical_harmonics):
        assert harmonics(r, 3).dtype == jnp.float32
        assert harmonics(r, 3).shape == (2, 4, 16)
        assert harmonics(r[0, 0], 0).shape == (1,)
    with pytest.raises(ParameterError, match="l_max"):
        solid_harmonics(r, -1)


@pytest.mark.parametrize("kind", ["solid", "spherical"])
def test_gradients_are_the_derivatives_also_at_the_origin(kind):
    values = {"solid": solid_harmonics, "spherical": spherical_harmonics}[kind]
    gradients = {"solid": solid_gradients, "spherical": spherical_gradients}[kind]
    r = np.concatenate([1.7 * directions(), np.zeros((1, 3))])
    Y, dY = gradients(r, 7)
    expected = jax.jit(jax.vmap(jax.jacfwd(lambda x: values(x, 7))))(jnp.asarray(r))
    np.testing.assert_allclose(Y, values(r, 7), rtol=1e-14, atol=1e-14)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(dY, np.swapaxes(expected, 1, 2), rtol=0, atol=1e-13 * scale)
