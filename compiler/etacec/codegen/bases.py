"""Bases: pooling, products and couplings, as functions and tables of the module."""

from __future__ import annotations

from etacec.codegen.comments import safe
from etacec.codegen.context import Context, call, section
from etacec.codegen.tables import couplings_table, labels_table, pool_table
from etacec.ir import nodes as op


def basis(c: Context, node: str, o: op.Couple) -> list[str]:
    name, (source,) = c.names[node], c.graph.inputs(node)
    products = c.graph.op(source)
    (pooled,) = c.graph.inputs(source)
    pool = c.graph.op(pooled)
    assert isinstance(products, op.Products)
    assert isinstance(pool, op.Pool)
    radial, *angular = c.graph.inputs(pooled)
    d = lambda suffix: c.names.derived(node, suffix)  # noqa: E731
    features = sum(2 * l + 1 for _, l in pool.factors)
    R = f"{c.names[radial]}(params, graph, {d('POOL')}.used)"
    lmax = max((l for _, l in pool.factors), default=0)
    Y = f"{c.names[angular[0]]}(graph, {lmax})" if angular else ""
    both = f"{R}, {Y}, {d('POOL')}"
    edges = f"tensor.edge_products({both})" if angular else R
    weights = c.weights(radial, c.select(radial).weights)
    P = f"{c.names.derived(radial, 'polynomials')}(graph)"
    pooling = [weights, P, Y or "None", d("POOL"), "graph", str(c.n)]
    out = section(f"basis {safe(node)}", o.doc)
    out += [
        "",
        "",
        f"def {d('edges')}(params, graph):",
        f'    """R Y of every edge, whose sum over neighbours is A: [atoms, neighbours, {features}]."""',
        f"    return {edges}",
        "",
        "",
        f"def {d('A')}(params, graph):",
        f'    """A[n,l,m](i) = sum over j of R[n,l](ij) Y[l,m](ij), W applied to the sums: [atoms, {features}]."""',
        *call("return ", "tensor.pool", pooling),
        "",
        "",
    ]
    single = len(products.L) == 1
    wide = f", {2 * products.L[0] + 1}" if single and products.L[0] else ""
    shape = f"[atoms, {o.functions[0]}{wide}]" if single else "dict L -> [atoms, functions, 2L + 1]"
    out += [
        f"def {d('of_A')}(A):",
        f'    """Products of A, coupled: {shape}."""',
    ]
    if single:
        out.append(f"    return tensor.couple(A, {d('TABLE')})")
    else:
        each = ", ".join(f"{L}: tensor.couple(A, {d(f'TABLE{L}')})" for L in products.L)
        out.append(f"    return {{{each}}}")
    out += [
        "",
        "",
        f"def {name}(params, graph):",
        f'    """{name}[k](i): {shape}."""',
        f"    return {d('of_A')}({d('A')}(params, graph))",
    ]
    t = [
        *labels_table(d("FACTORS"), pool, o.binders or ("channel",)),
        *pool_table(d("POOL"), pool),
    ]
    for k, L in enumerate(products.L):
        suffix = "" if single else str(L)
        couplings = d(f"COUPLINGS{suffix}")
        t += couplings_table(couplings, products, k)
        t += [
            f"{d(f'TABLE{suffix}')} = tensor.ProductTable({couplings}, {d('POOL')}, DTYPE)",
            "",
        ]
    c.tables += t
    return out
