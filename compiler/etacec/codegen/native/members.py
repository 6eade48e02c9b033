"""Energies of a committee's members and dE/dA of each, in C, from what an evaluation has anyway: A, its
products, and the functions of pair terms.

Members come in tiles, whose coefficients stand side by side: V[coefficient][TILE].
"""

from __future__ import annotations

from etacec.codegen.native.cover import Cover
from etacec.codegen.native.curves import indent, table
from etacec.codegen.native.edges import Edges

EACH = "for (int m = 0; m < TILE; m++)"


def members(c: Cover, edges: Edges) -> list[str]:
    """`members_pairs` and `members_products`: add to E[TILE]; `members_gradients` also leaves dE/dA."""
    pairs = []
    for t, start in zip(edges.pairs, edges.alone, strict=True):
        Q = t.curves.count
        pairs += [
            f"for (int q = 0; q < {Q}; q++) {{",
            f"    const real *const v = V + ({t.weights} + pair * {2 * Q} + q) * TILE;",
            f"    {EACH} E[m] += v[m] * alone[{1 + start} + q];",
            "}",
        ]
    every = [f"(void){name};" for name in ("pair", "V", "alone", "E")]
    heads = [_factors(c, g.left) for g in c.groups]
    shared = c.nodes[: c.shared]
    return [
        *table("LINEAR", [a for a, _ in c.linear]),
        *table("FIRST", [a for a, _ in heads]),
        *table("SECOND", [b for _, b in heads]),
        *table("SHARED_A", [a for a, _ in shared]),
        *table("SHARED_B", [b for _, b in shared]),
        "",
        "static void members_pairs(int pair, const real *V, const vec *alone, vec *E) {",
        *indent([*every, *pairs]),
        "}",
        "",
        "static NOINLINE void members_products(const real *V, const vec *X, vec *E) {",
        "    vec e[TILE] = {{0}};",
        f"    for (int k = 0; k < {len(c.linear)}; k++, V += TILE)",
        f"        {EACH} e[m] += V[m] * X[LINEAR[k]];",
        f"    for (int g = 0; g < {len(c.groups)}; g++) {{",
        "        const vec p = SECOND[g] < 0 ? X[FIRST[g]] : X[FIRST[g]] * X[SECOND[g]];",
        "        for (int t = START[g]; t < START[g + 1]; t++, V += TILE) {",
        "            const vec x = p * X[RIGHT[t]];",
        f"            {EACH} e[m] += V[m] * x;",
        "        }",
        "    }",
        f"    {EACH} E[m] += e[m];",
        "}",
        "",
        *_gradients(c),
    ]


def _gradients(c: Cover) -> list[str]:
    return [
        "// dE/dA of each to w, [TILE][MEMBER], and behind it that in products of A which others share.",
        "static NOINLINE void members_gradients(const real *restrict V, const vec *restrict X,",
        "                                       vec *restrict E, vec *restrict w) {",
        f"    {EACH} memset(w + m * MEMBER, 0, sizeof(vec) * KEPT);",
        "    vec e[TILE] = {{0}};",
        f"    for (int k = 0; k < {len(c.linear)}; k++, V += TILE) {{",
        "        const ptrdiff_t a = LINEAR[k];",
        f"        {EACH} e[m] += V[m] * X[a], w[a + m * MEMBER] += all(V[m]);",
        "    }",
        f"    for (int g = 0; g < {len(c.groups)}; g++) {{",
        "        const ptrdiff_t a = FIRST[g], b = SECOND[g];",
        "        const vec p = b < 0 ? X[a] : X[a] * X[b];",
        "        vec s[TILE] = {{0}};",
        "        for (int t = START[g]; t < START[g + 1]; t++, V += TILE) {",
        "            const ptrdiff_t r = RIGHT[t];",
        "            const vec x = X[r];",
        f"            {EACH} s[m] += V[m] * x, w[r + m * MEMBER] += V[m] * p;",
        "        }",
        f"        {EACH} e[m] += p * s[m], w[a + m * MEMBER] += b < 0 ? s[m] : s[m] * X[b];",
        f"        if (b >= 0) {EACH} w[b + m * MEMBER] += s[m] * X[a];",
        "    }",
        f"    for (int k = {c.shared} - 1; k >= 0; k--) {{",
        "        const ptrdiff_t a = SHARED_A[k], b = SHARED_B[k];",
        f"        {EACH} {{",
        f"            const vec own = w[{c.size} + k + m * MEMBER];",
        "            w[a + m * MEMBER] += own * X[b];",
        "            w[b + m * MEMBER] += own * X[a];",
        "        }",
        "    }",
        f"    {EACH} E[m] += e[m];",
        "}",
    ]


def groups(c: Cover) -> list[str]:
    """Where the terms of each group start, and the right factor of each."""
    starts = [0]
    for g in c.groups:
        starts.append(starts[-1] + len(g.terms))
    return [*table("START", starts), *table("RIGHT", [r for g in c.groups for r, _ in g.terms])]


def _factors(c: Cover, left: int) -> tuple[int, int]:
    """Of a product that has no place; what has one stands alone."""
    return (left, -1) if left < c.size + c.shared else c.nodes[left - c.size]
