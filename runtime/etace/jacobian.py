"""Tables for dB/dA, the derivatives of coupled products, worked out once in numpy.

A product of r factors differentiated in one of them leaves a product of r - 1:

    dB[k]/dA[a] = sum over terms of C * (product of the remaining entries of A)

Most of the matrix [A, functions] is zero: a function knows only its own few entries of A. But one
matrix product over dense blocks beats any sparse form by far, so the functions are cut into ranges,
each with the entries of A that any of them knows. Ranges of one pattern of l after the other know
few entries; the dense blocks together are a third to a fifth of the whole matrix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from etace.tensor import Coupling, ProductTable

# A range costs, besides its entries, about as much time as this many more entries.
RANGE_COST = 3000


@dataclass(frozen=True)
class Range:
    """dB/dA of the functions start .. stop, as a dense matrix [len(entries), stop - start].

    entries: places in A, ascending
    flat: [nonzeros], where the nonzero numbers stand in the flattened matrix
    terms, C: [length, nonzeros]; nonzero = sum over length of C * (remaining product of number terms)
    """

    start: int
    stop: int
    entries: np.ndarray
    flat: np.ndarray
    terms: np.ndarray
    C: np.ndarray


@dataclass(frozen=True)
class OrderJacobian:
    """All functions of one order.

    remaining: [products, order - 1], places in A; for order 1 the one product without factors
    """

    order: int
    remaining: np.ndarray
    ranges: tuple[Range, ...]


def jacobian(table: ProductTable) -> tuple[OrderJacobian, ...]:
    """The tables of all orders of a basis of L = 0, in the order of its functions."""
    size = table.pool.width
    return tuple(_of_order(table, *own, size) for own in _orders(table))


@dataclass(frozen=True)
class SparseJacobian:
    """dB/dA of all functions as the numbers of it that are not zero.

    order: [functions]; function, entry: [numbers], where each stands; a number is a sum of C * products, in
    sums[k] .. sums[k + 1] of product and C; factors: [products, degree], entries of A, or `width of A` for 1
    """

    order: np.ndarray
    function: np.ndarray
    entry: np.ndarray
    sums: np.ndarray
    product: np.ndarray
    C: np.ndarray
    factors: np.ndarray


def sparse_jacobian(table: ProductTable) -> SparseJacobian:
    """The same as `jacobian`, by functions and then entries of A."""
    size = table.pool.width
    degree = max(1, *(len(c.l) - 1 for c in table.couplings))
    orders: list[np.ndarray] = []
    flat: list[np.ndarray] = []
    product: list[np.ndarray] = []
    C: list[np.ndarray] = []
    factors: list[np.ndarray] = []
    for couplings, starts in _orders(table):
        terms = [_terms(table, c, k) for c, k in zip(couplings, starts, strict=False)]
        functions, places, remaining, own = (np.concatenate(x) for x in zip(*terms, strict=True))
        products, which = np.unique(remaining, axis=0, return_inverse=True)
        keys = np.stack([functions * size + places, which.reshape(-1)], axis=1)
        pairs, same = np.unique(keys, axis=0, return_inverse=True)
        C.append(np.bincount(same.reshape(-1), weights=own, minlength=len(pairs)))
        flat.append(pairs[:, 0])
        product.append(pairs[:, 1] + sum(len(f) for f in factors))
        wider = [(0, 0), (0, degree - products.shape[1])]
        factors.append(np.pad(products, wider, constant_values=size))
        orders.append(np.full(starts[-1] - starts[0], len(couplings[0].l)))
    numbers, counts = np.unique(np.concatenate(flat), return_counts=True)
    return SparseJacobian(
        np.concatenate(orders),
        numbers // size,
        numbers % size,
        np.concatenate([[0], np.cumsum(counts)]),
        np.concatenate(product),
        np.concatenate(C),
        np.concatenate(factors),
    )


def _orders(table: ProductTable) -> Iterator[tuple[list[Coupling], np.ndarray]]:
    """Couplings of one order after the other, and the first function of each, with the one behind the last."""
    start = 0
    for order in sorted({len(c.l) for c in table.couplings}):
        couplings = [c for c in table.couplings if len(c.l) == order]
        starts = start + np.cumsum([0, *(c.functions * len(c.blocks) for c in couplings)])
        yield couplings, starts
        start = int(starts[-1])


def _of_order(
    table: ProductTable, couplings: Sequence[Coupling], starts: np.ndarray, size: int
) -> OrderJacobian:
    """starts: [couplings + 1], the first function of each; size: of A."""
    terms = [_terms(table, c, k) for c, k in zip(couplings, starts, strict=False)]
    functions, places, remaining, C = (np.concatenate(x) for x in zip(*terms, strict=True))
    products, which = np.unique(remaining, axis=0, return_inverse=True)
    which = which.reshape(-1)
    known = np.zeros((len(couplings), size), bool)
    known[np.searchsorted(starts, functions, side="right") - 1, places] = True
    ranges = []
    for first, last in _cuts(known, np.diff(starts)):
        own = (functions >= starts[first]) & (functions < starts[last])
        entries = np.flatnonzero(known[first:last].any(axis=0))
        row = np.searchsorted(entries, places[own])
        span = (int(starts[first]), int(starts[last]))
        flat = row * (span[1] - span[0]) + functions[own] - span[0]
        ranges.append(Range(*span, entries, *_sums(flat, which[own], C[own], table.dtype)))
    return OrderJacobian(len(couplings[0].l), products.astype(np.int32), tuple(ranges))


def _terms(
    table: ProductTable, c: Coupling, start: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All terms of one pattern: function, place differentiated, remaining places, coefficient."""
    matrix = np.asarray(c.C, np.float64)
    row, column = np.nonzero(matrix)
    order, blocks = len(c.l), len(c.blocks)
    places = table.places(c).reshape(blocks, -1, order)[:, column]  # [blocks, nonzeros, order]
    function = start + np.arange(blocks)[:, None] * len(matrix) + row[None, :]
    coefficient = np.broadcast_to(matrix[row, column], function.shape)
    rest = [np.sort(np.delete(places, t, axis=2), axis=2) for t in range(order)]
    return (
        np.tile(function.ravel(), order),
        np.moveaxis(places, 2, 0).ravel(),
        np.stack(rest).reshape(function.size * order, order - 1),
        np.tile(coefficient.ravel(), order),
    )


