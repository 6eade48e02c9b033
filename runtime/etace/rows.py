"""Design rows: derivatives of energy, forces and virial in the linear parameters.

For a centre i with functions B, features A = sum over k of phi(ik) and edges r_ik,

    G = J D,   J = dB/dA,   D = dA/dr_ik,

holds every derivative g_ik = dB/dr_ik, which goes (see `derive` for the signs) to two rows of forces
and to the virial: F_i += g_ik, F_j -= g_ik, V -= g_ik r_ik. Whatever is summed over k is summed in
D already, before the product. There is G of one block of atoms at a time: beyond it, memory holds
the result and nothing else that grows with the structure.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from etace.graph import AtomGraph
from etace.jacobian import Range

if TYPE_CHECKING:
    from etace.potential import Linear

# Numbers in the gradients of one block of atoms: on a CPU they should stay in a core's cache.
BLOCK = 400_000
BLOCK_ON_DEVICE = 20_000_000


class Rows(NamedTuple):
    """Derivatives of a model's results in its linear parameters P.

    energy: [P], or [S, P]; forces: [N, 3, P]; virial: [3, 3, P], or [S, 3, 3, P]
    """

    energy: jax.Array
    forces: jax.Array
    virial: jax.Array


class HostRows(NamedTuple):
    """The same in numpy, eV and eV/Å."""

    energy: np.ndarray
    forces: np.ndarray
    virial: np.ndarray


class Sums(NamedTuple):
    """Rows in the making, also of one structure as of a batch.

    forces: [N, 3, P]; whole: [S, 10, P], virial (component of r, then of the force) and energy
    """

    forces: jax.Array
    whole: jax.Array


def empty(graph: AtomGraph, columns: int, dtype: str) -> Sums:
    """No term added yet."""
    return Sums(
        jnp.zeros((graph.n_atoms, 3, columns), dtype),
        jnp.zeros((graph.n_structures, 10, columns), dtype),
    )


def finish(sums: Sums, graph: AtomGraph) -> Rows:
    """All terms added."""
    whole = sums.whole if graph.structure is not None else sums.whole[0]
    lead = whole.shape[:-2]
    virial = whole[..., :9, :].reshape(*lead, 3, 3, -1)
    return Rows(whole[..., 9, :], sums.forces, jnp.swapaxes(virial, -2, -3))


def add_constant(sums: Sums, factor: float, first: int, own: jax.Array, graph: AtomGraph) -> Sums:
    """With the columns of a onebody, from the column first on. own: [N, species], 1 or 0"""
    count = factor * graph.per_structure(own).reshape(-1, own.shape[1])
    columns = slice(first, first + own.shape[1])
    return sums._replace(whole=sums.whole.at[:, 9, columns].set(count))


def add_linear(sums: Sums, term: Linear, first: int, params: Any, graph: AtomGraph) -> Sums:
    """With the columns of a readout or pair, from the column first on: species * functions + k."""
    functions = len(term.labels)

    def add(sums: Sums, block: _Block) -> tuple[Sums, None]:
        column = first + block.species * functions
        D, totals = _gradients(term, params, _cut(graph, block))
        for start, G, totals_G in _products(term, D, totals):
            sums = _scatter(sums, block, column + start, G, totals_G)
        return sums, None

    return lax.scan(add, sums, _blocks(graph, functions))[0]


# ---------------------------------------------------------------- blocks of atoms


class _Block(NamedTuple):
    """B atoms with their K slots; with one more axis in front, all atoms of a graph.

    atom, species, structure, atom_mask: [B]; neighbour, edge_species, edge_mask: [B, K]
    vectors: [B, K, 3], Å
    """

    atom: jax.Array
    species: jax.Array
    structure: jax.Array
    atom_mask: jax.Array
    neighbour: jax.Array
    edge_species: jax.Array
    edge_mask: jax.Array
    vectors: jax.Array


def _blocks(graph: AtomGraph, functions: int) -> _Block:
    """The last block is filled up with atoms without neighbours, whose rows are zero."""
    numbers = BLOCK if jax.default_backend() == "cpu" else BLOCK_ON_DEVICE
    B = max(1, min(graph.n_atoms, numbers // (3 * graph.n_slots * max(functions, 64))))
    count = -(-graph.n_atoms // B)

    def cut(x: Any, fill: int = 0) -> jax.Array:
        x = jnp.asarray(x)
        more = [(0, count * B - len(x))] + [(0, 0)] * (x.ndim - 1)
        return jnp.pad(x, more, constant_values=fill).reshape(count, B, *x.shape[1:])

    atom = jnp.arange(graph.n_atoms, dtype=jnp.int32)
    return _Block(
        atom=cut(atom),
        species=cut(graph.species),
        structure=cut(jnp.zeros_like(atom) if graph.structure is None else graph.structure),
        atom_mask=cut(graph.atom_mask),
        neighbour=cut(graph.neighbour),
        edge_species=cut(graph.neighbour_species),
        edge_mask=cut(graph.edge_mask),
        vectors=cut(graph.vectors, fill=1),  # any length but 0
    )


def _cut(graph: AtomGraph, block: _Block) -> AtomGraph:
    return replace(
        graph,
        species=block.species,
        atom_mask=block.atom_mask,
        neighbour=block.neighbour,
        edge_mask=block.edge_mask,
        edge_vectors=block.vectors,
        edge_species=block.edge_species,
    )


def _scatter(sums: Sums, block: _Block, column: jax.Array, G: jax.Array, totals: jax.Array) -> Sums:
    """Add some functions of every centre. column: [B], of the first; G, totals: see `_gradients`"""
    B, K, _, functions = G.shape
    columns = jnp.broadcast_to(column[:, None], (B, K))
    edge = jnp.stack([block.neighbour, columns], axis=-1).reshape(B * K, 2)
    own = jnp.stack([block.atom, column], axis=-1)
    structure = jnp.stack([block.structure, column], axis=-1)
    forces = _add(sums.forces, edge, G.reshape(B * K, 3, functions))
    forces = _add(forces, own, totals[:, :3])
    return Sums(forces, _add(sums.whole, structure, totals[:, 3:]))


def _add(target: jax.Array, where: jax.Array, rows: jax.Array) -> jax.Array:
    """target[row, :, column : column + width] += rows[e] for (row, column) = where[e], in place."""
    numbers = lax.ScatterDimensionNumbers(
        update_window_dims=(1, 2),
        inserted_window_dims=(0,),
        scatter_dims_to_operand_dims=(0, 2),
    )
    mode = lax.GatherScatterMode.PROMISE_IN_BOUNDS
    return lax.scatter_add(target, where, rows, numbers, mode=mode)


# ---------------------------------------------------------------- dA/dr


def _gradients(term: Linear, params: Any, graph: AtomGraph) -> tuple[jax.Array, jax.Array]:
    """(D, totals), of F entries of A, times the term's factor.

    D: [N, K, 3, F], -dA/dr_ik
    totals: [N, 13, F]: what goes to the centre's own force [3], to the virial [9], and A
    """
    v = graph.vectors
    r = jnp.sqrt(jnp.sum(v * v, axis=-1, keepdims=True))
    direction = v / r
    channels, harmonics = (
        (None, np.zeros(0)) if term.products is None else term.products.pool.entries
    )

    def radial(v: jax.Array) -> jax.Array:
        return term.radial(params, replace(graph, edge_vectors=v), channels)

    # R is a function of r: its gradient is its derivative along r, in the direction of r.
    R, dR = jax.jvp(radial, (v,), (direction,))
    phi, D = R, dR[:, :, None, :] * direction[..., None]
    if term.harmonics is not None:
        Y, dY = _spread(term.harmonics, v, harmonics)
        phi, D = R * Y, D * Y[:, :, None, :] + R[:, :, None, :] * dY
    D = -term.factor * D
    A = term.factor * jnp.sum(phi, axis=1)
    weights = jnp.concatenate([-jnp.ones_like(r), v], axis=-1)
    totals = jnp.einsum("ike,ikda->ieda", weights, D, precision="highest")
    return D, jnp.concatenate([totals.reshape(len(v), 12, -1), A[:, None, :]], axis=1)


def _spread(gradients: Any, r: jax.Array, which: np.ndarray) -> tuple[jax.Array, jax.Array]:
    """Y of every entry of A: [N, K, F], and its gradient: [N, K, 3, F]. which: [F], l * l + l + m"""
    lmax = math.isqrt(int(which.max()))
    Y, dY = gradients(r, lmax)
    # Columns of constant places: a matrix product with ones and zeros is faster than a gather.
    ones = jnp.asarray(np.arange((lmax + 1) ** 2)[:, None] == which[None, :], r.dtype)
    return (
        jnp.einsum("ikh,ha->ika", Y, ones, precision="highest"),
        jnp.einsum("ikdh,ha->ikda", dY, ones, precision="highest"),
    )


# ---------------------------------------------------------------- times dB/dA


def _products(
    term: Linear, D: jax.Array, totals: jax.Array
) -> Iterator[tuple[int, jax.Array, jax.Array]]:
    """(first function, D, totals) for functions in place of entries of A, range by range."""
    if term.products is None:
        yield 0, D, totals
        return
    N, K = D.shape[:2]
    A = totals[:, 12] / jnp.asarray(term.factor, D.dtype)
    for order in term.jacobian:
        remaining = jnp.ones((N, len(order.remaining)), A.dtype)
        for places in order.remaining.T:
            remaining = remaining * _columns(A, places)
        # Euler: the derivatives of a product of r factors, times the factors, are r products.
        euler = jnp.asarray([1.0] * 12 + [1 / order.order], A.dtype)[None, :, None]
        for part in order.ranges:
            J = _matrix(part, remaining)
            own = _columns(D, part.entries).reshape(N, 3 * K, -1)
            G = jnp.matmul(own, J, precision="highest").reshape(N, K, 3, -1)
            own = _columns(totals, part.entries) * euler
            yield part.start, G, jnp.matmul(own, J, precision="highest")


def _matrix(part: Range, remaining: jax.Array) -> jax.Array:
    """dB/dA of one range: [N, entries, functions]. remaining: [N, products of the order]"""
    N, functions = len(remaining), part.stop - part.start
    values = jnp.zeros((N, len(part.flat)), remaining.dtype)
    for places, C in zip(part.terms, part.C, strict=True):
        values = values + C[None, :] * _columns(remaining, places)
    J = jnp.zeros((N, len(part.entries) * functions), remaining.dtype)
    J = J.at[:, part.flat].set(values, mode="promise_in_bounds", unique_indices=True)
    return J.reshape(N, -1, functions)


def _columns(x: jax.Array, places: np.ndarray) -> jax.Array:
    return x.at[..., places].get(mode="promise_in_bounds")
