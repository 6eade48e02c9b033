"""Polynomials of A as few bilinear forms: sum_p v[p] prod_t A[p_t] = sum over forms of L^T V R.

A product of three factors is one of A times a pair, of four a pair times a pair: what is left to
compute are matrix products, whose derivatives of any order are matrix products again. Only products
of matching symmetry occur, so that V falls into blocks, one form each. Numpy only.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

Monomial = tuple[int, ...]  # places in A, ascending

# Blocks of V with fewer entries than this are joined: a matrix product of its own costs more.
SMALL = 512


@dataclass(frozen=True, eq=False)
class Form:
    """left^T V right, of monomials; V[cells] = v[products], all else 0.

    left, right: [monomials, factors], places in A, or `n_factors` for a factor of 1
    cells: into the flat V [left, right]; products: those that stand there
    """

    left: np.ndarray
    right: np.ndarray
    cells: np.ndarray
    products: np.ndarray


def bilinear(products: Sequence[Monomial], n_factors: int) -> tuple[Form, ...]:
    """The forms of distinct products, each once, so that V is a permutation of v between zeros."""
    by_size: dict[int, list[int]] = defaultdict(list)
    for p, product in enumerate(products):
        by_size[len(product) // 2].append(p)
    forms = []
    for size, members in sorted(by_size.items()):
        splits = dict(zip(members, split([products[p] for p in members]), strict=True))
        for group in _blocks(splits):
            forms.append(_form(group, splits, max(size, 1), size + 1, n_factors))
    return tuple(forms)


def split(products: Sequence[Monomial]) -> list[tuple[Monomial, Monomial]]:
    """(left, right) of each product, left the shorter, with few different right ones.

    Greedy: the part that most products contain is taken from all of them, and so on.
    """
    holders: dict[Monomial, list[int]] = defaultdict(list)
    for p, product in enumerate(products):
        for part in sorted(set(itertools.combinations(product, (len(product) + 1) // 2))):
            holders[part].append(p)
    out: dict[int, tuple[Monomial, Monomial]] = {}
    heap = [(-len(ps), part) for part, ps in holders.items()]
    heapq.heapify(heap)
    while heap:
        count, part = heapq.heappop(heap)
        open_ = [p for p in holders[part] if p not in out]
        if len(open_) < -count:  # some went to others meanwhile: look again later
            if open_:
                heapq.heappush(heap, (-len(open_), part))
            continue
        for p in open_:
            rest = Counter(products[p])
            rest.subtract(part)
            out[p] = (tuple(sorted(rest.elements())), part)
    return [out[p] for p in range(len(products))]


def _blocks(splits: dict[int, tuple[Monomial, Monomial]]) -> list[list[int]]:
    """Products whose left and right parts are connected to each other; small sets joined."""
    parent: dict[object, object] = {}

    def root(x: object) -> object:
        while parent.setdefault(x, x) != x:
            parent[x] = parent[parent[x]]
            x = parent[x]
        return x

    for left, right in splits.values():
        parent[root(("left", left))] = root(("right", right))
    groups: dict[object, list[int]] = defaultdict(list)
    for p, (left, _) in splits.items():
        groups[root(("left", left))].append(p)
    out: list[list[int]] = []
    for group in sorted(groups.values(), key=len):
        joined = [*out[-1], *group] if out else group
        if out and _area(joined, splits) <= SMALL:
            out[-1] = joined
        else:
            out.append(group)
    return out


def _area(group: Sequence[int], splits: dict[int, tuple[Monomial, Monomial]]) -> int:
    """Entries of V for these products."""
    lefts, rights = (len({splits[p][side] for p in group}) for side in (0, 1))
    return lefts * rights


def _form(
    group: Iterable[int],
    splits: dict[int, tuple[Monomial, Monomial]],
    wide_left: int,
    wide_right: int,
    one: int,
) -> Form:
    members = sorted(group)
    lefts = sorted({splits[p][0] for p in members})
    rights = sorted({splits[p][1] for p in members})
    row = {m: k for k, m in enumerate(lefts)}
    column = {m: k for k, m in enumerate(rights)}
    cells = [row[splits[p][0]] * len(rights) + column[splits[p][1]] for p in members]
    return Form(
        _places(lefts, wide_left, one),
        _places(rights, wide_right, one),
        np.asarray(cells, np.int32),
        np.asarray(members, np.int32),
    )


def _places(monomials: Sequence[Monomial], wide: int, one: int) -> np.ndarray:
    padded = [m + (one,) * (wide - len(m)) for m in monomials]
    return np.asarray(padded, np.int32)
