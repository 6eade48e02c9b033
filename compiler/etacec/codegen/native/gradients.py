"""Forces and virial of every edge from w = dE/dA."""

from __future__ import annotations

from collections.abc import Sequence

from etacec.codegen.native.curves import (
    harmonic,
    harmonics_of,
    indent,
    mixed,
    recursion,
    slope_of,
    slopes,
)
from etacec.codegen.native.edges import Edges, kept
from etacec.codegen.native.formula import live
from etacec.codegen.native.harmonics import gradient
from etacec.codegen.native.terms import Shell

COLUMNS = 5  # sums over radials at once, each with a second one for the slope

Column = tuple[str | None, str, dict[str, str]]


def backward(edges: Edges) -> list[str]:
    body = [
        "const vec *const g = geometry + k * GEOMETRY;",
        *(f"const vec {name} = g[{k}];" for k, name in enumerate("xyzr")),
        f"vec slope = {'g[4]' if edges.along else 'all(N(0.0))'};",
        "vec fx = all(N(0.0)), fy = fx, fz = fx;",
    ]
    for j, s in enumerate(edges.shells):
        body += ["{", *indent(_gradient(edges, j, s)), "}"]
    body += [
        "fx += slope * x; fy += slope * y; fz += slope * z;",
        "force[0] += fx; force[1] += fy; force[2] += fz;",
        "const vec rx = r * x, ry = r * y, rz = r * z;",
        "virial[0] -= rx * fx; virial[1] -= ry * fy; virial[2] -= rz * fz;",
        "virial[3] -= ry * fz; virial[4] -= rx * fz; virial[5] -= rx * fy;",
        "for (int l = 0; l < LANES; l++) {",
        "    real *const other = F + 4 * (ptrdiff_t)neighbour[k * LANES + l];",
        "    other[0] -= fx[l]; other[1] -= fy[l]; other[2] -= fz[l];",
        "}",
    ]
    body = live(body)
    start = [line for j, s in enumerate(edges.shells) for line in unmix(edges, j, s, "w", "pooled")]
    unused = [] if edges.sums else ["(void)pooled;"]
    unused += [] if edges.shells else ["(void)w;"]
    return [
        "static NOINLINE void backward(int64_t n, int pair, const int32_t *restrict neighbour,",
        "                     const real *restrict v, const vec *restrict geometry,",
        "                     vec *restrict pooled, const vec *restrict w, real *restrict F,",
        "                     vec *force, vec *virial) {",
        *indent(["(void)pair;", "(void)v;", *unused, *start]),
        "    for (int64_t k = 0; k < n; k++) {",
        *indent(body, 8),
        "    }",
        "}",
    ]


def unmix(edges: Edges, j: int, s: Shell, w: str, pooled: str) -> list[str]:
    """The adjoint: pooled = W^T w."""
    out = []
    Q, F = s.curves.count, len(s.l)
    for l, at in edges.base[j].items():
        first, m = s.factors(l)[0], 2 * l + 1
        out += [
            f"for (int q = 0; q < {Q}; q++) {{  // l = {l}",
            f"    const real *const W = v + {s.weights} + pair * {F * Q} + {first * Q} + q;",
            f"    vec *const a = {pooled} + {at} + q * {m};",
            f"    for (int i = 0; i < {m}; i++) a[i] = all(N(0.0));",
            f"    for (int f = 0; f < {len(s.factors(l))}; f++)",
            f"        for (int i = 0; i < {m}; i++) a[i] += W[f * {Q}] * {w}[{s.entry(first)} + f * {m} + i];",
            "}",
        ]
    return out


def _gradient(edges: Edges, j: int, s: Shell) -> list[str]:
    """slope += dA/dr w along r, and f += what is across."""
    name = f"s{j}"
    out = [*edges.own(j, "w"), *kept(edges, j)]
    out += recursion(s.curves, name, f"{name}e")
    out += slopes(s.curves, name)
    Ys = f"Y{j}_"
    out += harmonics_of(s, Ys)
    blocks = [(l, *edges.operands(j, l)) for l in sorted(set(s.l))]
    radials = list(dict.fromkeys(r for _, _, _, own in blocks for r in own))
    for what in "fd":
        out += mixed(s, name, what, radials)
    across = s.lmax > 0 and s.harmonics != "none"
    columns: list[Column] = []
    for l, array, at, own in blocks:
        source, m = {"A": "w"}.get(array, array), 2 * l + 1
        for i in range(m):
            w: dict[str, str] = {}
            for k, r in enumerate(own):  # factors with one radial: the sum of their w
                term = f"{source}[{at + k * m + i}]"
                w[name + r] = f"{w[name + r]} + {term}" if name + r in w else term
            U = f"{name}U{l * l + i}" if l and across else None
            columns.append((U, harmonic(s, Ys, l * l + i), w))
    for first in range(0, len(columns), COLUMNS):
        out += _adjoint(columns[first : first + COLUMNS])
    if not across:
        return out
    out += gradient(
        Ys, {h: u for h, (u, _, _) in zip(s.harmonics_read, columns, strict=True) if u}, s.lmax
    )
    gx, gy, gz = (f"{Ys}g{a}" for a in "xyz")
    return [*out, *sideways(s, gx, gy, gz)]


def sideways(s: Shell, gx: str, gy: str, gz: str) -> list[str]:
    """f += a sum of gradients of harmonics, of spherical ones what is across."""
    if s.harmonics == "solid":
        return [f"fx += {gx}; fy += {gy}; fz += {gz};"]
    return [
        f"const vec inverse = N(1.0) / r, across = x * {gx} + y * {gy} + z * {gz};",
        f"fx += inverse * ({gx} - across * x); fy += inverse * ({gy} - across * y);",
        f"fz += inverse * ({gz} - across * z);",
    ]


def _adjoint(columns: Sequence[Column]) -> list[str]:
    """U = sum over radials of R w, and slope += sum of dR/dr w Y.

    columns: of each harmonic (U, or None where nobody reads it; Y; w by R)
    """
    names = [u for u, _, _ in columns if u]
    out = [f"vec {', '.join(names)};"] if names else []
    out += ["{", "    vec " + ", ".join(f"b{i}" for i in range(len(columns))) + ";"]
    begun = set()
    for R in dict.fromkeys(R for _, _, w in columns for R in w):
        D = slope_of(R)
        for i, (U, _, w) in enumerate(columns):
            if R not in w:
                continue
            sign = "+=" if i in begun else "="
            begun.add(i)
            first = f"{U} {sign} {R} * c; " if U else ""
            out.append(f"    {{ const vec c = {w[R]}; {first}b{i} {sign} {D} * c; }}")
    total = " + ".join(f"b{i} * {Y}" for i, (_, Y, _) in enumerate(columns))
    return [*out, f"    slope += {total};", "}"]
