"""Inference: energies, forces and virial of a model from its frozen tables, block by block."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from etace.derive import Results
from etace.inference.blocks import BlockGraph, Part, Segment
from etace.inference.explain import explain
from etace.inference.kernels import Edges, over_neighbours
from etace.inference.shells import Shell
from etace.inference.sparse import take
from etace.inference.spline import SplineError, splined
from etace.precision import require

TOGETHER = 256  # blocks at once on an accelerator: enough atoms to fill it, memory bounded
VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))

# Of one block: tables are of one species, edges by segment, E are zeros [B]; features are whatever
# `features` gives, gradients are by segment x, y and z, [K, B] each
Features = Callable[[Any, Sequence[Edges]], Any]
# (tables, features, E) -> E, w
Products = Callable[[Any, Any, jax.Array], tuple[jax.Array, Any]]
# (tables, edges, features, E, w) -> E, gradients
Gradients = Callable[..., tuple[jax.Array, list[list[jax.Array]]]]
# (tables of all members, edges, features, zeros [members, B]) -> [members, B]
Values = Callable[..., jax.Array]
ROWS = 10  # of sums: energy, three components of force, six of virial


@dataclass(frozen=True, eq=False)
class Inference:
    """The inference form of one model.

    coefficients: params -> what tables are made of, and native kernels read
    features, products, gradients, values: of one block of atoms, see their types
    cutoffs: [species, species], Å
    pieces: what the functions are made of, by the names of their coefficients and tables
    together: the schedule: on an accelerator many blocks at once, in large uniform kernels; on a CPU
        one after the other, each in the core's own cache
    """

    coefficients: Callable[[Any], Any]
    features: Features
    products: Products
    gradients: Gradients
    values: Values
    cutoffs: np.ndarray
    dtype: str
    pieces: Mapping[str, Any] = field(default_factory=dict)
    together: bool = False

    def explain(self) -> str:
        """Sizes, work, and why each step is formulated as it is."""
        return explain(self.pieces)

    def freeze(self, params: Any) -> dict[str, Any]:
        """Tables of these parameters; every array has the centre species as its first axis."""
        found = self.coefficients(params)
        return {k: self.pieces[k].freeze(v) if k in self.pieces else v for k, v in found.items()}

    def spline(
        self, tables: dict[str, Any], knots: int
    ) -> tuple[dict[str, Any], list[SplineError]]:
        """Tables with all radials as splines of so many knots, and the error of each shell.

        tables: of `freeze`, numpy
        """
        out, errors = dict(tables), []
        for name, piece in self.pieces.items():
            if isinstance(piece, Shell):
                out[name], error = splined(piece, name, tables[name]["matrix"], knots)
                errors.append(error)
        return out, errors

    def on_accelerator(self) -> Inference:
        """The same with the schedule of an accelerator."""
        return replace(self, together=True)

    def __call__(self, tables: Any, graph: BlockGraph) -> Results:
        """Energy, energies per atom, forces and virial (`derive.Results`), in one pass."""
        require(self.dtype, tables=tables, positions=graph.positions, cell=graph.cell)
        x = (graph.positions, graph.cell, graph.structure)
        found = [self.own(tables, *x, part) for part in graph.parts]
        gradients = [f[0] for f in found]
        sums = [self.back(p, gradients, f[1]) for p, f in zip(graph.parts, found, strict=True)]
        return collect(graph, sums)

    def freeze_members(self, params: Sequence[Any]) -> Any:
        """Tables of a committee: as `freeze`, the members as second axis, without the shells they share.

        params: of every member; numpy
        """
        shared = [name for name, piece in self.pieces.items() if isinstance(piece, Shell)]
        each = [{k: v for k, v in self.freeze(p).items() if k not in shared} for p in params]
        return jax.tree.map(lambda *x: np.stack(x, axis=1), *each)

    def own(
        self,
        tables: Any,
        positions: Any,
        cell: Any,
        structure: Any,
        part: Part,
        members: Any = None,
        member_forces: bool = False,
    ) -> tuple[list[list[jax.Array]], jax.Array]:
        """What a part's atoms have of their own energies. Arguments as in `BlockGraph`.

        gradients dE_i/dr_ij: by segment x, y and z, [blocks, K, B] each, eV/Å
        sums: [blocks, 10, B]: E_i, eV; x, y, z of sum over j of dE_i/dr_ij, eV/Å; virial of E_i, eV,
            in Voigt order

        With a committee (members: of `freeze_members`) E_i of the M members follow in `sums`; with
        member_forces then x, y, z of all members, 3 M, their virials, 6 M, and gradients are [blocks, 1 + M, K, B].
        """
        x = [jnp.asarray(positions)[:, c] for c in range(3)]
        tables = jax.tree.map(jnp.asarray, tables)
        part = jax.tree.map(jnp.asarray, part)
        cell = jnp.asarray(cell)
        one = self.cutoffs.shape[0] == 1
        members = jax.tree.map(jnp.asarray, members)

        def block(b: jax.Array) -> Any:
            z = part.species[b]
            of_species = lambda tables: jax.tree.map(lambda t: t[0] if one else t[z], tables)  # noqa: E731
            own = of_species(tables)
            atom = part.atom[b]
            at = [take(c, atom) for c in x]
            box = cell if structure is None else take(cell, take(jnp.asarray(structure), atom))
            edges = [self._edges(x, at, box, s, b, z) for s in part.segments]
            none = jnp.zeros((part.size,), self.dtype)
            features = self.features(own, edges)
            energies, w = self.products(own, features, none)
            energies, gradients = self.gradients(own, edges, features, energies, w)
            forces, kept = jnp.zeros((3, part.size), self.dtype), []
            virial = jnp.zeros((6, part.size), self.dtype)
            for e, f in zip(edges, gradients, strict=True):
                f = [e.apart(c) for c in f]
                d = [e.apart(c * e.r) for c in (e.x, e.y, e.z)]
                forces = forces + jnp.stack([over_neighbours(c) for c in f])
                virial = virial - jnp.stack([over_neighbours(f[a] * d[c]) for a, c in VOIGT])
                kept.append(f)
            energies = jnp.where(part.real[b], energies, 0)
            rows = [energies[None], forces, virial]
            if members is not None and not member_forces:
                M = jax.tree.leaves(members)[0].shape[1]
                zeros = jnp.zeros((M, part.size), self.dtype)
                rows.append(self.values(of_species(members), edges, features, zeros))
            elif members is not None:
                kept, more = self._members(of_species(members), edges, features, none, kept)
                rows += more
            return kept, jnp.concatenate(rows)

        gradients, sums = over_blocks(block, part, self.together)
        return gradients, sums

    def _members(
        self, tables: Any, edges: Sequence[Edges], features: Any, none: jax.Array, kept: Any
    ) -> tuple[list[list[jax.Array]], list[jax.Array]]:
        """Gradients of the mean with those of all members below, and the members' rows of the sums."""
        energies, w = jax.vmap(lambda t: self.products(t, features, none))(tables)
        pairs = {k: v for k, v in tables.items() if k not in ("products of A", "one-body")}

        def member(x: Any) -> Any:
            E, found = self.gradients(x[0], edges, features, x[1], x[2])
            f = [[e.apart(c) for c in s] for e, s in zip(edges, found, strict=True)]
            total = [sum(over_neighbours(s[c]) for s in f) for c in range(3)]
            virial = [
                -sum(over_neighbours(s[a] * e.apart((e.x, e.y, e.z)[c] * e.r))
                     for e, s in zip(edges, f, strict=True))
                for a, c in VOIGT
            ]  # fmt: skip
            return E, f, jnp.stack(total), jnp.stack(virial)

        energies, gradients, forces, virials = lax.map(member, (pairs, energies, w))
        rows = [energies, *(forces[:, c] for c in range(3)), *(virials[:, v] for v in range(6))]
        both = [
            [jnp.concatenate([a[None], b]) for a, b in zip(*f, strict=True)]
            for f in zip(kept, gradients, strict=True)
        ]
        return both, rows

    def back(
        self,
        part: Part,
        gradients: Sequence[list[list[jax.Array]]],
        sums: jax.Array,
        members: int | None = None,
    ) -> jax.Array:
        """The sums of a part with its atoms' forces complete: less sum over j of dE_j/dr_ji.

        gradients: of all parts; members: how many of a committee have forces too
        """
        part = jax.tree.map(jnp.asarray, part)
        if members is None:
            places, every = [1, 2, 3], join(gradients)
        else:
            of = lambda m: [[[c[:, m] for c in s] for s in p] for p in gradients]  # noqa: E731
            every = [g for m in range(1 + members) for g in join(of(m))]
            first = ROWS + members
            places = [1, 2, 3, *(first + c * members + m for m in range(members) for c in range(3))]

        def block(b: jax.Array) -> jax.Array:
            total = [sums[b, place] for place in places]
            for s in part.segments:
                reverse = s.reverse[b]
                total = [
                    t - over_neighbours(take(g, reverse)) for t, g in zip(total, every, strict=True)
                ]
            return jnp.stack(total)

        return sums.at[:, np.array(places)].set(over_blocks(block, part, self.together))

    def _edges(
        self, x: Any, at: Any, cell: jax.Array, s: Segment, b: jax.Array, z: jax.Array
    ) -> Edges:
        """Unit vectors and distances to the neighbours of one species."""
        n = self.cutoffs.shape[0]
        neighbour = s.neighbour[b]
        shift = [s.shift[b, d].astype(self.dtype) for d in range(3)]
        v = []
        for c in range(3):
            own = (
                [cell[d, c] for d in range(3)]
                if cell.ndim == 2
                else [cell[:, d, c][None] for d in range(3)]
            )
            moved = shift[0] * own[0] + shift[1] * own[1] + shift[2] * own[2]
            v.append(take(x[c], neighbour) - at[c][None] + moved)
        r = jnp.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])
        column = self.cutoffs[:, s.species].astype(self.dtype)
        rcut = jnp.full((1, 1), column[0]) if n == 1 else jnp.asarray(column)[z][None, None]
        inside = s.real[b] & (r < rcut)
        r = jnp.where(inside, r, rcut / 2)
        inverse = jnp.where(inside, 1 / r, 0)
        u = [c * inverse for c in v]
        bond = (z * n + s.species)[None, None]
        return Edges(s.species, bond, u[0], u[1], u[2], r, inside, not self.together)


