"""From the layout of the inference form back to that of the training form, inside JAX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from etace.graph import AtomGraph

if TYPE_CHECKING:
    from etace.inference.blocks import BlockGraph


def atom_graph(graph: BlockGraph, n_species: int) -> AtomGraph:
    """The same structures in the layout of the training form. Its `reverse` is not filled in: forces
    are to be had by differentiating positions."""
    slot = jnp.asarray(graph.slot)

    def rows(per_segment: list[list[Any]]) -> jax.Array:
        """[blocks, K, B] of the segments of the parts to [N, K of all]."""
        flat = [
            jnp.concatenate(
                [jnp.swapaxes(jnp.asarray(s), 1, 2).reshape(-1, s.shape[1]) for s in part], 1
            )
            for part in per_segment
        ]
        return jnp.concatenate(flat)[slot]

    real = rows([[s.real for s in p.segments] for p in graph.parts])
    mask = jnp.asarray(graph.real)
    real = real & mask[:, None]
    dtype = graph.positions.dtype
    shifts = [
        rows([[jnp.asarray(s.shift)[:, d] for s in p.segments] for p in graph.parts])
        for d in range(3)
    ]
    own = jnp.arange(slot.shape[0], dtype=jnp.int32)[:, None]
    neighbour = rows([[s.neighbour for s in p.segments] for p in graph.parts])
    species = jnp.concatenate([jnp.repeat(jnp.asarray(p.species), p.size) for p in graph.parts])[
        slot
    ]
    return AtomGraph(
        positions=jnp.asarray(graph.positions),
        cell=jnp.asarray(graph.cell),
        shifts=jnp.stack(shifts, axis=-1).astype(dtype),
        neighbour=jnp.where(real, neighbour, own),
        reverse=jnp.zeros_like(neighbour),
        species=jnp.where(mask, species, 0),
        atom_mask=mask,
        edge_mask=real,
        structure=graph.structure,
    )
