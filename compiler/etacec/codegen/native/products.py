"""Products of A, their sum and its gradient, in C: written out, or as loops over tables where there are too
many for a compiler to like.

X: [size + nodes], A and the products of it that are shared; G: the gradient of the sum in X, whose first
`size` entries are left as w = dE/dA.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from etacec.codegen.native.cover import Cover, Group
from etacec.codegen.native.curves import table

WRITTEN_OUT = (
    1_500  # products at most: with more, tables are as fast and compile in a fifth of the time
)
STATEMENTS = 400  # in one function


def products(c: Cover) -> list[str]:
    """`static vec products(const real *v, vec *X, vec *G)`: the sum; v in the order of the cover."""
    terms = sum(len(g.terms) for g in c.groups)
    return _written_out(c) if terms <= WRITTEN_OUT else _tables(c)


def _start(c: Cover) -> list[str]:
    lines = ["vec E = all(N(0.0));", f"for (int k = 0; k < {c.size + len(c.nodes)}; k++) G[k] = E;"]
    lines += [f"E += v[{k}] * X[{a}]; G[{a}] += all(v[{k}]);" for k, (a, _) in enumerate(c.linear)]
    return lines


def _written_out(c: Cover) -> list[str]:
    shared = c.nodes[: c.shared]
    statements = [f"X[{c.size + k}] = X[{a}] * X[{b}];" for k, (a, b) in enumerate(shared)]
    at = len(c.linear)
    for g in c.groups:
        statements.append(_group(c, g, at))
        at += len(g.terms)
    for k, (a, b) in reversed(list(enumerate(shared))):
        own = f"G[{c.size + k}]"
        statements.append(f"G[{a}] += {own} * X[{b}]; G[{b}] += {own} * X[{a}];")
    out: list[str] = []
    calls: list[str] = []
    for chunk in _chunks(statements):
        name = f"products_{len(calls)}"
        head = f"static NOINLINE vec {name}(const real *v, vec *restrict X, vec *restrict G, vec E)"
        out += ["", f"{head} {{", *(f"    {s}" for s in chunk), "    return E;", "}"]
        calls.append(f"    E = {name}(v, X, G, E);")
    head = "static vec products(const real *v, vec *restrict X, vec *restrict G) {"
    unused = ["    (void)v, (void)X, (void)G;"] if not c.linear and not calls else []
    return [*out, "", head, *unused, *(f"    {s}" for s in _start(c)), *calls, "    return E;", "}"]


def _group(c: Cover, g: Group, at: int) -> str:
    sums = " + ".join(f"v[{at + k}] * X[{r}]" for k, (r, _) in enumerate(g.terms))
    back = " ".join(f"G[{r}] += v[{at + k}] * p;" for k, (r, _) in enumerate(g.terms))
    if g.left >= c.size + c.shared:
        a, b = c.nodes[g.left - c.size]
        head = f"const vec p = X[{a}] * X[{b}], s = {sums};"
        own = f"G[{a}] += s * X[{b}]; G[{b}] += s * X[{a}];"
    else:
        head, own = f"const vec p = X[{g.left}], s = {sums};", f"G[{g.left}] += s;"
    return f"{{ {head} E += p * s; {own} {back} }}"


def _chunks(statements: Sequence[str]) -> Iterator[list[str]]:
    """Functions of about one length: compilers take longer than in proportion."""
    chunk: list[str] = []
    size = 0
    for s in statements:
        chunk.append(s)
        size += s.count(";")
        if size >= STATEMENTS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _tables(c: Cover) -> list[str]:
    terms = sum(len(g.terms) for g in c.groups)
    return [
        "",
        f"// {terms} products in {len(c.groups)} groups: loops over tables",
        *table("NODE_A", [a for a, _ in c.nodes]),
        *table("NODE_B", [b for _, b in c.nodes]),
        *table("LEFT", [g.left for g in c.groups]),
        "",
        "static vec products(const real *v, vec *restrict X, vec *restrict G) {",
        *(f"    {s}" for s in _start(c)),
        f"    for (int k = 0; k < {len(c.nodes)}; k++) X[{c.size} + k] = X[NODE_A[k]] * X[NODE_B[k]];",
        f"    v += {len(c.linear)};",
        f"    for (int g = 0; g < {len(c.groups)}; g++) {{",
        "        const vec p = X[LEFT[g]];",
        "        vec s = all(N(0.0));",
        "        for (int t = START[g]; t < START[g + 1]; t++) {",
        "            s += v[t] * X[RIGHT[t]];",
        "            G[RIGHT[t]] += v[t] * p;",
        "        }",
        "        E += p * s;",
        "        G[LEFT[g]] += s;",
        "    }",
        f"    for (int k = {len(c.nodes)} - 1; k >= 0; k--) {{",
        f"        const vec g = G[{c.size} + k];",
        "        G[NODE_A[k]] += g * X[NODE_B[k]];",
        "        G[NODE_B[k]] += g * X[NODE_A[k]];",
        "    }",
        "    return E;",
        "}",
    ]
