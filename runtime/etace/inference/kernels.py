"""The kernels of the inference form, for one block of atoms of one species.

Atoms are the fast axis of every array, one atom to a lane: edges are [K, B], features of edges
[features, K, B], features of atoms [features, B].

Two things look roundabout and are what keeps XLA's CPU loops vectorised and free of repetition: a
product with the unit matrix (`apart`), which ends a fusion, and sums over neighbours by matrix
products or written out, never by a reduction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from etace import angular, repulsion
from etace.inference import chebyshev, spline
from etace.inference.shells import Pair, Scalars, Shell

WRITTEN_OUT = 64  # neighbours whose sum is one expression; more are added up in chunks


@dataclass(frozen=True)
class Edges:
    """Edges of one block to the neighbours of one species.

    species: of the neighbours; bond: [1, 1], ordered pair of species
    x, y, z: unit vector, 0 beyond the cutoff; r: Å, half the cutoff there; inside: bool; all [K, B]
    separate: whether `apart` has anything to do (on CPU)
    """

    species: int
    bond: jax.Array
    x: jax.Array
    y: jax.Array
    z: jax.Array
    r: jax.Array
    inside: jax.Array
    separate: bool

    def apart(self, x: jax.Array) -> jax.Array:
        return apart(x) if self.separate else x


def apart(x: jax.Array) -> jax.Array:
    """x, through a product with the unit matrix. Nothing fuses across a matrix product, so x is
    computed once, whoever reads it. (`lax.optimization_barrier` does not stop fusion on CPU.)

    x: [..., B]
    """
    return _dot(x, jnp.eye(x.shape[-1], dtype=x.dtype))


def over_neighbours(x: jax.Array) -> jax.Array:
    """Sum over neighbours. x: [K, B]; result: [B]"""
    return _dot(jnp.ones((1, x.shape[0]), x.dtype), x)[0]


def _dot(a: jax.Array, b: jax.Array) -> jax.Array:
    return jnp.matmul(a, b, precision="highest")


@dataclass(frozen=True)
class Radials:
    """R, and the two parts of its slope: dR/dr = b dR where b is not None. [rows, K, B], [K, B]"""

    R: jax.Array
    dR: jax.Array
    b: jax.Array | None


def radials(shell: Shell, table: Any, edges: Sequence[Edges]) -> list[Radials]:
    """R and dR/dr of every edge. table: of `Shell.freeze`, of one centre"""
    out = []
    for e in edges:
        q = shell.radial.scalars(e.r, e.bond, e.inside)
        R, dR = _polynomials(shell, table, e, q)
        if q.a is None:
            out.append(Radials(R, dR, e.apart(q.b)))
        else:
            s, a, b = (e.apart(v)[None] for v in (q.s, q.a, q.b))
            out.append(Radials(e.apart(s * R), e.apart(a * R + b * dR), None))
    return out


def _polynomials(shell: Shell, table: Any, e: Edges, q: Scalars) -> tuple[jax.Array, jax.Array]:
    """Radials without their envelope (with it, where folded), and their slopes in y: [rows, K, B]."""
    y = e.apart(q.y)
    if "spline" in table:
        inside = e.inside.astype(y.dtype)[None] if q.a is None else 1
        R, dR = spline.interpolate(table["spline"][e.species], y)
        return e.apart(inside * R), e.apart(dR)
    matrix = table["matrix"][e.species]
    n = matrix.shape[0] // 2
    scale = q.s if q.a is None else jnp.ones_like(q.s)
    T = chebyshev.stack(y.reshape(-1), scale.reshape(-1), shell.radial.columns)
    both = _dot(matrix, T).reshape(2 * n, *e.r.shape)
    return both[:n], both[n:]


def harmonics(shell: Shell, edges: Sequence[Edges]) -> list[list[jax.Array]]:
    """Y[l, m] of unit vectors, or r^l Y[l, m]; by segment a list by l * l + l + m of [K, B]."""
    out = []
    for e in edges:
        if shell.harmonics == "none":
            out.append([jnp.ones_like(e.r)])
        elif shell.harmonics == "solid":
            r, square = e.r, e.r * e.r
            out.append(angular.components(e.x * r, e.y * r, e.z * r, square, shell.lmax))
        else:
            out.append(angular.components(e.x, e.y, e.z, 1.0, shell.lmax))
    return out


def pool(shell: Shell, R: Sequence[Radials], Y: Sequence[Sequence[jax.Array]]) -> jax.Array:
    """A[l, row, m](i) = sum over neighbours of R[row] Y[l, m]: [A, B]."""
    parts = []
    for l, first, last in shell.ranges:
        total: Any = None
        for radial, ylm in zip(R, Y, strict=True):
            own = _sum_products(radial.R[first:last], jnp.stack(ylm[l * l : (l + 1) ** 2]))
            total = own if total is None else total + own
        parts.append(total.reshape(-1, total.shape[-1]))
    return jnp.concatenate(parts)


def _sum_products(R: jax.Array, Y: jax.Array) -> jax.Array:
    """sum over k of R[row, k] Y[m, k]: [rows, m, B]. Equal to einsum("rkb,mkb->rmb", R, Y)."""
    K = R.shape[1]

    def written_out(R: jax.Array, Y: jax.Array) -> jax.Array:
        sums: list[Any] = [None, None]  # two chains of additions: half the wait for each
        for k in range(R.shape[1]):
            term = R[:, None, k] * Y[None, :, k]
            sums[k % 2] = term if sums[k % 2] is None else sums[k % 2] + term
        return sums[0] if sums[1] is None else sums[0] + sums[1]

    if K <= WRITTEN_OUT:
        return written_out(R, Y)
    chunk = -(-K // -(-K // WRITTEN_OUT))
    whole = K // chunk
    Y = apart(Y)  # its slices must not each recompute it

    def step(c: jax.Array, total: jax.Array) -> jax.Array:
        cut = lambda v: apart(jax.lax.dynamic_slice_in_dim(v, c * chunk, chunk, 1))  # noqa: E731
        return total + written_out(cut(R), cut(Y))

    zero = jnp.zeros((R.shape[0], Y.shape[0], R.shape[2]), R.dtype)
    total = jax.lax.fori_loop(0, whole, step, zero)
    return total + written_out(R[:, whole * chunk :], Y[:, whole * chunk :]) if K % chunk else total


def edge_gradients(
    shell: Shell,
    R: Sequence[Radials],
    Y: Sequence[Sequence[jax.Array]],
    w: jax.Array,
    edges: Sequence[Edges],
) -> list[list[jax.Array]]:
    """f = dE_i/dr_ij = sum of w (dR/dr Y r^ + R grad Y): by segment x, y and z, [K, B].

    w: dE_i/dA, [A, B]. With g the gradient of the solid harmonics at the unit vector, which is a
    combination of those of degree l - 1, the spherical ones have (g - (r^ . g) r^) / r.
    """
    w3 = edges[0].apart(_gradient_adjoint(shell, w)) if shell.lmax else None
    out = []
    for q, ylm, e in zip(R, Y, edges, strict=True):
        u = (e.x, e.y, e.z)
        along = e.apart(_edge_slope(shell, q.dR, ylm, w))
        if q.b is not None:
            along = along * q.b
        if w3 is None:
            out.append([along * c for c in u])
            continue
        g = [e.apart(c) for c in _edge_gradient(shell, q.R, ylm, w3)]
        if shell.harmonics == "spherical":
            inverse = 1 / e.r
            g = [inverse * c for c in g]
            along = along - (u[0] * g[0] + u[1] * g[1] + u[2] * g[2])
        out.append([along * c + d for c, d in zip(u, g, strict=True)])
    return out


def _edge_slope(shell: Shell, dR: jax.Array, Y: Sequence[jax.Array], w: jax.Array) -> jax.Array:
    """sum of w dR Y: [K, B]"""
    total: Any = None
    place = {f: k for k, f in enumerate(shell.functions)}
    for l, first, last in shell.ranges:
        for m in range(-l, l + 1):
            term: Any = None
            for row in range(first, last):
                one = dR[row] * w[place[l, m, row]][None]
                term = one if term is None else term + one
            term = term * Y[l * l + l + m]
            total = term if total is None else total + term
    return total


def _gradient_terms(shell: Shell) -> list[tuple[int, int, int]]:
    """(l, m', row) of the terms R[row] Y[l - 1, m'] of the gradient."""
    return [
        (l, m, row)
        for l, first, last in shell.ranges
        for m in range(-l + 1, l)
        for row in range(first, last)
    ]


def _gradient_adjoint(shell: Shell, w: jax.Array) -> jax.Array:
    """What multiplies R[row] Y[l - 1, m'] in the gradient: [3, terms, B]. w: [A, B]

    sum over m of dS_lm/dx_d's component along S_{l-1,m'} times w[l, row, m]; two m at most.
    """
    place = {f: k for k, f in enumerate(shell.functions)}
    terms = _gradient_terms(shell)
    which = np.zeros((2, 3, len(terms)), np.int32)
    factor = np.zeros((2, 3, len(terms), 1))
    table = angular.gradient_table(shell.lmax)
    for k, (l, m_less, row) in enumerate(terms):
        G = table[(l - 1) ** 2 + l - 1 + m_less, :, l * l : (l + 1) ** 2]
        for d in range(3):
            for j, m in enumerate(np.flatnonzero(G[d])):
                which[j, d, k] = place[l, int(m) - l, row]
                factor[j, d, k] = G[d, m]
    one, two = (
        jnp.asarray(factor[j], w.dtype) * w.at[which[j]].get(mode="promise_in_bounds")
        for j in range(2)
    )
    return one + two


def _edge_gradient(
    shell: Shell, R: jax.Array, Y: Sequence[jax.Array], w3: jax.Array
) -> list[jax.Array]:
    """sum of w R grad Y, of the solid harmonics at the point of Y: x, y and z, [K, B] each."""
    out = []
    for w in w3:
        groups: dict[tuple[int, int], Any] = {}
        for k, (l, m, row) in enumerate(_gradient_terms(shell)):
            one = R[row] * w[k][None]
            groups[l, m] = one if (l, m) not in groups else groups[l, m] + one
        total: Any = None
        for (l, m), term in groups.items():
            term = term * Y[(l - 1) ** 2 + l - 1 + m]
            total = term if total is None else total + term
        out.append(total)
    return out


def add_pair(
    pair: Pair, table: Any, edges: Sequence[Edges], E: jax.Array, f: Sequence[Sequence[jax.Array]]
) -> tuple[jax.Array, list[list[jax.Array]]]:
    """E and f with a pair term added. table: of `Pair.freeze`, [species, terms]"""
    out = []
    for e, own in zip(edges, f, strict=True):
        q = pair.radial.scalars(e.r, e.bond, e.inside)
        c, d = table["value"][e.species], table["slope"][e.species]
        y = e.apart(q.y)
        value, slope = chebyshev.clenshaw(list(c), y), chebyshev.clenshaw(list(d), y)
        along = q.b * slope
        if q.a is not None:
            value = e.apart(value)
            along = along + q.a * value
        along = e.apart(along)
        E = E + over_neighbours(q.s * value)
        out.append([v + along * c for v, c in zip(own, (e.x, e.y, e.z), strict=True)])
    return E, out


def pair_values(pair: Pair, table: Any, edges: Sequence[Edges]) -> jax.Array:
    """Energies of a pair term for many readouts: [members, B]. Sums T_t(y) over the neighbours first.

    table: of `Pair.freeze`, with an axis of members in front
    """
    total: Any = None
    for e in edges:
        q = pair.radial.scalars(e.r, e.bond, e.inside)
        y, s = e.apart(q.y), e.apart(q.s)
        c = table["value"][:, e.species]
        T = [jnp.ones_like(y), y]
        while len(T) < c.shape[1]:
            T.append(2 * y * T[-1] - T[-2])
        pooled = jnp.concatenate([_dot(jnp.ones((1, y.shape[0]), y.dtype), s * t) for t in T])
        own = _dot(c, pooled[: c.shape[1]])
        total = own if total is None else total + own
    return total


def add_zbl(
    table: Any, edges: Sequence[Edges], E: jax.Array, f: Sequence[Sequence[jax.Array]]
) -> tuple[jax.Array, list[list[jax.Array]]]:
    """E and f with the repulsion of nuclei added. table: of `Zbl.freeze`, [species] each

    Hardly ever is an edge short enough: a block without one (blocks of a CPU come one by one) asks
    that of its distances, and no more.
    """
    near = [e.inside & (e.r < table["outer"][e.species]) for e in edges]

    def repel(at: Any) -> Any:
        E, f = at
        out = []
        for e, close, own in zip(edges, near, f, strict=True):
            pair = [table[k][e.species] for k in ("strength", "length", "inner", "outer")]
            r = jnp.where(close, e.r, pair[3] / 2)
            V, slope = jax.jvp(lambda r, p=pair: repulsion.curve(r, *p), (r,), (jnp.ones_like(r),))
            zero = jnp.zeros_like(r)
            along = e.apart(jnp.where(close, slope, zero))
            E = E + over_neighbours(jnp.where(close, V, zero))
            out.append([v + along * c for v, c in zip(own, (e.x, e.y, e.z), strict=True)])
        return E, out

    some = jnp.stack([jnp.any(c) for c in near]).any()
    found: tuple[jax.Array, list[list[jax.Array]]] = jax.lax.cond(
        some, repel, lambda at: at, (E, [list(own) for own in f])
    )
    return found


def zbl_values(table: Any, edges: Sequence[Edges]) -> jax.Array:
    """The energy alone, the same for all members of a committee: [1, B].

    table: of `Zbl.freeze`, with an axis of members in front
    """
    one = jax.tree.map(lambda t: t[0], table)
    zero = jnp.zeros_like(edges[0].r[0])
    return add_zbl(one, edges, zero, no_gradients(edges))[0][None]


def no_gradients(edges: Sequence[Edges]) -> list[list[jax.Array]]:
    return [[jnp.zeros_like(e.r)] * 3 for e in edges]


def add_gradients(
    f: Sequence[Sequence[jax.Array]], g: Sequence[Sequence[jax.Array]]
) -> list[list[jax.Array]]:
    """f + g, of two shells."""
    return [[a + b for a, b in zip(*both, strict=True)] for both in zip(f, g, strict=True)]