def _sums(
    flat: np.ndarray, which: np.ndarray, C: np.ndarray, dtype: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Terms by their place in the matrix, equal ones added: flat, and terms and C of `Range`."""
    pairs, same = np.unique(np.stack([flat, which], axis=1), axis=0, return_inverse=True)
    C = np.bincount(same.reshape(-1), weights=C, minlength=len(pairs))
    places, first, counts = np.unique(pairs[:, 0], return_index=True, return_counts=True)
    rank = np.arange(len(pairs)) - np.repeat(first, counts)
    column = np.repeat(np.arange(len(places)), counts)
    terms = np.zeros((counts.max(), len(places)), np.int32)
    weights = np.zeros(terms.shape, dtype)
    terms[rank, column], weights[rank, column] = pairs[:, 1], C
    return places.astype(np.int32), terms, weights


def _cuts(known: np.ndarray, functions: np.ndarray) -> list[tuple[int, int]]:
    """Ranges of couplings whose dense blocks cost least, by dynamic programming.

    known: [couplings, A], which entries each knows; functions: [couplings], how many it has
    """
    best, cut = [0.0], [0]
    for stop in range(1, len(functions) + 1):
        entries = np.zeros(known.shape[1], bool)
        costs = []
        for start in range(stop - 1, -1, -1):
            entries |= known[start]
            area = int(entries.sum()) * int(functions[start:stop].sum())
            costs.append((best[start] + area + RANGE_COST, start))
        cost, start = min(costs)
        best.append(cost)
        cut.append(start)
    out = []
    stop = len(functions)
    while stop:
        out.append((cut[stop], stop))
        stop = cut[stop]
    return out[::-1]
