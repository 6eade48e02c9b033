"""What the native kernels read of a spec: of one model its terms, curves, pools and one-hot radials."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from etace import bonds, radial, tensor

from etacec.codegen import expr
from etacec.codegen.context import Context
from etacec.codegen.embeddings import upstream
from etacec.codegen.native.one_hot import OneHot, one_hot
from etacec.codegen.native.terms import Curves
from etacec.formula.nodes import Fn, Var, substitute
from etacec.ir import nodes as op


class Reader:
    """tables: constants of the bond that its formulas read, by ordered pair"""

    def __init__(self, c: Context, model: str):
        self.c = c
        self.node, self.total = next((n, o) for n, o in c.models if o.model == model)
        self.tables: dict[str, np.ndarray] = {}

    def is_(self, term: str, kind: str) -> bool:
        o = self.c.graph.op(term)
        return isinstance(o, op.Readout) and o.kind == kind

    def radial(self, term: str) -> str:
        found = upstream(self.c, term)
        return next(n for n in found if isinstance(self.c.graph.op(n), op.SelectLinear))

    def curves(self, node: str, chebyshev: bool) -> Curves:
        """chebyshev: in Chebyshev's polynomials, which cost least, whatever the spec says"""
        c = self.c
        up = [c.graph.op(x) for x in upstream(c, node)]
        transform = next(o for o in up if isinstance(o, op.Transform))
        envelope = next(o for o in up if isinstance(o, op.Envelope))
        y = transform.curve.formula
        if any(b.rin for b in c.bonds):
            y = substitute(y, {"r": Fn("max", (Var("r"), Var("bond.rin")))})
        e = substitute(envelope.curve.formula, {"y": y})
        prefix = c.names[node].upper()
        tables = expr.BondTables(c.bonds, lambda k: f"{prefix}_{k}")
        y, e = tables.fold(y), tables.fold(e)
        for name, _, values in tables.rows:
            self.tables[name] = bonds.by_pair(values, c.n, "float64")
        for name in tables.plain:
            self.table(name, [getattr(b, name.removeprefix("BOND_").lower()) for b in c.bonds])
        p = c.graph.input_op(node, op.PolynomialBasis).polynomials
        if chebyshev:
            first, steps = radial.recursion("chebyshev", p.count)
        else:
            first, steps = radial.recursion(p.kind, p.count, *map(float, p.parameters))
        return Curves(y, e, first, tuple(steps))

    def table(self, name: str, values: Sequence[object]) -> None:
        self.tables[name] = bonds.by_pair(tuple(float(v) for v in values), self.c.n, "float64")  # type: ignore[arg-type]

    def pool(self, basis: str) -> tensor.Pool:
        (products_node,) = self.c.graph.inputs(basis)
        (pooled,) = self.c.graph.inputs(products_node)
        o = self.c.graph.op(pooled)
        assert isinstance(o, op.Pool)
        return tensor.Pool(tuple(ch for ch, _ in o.factors), tuple(l for _, l in o.factors))

    def harmonics(self, basis: str) -> str:
        """spherical, solid or none"""
        (products_node,) = self.c.graph.inputs(basis)
        (pooled,) = self.c.graph.inputs(products_node)
        angular = [self.c.graph.op(i) for i in self.c.graph.inputs(pooled)[1:]]
        return angular[0].kind if angular and isinstance(angular[0], op.Harmonics) else "none"

    def one_hot(self, node: str, pool: tensor.Pool) -> OneHot | None:
        """Of a radial's channels, if they are single polynomials of its own recursion."""
        o = self.c.select(node)
        polynomials = self.c.graph.input_op(node, op.PolynomialBasis).polynomials
        if o.weights.learnable or o.weights.init != "one_hot" or polynomials.kind == "bernstein":
            return None
        at = o.binders.index("n") if "n" in o.binders else 0
        own = one_hot([o.channels[ch][at] for ch in pool.channels], pool.l, self.c.n)
        return own if max(own.places) < polynomials.count else None  # channels beyond are 0
