"""The fast forms as differentiable functions of parameters, positions and cell.

Values come from the inference form, or from a native kernel, by the kind of the graph. First derivatives of the energy in positions and cell are its
forces and virial; every other derivative is taken from the reference, the training form's site
energies, by JAX, and costs what that costs.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from etace.derive import Results
from etace.graph import AtomGraph
from etace.precision import require
from etace.structure import Bonds

if TYPE_CHECKING:
    from etace.inference.form import Inference
    from etace.potential import Potential


class FastGraph(Protocol):
    """A graph by which a fast form is chosen: `inference.blocks.BlockGraph`, `native.graph.NativeGraph`."""

    @property
    def positions(self) -> Any: ...
    @property
    def cell(self) -> Any: ...
    @property
    def structure(self) -> Any: ...
    @property
    def n_structures(self) -> int: ...
    @property
    def bonds(self) -> Bonds | None: ...

    def with_positions(self, positions: Any, cell: Any = None) -> FastGraph: ...

    def tables(self, inference: Inference, params: Any) -> Any:
        """What `evaluate` reads of the parameters: numpy if they are."""

    def evaluate(self, inference: Inference, tables: Any) -> Results:
        """Energy, energies per atom, forces and virial."""

    def atom_graph(self, n_species: int) -> AtomGraph:
        """The same structures for the training form."""


def energy(potential: Potential, params: Any, graph: FastGraph) -> jax.Array:
    """E: scalar, or [S] for a batch, eV."""
    return _energy(potential, params, _tables(potential, params, graph), graph)


def energy_forces_virial(potential: Potential, params: Any, graph: FastGraph) -> Results:
    """Energy, energies per atom, forces and virial."""
    return _results(potential, params, _tables(potential, params, graph), graph)


def _tables(potential: Potential, params: Any, graph: FastGraph) -> Any:
    """Not differentiated. Of numpy parameters they are numpy: constants of a compiled function."""
    potential.check_shapes(params)
    potential.check_graph(graph)
    require(potential.dtype, params=params)
    fixed = jax.tree.map(
        lambda x: x if isinstance(x, np.ndarray) else jax.lax.stop_gradient(x), params
    )
    return graph.tables(potential.inference, fixed)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _results(potential: Potential, params: Any, tables: Any, graph: FastGraph) -> Results:
    return graph.evaluate(potential.inference, tables)


@_results.defjvp
def _results_jvp(potential: Potential, primals: Any, tangents: Any) -> tuple[Results, Results]:
    params, tables, graph = primals
    dparams, _, dgraph = tangents

    def reference(params: Any, positions: jax.Array, cell: jax.Array) -> Results:
        return _reference(potential, params, graph.with_positions(positions, cell))

    at, along = (params, graph.positions, graph.cell), (dparams, dgraph.positions, dgraph.cell)
    return _results(potential, params, tables, graph), jax.jvp(reference, at, along)[1]


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _energy(potential: Potential, params: Any, tables: Any, graph: FastGraph) -> jax.Array:
    return graph.evaluate(potential.inference, tables).energy


@partial(_energy.defjvp, symbolic_zeros=True)
def _energy_jvp(potential: Potential, primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    """dE = -F dx + dE/dcell dcell + dE/dparams dparams, without the terms of what does not change.

    With m = pinv(cell) dcell a change of the cell is the strain m, which moves the atoms by x m too.
    """
    params, tables, graph = primals
    dparams, _, dgraph = tangents
    r = _results(potential, params, tables, graph)
    total = jnp.sum if graph.structure is None else partial(_per_structure, graph)
    along = jnp.zeros_like(r.energy)
    if _changes(dgraph.positions):
        along = along - total(r.forces * dgraph.positions)
    if _changes(dgraph.cell):
        x, m = jnp.asarray(graph.positions), jnp.linalg.pinv(jnp.asarray(graph.cell)) @ dgraph.cell
        if graph.structure is None:
            moved = x @ m
        else:
            moved = jnp.einsum("ia,iab->ib", x, m[jnp.asarray(graph.structure)])
        along = along + total(r.forces * moved) - jnp.sum(r.virial * m, axis=(-2, -1))
    if not _changes(dparams):
        return r.energy, along

    def of_params(params: Any) -> jax.Array:
        return potential.energy(params, graph.atom_graph(len(potential.species)))

    dparams = jax.tree.map(lambda d: d if _changes(d) else jnp.zeros(d.shape, d.dtype), dparams)
    return r.energy, along + jax.jvp(of_params, (params,), (dparams,))[1]


def _changes(tangents: Any) -> bool:
    return not all(isinstance(d, SymbolicZero) for d in jax.tree.leaves(tangents))


def _per_structure(graph: FastGraph, x: jax.Array) -> jax.Array:
    return jax.ops.segment_sum(x.sum(-1), jnp.asarray(graph.structure), graph.n_structures)


def _reference(potential: Potential, params: Any, graph: FastGraph) -> Results:
    """The same results by differentiating the training form's site energies."""
    atoms = graph.atom_graph(len(potential.species))

    def total(x: jax.Array, strain: jax.Array) -> tuple[jax.Array, jax.Array]:
        energies = potential.site_energies(params, atoms.with_positions(x).strained(strain))
        return jnp.sum(energies), energies

    strain = jnp.zeros_like(atoms.cell)
    (gx, gs), energies = jax.grad(total, argnums=(0, 1), has_aux=True)(atoms.positions, strain)
    virial = -0.5 * (gs + jnp.swapaxes(gs, -1, -2))
    return Results(atoms.per_structure(energies), energies, -gx, virial)
