"""Energies of a committee's members, in C, from what an evaluation has anyway: A, its products, and the
functions of pair terms. Coefficients of all members stand side by side: V[coefficient][members].
"""

from __future__ import annotations

from etacec.codegen.native.cover import Cover
from etacec.codegen.native.curves import indent, table
from etacec.codegen.native.edges import Edges


def members(c: Cover, edges: Edges) -> list[str]:
    """`members_pairs` and `members_products`: add to E[members]."""
    add = "for (int64_t m = 0; m < M; m++) E[m] +="
    pairs = []
    for t, start in zip(edges.pairs, edges.alone, strict=True):
        Q = t.curves.count
        pairs += [
            f"for (int q = 0; q < {Q}; q++) {{",
            f"    const real *const v = V + ({t.weights} + pair * {2 * Q} + q) * M;",
            f"    {add} v[m] * alone[{start} + q];",
            "}",
        ]
    every = [f"(void){name};" for name in ("pair", "M", "V", "alone", "E")]
    heads = [_factors(c, g.left) for g in c.groups]
    return [
        *table("LINEAR", [a for a, _ in c.linear]),
        *table("FIRST", [a for a, _ in heads]),
        *table("SECOND", [b for _, b in heads]),
        "",
        "static void members_pairs(int pair, int64_t M, const real *V, const vec *alone, vec *E) {",
        *indent([*every, *pairs]),
        "}",
        "",
        "static void members_products(int64_t M, const real *V, const vec *X, vec *E) {",
        f"    for (int k = 0; k < {len(c.linear)}; k++, V += M)",
        f"        {add} V[m] * X[LINEAR[k]];",
        f"    for (int g = 0; g < {len(c.groups)}; g++) {{",
        "        const vec p = SECOND[g] < 0 ? X[FIRST[g]] : X[FIRST[g]] * X[SECOND[g]];",
        "        for (int t = START[g]; t < START[g + 1]; t++, V += M) {",
        "            const vec x = p * X[RIGHT[t]];",
        f"            {add} V[m] * x;",
        "        }",
        "    }",
        "}",
    ]


def groups(c: Cover) -> list[str]:
    """Where the terms of each group start, and the right factor of each."""
    starts = [0]
    for g in c.groups:
        starts.append(starts[-1] + len(g.terms))
    return [*table("START", starts), *table("RIGHT", [r for g in c.groups for r, _ in g.terms])]


def _factors(c: Cover, left: int) -> tuple[int, int]:
    """Of a product that need not be kept; an entry of A alone has no second."""
    return (left, -1) if left < c.size else c.nodes[left - c.size]
