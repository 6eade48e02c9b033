"""All pairs of atoms closer than a cutoff, periodic images included.

vesin does the search. It is fast, but it ends the process (SIGFPE) on flat sparse cells, and it
trusts its input; so everything is checked first, and it is handed an equivalent problem that it
solves well:

* the same lattice by its shortest vectors, atoms wrapped into that cell;
* directions without periodicity completed by unit vectors orthogonal to the rest;
* gaps that no pair reaches across narrowed, and the box cut at one (`_across`);
* a search radius, at least the cutoff, for which vesin can lay its grid (`_grid_is_safe`).

Vectors are then computed anew from the caller's own positions and shifts, and filtered.
Indices of atoms count from 0, in results and in messages, as in ASE.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from vesin import NeighborList

from etace.arrays import refuse_masked
from etace.errors import StructureError

MAX_COORDINATE = 1e8  # Å; beyond it float64 resolves less than 1e-8 Å
MIN_HEIGHT = 1e-6  # Å, between opposite faces of a periodic cell
MIN_DISTANCE = 1e-6  # Å; closer atoms are taken for the same place
MAX_PAIRS = 1e8  # about 10 GB


@dataclass(frozen=True)
class Neighbours:
    """Directed pairs, both (i, j, S) and (j, i, -S), in ascending order of (i, j, S).

    i, j: [edges], centre and neighbour; i == j for an atom and its own image
    shift: [edges, 3], integers; r_ij = x_j - x_i + shift @ cell, cell vectors are rows
    r: [edges], Å, |r_ij|
    """

    i: np.ndarray
    j: np.ndarray
    shift: np.ndarray
    r: np.ndarray


def neighbour_list(
    positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike, cutoff: float
) -> Neighbours:
    """All directed pairs with r < cutoff, strictly.

    positions: [N, 3], Å, anywhere (atoms may lie outside the cell); N may be 0
    cell: [3, 3], Å, vectors are rows, either handedness; a row along which the structure is not
        periodic may be anything, also zero
    pbc: [3] or one bool; periodic along each cell vector
    cutoff: Å; no pairs if it is 0 or less

    Raises StructureError: wrong shapes; a number that is not finite or beyond 1e8 Å; a periodic
    cell flatter than 1e-6 Å; two atoms closer than 1e-6 Å; more than about 1e8
    pairs.
    """
    x, cell, pbc = checked(positions, cell, pbc)
    if not np.isfinite(cutoff):
        raise StructureError(f"the cutoff must be a finite length in Å, found {cutoff}")
    if len(x) == 0 or cutoff <= 0:
        none = np.zeros(0, dtype=np.int64)
        return Neighbours(none, none, np.zeros((0, 3), dtype=np.int32), np.zeros(0))
    i, j, shift = _search(x, cell, pbc, float(cutoff))
    pairs = within(Neighbours(i, j, shift, _distances(x, cell, i, j, shift)), cutoff)
    _check_distances(pairs)
    order = np.argsort(_keys(pairs.i, pairs.j, pairs.shift, len(x)))
    return _take(pairs, order)


def within(pairs: Neighbours, cutoff: ArrayLike) -> Neighbours:
    """The pairs with r < cutoff, strictly, in the same order. cutoff: one or [edges], Å."""
    inside = pairs.r < cutoff
    return pairs if inside.all() else _take(pairs, np.flatnonzero(inside))


def reverse_index(pairs: Neighbours, n_atoms: int) -> np.ndarray:
    """[edges]: where (j, i, -S) stands in the list, for every pair (i, j, S).

    pairs: sorted, as `neighbour_list` makes them, and closed under reversal.
    """
    # Sorting the reversed list gives the list itself, and reversing twice does nothing: the
    # permutation that sorts is its own inverse and so is the answer.
    reverse = np.argsort(_keys(pairs.j, pairs.i, -pairs.shift, n_atoms))
    assert np.array_equal(pairs.i[reverse], pairs.j), "the neighbour list misses a reversed pair"
    assert np.array_equal(reverse[reverse], np.arange(len(reverse))), (
        "a reversed pair is not unique"
    )
    return reverse


def _take(pairs: Neighbours, which: np.ndarray) -> Neighbours:
    return Neighbours(pairs.i[which], pairs.j[which], pairs.shift[which], pairs.r[which])


def checked(
    positions: ArrayLike, cell: ArrayLike, pbc: ArrayLike
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The arguments of `neighbour_list` as arrays. Raises StructureError."""
    x = _numbers(positions, "positions")
    x = x.reshape(0, 3) if x.size == 0 else x
    cell = _numbers(cell, "cell vectors")
    pbc = np.asarray(pbc)
    if pbc.dtype.kind not in "biu":
        raise StructureError(f"pbc must be one or three booleans, found {pbc.tolist()}")
    pbc = pbc.astype(bool)
    if x.ndim != 2 or x.shape[1] != 3:
        raise StructureError(f"positions must have the shape [atoms, 3], found {list(x.shape)}")
    if cell.shape != (3, 3):
        raise StructureError(f"the cell must have the shape [3, 3], found {list(cell.shape)}")
    if pbc.shape not in ((), (3,)):
        raise StructureError(f"pbc must be one or three booleans, found shape {list(pbc.shape)}")
    pbc = np.array(np.broadcast_to(pbc, 3))
    wrong = np.flatnonzero(~(np.abs(x) <= MAX_COORDINATE).all(axis=1))  # also finds NaN
    if len(wrong):
        a = wrong[0]
        raise StructureError(
            f"atom {a} is at {x[a].tolist()}: coordinates must be finite and within "
            f"{MAX_COORDINATE:g} Å"
        )
    wrong = np.flatnonzero(pbc & ~(np.abs(cell) <= MAX_COORDINATE).all(axis=1))
    if len(wrong):
        d = wrong[0]
        raise StructureError(
            f"cell vector {d} is {cell[d].tolist()}: it must be finite and within "
            f"{MAX_COORDINATE:g} Å"
        )
    return x, cell, pbc


