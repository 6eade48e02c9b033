"""Functions of a graph, a block of atoms at a time: what a block needs stays in the cache.

An atom's energy depends on its own edges only, so that a graph splits by rows. In reverse mode each
block is computed again instead of kept: memory is cheaper to spend twice than to wait for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from etace.fusion import apart
from etace.graph import AtomGraph

# Atoms of a block: with 40 neighbours and 16 features about 300 kB, in a second-level cache of 1 MB
# or more. Accelerators want all atoms at once.
SIZE = 64


def in_blocks(function: Callable[[AtomGraph], Any], graph: AtomGraph) -> Any:
    """function(graph), evaluated a block of atoms after the other.

    function: of a graph that has edges, species and masks but neither positions nor neighbours, to
        arrays [N, ...]; row i may depend on the edges of atom i only
    Equal to `function(graph)`, also in its derivatives of all orders.
    """
    n = graph.n_atoms
    count = -(-n // SIZE) if jax.default_backend() == "cpu" else 1
    if count == 1:
        return function(_alone(graph, *_packed(graph)))
    size = -(-n // (8 * count)) * 8
    edges, atoms = _packed(graph)
    edges = jnp.pad(edges, ((0, 0), (0, size * count - n), (0, 0)), mode="edge")
    atoms = jnp.pad(atoms, (0, size * count - n), constant_values=-1)
    edges = jnp.moveaxis(edges.reshape(4, count, size, -1), 1, 0)

    @partial(jax.checkpoint, prevent_cse=False)  # a loop needs no such barriers
    def one(block: tuple[jax.Array, jax.Array]) -> Any:
        return function(_alone(graph, apart(block[0], 4), block[1]))

    out = jax.lax.map(one, (edges, atoms.reshape(count, size)))
    return jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:n], out)


def _packed(graph: AtomGraph) -> tuple[jax.Array, jax.Array]:
    """(x, y, z, and the neighbour's species or -1 where masked: [4, N, K]; species or -1: [N])."""
    x, y, z = graph.components
    kind = jnp.where(jnp.asarray(graph.edge_mask), graph.neighbour_species, -1)
    edges = jnp.stack([x, y, z, kind.astype(x.dtype)])
    return edges, jnp.where(jnp.asarray(graph.atom_mask), jnp.asarray(graph.species), -1)


def _alone(graph: AtomGraph, edges: jax.Array, atoms: jax.Array) -> AtomGraph:
    """The atoms and edges of a block as a graph. What it has no use for is that of the whole."""
    real = edges[3] >= 0
    return replace(
        graph,
        neighbour=jnp.zeros(real.shape, jnp.int32),
        species=jnp.maximum(atoms, 0),
        atom_mask=atoms >= 0,
        edge_mask=real,
        edge_vectors=(edges[0], edges[1], edges[2]),
        edge_species=jnp.maximum(edges[3], 0).astype(jnp.int32),
    )
