"""Real spherical and solid harmonics, the convention of sphericart.

Orthonormal on the unit sphere, no Condon-Shortley sign: (Y_1-1, Y_10, Y_11) = sqrt(3/4π) (y, z, x)
for a unit vector. (l, m) stands at index l*l + l + m. Recursions in x, y, z (reference §5): no
angles, no division.
"""

import math

import jax
import jax.numpy as jnp

from etace.errors import ParameterError


def solid_harmonics(r: jax.Array, l_max: int) -> jax.Array:
    """r^l Y_lm(r/|r|), polynomials in x, y, z: finite with all derivatives, also at r = 0.

    r: [..., 3]; result: [..., (l_max + 1)**2], Å^l if r is in Å
    """
    if l_max < 0:
        raise ParameterError(f"l_max must be 0 or more, found {l_max}")
    r = jnp.asarray(r)
    x, y, z = r[..., 0], r[..., 1], r[..., 2]
    return jnp.stack(components(x, y, z, x * x + y * y + z * z, l_max), axis=-1)


def components(
    x: jax.Array, y: jax.Array, z: jax.Array, square: jax.Array | float, l_max: int
) -> list[jax.Array]:
    """The solid harmonics of (x, y, z) one by one, (l, m) at l*l + l + m.

    x, y, z: of any one shape; square: x^2 + y^2 + z^2, or 1.0 for unit vectors
    """
    one = jnp.ones_like(x)
    cosine, sine = _azimuthal(x, y, one, l_max)
    values: list[jax.Array] = [one] * (l_max + 1) ** 2
    for m in range(l_max + 1):
        polar = _polar(z, square, one, m, l_max)
        for l in range(m, l_max + 1):
            factor = _norm(l, m) * polar[l - m]
            if m == 0:
                values[l * l + l] = math.sqrt(0.5) * factor
            else:
                values[l * l + l - m] = factor * sine[m]
                values[l * l + l + m] = factor * cosine[m]
    return values


def spherical_harmonics(r: jax.Array, l_max: int) -> jax.Array:
    """Y_lm(r/|r|). At r = 0, where there is no direction, all but Y_00 are zero; no NaN arises.

    r: [..., 3], any length; result: [..., (l_max + 1)**2], no unit
    """
    r = jnp.asarray(r)
    square = jnp.sum(r * r, axis=-1, keepdims=True)
    length = jnp.sqrt(jnp.where(square > 0, square, jnp.ones_like(square)))
    return solid_harmonics(r / length, l_max)


def _norm(l: int, m: int) -> float:
    """F_lm = (-1)^m sqrt((2l+1)/2π (l-m)!/(l+m)!)."""
    square = (2 * l + 1) / (2 * math.pi) * (math.factorial(l - m) / math.factorial(l + m))
    return (-1) ** m * math.sqrt(square)


def _azimuthal(
    x: jax.Array, y: jax.Array, one: jax.Array, l_max: int
) -> tuple[list[jax.Array], list[jax.Array]]:
    """Real and imaginary part of (x + iy)^m, m = 0 .. l_max."""
    cosine, sine = [one], [jnp.zeros_like(one)]
    for _ in range(l_max):
        c, s = cosine[-1], sine[-1]
        cosine.append(x * c - y * s)
        sine.append(x * s + y * c)
    return cosine, sine


def _polar(
    z: jax.Array, square: jax.Array | float, one: jax.Array, m: int, l_max: int
) -> list[jax.Array]:
    """Q_lm for l = m .. l_max: r^(l-m) times the m-th derivative of Legendre_l, up to the sign."""
    q = [float(math.prod(range(1, 2 * m, 2))) * (-1) ** m * one]
    for l in range(m + 1, l_max + 1):
        step = ((2 * l - 1) / (l - m)) * z * q[-1]
        if l > m + 1:
            step = step - ((l + m - 1) / (l - m)) * square * q[-2]
        q.append(step)
    return q
