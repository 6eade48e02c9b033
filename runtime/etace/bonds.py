"""Distances along edges, with every bond's own cutoff. Used by generated modules."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from etace.graph import AtomGraph


def table(values: Any, bond: jax.Array) -> jax.Array:
    """values[bond]: a length (or other constant) of each edge's bond.

    values: [pairs], by ordered pair centre * n_species + neighbour; bond: [N, K]; result: [N, K]
    """
    return jnp.asarray(values).at[bond].get(mode="promise_in_bounds")


def distances(graph: AtomGraph, rcut: Any) -> tuple[jax.Array, jax.Array]:
    """(r, inside): distances, and whether the edge is real and shorter than its bond's cutoff.

    rcut: number or [N, K], Å
    r: [N, K], Å; where not inside, half the cutoff: a harmless number whose results are masked
    inside: [N, K], bool
    """
    x, y, z = graph.components
    r = jnp.sqrt(x * x + y * y + z * z)
    rcut = jnp.broadcast_to(jnp.asarray(rcut, r.dtype), r.shape)
    inside = jnp.asarray(graph.edge_mask) & (r < rcut)
    return jnp.where(inside, r, rcut / 2), inside


def by_pair(upper: tuple[float, ...], n_species: int, dtype: str) -> np.ndarray:
    """Values of unordered pairs (upper triangle by rows) as a table over ordered pairs: [pairs]."""
    full = np.zeros((n_species, n_species), dtype)
    i, j = np.triu_indices(n_species)
    full[i, j] = full[j, i] = upper
    return full.ravel()
