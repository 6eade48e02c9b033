"""A model's design rows as a C kernel of its own: per term the radials and harmonics of one neighbour with their
gradients; what is made of them is the same for every model (`c/rows.c`) and reads tables at run time.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from etace import tensor
from etace.native import RowProgram, RowTerm

from etacec.codegen.comments import safe
from etacec.codegen.context import Context
from etacec.codegen.native import support
from etacec.codegen.native.curves import harmonic, harmonics_of, indent, recursion, slopes, table
from etacec.codegen.native.distances import geometry, scalars
from etacec.codegen.native.formula import Duals, live, number
from etacec.codegen.native.harmonics import gradient_of
from etacec.codegen.native.heading import constants, head
from etacec.codegen.native.reading import Reader
from etacec.codegen.native.terms import Shell
from etacec.codegen.native.texts import text_of
from etacec.ir import nodes as op
from etacec.ir.graph import ModelGraph

NEAR = 4  # neighbours at once: the sums of their three components fit 16 registers


def generate(
    graph: ModelGraph, arrays: Mapping[str, np.ndarray], dtype: str, model: str, title: str
) -> RowProgram:
    """The rows of one model; the same input gives the same bytes. title: of the first line"""
    return _Writer(Context(graph, arrays, dtype), model, title).program()


class _Writer(Reader):
    def __init__(self, c: Context, model: str, title: str):
        super().__init__(c, model)
        self.title = title
        self.read: list[str] = []  # tables
        self.size = 0  # weights of radials

    def program(self) -> RowProgram:
        c = self.c
        terms: list[RowTerm] = []
        body: list[str] = []
        for node in c.graph.inputs(self.node):
            o = c.graph.op(node)
            if isinstance(o, op.Readout) and o.weights.learnable:
                shell, term = self._term(node, o)
                body += _edge(len(terms), shell, len(term.channels), self.read)
                terms.append(term)
        if terms:
            self.table("CUTOFFS", [b.rcut for b in c.bonds])
        else:
            self.tables["CUTOFFS"] = np.zeros(c.n**2)
        calls = [
            f"edge{k}(pair, neighbour, X, at, v, phi, D, vector, in);" for k in range(len(terms))
        ]
        body += [
            "static void edge(int t, int pair, const int32_t *neighbour, const real *X, const vec *at,",
            "                 const real *v, vec *phi, vec *D, vec *vector, mask *in) {",
            *(f"    {'else ' if k else ''}if (t == {k}) {call}" for k, call in enumerate(calls)),
            "}",
            "",
        ]
        text = [
            f"// {safe(self.title)}: rows of {safe(self.total.model)}, {c.dtype}.",
            f"// {', '.join(c.graph.species)}; ordered pairs: centre * {c.n} + neighbour. Å, eV.",
            head(c.dtype, "\n".join(body)),
            f"enum {{ SPECIES = {c.n}, NEAR = {NEAR} }};",
            *constants(self.read, self.tables),
            "",
            *body,
            support.POSITIONS,
            "",
            text_of("rows.c"),
        ]
        return RowProgram("\n".join(text), c.dtype, c.graph.species, tuple(terms))

    def _term(self, node: str, o: op.Readout) -> tuple[Shell, RowTerm]:
        c = self.c
        if o.kind == "pair":
            radial = self.radial(node)
            count = len(c.select(radial).channels)
            pool, kind, key = tensor.Pool(tuple(range(count)), (0,) * count), "none", node
        else:
            (key,) = c.graph.inputs(node)
            radial, pool, kind = self.radial(key), self.pool(key), self.harmonics(key)
        own = self.one_hot(radial, pool)
        curves = self.curves(radial, chebyshev=own is None)
        weights, start = None, self.size
        channels: tuple[int, ...] = ()
        if own:
            l, places, entries = own.l, own.places, own.entries
        else:
            channels = tuple(sorted(set(pool.channels)))
            l, places = pool.l, tuple(channels.index(ch) for ch in pool.channels)
            entries, weights = tuple(range(pool.width)), self._weights(radial)
            self.size += len(channels) * curves.count * c.n**2
        shell = Shell(curves, l, kind, places, start, 0)
        term = RowTerm(
            block=node,
            piece=key,
            weights=weights,
            learnable=c.select(radial).weights.learnable,
            channels=channels,
            width=shell.width,
            parted=own is not None and c.n > 1,
            entries=entries,
        )
        return shell, term

    def _weights(self, radial: str) -> str:
        """A block of parameters, or a name in the generated module."""
        if self.c.select(radial).weights.learnable:
            return radial
        return self.c.names.derived(radial, "WEIGHTS")


def _edge(k: int, s: Shell, channels: int, read: list[str]) -> list[str]:
    """phi of one neighbour, and D: their gradients with the sign of forces.

    s.places: of each factor among the channels, mixed by weights, or, if there are none, the polynomials
    """
    duals = Duals()
    _, made = scalars(duals, s.curves, "s")
    read += [t for t in duals.tables if t not in read]
    across = s.lmax > 0 and s.harmonics != "none"
    values, steep = (", ".join(f"s{w}{q}" for q in range(s.curves.count)) for w in "fd")
    body = [
        *geometry("neighbour[l]"),
        "*within = in;",
        "const vec xyz[] = {x, y, z};",
        "for (int c = 0; c < 3; c++) vector[c] = one * r * xyz[c];",
        *duals.lines,
        *made,
        *recursion(s.curves, "s", "se"),
        *slopes(s.curves, "s"),
        *harmonics_of(s, "Y"),
        f"const vec P[] = {{{values}}};",
        f"const vec Q[] = {{{steep}}};  // slopes of P",
        *(_mixed(s, channels) if channels else ["const vec *const R = P, *const S = Q;"]),
        f"vec Y[{(s.lmax + 1) ** 2}];",
        *(f"Y[{h}] = all({harmonic(s, 'Y', h)});" for h in s.harmonics_read),
    ]
    if across:
        body.append(f"vec U[{(s.lmax + 1) ** 2}][3];  // gradients of Y")
        body += [line for h in s.harmonics_read for line in _gradient(s, h)]
    for l in sorted(set(s.l)):
        own, m = s.factors(l), 2 * l + 1
        more = f" + radial * U[{l * l} + i][c]" if across and l else ""
        body += [
            f"for (int f = {own[0]}; f <= {own[-1]}; f++) {{  // l = {l}",
            f"    const vec radial = R[of{k}[f]], slope = S[of{k}[f]];",
            f"    for (int i = 0; i < {m}; i++) {{",
            f"        const int e = {s.entry(own[0])} + (f - {own[0]}) * {m} + i;",
            f"        phi[e] = radial * Y[{l * l} + i];",
            f"        const vec along = slope * Y[{l * l} + i];",
            f"        for (int c = 0; c < 3; c++) D[3 * NEAR * e + c] = -(along * xyz[c]{more});",
            "    }",
            "}",
        ]
    return [
        "// which radial each factor has",
        *table(f"of{k}", s.places or ()),
        f"static NOINLINE void edge{k}(int pair, const int32_t *restrict neighbour,",
        "                           const real *restrict X, const vec *at, const real *restrict v,",
        "                           vec *restrict phi, vec *restrict D, vec *vector, mask *within) {",
        "    (void)v;",
        "    const real rcut = CUTOFFS[pair];",
        *indent(live(body)),
        "}",
        "",
    ]


def _mixed(s: Shell, channels: int) -> list[str]:
    """R and S: P and Q mixed by the weights of the pair, each in two sums that need not wait for another."""
    n = s.curves.count
    sums = []
    for to, of in (("R", "P"), ("S", "Q")):
        halves = (
            " + ".join(f"W[{q}] * {of}[{q}]" for q in range(k, n, 2)) for k in range(min(n, 2))
        )
        sums.append(f"    {to}[c] = {' + '.join(f'({half})' for half in halves)};")
    return [
        f"vec R[{channels}], S[{channels}];",
        f"for (int c = 0; c < {channels}; c++) {{",
        f"    const real *const W = v + {s.weights} + (pair * {channels} + c) * {n};",
        *sums,
        "}",
    ]


def _gradient(s: Shell, h: int) -> list[str]:
    found = [text or number(0) for text in gradient_of("Y", h, s.lmax)]
    if s.harmonics == "solid":
        return [f"U[{h}][{c}] = all({text});" for c, text in enumerate(found)]
    gx, gy, gz = (f"all({text})" for text in found)
    return [
        f"{{ const vec gx = {gx}, gy = {gy}, gz = {gz}, a = x * gx + y * gy + z * gz;",
        f"  U[{h}][0] = inverse * (gx - a * x); U[{h}][1] = inverse * (gy - a * y);",
        f"  U[{h}][2] = inverse * (gz - a * z); }}",
    ]
