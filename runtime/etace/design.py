"""Design rows of structures, and what no linear parameter changes, as numpy arrays: by native kernels, else JAX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import numpy as np

from etace.graph import AtomGraph
from etace.inference.evaluator import HostResults
from etace.potential import Constant
from etace.precision import host_precision
from etace.rows import HostRows
from etace.structure import Paired

if TYPE_CHECKING:
    from etace.model import Model


class HostFixedPart(NamedTuple):
    """As `etace.potential.FixedPart`, of a batch."""

    alone: np.ndarray
    bound: HostResults


def rows_and_fixed_part(
    model: Model, structures: Sequence[Any], capacity: tuple[int, int], most: int
) -> tuple[HostRows, HostFixedPart]:
    """Of a batch of `ase.Atoms`. Raises StructureError.

    capacity, most: atoms, slots and structures that arrays are padded to where XLA compiles for their shape
    """
    if model.row_kernel is not None:
        found = [model.paired(a) for a in structures]
        return model.row_kernel.rows(model.params, found), _fixed_part(model, found)
    with host_precision(model.potential.dtype):
        graphs = [model.graph(a) for a in structures]
        batch = AtomGraph.batch(graphs, capacity=capacity, n_structures=most)
        rows, fixed = jax.tree.map(np.asarray, model.rows_and_fixed_part(batch))
    bound = HostResults(*fixed.bound)
    return HostRows(*rows), HostFixedPart(fixed.alone, bound)


def _fixed_part(model: Model, structures: Sequence[Paired]) -> HostFixedPart:
    """By the evaluator, with all linear parameters 0."""
    p = model.potential
    params = p.set_linear_parameters(model.params, np.zeros(p.length_basis))
    own = p.inference.coefficients(params).get("one-body", np.zeros(len(p.species)))
    alone = np.array([np.asarray(own)[s.species].sum() for s in structures])
    if all(t.learnable or isinstance(t, Constant) for t in p.terms):
        n, S = sum(map(len, structures)), len(structures)
        nothing = HostResults(np.zeros(S), np.zeros(n), np.zeros((n, 3)), np.zeros((S, 3, 3)))
        return HostFixedPart(alone, nothing)
    evaluator: Any = model.evaluator
    r = evaluator(params, evaluator.prepare(structures, batch=True))
    bound = HostResults(r.energy - alone, r.energies, r.forces, r.virial)
    return HostFixedPart(alone, bound)
