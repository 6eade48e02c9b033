"""Real spherical and solid harmonics, the convention of sphericart.

Orthonormal on the unit sphere, no Condon-Shortley sign: (Y_1-1, Y_10, Y_11) = sqrt(3/4π) (y, z, x)
for a unit vector. (l, m) stands at index l*l + l + m. Recursions in x, y, z (reference §5): no
angles, no division.
"""

import math
from functools import lru_cache

import jax
import jax.numpy as jnp
import numpy as np

from etace.errors import ParameterError
from etace.stacking import stack_last


def solid_harmonics(r: jax.Array, l_max: int) -> jax.Array:
    """r^l Y_lm(r/|r|), polynomials in x, y, z: finite with all derivatives, also at r = 0.

    r: [..., 3]; result: [..., (l_max + 1)**2], Å^l if r is in Å
    """
    if l_max < 0:
        raise ParameterError(f"l_max must be 0 or more, found {l_max}")
    r = jnp.asarray(r)
    x, y, z = r[..., 0], r[..., 1], r[..., 2]
    return stack_last(components(x, y, z, x * x + y * y + z * z, l_max))


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


def solid_gradients(r: jax.Array, l_max: int) -> tuple[jax.Array, jax.Array]:
    """(Y, dY): `solid_harmonics` and their gradient by one small matrix product.

    r: [..., 3]; Y: [..., (l_max + 1)**2]; dY: [..., 3, (l_max + 1)**2]
    """
    Y = solid_harmonics(r, l_max)
    table = jnp.asarray(gradient_table(l_max), Y.dtype)
    dY = jnp.einsum("...h,hk->...k", Y, table.reshape(len(table), -1), precision="highest")
    return Y, dY.reshape(*Y.shape[:-1], *table.shape[1:])


def spherical_gradients(r: jax.Array, l_max: int) -> tuple[jax.Array, jax.Array]:
    """(Y, dY): `spherical_harmonics` and their gradient, 1/Å if r is in Å; shapes as for solid ones."""
    square = jnp.sum(r * r, axis=-1, keepdims=True)
    length = jnp.sqrt(jnp.where(square > 0, square, jnp.ones_like(square)))
    unit = r / length
    Y, dY = solid_gradients(unit, l_max)
    # Y(r/|r|) = S(r) / |r|^l with the solid S: on the unit sphere, dY = dS - l Y r^.
    l = jnp.asarray([l for l in range(l_max + 1) for _ in range(2 * l + 1)], Y.dtype)
    along = unit[..., :, None] * (jnp.broadcast_to(l, Y.shape) * Y)[..., None, :]
    return Y, (dY - along) / length[..., None]


@lru_cache(maxsize=16)
def gradient_table(l_max: int) -> np.ndarray:
    """T with dS_lm/dx_d = sum over h of S_h T[h, d, lm] for solid harmonics: [h, 3, (l, m)].

    For the complex C_lm of m >= 0, whose real and imaginary parts make S_lm and S_l-m (times
    sqrt(2) if m > 0), with f = (2l+1)/(2l-1):

        dC/dz = sqrt(f (l-m)(l+m)) C_l-1,m
        dC/dx + i dC/dy = -sqrt(f (l-m)(l-m-1)) C_l-1,m+1
        dC/dx - i dC/dy = +sqrt(f (l+m)(l+m-1)) C_l-1,m-1   (minus for m = 0)
    """
    T = np.zeros(((l_max + 1) ** 2, 3, (l_max + 1) ** 2))
    for l in range(1, l_max + 1):
        f = (2 * l + 1) / (2 * l - 1)
        for m in range(l + 1):
            up = -math.sqrt(f * (l - m) * (l - m - 1)) * _complex(l - 1, m + 1, l_max)
            down = math.sqrt(f * (l + m) * (l + m - 1)) * _complex(l - 1, m - 1, l_max)
            down = down if m > 0 else -down
            z = math.sqrt(f * (l - m) * (l + m)) * _complex(l - 1, m, l_max)
            g = np.stack([(up + down) / 2, (up - down) / 2j, z], axis=1)
            place = l * l + l
            if m == 0:
                T[:, :, place] = g.real
            else:
                T[:, :, place + m] = math.sqrt(2) * g.real
                T[:, :, place - m] = math.sqrt(2) * g.imag
    return T


def _complex(l: int, m: int, l_max: int) -> np.ndarray:
    """C_lm in terms of real S: [(l_max + 1)^2]; C_l-m is its conjugate, and 0 for |m| > l."""
    out = np.zeros((l_max + 1) ** 2, complex)
    if m == 0:
        out[l * l + l] = 1
    elif abs(m) <= l:
        out[l * l + l + abs(m)] = math.sqrt(0.5)
        out[l * l + l - abs(m)] = math.copysign(math.sqrt(0.5), m) * 1j
    return out


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