def over_blocks(block: Callable[[jax.Array], Any], part: Part, together: bool) -> Any:
    """block(b) for the real blocks of a part, stacked; zeros for the others, or whatever masked
    atoms give."""
    if together:
        return lax.map(block, jnp.arange(part.blocks), batch_size=min(part.blocks, TOGETHER))
    shapes = jax.eval_shape(block, jnp.zeros((), jnp.int32))
    start = jax.tree.map(lambda s: jnp.zeros((part.blocks, *s.shape), s.dtype), shapes)

    def step(b: jax.Array, out: Any) -> Any:
        return jax.tree.map(lambda o, v: lax.dynamic_update_index_in_dim(o, v, b, 0), out, block(b))

    return lax.fori_loop(0, part.count, step, start)


def join(parts: Sequence[Sequence[Sequence[jax.Array]]]) -> list[jax.Array]:
    """Edge gradients of all parts, segment after segment: x, y and z, [edges]."""
    flat = [[s[c].reshape(-1) for p in parts for s in p] for c in range(3)]
    return [c[0] if len(c) == 1 else jnp.concatenate(c) for c in flat]


def collect(graph: BlockGraph, sums: Sequence[jax.Array]) -> Results:
    """From blocks to atoms and structures. sums: of the parts, [blocks, 10, B]"""
    real = jnp.asarray(graph.real)[:, None]
    rows = jnp.concatenate([jnp.moveaxis(s, 1, 2).reshape(-1, 10) for s in sums])
    rows = jnp.where(real, take(rows, jnp.asarray(graph.slot)), 0)
    if graph.structure is None:
        total = rows.sum(0)
    else:
        total = jax.ops.segment_sum(
            rows, jnp.asarray(graph.structure), graph.n_structures, indices_are_sorted=True
        )
    return Results(total[..., 0], rows[:, 0], rows[:, 1:4], full(total[..., 4:]))


NINE = (0, 5, 4, 5, 1, 3, 4, 3, 2)  # where in Voigt order each of [3, 3] stands


def full(six: Any) -> Any:
    """[.., 6], Voigt order, to a symmetric [.., 3, 3]."""
    nine = six[..., np.array(NINE)]
    return nine.reshape(*six.shape[:-1], 3, 3)
