"""How far the surroundings of an atom are from those that a model was fitted to.

    g_i = |b_i L| / s,    L L^T = (sum over the atoms of this species in the training data of b_j b_j^T)^-1

b_i: the basis functions of atom i, and 1. |b_i L|^2 is the leverage of the atom in D-optimal design, as MaxVol's
extrapolation grade (Podryabinkin and Shapeev, Comput. Mater. Sci. 140 (2017) 171) is of a few atoms
chosen for it: it needs no labels and no choice.

s, of each species: what atoms like the training data reach without being in it. Cross-validation tells: each structure
is graded by the others' L, and s is `MARGIN` times the length that 99.9 % of these atoms stay below. So 1 is where
atoms leave what the data can speak of. (In files of versions before, s is the largest length in the training data
themselves, which most new structures exceed somewhere: `Model.graded_by` tells.)

The 1 makes a lone atom far from any crystal: its functions are all 0, and 1 is then a direction of its own.
As an atom leaves, its grade grows; in data that hold isolated atoms they have a grade of at most 1.

The covariance of the fitted parameters would be another measure. It is not used: energies of single atoms
are no labels, and what only shifts them between species or atoms stays unknown in any fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.linalg import solve_triangular

from etace.graph import AtomGraph, atom_bucket
from etace.inference.evaluator import available_cores
from etace.parallel import ordered
from etace.precision import host_precision
from etace.searched import groups, in_order

if TYPE_CHECKING:
    from etace.model import Model

HELD_OUT, TRAINING = "held-out atoms", "training atoms"  # by which a model's 1 was found
ATOMS = 1024  # in a batch
TINY = 1e-12  # of the largest basis function: what is smaller is rounding
RIDGE = 1e-8  # of the largest eigenvalue: directions that no atom of the training data has count as this
QUANTILE = 0.999  # of the atoms that were left out
MARGIN = 1.5  # over it: atoms of a few hundred structures do not reach as far as those of the next ones will
TAIL = 50  # atoms that tell how lengths go on beyond the longest, at most
SHAPES = (0.1, 0.5)  # of such a tail, least and most
ALONE = 0.5  # of 1 - leverage, at least, where an atom is left out by itself
COUNT = 5  # of folds, where none are given
ALWAYS = -1  # the fold of structures that are left out with none (`fit.folds`)


def learned(
    model: Model, structures: Sequence[Any], folds: Sequence[int] | None = None
) -> tuple[np.ndarray, list[np.ndarray]]:
    """(L over s, of each species: [species, F + 1, F + 1]; the grades of the structures themselves).

    structures: `ase.Atoms`, those that were fitted; folds: of a cross-validation, one for each; default: five, dealt
    in turn. L is 0 of a species that is not in the structures.
    """
    of = [k % COUNT for k in range(len(structures))] if folds is None else list(folds)
    order = _by_fold(in_order(structures, model.batches), of)
    there = [structures[k] for k in order]
    sizes = [len(a) for a in there]
    fold = np.repeat([of[k] for k in order], sizes)
    grams = _grams(model, there, fold)
    total = np.sum([*grams.values()], axis=0)
    roots = [_Root.of(gram) for gram in total]
    L = np.array([root.L for root in roots])
    without = {
        f: np.array([r.without(a - b) for r, a, b in zip(roots, total, own, strict=True)])
        for f, own in grams.items() if f != ALWAYS
    }  # fmt: skip
    del grams, total
    kinds, inside, outside = [np.zeros(0, int)], [np.zeros(0)], [np.zeros(0)]
    for species, own, B in _batches(model, there, fold):
        kinds.append(species)
        inside.append(_lengths(species, B, L))
        left = np.full(len(B), np.nan)
        for f in np.unique(own[own != ALWAYS]):
            left[own == f] = _lengths(species[own == f], B[own == f], without[f])
        outside.append(left)
    species, lengths = np.concatenate(kinds), np.concatenate(inside)
    scale = _scales(len(L), species, lengths, np.concatenate(outside))
    each = np.split(lengths / scale[species], np.cumsum(sizes)[:-1])
    back = dict(zip(order, each, strict=True))
    return L / scale[:, None, None], [back[k] for k in range(len(back))]


def _by_fold(order: Sequence[int], folds: Sequence[int]) -> list[int]:
    """Structures of one fold after the other: batches are of one fold then. The first stays the first."""
    first = folds[order[0]] if order else ALWAYS
    return sorted(order, key=lambda k: (folds[k] != first, folds[k]))


def _batches(
    model: Model, structures: Sequence[Any], fold: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(species, fold, functions and 1) of the atoms of some structures after the other. fold: of all atoms"""
    start = 0
    for species, B, _ in _with_one(bases(model, structures)):
        yield species, fold[start : start + len(B)], B
        start += len(B)


