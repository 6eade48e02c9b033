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

from etace.graph import AtomGraph

SiteEnergies = Callable[[Any, AtomGraph], jax.Array]


class Results(NamedTuple):
    """energy: scalar, or [S] for a batch, eV; energies: [N], eV; forces: [N, 3], eV/Å;
    virial: [3, 3], or [S, 3, 3], eV."""

    energy: jax.Array
    energies: jax.Array
    forces: jax.Array
    virial: jax.Array


def energy_forces_virial(site_energies: SiteEnergies, params: Any, graph: AtomGraph) -> Results:
    """Energies, forces and virial in one backward pass through the edges."""
    vectors = graph.vectors

    def total(v: jax.Array) -> tuple[jax.Array, jax.Array]:
        energies = site_energies(params, replace(graph, edge_vectors=v))
        return jnp.sum(energies), energies

    g, energies = jax.grad(total, has_aux=True)(vectors)
    back = g.reshape(-1, 3).at[graph.reverse].get(mode="promise_in_bounds")
    mask = jnp.asarray(graph.edge_mask)[..., None]
    forces = jnp.sum(jnp.where(mask, g - back, 0), axis=1)
    per_atom = -jnp.einsum("ika,ikb->iab", jnp.where(mask, g, 0), vectors)
    return Results(graph.per_structure(energies), energies, forces, graph.per_structure(per_atom))
