"""The inference form as a differentiable function of parameters, positions and cell.

Values come from the fast kernels. First derivatives of the energy in positions and cell are its
forces and virial; every other derivative is taken from the reference, the training form's site
energies, by JAX, and costs what that costs.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

from etace.derive import Results
from etace.graph import AtomGraph
from etace.inference.blocks import BlockGraph

if TYPE_CHECKING:
    from etace.potential import Potential


def energy(potential: Potential, params: Any, graph: BlockGraph) -> jax.Array:
    """E: scalar, or [S] for a batch, eV."""
    tables = potential.inference.freeze(jax.lax.stop_gradient(params))
    return _energy(potential, params, tables, graph)


def energy_forces_virial(potential: Potential, params: Any, graph: BlockGraph) -> Results:
    """Energy, energies per atom, forces and virial."""
    tables = potential.inference.freeze(jax.lax.stop_gradient(params))
    return _results(potential, params, tables, graph)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _results(potential: Potential, params: Any, tables: Any, graph: BlockGraph) -> Results:
    return potential.inference(tables, graph)


@_results.defjvp
def _results_jvp(potential: Potential, primals: Any, tangents: Any) -> tuple[Results, Results]:
    params, tables, graph = primals
    dparams, _, dgraph = tangents

    def reference(params: Any, positions: jax.Array, cell: jax.Array) -> Results:
        return _reference(potential, params, graph.with_positions(positions, cell))

    at, along = (params, graph.positions, graph.cell), (dparams, dgraph.positions, dgraph.cell)
    return _results(potential, params, tables, graph), jax.jvp(reference, at, along)[1]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _energy(potential: Potential, params: Any, tables: Any, graph: BlockGraph) -> jax.Array:
    return potential.inference(tables, graph).energy


@_energy.defjvp
def _energy_jvp(potential: Potential, primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    """dE = -F dx + dE/dcell dcell + dE/dparams dparams.

    With m = pinv(cell) dcell a change of the cell is the strain m, which moves the atoms by x m too.
    """
    params, tables, graph = primals
    dparams, _, dgraph = tangents
    r = _results(potential, params, tables, graph)
    x, dx = jnp.asarray(graph.positions), dgraph.positions
    cell, dcell = jnp.asarray(graph.cell), dgraph.cell
    m = jnp.linalg.pinv(cell) @ dcell
    if graph.structure is None:
        moved, total = x @ m, jnp.sum
    else:
        moved = jnp.einsum("ia,iab->ib", x, m[jnp.asarray(graph.structure)])
        total = partial(_per_structure, graph)
    along = total(r.forces * (moved - dx)) - jnp.sum(r.virial * m, axis=(-2, -1))

    def of_params(params: Any) -> jax.Array:
        return potential.energy(params, atom_graph(graph, len(potential.species)))

    return r.energy, along + jax.jvp(of_params, (params,), (dparams,))[1]


def _per_structure(graph: BlockGraph, x: jax.Array) -> jax.Array:
    return jax.ops.segment_sum(x.sum(-1), jnp.asarray(graph.structure), graph.n_structures)


def _reference(potential: Potential, params: Any, graph: BlockGraph) -> Results:
    """The same results by differentiating the training form's site energies."""
    atoms = atom_graph(graph, len(potential.species))

    def total(x: jax.Array, strain: jax.Array) -> tuple[jax.Array, jax.Array]:
        energies = potential.site_energies(params, atoms.with_positions(x).strained(strain))
        return jnp.sum(energies), energies

    strain = jnp.zeros_like(atoms.cell)
    (gx, gs), energies = jax.grad(total, argnums=(0, 1), has_aux=True)(atoms.positions, strain)
    virial = -0.5 * (gs + jnp.swapaxes(gs, -1, -2))
    return Results(atoms.per_structure(energies), energies, -gx, virial)


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
