"""A model as a native kernel: the text of one C file, and what its coefficients are.

The text depends on the spec alone: parameters are read at run time, and the number of lanes is that of the
CPU the compiler compiles for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from etace import bonds, tensor
from etace.inference.products import Products
from etace.inference.shells import Radial as Curve
from etace.inference.shells import Shell as Functions
from etace.native import TILE, Part, Program
from etace.repulsion import RATES, WEIGHTS, Zbl

from etacec.codegen.comments import safe
from etacec.codegen.context import Context
from etacec.codegen.native import committee, support
from etacec.codegen.native.cover import cover
from etacec.codegen.native.distances import distances
from etacec.codegen.native.edges import Edges
from etacec.codegen.native.gradients import backward
from etacec.codegen.native.heading import constants, head
from etacec.codegen.native.members import groups, members
from etacec.codegen.native.one_hot import OneHot
from etacec.codegen.native.products import products
from etacec.codegen.native.reading import Reader
from etacec.codegen.native.sums import forward
from etacec.codegen.native.terms import Energy, PairTerm, Shell
from etacec.formula.nodes import Fn, Node, Op, Var, const, div, mul, neg
from etacec.ir import nodes as op
from etacec.ir.graph import ModelGraph
from etacec.model.elements import SYMBOLS


def generate(
    graph: ModelGraph, arrays: Mapping[str, np.ndarray], dtype: str, model: str, title: str
) -> Program:
    """The kernel of one model; the same input gives the same bytes. title: of the first line"""
    return _Writer(Context(graph, arrays, dtype), model, title).program()


class _Writer(Reader):
    def __init__(self, c: Context, model: str, title: str):
        super().__init__(c, model)
        self.title = title
        self.parts: list[Part] = []
        self.size = 0

    def program(self) -> Program:
        c, n = self.c, self.c.n
        terms = list(zip(self.total.factors, c.graph.inputs(self.node), strict=True))
        readouts = [t for _, t in terms if self.is_(t, "readout")]
        bases = list(dict.fromkeys(c.graph.inputs(t)[0] for t in readouts))
        onebody = any(isinstance(c.graph.op(t), op.SelectConstant) for _, t in terms)
        self._part("one-body", n, "onebody" if onebody else "zeros")
        shells: list[Shell] = []
        pools = {}
        place: list[int] = []  # in A, of each entry of all pools
        entries = 0
        for b in bases:
            pools[b] = self.pool(b)
            own = self.one_hot(self.radial(b), pools[b])
            shells.append(self._shell(b, pools[b], own, entries))
            place += [entries + k for k in (own.entries if own else range(pools[b].width))]
            entries += shells[-1].width * (n if own else 1)
        monomials = self._monomials(readouts, bases, pools)
        made = cover([tuple(sorted(place[k] for k in m)) for m in monomials], entries)
        coefficients, order = self.size, made.order
        if order:
            self._part("products of A", n * len(order), "monomials", order=tuple(order))
        pairs = [self._pair(t) for _, t in terms if self.is_(t, "pair")]
        energies = [
            self._zbl(t, o, float(f)) for f, t in terms if isinstance(o := c.graph.op(t), op.Zbl)
        ]
        edges = Edges(shells, pairs, energies, n)
        stages = [distances(edges), forward(edges), backward(edges), committee.backward(edges)]
        if edges.shells or edges.along:
            self.table("CUTOFFS", [b.rcut for b in c.bonds])
        else:
            self.tables["CUTOFFS"] = np.zeros(n * n)
        numbers = {
            "SPECIES": n, "ENTRIES": entries, "PRODUCTS": entries + len(made.nodes),
            "POOLED": edges.sums, "GEOMETRY": edges.geometry, "ONEBODY": 0,
            "COEFFICIENTS": coefficients, "MONOMIALS": len(order), "ROWS": 8,
            "PAIRS": edges.functions, "MEMBER": entries + made.shared + edges.sums + edges.functions, "TILE": TILE,
            "KEPT": entries + made.shared, "SIZE": self.size, "FEW": committee.ROWS,
        }  # fmt: skip
        body = [
            support.MEMBERS,
            *groups(made),
            *products(made),
            "",
            *members(made, edges),
            *(line for stage in stages for line in ("", *stage)),
        ]
        text = "\n".join(
            [
                f"// {safe(self.title)}: {safe(self.total.model)}, {c.dtype}.",
                f"// {', '.join(c.graph.species)}; ordered pairs: centre * {n} + neighbour. Å, eV.",
                head(c.dtype, "\n".join([*body])),
                *(f"enum {{ {k} = {v} }};" for k, v in numbers.items()),
                *constants(edges.tables, self.tables),
                *body,
                support.POSITIONS,
                support.TAIL,
            ]
        )
        return Program(text, c.dtype, c.graph.species, tuple(self.parts), self.size)

    def _part(self, key: str, size: int, kind: str, **more: object) -> int:
        start = self.size
        self.parts.append(Part(key, kind, size, **more))  # type: ignore[arg-type]
        self.size += size
        return start

    # ------------------------------------------------------------ terms

    def _shell(self, basis: str, pool: tensor.Pool, own: OneHot | None, start: int) -> Shell:
        c = self.c
        node = self.radial(basis)
        kind = self.harmonics(basis)
        curves, weights = self.curves(node, chebyshev=own is None), self.size
        if own is not None:
            return Shell(curves, own.l, kind, own.places, weights, start)
        self._part(basis, len(pool.l) * curves.count * c.n**2, "radial", rows=pool.channels)
        return Shell(curves, pool.l, kind, None, weights, start)

    def _monomials(
        self, readouts: Sequence[str], bases: Sequence[str], pools: Mapping[str, tensor.Pool]
    ) -> Sequence[tuple[int, ...]]:
        c = self.c
        if not readouts:
            return ()
        none = Curve(lambda r, bond: (r, r), lambda y: y, 1)
        shells = [Functions(none, pools[b], "none", c.dtype) for b in bases]
        tables = []
        for t in readouts:
            (basis,) = c.graph.inputs(t)
            (node,) = c.graph.inputs(basis)
            o = c.graph.op(node)
            assert isinstance(o, op.Products)
            table = tensor.ProductTable(_couplings(o), pools[basis], c.dtype)
            tables.append((table, bases.index(basis)))
        return Products(shells, tables, c.dtype).polynomial.monomials

    def _pair(self, term: str) -> PairTerm:
        curves = self.curves(self.radial(term), chebyshev=True)
        size = 2 * curves.count * self.c.n**2
        return PairTerm(curves, self._part(term, size, "pair"))

    def _zbl(self, term: str, o: op.Zbl, factor: float) -> Energy:
        c, name = self.c, self.c.names[term].upper()
        charges = tuple(SYMBOLS.index(s) + 1 for s in c.graph.species)
        inner, outer = (
            bonds.by_pair(tuple(float(x) for x in v), c.n, "float64") for v in (o.inner, o.outer)
        )
        zbl = Zbl(charges, inner, outer)
        frozen = zbl.freeze(factor)
        read = {}
        for key, values in frozen.items():
            self.tables[f"{name}_{key.upper()}"] = np.ravel(values)
            read[key] = Var(f"table {name}_{key.upper()}")
        return Energy(_screened(read), f"{name}_OUTER")


def _screened(table: Mapping[str, Node]) -> Node:
    """`etace.repulsion.curve` as a formula."""
    r = Var("r")
    phi: Node = const(0)
    for w, rate in zip(WEIGHTS, RATES, strict=True):
        x = mul(r, div(const(str(rate)), table["length"]))
        phi = (
            Op("+", phi, mul(const(str(w)), Fn("exp", (neg(x),))))
            if phi != const(0)
            else mul(const(str(w)), Fn("exp", (neg(x),)))
        )
    span = Op("-", table["outer"], table["inner"])
    t = Fn("clip", (div(Op("-", r, table["inner"]), span), const(0), const(1)))
    poly = Op("-", const(10), mul(t, Op("-", const(15), mul(const(6), t))))
    switch = Op("-", const(1), mul(mul(t, mul(t, t)), poly))
    return mul(mul(div(table["strength"], r), phi), switch)


def _couplings(o: op.Products) -> tuple[tensor.Coupling, ...]:
    """As the tables of the generated module, in the same order."""
    out = []
    for p in sorted({b.couplings[0] for b in o.blocks if b.couplings[0] >= 0}):
        found = o.couplings[p]
        C = np.zeros((found.functions * (2 * found.pattern.L + 1), len(found.classes)))
        for function, component, column, surd in found.entries:
            C[function * (2 * found.pattern.L + 1) + component, column] = float(surd)
        blocks = [b.factors for b in o.blocks if b.couplings[0] == p]
        out.append(
            tensor.Coupling(found.pattern.ls, found.pattern.L, found.classes, C.tolist(), blocks)
        )
    return tuple(out)
