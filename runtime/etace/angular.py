"""Real spherical and solid harmonics, the convention of sphericart.

Orthonormal on the unit sphere, no Condon-Shortley sign: (Y_1-1, Y_10, Y_11) = sqrt(3/4π) (y, z, x)
for a unit vector. (l, m) stands at index l*l + l + m. Recursions in x, y, z (reference §5): no
angles, no division.
"""

import math
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np

from etace.errors import ParameterError

# [..., 3], or the tuple (x, y, z) of arrays [...]
Vectors = jax.Array | tuple[jax.Array, jax.Array, jax.Array]


def solid_harmonics(r: Vectors, l_max: int) -> jax.Array:
    """r^l Y_lm(r/|r|), polynomials in x, y, z: finite with all derivatives, also at r = 0.

    r: [..., 3], or (x, y, z); result: [..., (l_max + 1)**2], Å^l if r is in Å
    """
    if l_max < 0:
        raise ParameterError(f"l_max must be 0 or more, found {l_max}")
    # Stacked in front, where rows are copied whole; the last axis costs an order of magnitude.
    return jnp.moveaxis(jnp.stack(_solid(*_components(r), l_max)), 0, -1)


def spherical_harmonics(r: Vectors, l_max: int) -> jax.Array:
    """Y_lm(r/|r|). At r = 0, where there is no direction, all but Y_00 are zero; no NaN arises.

    r: [..., 3], or (x, y, z), any length; result: [..., (l_max + 1)**2], no unit
    """
    x, y, z = _components(r)
    square = x * x + y * y + z * z
    length = jnp.sqrt(jnp.where(square > 0, square, jnp.ones_like(square)))
    return solid_harmonics((x / length, y / length, z / length), l_max)


def _components(r: Vectors) -> tuple[jax.Array, jax.Array, jax.Array]:
    if isinstance(r, tuple):
        return r
    r = jnp.asarray(r)
    return r[..., 0], r[..., 1], r[..., 2]


@partial(jax.custom_jvp, nondiff_argnums=(3,))
def _solid(x: jax.Array, y: jax.Array, z: jax.Array, l_max: int) -> tuple[jax.Array, ...]:
    """The functions one by one. Their derivatives of all orders are sums of themselves."""
    return tuple(components(x, y, z, x * x + y * y + z * z, l_max))


def components(
    x: jax.Array, y: jax.Array, z: jax.Array, square: jax.Array | float, l_max: int
) -> list[jax.Array]:
    """The solid harmonics of (x, y, z) one by one, (l, m) at l*l + l + m; their derivatives are JAX's.

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


@_solid.defjvp
def _solid_jvp(
    l_max: int, at: tuple[jax.Array, ...], along: tuple[jax.Array, ...]
) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
    values = _solid(*at, l_max)
    slopes = []
    for l in range(l_max + 1):
        for m in range(-l, l + 1):
            slope = jnp.zeros_like(values[0])
            for step, terms in zip(along, gradient(l, m), strict=True):
                if terms:
                    slope = slope + step * sum(c * values[k] for k, c in terms)
            slopes.append(slope)
    return values, tuple(slopes)


def gradient(l: int, m: int) -> tuple[list[tuple[int, float]], ...]:
    """d/dx, d/dy, d/dz of r^l Y_lm as sums of r^(l-1) Y_(l-1)m': [(index, coefficient)] each.

    From (d/dx -+ i d/dy) of the complex functions, which lower l by 1 and move m by 1.
    """
    k, s = abs(m), 1 if m >= 0 else -1
    scale = math.sqrt((2 * l + 1) / (2 * l - 1)) if l else 0.0
    up = scale * math.sqrt((l - k) * (l - k - 1)) / 2
    down = scale * math.sqrt((l + k) * (l + k - 1)) / 2 * (math.sqrt(2) if k == 1 else 1)
    if k == 0:
        x = [(1, -math.sqrt(2) * up)]
        y = [(-1, -math.sqrt(2) * up)]
    else:
        # The sine of m = 0 does not exist; it is left out below, as all with |m'| > l - 1 are.
        x = [(s * (k + 1), -up)] + ([(s * (k - 1), down)] if k > 1 or s > 0 else [])
        y = [(-s * (k + 1), -s * up)] + ([(-s * (k - 1), -s * down)] if k > 1 or s < 0 else [])
    z = [(m, scale * math.sqrt(l * l - m * m))]
    lower = (l - 1) * (l - 1) + (l - 1)
    return tuple([(lower + n, c) for n, c in terms if abs(n) < l and c] for terms in (x, y, z))


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
    """T with dS_lm/dx_d = sum over h of S_h T[h, d, lm] for solid harmonics: [h, 3, (l, m)]."""
    T = np.zeros(((l_max + 1) ** 2, 3, (l_max + 1) ** 2))
    for l in range(l_max + 1):
        for m in range(-l, l + 1):
            for d, terms in enumerate(gradient(l, m)):
                for h, c in terms:
                    T[h, d, l * l + l + m] = c
    return T


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
