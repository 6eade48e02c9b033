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

    @cached_property
    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        """Channel, and place l * l + l + m of the harmonic, of every entry of the flat A."""
        widths = 2 * np.asarray(self.l, np.int64) + 1
        harmonics = [np.arange(l * l, (l + 1) ** 2) for l in self.l]
        return np.repeat(np.asarray(self.channels), widths), np.concatenate(harmonics)

    @cached_property
    def groups(self) -> tuple[tuple[int, tuple[int, ...]], ...]:
        """(l, positions among `used` of its channels), l ascending."""
        place = {c: k for k, c in enumerate(self.used)}
        return tuple(
            (l, tuple(place[c] for c, k in zip(self.channels, self.l, strict=True) if k == l))
            for l in sorted(set(self.l))
        )


def pool(R: jax.Array, Y: jax.Array, table: Pool) -> jax.Array:
    """A[c, l, m](i) = sum_j R[c](ij) Y[l, m](ij).

    R: [N, K, len(table.used)]; Y: [N, K, (lmax + 1)^2]; result: [N, sum of 2l + 1]
    """
    parts = [
        jnp.einsum("ikc,ikm->icm", _take(R, places), Y[:, :, l * l : (l + 1) ** 2])
        for l, places in table.groups
    ]
    return jnp.concatenate([p.reshape(p.shape[0], -1) for p in parts], axis=-1)


def edge_products(R: jax.Array, Y: jax.Array, table: Pool) -> jax.Array:
    """R[c](ij) Y[l, m](ij), whose sum over neighbours is A: [N, K, sum of 2l + 1]."""
    parts = [
        _take(R, places)[:, :, :, None] * Y[:, :, None, l * l : (l + 1) ** 2]
        for l, places in table.groups
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
