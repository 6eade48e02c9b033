"""Forces, virials and design rows of any site energies, by automatic differentiation.

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


class Rows(NamedTuple):
    """Derivatives of a model's results in its linear parameters P.

    energy: [P], or [S, P]; forces: [N, 3, P]; virial: [3, 3, P], or [S, 3, 3, P]
    """

    energy: jax.Array
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


def _assemble(g: jax.Array, vectors: jax.Array, graph: AtomGraph) -> tuple[jax.Array, jax.Array]:
    """Forces [N, 3, P] and virial [.., 3, 3, P] of edge gradients g: [N, K, 3, P]."""
    flat = g.reshape(-1, *g.shape[2:])
    back = flat.at[graph.reverse].get(mode="promise_in_bounds")
    mask = jnp.asarray(graph.edge_mask)[:, :, None, None]
    forces = jnp.sum(jnp.where(mask, g - back, 0), axis=1)
    per_atom = -jnp.einsum("ikap,ikb->iabp", jnp.where(mask, g, 0), vectors)
    return forces, graph.per_structure(per_atom)


def basis_rows(
    edges: Callable[[Any, AtomGraph], jax.Array],
    basis: Callable[[jax.Array], jax.Array],
    params: Any,
    graph: AtomGraph,
    n_species: int,
) -> Rows:
    """Design rows of one readout, its columns species-major: p = species * functions + k.

    edges: features per edge whose sum over neighbours is A: [N, K, F]
    basis: A [N, F] -> B [N, functions]
    Equal to differentiating one energy per column, at the cost of one Jacobian.
    """
    vectors = graph.vectors

    def features(v: jax.Array) -> jax.Array:
        return edges(params, replace(graph, edge_vectors=v))

    phi = features(vectors)
    A = jnp.sum(phi, axis=1)
    B = basis(A)

    def single(a: jax.Array) -> jax.Array:
        return basis(a[None])[0]

    J = jax.vmap(jax.jacfwd(single))(A)  # dB/dA: [N, functions, F]
    g = []
    for d in range(3):
        along = jnp.zeros_like(vectors).at[..., d].set(1)
        dphi = jax.jvp(features, (vectors,), (along,))[1]
        g.append(jnp.einsum("ikf,ibf->ikb", dphi, J))
    gradient = jnp.stack(g, axis=2)  # dB_i/dr_ik: [N, K, 3, functions]
    kinds = jnp.arange(n_species, dtype=jnp.int32)
    own = (jnp.asarray(graph.species)[:, None] == kinds[None, :]) & jnp.asarray(graph.atom_mask)[
        :, None
    ]
    own = own.astype(B.dtype)
    energy = graph.per_structure(jnp.einsum("is,ib->isb", own, B).reshape(B.shape[0], -1))
    # One species at a time: a force row holds its own centre's gradient and its neighbours'.
    rows = [
        _assemble(gradient * own[:, s, None, None, None], vectors, graph) for s in range(n_species)
    ]
    forces = jnp.concatenate([f for f, _ in rows], axis=-1)
    virial = jnp.concatenate([v for _, v in rows], axis=-1)
    return Rows(energy, forces, virial)
