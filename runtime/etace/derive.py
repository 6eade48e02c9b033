"""Forces and virials of any site energies, by automatic differentiation.

With r_ij = x_j - x_i + shift @ cell and g_ij = dE/dr_ij over all directed edges:

    F_i = sum_k (g_ik - g_rev(ik)),   V = - sum_edges g r^T = - dE/d(strain)

(virial in eV, symmetric for an invariant energy, positive under compression; stress = -V / volume
in ASE's sign).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from etace.blocks import in_blocks
from etace.fusion import apart
from etace.graph import AtomGraph

SiteEnergies = Callable[[Any, AtomGraph], jax.Array]
Components = tuple[jax.Array, jax.Array, jax.Array]


class Results(NamedTuple):
    """energy: scalar, or [S] for a batch, eV; energies: [N], eV; forces: [N, 3], eV/Å;
    virial: [3, 3], or [S, 3, 3], eV."""

    energy: jax.Array
    energies: jax.Array
    forces: jax.Array
    virial: jax.Array


def energy_forces_virial(site_energies: SiteEnergies, params: Any, graph: AtomGraph) -> Results:
    """Energies, forces and virial in one backward pass through the edges, block by block."""
    vectors = graph.components

    def slopes(block: AtomGraph) -> tuple[jax.Array, Components]:
        def total(v: Components) -> tuple[jax.Array, jax.Array]:
            energies = site_energies(params, replace(block, edge_vectors=v))
            return jnp.sum(energies), energies

        g, energies = jax.grad(total, has_aux=True)(block.components)
        x, y, z = apart(jnp.stack(g), 3)
        return energies, (x, y, z)

    energies, g = in_blocks(slopes, replace(graph, edge_vectors=vectors))
    mask = jnp.asarray(graph.edge_mask)
    back = [d.reshape(-1).at[graph.reverse].get(mode="promise_in_bounds") for d in g]
    forces = [jnp.sum(jnp.where(mask, d - b, 0), axis=1) for d, b in zip(g, back, strict=True)]
    products = [[jnp.sum(jnp.where(mask, d * v, 0), axis=1) for v in vectors] for d in g]
    virial = -jnp.stack([jnp.stack(row, axis=-1) for row in products], axis=1)
    return Results(
        graph.per_structure(energies),
        energies,
        jnp.stack(forces, axis=-1),
        graph.per_structure(virial),
    )
