"""The energy as a polynomial of A, its value and gradient by a few matrix products.

    rho = sum_a c1[a] A_a + sum c2[a,b] A_a A_b + sum c3[a,b,c] A_a A_b A_c + ...

Orders 1 to 3, gradient first: dE/dA_a = C1[a] + sum_b C2[a,b] A_b + sum_(b,c) C3[a,(b,c)] A_b A_c
are matrix products with A and with the pairs A_b A_c, and by Euler's theorem for homogeneous
functions rho = sum_a A_a (C1 + C2 A / 2 + C3 P / 3): no backward pass, no scatter. Orders 4 and up
are split into two shorter products, rho = sum U M V; M V and M^T U are their adjoints, which go down
to A by gathered sums. A matrix that is nearly empty is a gathered sum too (`GATHER`).

Real A-functions fall into eight classes by their signs under the mirrors x -> -x, y -> -y, z -> -z;
only products without any sign survive, so every matrix is block diagonal in the class: an eighth of
the work. Atoms are the fast axis of all arrays.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from etace.inference.matrices import Matrix, Source
from etace.inference.sparse import GatheredSum, Term, take

Monomial = tuple[int, ...]

# A term of a gathered sum costs a core about as much as this many entries of a matrix product (8 ns
# against 0.7 ns for 32 atoms, AVX-512 and float64).
GATHER = 12


@dataclass(frozen=True)
class ClassBlock:
    """The A-functions of one class: their places, and what their gradient reads.

    first: of the class in the sorted A; size; cubic: how many of them occur in order 3 (they stand
    first); pairs: (first, size) among the sorted pairs
    """

    first: int
    size: int
    cubic: int
    pairs: tuple[int, int]
    C2: Source | None
    C3: Source | None


@dataclass(frozen=True)
class Level:
    """Products of one order >= 2 that higher orders are made of: left and right factor, by place in
    the levels below; how their adjoints (times the other factor) reach the left and right ones."""

    order: int
    left: np.ndarray
    right: np.ndarray
    to_left: GatheredSum
    to_right: GatheredSum


@dataclass(frozen=True)
class Bilinear:
    """rho = sum U M V of one class of one order >= 4: places of U and V in their levels.

    M: a matrix, or where it is nearly empty, sums of its few terms: M V and M^T U
    """

    left: tuple[int, int, int]  # level, first, size
    right: tuple[int, int, int]
    M: Source | tuple[GatheredSum, GatheredSum]
    entries: int
    filled: int


class Polynomial:
    """How value and gradient of a polynomial of A are computed.

    monomials: places in A, ascending, no two alike; v has one coefficient for each
    classes: [n_A], mirror class of every A, 0 .. 7
    """

    def __init__(self, monomials: Sequence[Monomial], classes: np.ndarray):
        self.monomials = tuple(monomials)
        self.classes = np.asarray(classes, np.int64)
        for m in self.monomials:
            if np.bitwise_xor.reduce(self.classes[list(m)]):
                self.classes = np.zeros_like(self.classes)  # not an invariant: no classes then
                break

    @cached_property
    def by_order(self) -> dict[int, list[tuple[int, Monomial]]]:
        out: dict[int, list[tuple[int, Monomial]]] = defaultdict(list)
        for k, m in enumerate(self.monomials):
            out[len(m)].append((k, m))
        return dict(sorted(out.items()))

    @cached_property
    def order(self) -> np.ndarray:
        """Places of A sorted by class, those of order 3 first in each: [n_A]."""
        cubic = {a for _, m in self.by_order.get(3, []) for a in m}
        n = len(self.classes)
        return np.array(sorted(range(n), key=lambda a: (self.classes[a], a not in cubic, a)), int)

    @cached_property
    def place(self) -> np.ndarray:
        """Where each A stands after sorting: the inverse of `order`."""
        return np.argsort(self.order)

    def _class_of(self, product: Monomial) -> int:
        return int(np.bitwise_xor.reduce(self.classes[list(product)])) if product else 0

    # ------------------------------------------------------------ orders 1 to 3

    @cached_property
    def C1(self) -> Source | None:
        found = self.by_order.get(1, [])
        if not found:
            return None
        m = Matrix()
        for k, (a,) in found:
            m.add(a, 0, k, 1.0)
        return m.source(list(self.order), [0])

    @cached_property
    def pairs(self) -> list[Monomial]:
        """Pairs that gradients of order 3 read, sorted by class."""
        rests = {r for _, m in self.by_order.get(3, []) for _, r in _rests(m)}
        return sorted(rests, key=lambda p: (self._class_of(p), p))

    @cached_property
    def pair_places(self) -> tuple[np.ndarray, np.ndarray]:
        p = np.array(self.pairs, np.int64).reshape(-1, 2)
        return self.place[p[:, 0]].astype(np.int32), self.place[p[:, 1]].astype(np.int32)

    @cached_property
    def blocks(self) -> tuple[ClassBlock, ...]:
        square: dict[int, Matrix] = defaultdict(Matrix)
        cube: dict[int, Matrix] = defaultdict(Matrix)
        for k, (a, b) in self.by_order.get(2, []):
            own = square[self.classes[a]]
            own.add(a, b, k, 2.0 if a == b else 1.0)
            if a != b:
                own.add(b, a, k, 1.0)
        cubic: set[int] = set()
        for k, m in self.by_order.get(3, []):
            for a, rest in _rests(m):
                cube[self.classes[a]].add(a, rest, k, float(m.count(a)))
                cubic.add(a)
        out, first, first_pair = [], 0, 0
        for c in range(8):
            rows = [a for a in self.order if self.classes[a] == c]
            columns = [p for p in self.pairs if self._class_of(p) == c]
            if rows:
                n3 = sum(a in cubic for a in rows)
                out.append(
                    ClassBlock(
                        first, len(rows), n3, (first_pair, len(columns)),
                        square[c].source(rows, rows) if square[c].entries else None,
                        cube[c].source(rows[:n3], columns) if n3 else None,
                    )
                )  # fmt: skip
            first, first_pair = first + len(rows), first_pair + len(columns)
        return tuple(out)

    # ------------------------------------------------------------ orders 4 and up

    @cached_property
    def splits(self) -> dict[int, tuple[Monomial, Monomial]]:
        """Each monomial of order >= 4 as two shorter products, few different ones in all."""
        high = [(k, m) for n, found in self.by_order.items() if n >= 4 for k, m in found]
        options = {k: _halves(m) for k, m in high}
        count = Counter(half for pairs in options.values() for both in pairs for half in both)
        chosen: dict[int, tuple[Monomial, Monomial]] = {}
        used: set[Monomial] = set()
        for k, _ in sorted(high, key=lambda x: (-len(x[1]), x[1])):
            best = max(
                options[k],
                key=lambda both: (sum(h in used for h in both), sum(count[h] for h in both), both),
            )
            chosen[k] = best
            used |= set(best)
        return chosen

    @cached_property
    def nodes(self) -> dict[int, list[Monomial]]:
        """Products of each order >= 2 that the splits need, sorted by class; order 1 is A itself."""
        need: dict[int, set[Monomial]] = defaultdict(set)
        for both in self.splits.values():
            for half in both:
                need[len(half)].add(half)
        for n in sorted(need, reverse=True):
            for m in need[n] if n > 2 else ():
                for part in _parts(m):
                    need[len(part)].add(part)
        return {
            n: sorted(need[n], key=lambda p: (self._class_of(p), p)) for n in sorted(need) if n > 1
        }

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        places: dict[int, dict[Monomial, int]] = {
            1: {(int(a),): k for k, a in enumerate(self.order)}
        }
        for n, found in self.nodes.items():
            places[n] = {m: k for k, m in enumerate(found)}
        out = []
        for n, found in self.nodes.items():
            halves = [_parts(m) for m in found]
            left = np.array([places[len(a)][a] for a, _ in halves], np.int32)
            right = np.array([places[len(b)][b] for _, b in halves], np.int32)
            a, b = _parts(found[0])
            to_left = _down(left, right, len(places[len(a)]))
            to_right = _down(right, left, len(places[len(b)]))
            out.append(Level(n, left, right, to_left, to_right))
        return tuple(out)

    @cached_property
    def bilinears(self) -> tuple[Bilinear, ...]:
        groups: dict[tuple[int, int, int], list[tuple[int, Monomial, Monomial]]] = defaultdict(list)
        for k, (u, v) in self.splits.items():
            groups[len(u), len(v), self._class_of(u)].append((k, u, v))
        out = []
        for (n, m, c), found in sorted(groups.items()):
            rows = [p for p in self.nodes[n] if self._class_of(p) == c]
            columns = [p for p in self.nodes[m] if self._class_of(p) == c]
            matrix: Any
            if len(rows) * len(columns) > GATHER * len(found):
                place = {p: k for k, p in enumerate(rows)}
                other = {p: k for k, p in enumerate(columns)}
                ends = [(place[u], other[v], k) for k, u, v in found]
                matrix = (
                    GatheredSum(len(rows), [Term(u, v, which=k) for u, v, k in ends]),
                    GatheredSum(len(columns), [Term(v, u, which=k) for u, v, k in ends]),
                )
            else:
                dense = Matrix()
                for k, u, v in found:
                    dense.add(u, v, k, 1.0)
                matrix = dense.source(rows, columns)
            left = (n, self.nodes[n].index(rows[0]), len(rows))
            right = (m, self.nodes[m].index(columns[0]), len(columns))
            out.append(Bilinear(left, right, matrix, len(rows) * len(columns), len(found)))
        return tuple(out)

    # ------------------------------------------------------------ tables and evaluation

    def freeze(self, v: Any, xp: Any, dtype: str) -> dict[str, Any]:
        """The coefficient matrices of every centre species. v: [species, monomials]"""
        C1 = self.C1
        return {
            "v": v,
            "C1": None if C1 is None else C1.fill(v, xp, dtype)[:, :, 0],
            "C2": [None if b.C2 is None else b.C2.fill(v, xp, dtype) for b in self.blocks],
            "C3": [None if b.C3 is None else b.C3.fill(v, xp, dtype) for b in self.blocks],
            "M": [_both_ways(b, v, xp, dtype) for b in self.bilinears],
        }

    def __call__(self, tables: Any, A: jax.Array) -> tuple[jax.Array, jax.Array]:
        """(rho, its gradient) of one centre species.

        tables: of `freeze`, of that species; A: [n_A, B]; result: [B], [n_A, B]
        """
        A = take(A, self.order)
        values, gradients = [], []
        if self.pairs:
            P = take(A, self.pair_places[0]) * take(A, self.pair_places[1])
        for k, b in enumerate(self.blocks):
            own = A[b.first : b.first + b.size]
            value = gradient = jnp.zeros_like(own)
            C2, C3 = tables["C2"][k], tables["C3"][k]
            if C2 is not None:
                gradient = _dot(C2, own)
                value = 0.5 * gradient
            if C3 is not None:
                first, size = b.pairs
                third = _dot(C3, P[first : first + size])
                if b.cubic < b.size:
                    value = jnp.concatenate([value[: b.cubic] + third * (1 / 3), value[b.cubic :]])
                    gradient = jnp.concatenate([gradient[: b.cubic] + third, gradient[b.cubic :]])
                else:
                    value, gradient = value + third * (1 / 3), gradient + third
            values.append(value)
            gradients.append(gradient)
        value, w = jnp.concatenate(values), jnp.concatenate(gradients)
        if tables["C1"] is not None:
            C1 = tables["C1"][:, None]
            value, w = value + C1, w + C1
        rho = jnp.sum(A * value, axis=0)
        if self.splits:
            high, down = self._high(tables, A)
            rho, w = rho + high, w + down
        return rho, take(w, self.place)

    def values(self, v: jax.Array, A: jax.Array) -> jax.Array:
        """rho for many coefficients at once: every product once, then one matrix product an order.

        v: [members, monomials]; A: [n_A, B]; result: [members, B]
        """
        total = jnp.zeros((v.shape[0], A.shape[1]), A.dtype)
        places: dict[int, dict[Monomial, int]] = {1: {(a,): a for a in range(len(self.classes))}}
        products: dict[int, jax.Array] = {1: A}
        for n, found in self._shorter.items():
            places[n] = {m: k for k, m in enumerate(found)}
            products[n] = _times(products, places, [_parts(m) for m in found])
        for n, numbered in self.by_order.items():
            own = [m for _, m in numbered]
            if n == 1:
                P = take(A, np.array(own)[:, 0])
            else:
                P = _times(products, places, [_parts(m) for m in own])
            total = total + _dot(v[:, np.array([k for k, _ in numbered])], P)
        return total

    @cached_property
    def _shorter(self) -> dict[int, list[Monomial]]:
        """Products of each order >= 2 that are factors of others, by `_parts`; ascending."""
        need: dict[int, set[Monomial]] = defaultdict(set)
        for n in sorted(self.by_order, reverse=True):
            for m in [m for _, m in self.by_order[n]] if n > 1 else ():
                for part in _parts(m):
                    need[len(part)].add(part)
        for n in sorted(need, reverse=True):
            for m in sorted(need[n]) if n > 2 else ():
                for part in _parts(m):
                    need[len(part)].add(part)
        return {n: sorted(need[n]) for n in sorted(need) if n > 1}

    def _high(self, tables: Any, A: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Orders 4 and up."""
        products: dict[int, jax.Array] = {1: A}
        for level in self.levels:
            a, b = -(-level.order // 2), level.order // 2
            products[level.order] = take(products[a], level.left) * take(products[b], level.right)
        rho = jnp.zeros_like(A[0])
        gradients = {n: jnp.zeros_like(p) for n, p in products.items()}
        parts: dict[int, list[tuple[int, jax.Array]]] = defaultdict(list)
        for k, bilinear in enumerate(self.bilinears):
            (n, first, size), (m, start, many) = bilinear.left, bilinear.right
            U, V = products[n][first : first + size], products[m][start : start + many]
            one, two = tables["M"][k]
            if isinstance(bilinear.M, Source):
                to_u, to_v = _dot(one, V), _dot(two, U)
            else:
                to_u, to_v = bilinear.M[0](one, V), bilinear.M[1](two, U)
            rho = rho + jnp.sum(U * to_u, axis=0)
            parts[n].append((first, to_u))
            parts[m].append((start, to_v))
        for n, found in parts.items():
            gradients[n] = _add(gradients[n], found)
        for level in reversed(self.levels):
            a, b = -(-level.order // 2), level.order // 2
            g = gradients[level.order]
            gradients[a] = gradients[a] + level.to_left(None, g, products[b])
            gradients[b] = gradients[b] + level.to_right(None, g, products[a])
        return rho, gradients[1]


def _dot(C: jax.Array, x: jax.Array) -> jax.Array:
    return jnp.matmul(C, x, precision="highest")


def _add(base: jax.Array, parts: list[tuple[int, jax.Array]]) -> jax.Array:
    """base with each part added to its rows, by padding with zeros: no scatter."""
    for first, part in parts:
        after = base.shape[0] - first - part.shape[0]
        base = base + jnp.pad(part, ((first, after), (0, 0)))
    return base


def _rests(m: Monomial) -> list[tuple[int, Monomial]]:
    """Each different factor, and the product of the others."""
    return [(a, (*m[: m.index(a)], *m[m.index(a) + 1 :])) for a in sorted(set(m))]


def _halves(m: Monomial) -> list[tuple[Monomial, Monomial]]:
    """All ways to split a product in two, the shorter (or, of equals, the lower) half first."""
    out = set()
    for chosen in combinations(range(len(m)), len(m) // 2):
        u = tuple(m[k] for k in chosen)
        v = tuple(m[k] for k in range(len(m)) if k not in chosen)
        out.add((u, v) if len(u) < len(v) or u <= v else (v, u))
    return sorted(out)


def _parts(m: Monomial) -> tuple[Monomial, Monomial]:
    """A product of order >= 2 as the two it is computed from, the longer one first."""
    n = -(-len(m) // 2)
    return m[:n], m[n:]


def _times(
    products: dict[int, jax.Array],
    places: dict[int, dict[Monomial, int]],
    parts: Sequence[tuple[Monomial, Monomial]],
) -> jax.Array:
    """left * right of products of one order. [products, B]"""
    left = np.array([places[len(a)][a] for a, _ in parts], np.int32)
    right = np.array([places[len(b)][b] for _, b in parts], np.int32)
    a, b = parts[0]
    return take(products[len(a)], left) * take(products[len(b)], right)


def _down(target: np.ndarray, other: np.ndarray, size: int) -> GatheredSum:
    """The adjoint of every target: sum over its products of their adjoint times the other factor."""
    ends = zip(target.tolist(), other.tolist(), strict=True)
    return GatheredSum(size, [Term(t, k, o) for k, (t, o) in enumerate(ends)])


def _both_ways(b: Bilinear, v: Any, xp: Any, dtype: str) -> tuple[Any, Any]:
    """Tables of M and of its transpose."""
    if isinstance(b.M, Source):
        M = b.M.fill(v, xp, dtype)
        return M, xp.swapaxes(M, 1, 2)
    return b.M[0].freeze(v, xp, dtype), b.M[1].freeze(v, xp, dtype)
