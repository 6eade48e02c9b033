"""Geometry of every row of edges, with what the spec's formulas make of it; energies of single edges; for a
committee's members the functions of pair terms, summed (`alone`), and their slopes (`steep`).

A short loop of its own: a processor works ahead into the next rows, past the divisions, only where a row
is short.
"""

from __future__ import annotations

from etacec.codegen.native.curves import dot, indent, recursion, slopes
from etacec.codegen.native.edges import Edges
from etacec.codegen.native.formula import Duals, live, number
from etacec.codegen.native.terms import Curves, Energy, PairTerm


def geometry(neighbour: str) -> list[str]:
    """x, y, z: the unit vector to the atoms in row `neighbour` of X from `at`; r and `far`: their distance, r at
    most rcut; `in` and `one`: whether they are nearer."""
    return [
        "vec d[3];",
        "for (int l = 0; l < LANES; l++) {",
        f"    const real *const other = X + 4 * (ptrdiff_t){neighbour};",
        "    for (int c = 0; c < 3; c++)",
        "        if (l == 0) d[c] = all(other[c]);  // of no earlier value",
        "        else d[c][l] = other[c];",
        "}",
        "for (int c = 0; c < 3; c++) d[c] -= at[c];",
        "const vec far = vec_sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);",
        "const mask in = far < rcut;",
        "const vec one = choose(in, all(N(1.0)), all(N(0.0)));",
        "const vec r = choose(in, far, all(rcut)), inverse = N(1.0) / r;",
        "const vec x = choose(in, d[0] * inverse, all(N(1.0)));",
        "const vec y = one * d[1] * inverse, z = one * d[2] * inverse;",
    ]


def distances(edges: Edges) -> list[str]:
    """Geometry of every row, with what the spec's formulas make of it; energies of single edges."""
    body = [
        *geometry("neighbour[k * LANES + l]"),
        "vec *const g = geometry + k * GEOMETRY;",
        "g[0] = x; g[1] = y; g[2] = z; g[3] = r;",
    ]
    duals = Duals()
    ends: list[str] = []
    for j, s in enumerate(edges.shells):
        names = scalars(duals, s.curves, f"s{j}")
        ends += names[1]
        at = 4 + edges.along + 4 * j
        ends.append(" ".join(f"g[{at + i}] = {n};" for i, n in enumerate(names[0])))
    for j, t in enumerate(edges.pairs):
        ends += scalars(duals, t.curves, f"p{j}")[1]
    formulas = duals.lines
    edges.read(duals.tables)
    if edges.along:
        ends.append("vec along = all(N(0.0));")
    for j, t in enumerate(edges.pairs):
        ends += _pair(t, f"p{j}", edges.alone[j])
    for j, energy in enumerate(edges.energies):
        ends += _energy(edges, energy, f"u{j}_")
    if edges.along:
        ends.append("g[4] = along;")
    inner = live([*body, *formulas, *ends])
    unused = [] if edges.along else ["(void)E;", "(void)alone;"]
    unused += [] if edges.pairs else ["(void)steep;"]
    return [
        "static NOINLINE void distances(int64_t n, int pair, const int32_t *restrict neighbour,",
        "                               const real *restrict X, const vec *at, const real *restrict v,",
        "                               vec *restrict geometry, vec *E, vec *restrict alone,",
        "                               vec *restrict steep) {",
        *indent([*unused, "(void)v;", "const real rcut = CUTOFFS[pair];"]),
        "    for (int64_t k = 0; k < n; k++) {",
        *indent(inner, 8),
        "    }",
        "}",
    ]


def _pair(t: PairTerm, name: str, alone: int) -> list[str]:
    Q = t.curves.count
    row, own = f"v[{t.weights} + pair * {2 * Q} + ", f"{name}_"
    out = ["// pair term: S(y) e, and its slope: S and S' in the same polynomials"]
    out += recursion(t.curves, name, number(1))
    for part, first in (("S", 0), ("D", Q)):
        out.append(f"const vec {name}{part} = {dot(row, first, Q, name + 'f')};")
    return [
        *out,
        f"*E += {name}e * {name}S;",
        "if (alone) {",
        *(f"    alone[{1 + alone + q}] += {name}e * {name}f{q};" for q in range(Q)),
        "}",
        "if (steep) {",
        "    vec *const own = steep + k * PAIRS;",
        *(f"    const vec {own}{part} = {name}{part};" for part in ("y", "dy", "e", "de")),
        *indent(recursion(t.curves, own, f"{own}e")),
        *indent(slopes(t.curves, own)),
        *(f"    own[{alone + q}] = {own}d{q};" for q in range(Q)),
        "}",
        f"along += {name}de * {name}S + ({name}e * {name}dy) * {name}D;",
    ]


def _energy(edges: Edges, e: Energy, prefix: str) -> list[str]:
    duals = Duals(prefix)
    V, slope = duals.value(e.V), duals.slope(e.V)
    edges.read([*duals.tables, e.outer])
    return [
        "{",
        f"    const mask near = in & (far < {e.outer}[pair]);",
        "    int some = 0;",
        "    for (int l = 0; l < LANES; l++) some |= near[l] != 0;",
        "    if (some) {",
        *indent(duals.lines, 8),
        f"        const vec V = choose(near, {V}, all(N(0.0)));",
        "        *E += V;",
        "        if (alone) alone[0] += V;",
        f"        along += choose(near, {slope}, all(N(0.0)));",
        "    }",
        "}",
    ]


def scalars(duals: Duals, c: Curves, name: str) -> tuple[list[str], list[str]]:
    """y, dy/dr, e and de/dr, the last two 0 beyond the cutoff: their names, and statements that make
    them of the formulas."""
    found = duals.value(c.y), duals.slope(c.y), duals.value(c.e), duals.slope(c.e)
    texts = [number(0) if t is None else t for t in found]
    names = [f"{name}{part}" for part in ("y", "dy", "e", "de")]
    texts[2:] = [f"one * {t}" for t in texts[2:]]
    return names, [f"const vec {n} = all({t});" for n, t in zip(names, texts, strict=True)]
