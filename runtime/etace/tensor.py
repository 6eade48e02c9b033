"""The linear algebra of a generated module: mixing, pooling, products, coupling, readout.

N atoms, K slots for neighbours. Notation of Drautz, Phys. Rev. B 99 (2019) 014104.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from etace.forms import Form, bilinear
from etace.fusion import apart
from etace.graph import AtomGraph

# Up to this many entries per order the coupling is one dense matrix product; beyond, one per pattern.
DENSE = 250_000


def mix(weights: Any, polynomials: jax.Array, graph: AtomGraph, n_species: int) -> jax.Array:
    """R[c](ij) = sum_q W[c, q; Z_i Z_j] P_q(ij).

    weights: [channels, polynomials, pairs]; polynomials: [N, K, polynomials]; result: [N, K, channels]
    Equal to `einsum("cqe,eq->ec", weights[:, :, pair], polynomials)` edge by edge.
    """
    w = jnp.asarray(weights)
    if n_species == 1:
        return jnp.einsum("ikq,cq->ikc", polynomials, w[:, :, 0])
    # W of each centre species, its input (q, Z_j): one matrix product per atom.
    channels, count, _ = w.shape
    w = w.reshape(channels, count, n_species, n_species).transpose(2, 1, 3, 0)
    w = w.reshape(n_species, count * n_species, channels)
    centre = w.at[graph.species].get(mode="promise_in_bounds")
    kinds = jnp.arange(n_species, dtype=jnp.int32)
    which = (graph.neighbour_species[:, :, None] == kinds[None, None, :]).astype(polynomials.dtype)
    spread = polynomials[:, :, :, None] * which[:, :, None, :]
    return jnp.einsum("ikq,iqc->ikc", spread.reshape(*polynomials.shape[:2], -1), centre)


# ---------------------------------------------------------------- pooling


@dataclass(frozen=True)
class Pool:
    """Which channel and l make each factor of A.

    channels, l: one entry per factor, sorted by (l, channel); A[factor, m] is flattened in this order.
    """

    channels: tuple[int, ...]
    l: tuple[int, ...]

    @cached_property
    def used(self) -> tuple[int, ...]:
        """The channels of the radial that are read, ascending."""
        return tuple(sorted(set(self.channels)))

    @cached_property
    def offsets(self) -> np.ndarray:
        """Where A[factor, m = 0] stands in the flat A: [factors]."""
        widths = 2 * np.asarray(self.l, np.int64) + 1
        return np.cumsum(widths) - widths + np.asarray(self.l, np.int64)

    @property
    def width(self) -> int:
        """Number of entries of A."""
        return sum(2 * l + 1 for l in self.l)

    @cached_property
    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        """Channel, and place l * l + l + m of the harmonic, of every entry of the flat A."""
        widths = 2 * np.asarray(self.l, np.int64) + 1
        harmonics = [np.arange(l * l, (l + 1) ** 2) for l in self.l]
        return np.repeat(np.asarray(self.channels), widths), np.concatenate(harmonics)

    @cached_property
    def groups(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """(l, its channels), l ascending."""
        return tuple(
            (l, tuple(c for c, k in zip(self.channels, self.l, strict=True) if k == l))
            for l in sorted(set(self.l))
        )

    @cached_property
    def places(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """(l, positions among `used` of its channels), l ascending."""
        place = {c: k for k, c in enumerate(self.used)}
        return tuple((l, tuple(place[c] for c in channels)) for l, channels in self.groups)


def scalars(channels: Sequence[Any]) -> Pool:
    """All channels of a radial by themselves, l = 0: what a pair term sums."""
    return Pool(tuple(range(len(channels))), (0,) * len(channels))


def pool(
    weights: Any,
    polynomials: jax.Array,
    Y: jax.Array | None,
    table: Pool,
    graph: AtomGraph,
    n_species: int,
) -> jax.Array:
    """A[c, l, m](i) = sum_z,q W[c, q; Z_i z] sum_j P_q(ij) Y[l, m](ij), j of species z.

    The sum over neighbours comes first, so that W acts on atoms and not on edges.

    weights: [channels, polynomials, pairs]; polynomials: [N, K, polynomials]
    Y: [N, K, (lmax + 1)^2]; without it all l = 0 and Y = 1; result: [N, sum of 2l + 1]
    Equal to the sum over neighbours of `edge_products(mix(..), Y, table)`.
    """
    kinds = jnp.arange(n_species, dtype=jnp.int32)
    P = jnp.moveaxis(polynomials, -1, 1)  # [N, q, K]
    one = jnp.ones_like(P[:, :1])
    Y = one if Y is None else jnp.moveaxis(Y, -1, 1)  # [N, m, K]
    if n_species > 1:
        near = graph.neighbour_species[:, None, :] == kinds[None, :, None]
        Y = (near.astype(P.dtype)[:, :, None, :] * Y[:, None, :, :]).reshape(
            len(Y), -1, Y.shape[-1]
        )
    S = jnp.einsum("iqk,imk->iqm", P, Y)  # [N, q, z m]
    S = S.transpose(1, 2, 0).reshape(P.shape[1], n_species, -1, len(P))  # [q, z, m, N]
    own = (jnp.asarray(graph.species)[None, :] == kinds[:, None]).astype(P.dtype)
    parts = []
    for (_, channels), sums in zip(table.groups, _by_l(S, table), strict=True):
        w = jnp.asarray(weights)[np.asarray(channels)]
        w = w.reshape(*w.shape[:2], n_species, n_species).transpose(2, 0, 1, 3)
        A = jnp.einsum("xcqz,qzmi->xcmi", w, sums)
        A = A[0] if n_species == 1 else jnp.sum(own[:, None, None, :] * A, axis=0)
        parts.append(A.reshape(-1, A.shape[-1]))
    return jnp.concatenate(parts).T


def _by_l(S: jax.Array, table: Pool) -> list[jax.Array]:
    """S[:, :, l * l : (l + 1)^2] of every l of the table; split, as slices add up slowly backwards."""
    top = table.groups[-1][0]
    parts = jax.lax.split(S, [2 * l + 1 for l in range(top + 1)], axis=2)
    return [parts[l] for l, _ in table.groups]


def edge_products(R: jax.Array, Y: jax.Array, table: Pool) -> jax.Array:
    """R[c](ij) Y[l, m](ij), whose sum over neighbours is A.

    R: [N, K, len(table.used)]; Y: [N, K, (lmax + 1)^2]; result: [N, K, sum of 2l + 1]
    """
    parts = [
        _take(R, places)[:, :, :, None] * Y[:, :, None, l * l : (l + 1) ** 2]
        for l, places in table.places
    ]
    return jnp.concatenate([p.reshape(*p.shape[:2], -1) for p in parts], axis=-1)


def _take(R: jax.Array, places: tuple[int, ...]) -> jax.Array:
    if places == tuple(range(R.shape[-1])):
        return R
    return R[:, :, np.asarray(places)]


# ---------------------------------------------------------------- products and couplings


@dataclass(frozen=True)
class Coupling:
    """One pattern of l: B[f, M] = sum over classes of C[f, M, class] prod_t A[factor_t, m_t].

    l: of each factor; L: of the output
    m: [classes][order]
    C: [functions * (2L + 1)][classes], M = -L..L fastest
    blocks: [blocks][order], factors by their place in the pool
    """

    l: tuple[int, ...]
    L: int
    m: Sequence[Sequence[int]]
    C: Sequence[Sequence[float]]
    blocks: Sequence[Sequence[int]]

    @property
    def functions(self) -> int:
        return len(self.C) // (2 * self.L + 1)


@dataclass(frozen=True)
class _Order:
    """All patterns of one order: places in A, and the coupling, dense or pattern by pattern."""

    places: np.ndarray  # [products, order]
    dense: np.ndarray | None  # [products, outputs]
    parts: tuple[tuple[int, np.ndarray], ...]  # (blocks, C [outputs of a block, classes])


@dataclass(frozen=True)
class Plan:
    """E = sum_k W[k] B[k] without B: v[p] = sum_t values[t, p] W[functions[t, p]] of every distinct
    product p, and the forms that these are the coefficients of."""

    functions: np.ndarray
    values: np.ndarray
    forms: tuple[Form, ...]


@dataclass(frozen=True)
class ProductTable:
    """What `couple` needs, from the couplings of a basis; functions stand in the order of the table."""

    couplings: tuple[Coupling, ...]
    pool: Pool
    dtype: str

    @cached_property
    def orders(self) -> tuple[_Order, ...]:
        out = []
        for order in sorted({len(c.l) for c in self.couplings}):
            parts = [c for c in self.couplings if len(c.l) == order]
            places = np.concatenate([self.places(c) for c in parts])
            matrices = tuple((len(c.blocks), np.asarray(c.C, self.dtype)) for c in parts)
            rows = sum(blocks * len(C) for blocks, C in matrices)
            dense = _block_diagonal(matrices) if rows * len(places) <= DENSE else None
            out.append(_Order(places.astype(np.int32), dense, matrices))
        return tuple(out)

    def places(self, c: Coupling) -> np.ndarray:
        """Where the factors of all products of a coupling stand in A: [blocks * classes, order]."""
        blocks = self.pool.offsets[np.asarray(c.blocks, np.int64)]  # [blocks, order]
        m = np.asarray(c.m, np.int64)  # [classes, order]
        return (blocks[:, None, :] + m[None, :, :]).reshape(-1, len(c.l))

    @cached_property
    def plan(self) -> Plan:
        """How `evaluate` computes an energy."""
        number: dict[tuple[int, ...], int] = {}
        entries: list[list[tuple[int, float]]] = []
        function = 0
        for c in sorted(self.couplings, key=lambda c: len(c.l)):
            rows = [
                [(k, x) for k, x in enumerate(column) if x] for column in zip(*c.C, strict=True)
            ]
            products = self.places(c).reshape(len(c.blocks), len(c.m), len(c.l))
            for block in np.sort(products, axis=-1).tolist():
                for product, row in zip(block, rows, strict=True):
                    p = number.setdefault(tuple(product), len(entries))
                    if p == len(entries):
                        entries.append([])
                    entries[p] += [(function + k, x) for k, x in row]
                function += c.functions
        wide = max(map(len, entries))
        padded = [e + [(0, 0.0)] * (wide - len(e)) for e in entries]
        which = np.asarray([[k for k, _ in e] for e in padded], np.int32)
        values = np.asarray([[x for _, x in e] for e in padded], self.dtype)
        return Plan(which.T, values.T, bilinear(tuple(number), self.pool.width))

    @property
    def functions(self) -> int:
        return sum(c.functions * len(c.blocks) for c in self.couplings)

    @property
    def components(self) -> int:
        return 2 * self.couplings[0].L + 1


def _block_diagonal(matrices: Sequence[tuple[int, np.ndarray]]) -> np.ndarray:
    rows = sum(blocks * C.shape[0] for blocks, C in matrices)
    columns = sum(blocks * C.shape[1] for blocks, C in matrices)
    out = np.zeros((columns, rows), matrices[0][1].dtype)
    r = c = 0
    for blocks, C in matrices:
        for _ in range(blocks):
            out[c : c + C.shape[1], r : r + C.shape[0]] = C.T
            r, c = r + C.shape[0], c + C.shape[1]
    return out


def couple(A: jax.Array, table: ProductTable) -> jax.Array:
    """B[f](i) = sum over classes of C[f, class] prod_t A[i, factor_t, m_t].

    A: [N, sum of 2l + 1]; result: [N, functions], or [N, functions, 2L + 1] for L > 0
    """
    parts = []
    for order in table.orders:
        AA = A[:, order.places[:, 0]]
        for t in range(1, order.places.shape[1]):
            AA = AA * A[:, order.places[:, t]]
        if order.dense is not None:
            parts.append(AA @ order.dense)
            continue
        start = 0
        for blocks, C in order.parts:
            stop = start + blocks * C.shape[1]
            own = AA[:, start:stop].reshape(-1, blocks, C.shape[1])
            parts.append(jnp.einsum("ibc,fc->ibf", own, C).reshape(AA.shape[0], -1))
            start = stop
    B = jnp.concatenate(parts, axis=-1)
    return B if table.components == 1 else B.reshape(B.shape[0], -1, table.components)


# ---------------------------------------------------------------- energies


def evaluate(A: jax.Array, weights: Any, table: ProductTable, graph: AtomGraph) -> jax.Array:
    """E_i = sum_k W[k; Z_i] B[k](i), the couplings multiplied into W, so that B is never formed.

    A: [N, sum of 2l + 1]; weights: [functions, species]; result: [N], eV
    Equal to `readout(couple(A, table), weights, graph)`.
    """
    plan, w = table.plan, jnp.asarray(weights).T  # [species, functions]
    n_species = w.shape[0]
    v = jnp.sum(w[:, plan.functions] * plan.values[None], axis=1)  # [species, products]
    ones = jnp.ones((4 - A.shape[1] % 4, A.shape[0]), A.dtype)
    factors = apart(jnp.concatenate([A.T, ones]), 4)  # with a factor of 1 behind: [.., N]
    kinds = jnp.arange(n_species, dtype=jnp.int32)
    own = (jnp.asarray(graph.species)[None, :] == kinds[:, None]).astype(A.dtype)
    sizes = [len(f.left) * len(f.right) for f in plan.forms]
    starts = np.cumsum(sizes) - sizes
    cells = np.concatenate([f.cells + s for f, s in zip(plan.forms, starts, strict=True)])
    products = np.concatenate([f.products for f in plan.forms])
    every = jnp.zeros((n_species, sum(sizes)), A.dtype)
    every = every.at[:, cells].set(v[:, products], unique_indices=True)
    per_species = jnp.zeros((n_species, A.shape[0]), A.dtype)
    for form, V in zip(plan.forms, jax.lax.split(every, sizes, axis=1), strict=True):
        left, right = _monomials(factors, form.left), _monomials(factors, form.right)
        VR = jnp.einsum("zlr,ri->zli", V.reshape(n_species, len(left), len(right)), right)
        per_species = per_species + jnp.sum(left[None] * VR, axis=1)
    return jnp.where(graph.atom_mask, jnp.sum(own * per_species, axis=0), 0)


def _monomials(factors: jax.Array, places: np.ndarray) -> jax.Array:
    """prod_t factors[places[:, t]]: [monomials, N]."""
    out = factors.at[places[:, 0]].get(mode="promise_in_bounds")
    for t in range(1, places.shape[1]):
        out = out * factors.at[places[:, t]].get(mode="promise_in_bounds")
    return out


def readout(B: jax.Array, weights: Any, graph: AtomGraph) -> jax.Array:
    """E_i = sum_k W[k; Z_i] B[k](i).  B: [N, functions]; weights: [functions, species]; result: [N], eV"""
    own = jnp.asarray(weights).T.at[graph.species].get(mode="promise_in_bounds")
    return jnp.where(graph.atom_mask, jnp.sum(own * B, axis=-1), 0)


def constant(energies: Any, graph: AtomGraph) -> jax.Array:
    """E_i = E0[Z_i].  energies: [species], eV; result: [N], eV"""
    own = jnp.asarray(energies).at[graph.species].get(mode="promise_in_bounds")
    return jnp.where(graph.atom_mask, own, 0)


# ---------------------------------------------------------------- names of functions


def identity(A: jax.Array) -> jax.Array:
    """A pair term's basis: the pooled radial itself."""
    return A


def channel_labels(channels: Sequence[Sequence[int]], names: Sequence[str]) -> tuple[str, ...]:
    """`(n=1)`, `(n=2)`, ... of a radial's channels."""
    return tuple(
        "(" + ", ".join(f"{n}={v}" for n, v in zip(names, values, strict=True)) + ")"
        for values in channels
    )


def labels(
    table: ProductTable, factors: Sequence[Sequence[int]], names: Sequence[str]
) -> tuple[str, ...]:
    """`(n=1, l=1)(n=2, l=1)` of each function; `; 0`, `; 1` count the couplings of one product."""
    one = channel_labels(factors, names)
    out = []
    for c in table.couplings:
        for block in c.blocks:
            product = "".join(one[f] for f in block)
            many = c.functions > 1
            out += [f"{product}; {q}" if many else product for q in range(c.functions)]
    return tuple(out)