def _grams(model: Model, structures: Sequence[Any], fold: np.ndarray) -> dict[int, np.ndarray]:
    """Gram matrices of each fold: [species, F + 1, F + 1]. What is left out with no fold is known for good, and counts
    as many times as it takes to be as usual as the other atoms."""
    n, F = model.potential.site_columns.shape
    grams = {f: np.zeros((n, F + 1, F + 1)) for f in np.unique(np.append(fold, ALWAYS)).tolist()}
    atoms, others = np.zeros(n), np.zeros(n)
    for species, own, B in _batches(model, structures, fold):
        atoms += np.bincount(species, minlength=n)
        others += np.bincount(species[own != ALWAYS], minlength=n)
        for f in np.unique(own).tolist():
            for z in np.unique(species[own == f]):
                chosen = B[(species == z) & (own == f)]
                grams[f][z] += chosen.T @ chosen
    times = np.where(others > 0, np.maximum(1, atoms / (F + 1)), 1)
    grams[ALWAYS] *= times[:, None, None]
    return grams


def _scales(n: int, species: np.ndarray, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """s of each species. inside, outside: lengths of all atoms by the L of all, and by that of the others; the latter
    is nan of atoms that are left out with no fold"""
    scale = np.ones(n)
    for z in np.unique(species):
        left, own = outside[species == z], inside[species == z]
        always = np.isnan(left)
        if always.all():  # each atom by all others
            left = own / np.sqrt(np.maximum(1 - own**2, ALONE))
            always = np.zeros(0, int)
        else:
            left = left[~always]
        scale[z] = max(MARGIN * _reach(left), float(own[always].max(initial=0)))
    return np.where(scale > 0, scale, 1.0)


def _reach(lengths: np.ndarray) -> float:
    """What a share `QUANTILE` of the atoms stays below. Of too few to say, the largest lengths go on as a power law."""
    n, share = len(lengths), 1 - QUANTILE
    if n * share >= 1:
        return float(np.quantile(lengths, QUANTILE))
    top = np.sort(lengths)[-min(TAIL, max(2, n // 5)) :]
    if top[0] <= 0:
        return float(top[-1])
    shape = float(np.clip(np.mean(np.log(top / top[0])), *SHAPES))
    return max(float(top[-1]), float(top[0]) * (len(top) / (n * share)) ** shape)


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


@dataclass(frozen=True, eq=False)
class _Root:
    """Of the inverse of a Gram matrix: L L^T = gram^-1. Directions in which the columns, scaled to one size, hardly
    are anything count as if they were `RIDGE`: what no atom has had is far away. size: of the columns"""

    L: np.ndarray
    size: np.ndarray
    ridge: float

    @classmethod
    def of(cls, gram: np.ndarray) -> _Root:
        size = np.sqrt(np.maximum(np.diag(gram), 0))
        if not size.any():
            return cls(np.zeros_like(gram), size, 0.0)
        size = np.maximum(size, TINY * size.max())
        values, vectors = np.linalg.eigh(gram / np.outer(size, size))
        ridge = RIDGE * float(values[-1])
        s = np.sqrt(np.maximum(values, 0) + ridge)
        return cls(np.asarray(vectors / s / size[:, None]), size, ridge)

    def without(self, gram: np.ndarray) -> np.ndarray:
        """L of what is left of the matrix, up to a rotation, which lengths do not see: a Cholesky factor costs a tenth
        of the eigenvectors."""
        if not self.size.any():
            return np.zeros_like(gram)
        scaled = gram / np.outer(self.size, self.size)
        scaled[np.diag_indices_from(scaled)] += self.ridge
        lower = np.linalg.cholesky(scaled)
        return np.asarray(solve_triangular(lower, np.diag(1 / self.size), lower=True).T)


def _lengths(species: np.ndarray, B: np.ndarray, L: np.ndarray) -> np.ndarray:
    out = np.zeros(len(B))
    for z in np.unique(species):
        own = species == z
        out[own] = np.linalg.norm(B[own] @ L[z], axis=1)
    return out
