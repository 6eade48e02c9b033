"""How far the surroundings of an atom are from those that a model was fitted to.

    g_i = |b_i L| / (the largest of it among the atoms of this species in the training data),
    L L^T = (sum over these atoms of b_j b_j^T)^-1

b_i: the basis functions of atom i, and 1. |b_i L|^2 is the leverage of the atom in D-optimal design, as MaxVol's
extrapolation grade (Podryabinkin and Shapeev, Comput. Mater. Sci. 140 (2017) 171) is of a few atoms
chosen for it: it needs no labels and no choice. 1 is the oddest surroundings among those trained on; far
above it the model extrapolates.

The 1 makes a lone atom far from any crystal: its functions are all 0, and 1 is then a direction of its own.
As an atom leaves, its grade grows; in data that hold isolated atoms they have a grade of at most 1.

The covariance of the fitted parameters would be another measure. It is not used: energies of single atoms
are no labels, and what only shifts them between species or atoms stays unknown in any fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from etace.graph import AtomGraph, atom_bucket
from etace.inference.evaluator import available_cores
from etace.parallel import ordered
from etace.precision import host_precision
from etace.searched import groups, in_order

if TYPE_CHECKING:
    from etace.model import Model

ATOMS = 1024  # in a batch
TINY = 1e-12  # of the largest basis function: what is smaller is rounding
UNSEEN = 1e-6  # of the largest singular value: directions that no atom of the training data has


def learned(model: Model, structures: Sequence[Any]) -> tuple[np.ndarray, list[np.ndarray]]:
    """(L over the largest |b_i L|, of each species: [species, F + 1, F + 1]; the grades of the structures themselves).

    structures: `ase.Atoms`, those that were fitted; L is 0 of a species that is not in them.
    """
    n, F = model.potential.site_columns.shape
    grams, largest = np.zeros((n, F + 1, F + 1)), np.zeros(n)
    order = in_order(structures, model.batches)
    structures = [structures[k] for k in order]
    for species, B, _ in _with_one(bases(model, structures)):
        for z in np.unique(species):
            own = B[species == z]
            grams[z] += own.T @ own
    L = np.array([_root_of_inverse(gram) for gram in grams])
    lengths: list[tuple[np.ndarray, np.ndarray]] = []
    for species, B, ends in _with_one(bases(model, structures)):
        own = _lengths(species, B, L)
        np.maximum.at(largest, species, own)
        lengths += zip(np.split(species, ends[:-1]), np.split(own, ends[:-1]), strict=True)
    largest = np.where(largest > 0, largest, 1.0)
    found = {k: own / largest[species] for k, (species, own) in zip(order, lengths, strict=True)}
    return L / largest[:, None, None], [found[k] for k in range(len(found))]


def grades(model: Model, L: np.ndarray, structures: Iterable[Any]) -> Iterator[np.ndarray]:
    """g_i of every atom of every structure: [N] each; infinite for a species that was not fitted, and where a
    function is no number.

    L: of `learned`; [species, F, F] is of etace 0.1, without the 1: there a lone atom is infinitely far
    """
    far = np.array([not own.any() for own in L])
    found = bases(model, structures)
    old = L.shape[-1] == model.potential.site_columns.shape[1]
    for species, B, ends in found if old else _with_one(found):
        own = _lengths(species, B, L)
        unsafe = far[species] | ~np.isfinite(own)
        if old:
            unsafe |= ~B.any(axis=1)
        yield from np.split(np.where(unsafe, np.inf, own), ends[:-1])


def _with_one(
    found: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The same with a column of 1 behind the functions."""
    for species, B, ends in found:
        yield species, np.concatenate([B, np.ones((len(B), 1))], axis=1), ends


def bases(
    model: Model, structures: Iterable[Any]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Some structures after the other: (species [n], b_i [n, F], where each structure ends)."""
    found = groups(structures, ATOMS, model.batches)
    slots = [0]  # at least, once the first has said how many

    def basis(group: list[Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return _basis(model, group, slots)

    for first in islice(found, 1):
        yield basis(first)
    yield from ordered(basis, found, model.cores or available_cores())


def _basis(
    model: Model, group: list[Any], slots: list[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    ends = np.cumsum([len(a) for a in group])
    if model.row_kernel is not None:
        found = [model.paired(a) for a in group]
        B = np.asarray(model.row_kernel.site_basis(model.params, found), float)
        return np.concatenate([s.species for s in found]), B, ends
    with host_precision(model.potential.dtype):
        size = atom_bucket(max(ATOMS, int(ends[-1])))
        graphs = [model.graph(a) for a in group]
        batch = AtomGraph.batch(graphs, capacity=(size, slots[0]), n_structures=ATOMS)
        slots[0] = slots[0] or batch.n_slots
        B = np.asarray(model.site_basis(batch), float)[: ends[-1]]
    return np.asarray(batch.species)[: ends[-1]], B, ends


def _root_of_inverse(gram: np.ndarray) -> np.ndarray:
    """L with L L^T = gram^-1. Directions in which the columns, scaled to one size, hardly are anything
    count as if they were `UNSEEN`: what no atom has had is far away."""
    size = np.sqrt(np.diag(gram))
    if not size.any():
        return np.zeros_like(gram)
    size = np.maximum(size, TINY * size.max())
    values, vectors = np.linalg.eigh(gram / np.outer(size, size))
    s = np.sqrt(np.maximum(values, UNSEEN**2 * values[-1]))
    return np.asarray(vectors / s / size[:, None])


def _lengths(species: np.ndarray, B: np.ndarray, L: np.ndarray) -> np.ndarray:
    out = np.zeros(len(B))
    for z in np.unique(species):
        own = species == z
        out[own] = np.linalg.norm(B[own] @ L[z], axis=1)
    return out
