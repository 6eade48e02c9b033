"""A polynomial of A as few products as a simple rule finds: shared left factors, sums of right ones.

    E = sum of c A_a + sum over groups of X[left] * (sum of c X[right])

X holds A, then the products of two earlier X that the groups need (`nodes`). A product of n factors is
cut into a longer (left) and a shorter half. Which way: by lazy greedy cover, the left half that most
of the products still to be cut could share goes first.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

Monomial = tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """X[left] times the sum of c X[right]. terms: (right, number of the monomial)"""

    left: int
    terms: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Cover:
    """size: of A; linear: (place in A, number of the monomial); nodes: X[size + k] = X[a] X[b]

    shared: how many nodes others read; those behind are the left factor of one group, and need no place
    order: numbers of the monomials as they are met: linear ones, then group by group
    """

    size: int
    linear: tuple[tuple[int, int], ...]
    nodes: tuple[tuple[int, int], ...]
    shared: int
    groups: tuple[Group, ...]

    @property
    def order(self) -> list[int]:
        return [k for _, k in self.linear] + [k for g in self.groups for _, k in g.terms]


def cover(monomials: Sequence[Monomial], size: int) -> Cover:
    """monomials: places in A, ascending, no two alike; size: of A"""
    linear, halves = [], []
    by_order: dict[int, list[tuple[int, Monomial]]] = defaultdict(list)
    for k, m in enumerate(monomials):
        if len(m) == 1:
            linear.append((m[0], k))
        else:
            by_order[len(m)].append((k, m))
    for n in sorted(by_order):
        halves += _cut(by_order[n])
    needed = _needed([half for left, right, _ in halves for half in (left, right)])
    known = {(a,) for a in range(size)} | set(needed)
    factors = {m: _split(m, known) for m in needed}
    read = {right for _, right, _ in halves} | {m for pair in factors.values() for m in pair}
    needed.sort(key=lambda m: m not in read)
    place = {m: k for k, m in enumerate([*((a,) for a in range(size)), *needed])}
    groups: dict[Monomial, list[tuple[int, int]]] = defaultdict(list)
    for left, right, k in halves:
        groups[left].append((place[right], k))
    return Cover(
        size,
        tuple(linear),
        tuple((place[a], place[b]) for a, b in (factors[m] for m in needed)),
        sum(m in read for m in needed),
        tuple(Group(place[left], tuple(sorted(terms))) for left, terms in groups.items()),
    )


def _cut(found: Sequence[tuple[int, Monomial]]) -> list[tuple[Monomial, Monomial, int]]:
    """(left, right, number) of products of one order, those of one left together."""
    by_left: dict[Monomial, list[tuple[Monomial, int]]] = defaultdict(list)
    for k, m in found:
        for left, right in _halves(m):
            by_left[left].append((right, k))
    heap = [(-len(own), left) for left, own in by_left.items()]
    heapq.heapify(heap)
    done: set[int] = set()
    out = []
    while heap:
        count, left = heapq.heappop(heap)
        own = [(right, k) for right, k in by_left[left] if k not in done]
        if len(own) < -count:
            if own:
                heapq.heappush(heap, (-len(own), left))
            continue
        for right, k in own:
            done.add(k)
            out.append((left, right, k))
    return out


def _halves(m: Monomial) -> list[tuple[Monomial, Monomial]]:
    """All ways to cut a product, the longer half first."""
    found = set()
    for chosen in combinations(range(len(m)), -(-len(m) // 2)):
        left = tuple(m[k] for k in chosen)
        found.add((left, tuple(m[k] for k in range(len(m)) if k not in chosen)))
    return sorted(found)


def _needed(halves: Sequence[Monomial]) -> list[Monomial]:
    """Products of two or more that have to be computed, shorter ones first."""
    need = {m for m in halves if len(m) > 1}
    for n in range(max(map(len, need), default=0), 2, -1):
        for m in sorted(x for x in need if len(x) == n):
            options = _halves(m)
            known = [o for o in options if all(len(h) == 1 or h in need for h in o)]
            need |= {h for h in (known or options)[0] if len(h) > 1}
    return sorted(need, key=lambda m: (len(m), m))


def _split(m: Monomial, known: set[Monomial]) -> tuple[Monomial, Monomial]:
    return next((a, b) for a, b in _halves(m) if a in known and b in known)