def _numbers(value: ArrayLike, what: str) -> np.ndarray:
    """In C order; finite or not: what is not periodic needs no cell."""
    refuse_masked(value, what, StructureError)
    try:
        found = np.asarray(value)
    except (ValueError, TypeError):
        raise StructureError(f"{what} must be an array of numbers") from None
    if found.size and found.dtype.kind not in "fiub":
        raise StructureError(f"{what} must be real numbers, found dtype {found.dtype}")
    return np.asarray(found, np.float64, order="C")


def _search(
    x: np.ndarray, cell: np.ndarray, pbc: np.ndarray, cutoff: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pairs (i, j, shift) in any order: all with r < cutoff, and perhaps some beyond."""
    lattice = np.where(pbc[:, None], cell, 0.0)
    change = _short_vectors(lattice, pbc)
    least = _least_height(change, lattice)
    lattice = change @ lattice
    frame, heights = _complete(cell, lattice, pbc, least)
    # room for the rounding below
    cutoff = cutoff * (1 + 1e-9) + 1e-13 * np.abs(x).max() + 0.1 * (least - MIN_HEIGHT)

    fractions = x @ np.linalg.inv(frame)
    radius = cutoff
    while True:
        columns = [_across(fractions[:, d], heights[d], pbc[d], cutoff, radius) for d in range(3)]
        wraps, moves = (np.stack([column[k] for column in columns], axis=1) for k in (0, 1))
        height = np.array([column[2] for column in columns])
        if _grid_is_safe(height / radius):
            break
        radius *= 1.25
    moved = x - wraps @ lattice + moves @ (frame / heights[:, None])
    box = frame * (height / heights)[:, None]
    _check_effort(moved, box, height, pbc, radius)

    i, j, shift = NeighborList(cutoff=radius, full_list=True).compute(
        points=moved, box=box, periodic=True, quantities="ijS"
    )
    i, j = i.astype(np.int64), j.astype(np.int64)
    if wraps.any():
        if np.abs(wraps).max() > 1e9:
            shift = shift.astype(np.int64)
        wraps = wraps.astype(shift.dtype)
        for axis in range(3):
            shift[:, axis] += wraps[i, axis] - wraps[j, axis]
    if (change != np.eye(3)).any():
        shift = shift.astype(np.int64) @ change.astype(np.int64)
    return i, j, shift


def _short_vectors(lattice: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """[3, 3], whole numbers T: the rows of T @ lattice are short vectors of the same lattice.

    Each vector in turn is brought as close to 0 as whole multiples of the others allow, until none
    gets shorter. A needle of a cell would make the search visit millions of images.
    """
    change, periodic = np.eye(3), np.flatnonzero(pbc)
    near = np.array(list(itertools.product((0, -1, 1), repeat=max(len(periodic) - 1, 0))))
    shorter = len(periodic) > 1
    while shorter:
        shorter = False
        for d in periodic:
            others = periodic[periodic != d]
            rows = change[others] @ lattice
            own = change[d] @ lattice
            multiples = np.round(np.linalg.lstsq(rows.T, own, rcond=None)[0]) + near
            lengths = np.linalg.norm(own - multiples @ rows, axis=1)
            best = int(np.argmin(lengths))
            if lengths[best] < 0.99 * np.linalg.norm(own):
                change[d] -= multiples[best] @ change[others]
                shorter = True
                if lengths[best] < _least_height(change, lattice):
                    return change  # vectors in one plane would never end; `_complete` finds them
    return change


def _least_height(change: np.ndarray, lattice: np.ndarray) -> float:
    """Å; what the rounding of `change @ lattice` leaves meaningful, with four digits to spare."""
    return MIN_HEIGHT + 1e-12 * float((np.abs(change) @ np.abs(lattice)).max())


def _complete(
    cell: np.ndarray, lattice: np.ndarray, pbc: np.ndarray, least: float
) -> tuple[np.ndarray, np.ndarray]:
    """The lattice vectors, completed by orthonormal ones; distances between opposite faces, Å."""
    frame = np.eye(3)
    if pbc.any():
        frame[pbc] = lattice[pbc]
        # the last columns of Q span what is orthogonal to the periodic rows
        frame[~pbc] = np.linalg.qr(lattice[pbc].T, mode="complete")[0].T[pbc.sum() :]
    try:
        with np.errstate(all="ignore"):
            heights = 1 / np.linalg.norm(np.linalg.inv(frame), axis=0)
    except np.linalg.LinAlgError:
        heights = np.zeros(3)
    flat = np.flatnonzero(pbc & ~(heights >= least))  # NaN: no inverse in numbers there are
    if len(flat):
        d = flat[0]
        raise StructureError(
            f"the structure is periodic along cell vector {d}, {cell[d].tolist()} Å, but that "
            "vector is zero or lies in the span of the others; set the cell, or pbc to False"
        )
    return frame, heights


def _across(
    fraction: np.ndarray, height: float, periodic: bool, cutoff: float, radius: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """One direction of the cell: (wrap [N], move [N], Å, height of the box, Å).

    An atom at fraction f of the height goes to (f - wrap) * height + move. Where there is a gap too
    wide for any pair to reach across, the sequence of atoms begins behind the widest one, all such
    gaps are narrowed, and the box leaves two search radii free: periodic or not no longer matters.
    """
    wrap = np.floor(fraction) if periodic else np.zeros_like(fraction)
    c = (fraction - wrap) * height
    order = np.argsort(c, kind="stable")
    gaps = np.diff(c[order], append=c[order[0]] + (height if periodic else np.inf))
    widest, limit = int(np.argmax(gaps)), 1.5 * cutoff
    if gaps[widest] <= limit:
        return wrap, np.zeros_like(c), height
    if periodic:
        wrap[order[: widest + 1]] -= 1
        c[order[: widest + 1]] += height
    order, gaps = np.roll(order, -widest - 1), np.roll(gaps, -widest - 1)[:-1]
    move = np.full_like(c, -c[order[0]])
    move[order[1:]] -= np.cumsum(np.maximum(gaps - limit, 0))
    return wrap, move, float(c[order[-1]] + move[order[-1]] + 2 * radius)


def _grid_is_safe(cells: np.ndarray) -> bool:
    """Whether vesin can lay its grid. cells: [3], real, box height / search radius.

    It scales the grid down to 1e5 cells in all, keeping its proportions, and divides by zero if
    that leaves less than one cell in a direction (vesin 0.6.2).
    """
    cells = np.maximum(cells, 1)
    total = float(np.prod(cells))
    return total < 5e4 or (total < 1e15 and bool((cells * (1e5 / total) ** (1 / 3) >= 4).all()))


def _check_effort(
    x: np.ndarray, box: np.ndarray, height: np.ndarray, pbc: np.ndarray, radius: float
) -> None:
    """Refuse what would fill the memory: pairs estimated from the density in cells of the grid."""
    n = np.maximum(np.floor(height / radius), 1)
    ids = np.floor((x @ np.linalg.inv(box)) * n) @ np.array([1, n[0], n[0] * n[1]])
    counts = np.unique(ids, return_counts=True)[1].astype(np.float64)
    volume = np.prod(height / n)  # of one grid cell, at least: a skewed one is larger
    volume = max(volume, abs(np.linalg.det(box / n[:, None])))
    pairs = 4 / 3 * np.pi * radius**3 / volume * float((counts**2).sum())
    if pairs > MAX_PAIRS:
        raise StructureError(
            f"about {pairs:.0e} pairs of neighbours would lie within {radius:.3g} Å (limit "
            f"{MAX_PAIRS:.0e}): check the cell and the unit of the positions ({len(x)} atoms, "
            f"cell height {[float(f'{h:.3g}') for h in height[pbc]]} Å along periodic directions)"
        )


def _distances(
    x: np.ndarray, cell: np.ndarray, i: np.ndarray, j: np.ndarray, shift: np.ndarray
) -> np.ndarray:
    """|r_ij|, Å; bit for bit the same for (i, j, S) and (j, i, -S)."""
    square = np.zeros(len(i))
    s = [(d, shift[:, d].astype(np.float64)) for d in range(3)]
    s = [(d, along) for d, along in s if along.any()]
    for c in range(3):
        # term by term: a matrix product may round the two directions differently
        own = np.ascontiguousarray(x[:, c])
        r = own[j] - own[i]
        offset = np.zeros(len(i))
        for d, along in s:
            if cell[d, c] != 0:
                offset += along * cell[d, c]
        r += offset
        square += r * r
    return np.sqrt(square)


def _check_distances(pairs: Neighbours) -> None:
    same = np.flatnonzero(pairs.r < MIN_DISTANCE)
    if len(same):
        e = same[0]
        i, j = sorted((int(pairs.i[e]), int(pairs.j[e])))
        image = f" (an image, shift {pairs.shift[e].tolist()})" if pairs.shift[e].any() else ""
        raise StructureError(
            f"atom {i} and atom {j}{image} are at the same place ({pairs.r[e]:.1e} Å apart)"
        )


def _keys(i: np.ndarray, j: np.ndarray, shift: np.ndarray, n_atoms: int) -> np.ndarray:
    """[edges], integers in the order of (i, j, S), the same scale for a list and its reverse."""
    if len(i) == 0:
        return np.zeros(0, dtype=np.int64)
    most = [int(np.abs(shift[:, d]).max()) for d in range(3)]
    if n_atoms**2 * math.prod(2 * m + 1 for m in most) < 2**62:
        key: np.ndarray = i * n_atoms + j
        for d, m in enumerate(most):
            if m:
                key *= 2 * m + 1
                key += shift[:, d]
                key += m
        return key
    # Shifts so large that the key overflows (atoms very far outside the cell): rank them first. The
    # ranks are taken among S and -S together, so that a list and its reverse agree.
    both = np.unique(np.concatenate([shift, -shift]), axis=0, return_inverse=True)
    ranks = both[1].reshape(-1)[: len(i)]
    return (i * n_atoms + j) * len(both[0]) + ranks
