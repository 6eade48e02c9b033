"""Radials, their bonds, and harmonics, as functions of the module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from etacec.codegen import expr
from etacec.codegen.breaking import broken
from etacec.codegen.comments import safe
from etacec.codegen.context import Context, floats, section
from etacec.codegen.tables import tuple_text, wrapped
from etacec.formula.nodes import Node
from etacec.ir import nodes as op


def radial(c: Context, node: str, o: op.SelectLinear) -> list[str]:
    name = c.names[node]
    tables, curves = _with_tables(c, node)
    out = section(f"radial {safe(node)}", o.doc)
    channels = c.names.derived(node, "CHANNELS")
    out += ["# fmt: off", f"{channels} = (  # ({', '.join(o.binders)})"]
    out += wrapped((tuple_text(c) for c in o.channels), "    ")
    out += [")", "# fmt: on"]
    for table, meaning, values in tables.rows:
        out += expr.table_lines(table, values, c.n, safe(meaning))
    calls = {}
    for what, curve, formula in curves:
        function = c.names.derived(node, what)
        args = [curve.curve.argument]
        if expr.uses_tables(formula):
            args.append("bond")
        calls[what] = f"{function}({', '.join(args)})"
        out += ["", "", f"def {function}({', '.join(args)}):"]
        symbol = "y(r)" if what == "transform" else f"e({curve.curve.argument})"
        out.append(f'    """{symbol} = {safe(curve.curve.text)}"""')
        out += expr.statements(formula)
    out += _polynomials(c, node, calls)
    shape = f"{len(o.channels)}, {o.polynomials}, {c.n**2}"
    bound = ",".join(o.binders)
    return [
        *out,
        "",
        "",
        f"def {name}(params, graph, channels=None):",
        f'    """{name}[{bound}](ij) = sum over q of W[{bound},q; Z_i Z_j] P_q(y) e: [atoms, neighbours, {len(o.channels)}].',
        "",
        "    channels: places of those wanted, if not all.",
        '    """',
        f"    W = jnp.asarray({c.weights(node, o.weights)})  # [{shape}]",
        "    if channels is not None:",
        "        W = W[np.asarray(channels)]",
        f"    return tensor.mix(W, {c.names.derived(node, 'polynomials')}(graph), graph, {c.n})",
    ]


def _polynomials(c: Context, node: str, calls: Mapping[str, str]) -> list[str]:
    """The function that all channels of a radial are mixed from. calls: of its transform and envelope."""
    rcut, rin = bond_length(c, "rcut"), bond_length(c, "rin")
    count = c.graph.input_op(node, op.PolynomialBasis).polynomials.count
    out = [
        "",
        "",
        f"def {c.names.derived(node, 'polynomials')}(graph):",
        f'    """P_q(y) e of every edge: [atoms, neighbours, {count}]."""',
    ]
    needs_bond = any("bond" in call.split("(")[1] for call in calls.values())
    if needs_bond or "bond" in rcut or "bond" in rin:
        out.append(f"    bond = graph.pairs({c.n})")
    out.append(f"    r, inside = bonds.distances(graph, {rcut})")
    if any(b.rin for b in c.bonds):
        clamped = calls["transform"].replace("(r", f"(jnp.maximum(r, {rin})", 1)
        out.append(f"    y = {clamped}")
    else:
        out.append(f"    y = {calls['transform']}")
    return [
        *out,
        f"    e = jnp.where(inside, {calls['envelope']}, 0)",
        f"    return {polynomials_of(c, node).removesuffix(')')}, times=e)",
    ]


def _with_tables(
    c: Context, node: str
) -> tuple[expr.BondTables, list[tuple[str, op.Transform | op.Envelope, Node]]]:
    tables = expr.BondTables(c.bonds, lambda k: c.names.derived(node, f"bond{k}".upper()))
    transform = _upstream(c, node, op.Transform)
    envelope = _upstream(c, node, op.Envelope)
    found: list[tuple[str, op.Transform | op.Envelope, Node]] = [
        ("transform", transform, tables.fold(transform.curve.formula)),
        ("envelope", envelope, tables.fold(envelope.curve.formula)),
    ]
    return tables, found


def curves_of(c: Context, node: str) -> list[tuple[str, op.Transform | op.Envelope, Node]]:
    """(transform or envelope, its op, its formula with the bond's constants folded)."""
    return _with_tables(c, node)[1]


def upstream(c: Context, node: str) -> Iterator[str]:
    """Everything a node is computed from, nearest first."""
    seen = list(c.graph.inputs(node))
    while seen:
        name = seen.pop(0)
        yield name
        seen += c.graph.inputs(name)


def _upstream(c: Context, node: str, kind: type) -> op.Transform | op.Envelope:
    o = next(o for o in map(c.graph.op, upstream(c, node)) if isinstance(o, kind))
    assert isinstance(o, op.Transform | op.Envelope)
    return o


def bond_length(c: Context, name: str) -> str:
    values = {getattr(b, name) for b in c.bonds}
    if len(values) == 1:
        return expr.number(values.pop())
    return f"bonds.table(BOND_{name.upper()}, bond)"


def polynomials_of(c: Context, node: str) -> str:
    p = c.graph.input_op(node, op.PolynomialBasis).polynomials
    extra = "".join(f", {float(x)!r}" for x in p.parameters)
    return f"radial.{p.kind}(y, {p.count}{extra})"


def angular(c: Context, node: str, o: op.Harmonics) -> list[str]:
    name = c.names[node]
    return [
        *section(f"angular {safe(node)}", o.doc),
        "",
        "",
        f"def {name}(graph, lmax={o.lmax}):",
        f'    """{name}[l,m](ij), {o.kind}, at l * l + l + m: [atoms, neighbours, (lmax + 1)**2]."""',
        f"    return angular.{o.kind}_harmonics(graph.components, lmax)",
    ]


def bond_lines(c: Context) -> list[str]:
    """Cutoffs, and the lengths that functions read from tables."""
    out = []
    needed = _needed_plain(c)
    if c.bonds:
        values = floats(b.rcut for b in c.bonds)
        out.append("# Bonds in the order " + ", ".join(bond_names(c)) + "; lengths in angstrom.")
        square = f"reshape({c.n}, {c.n})"
        out += broken(f'CUTOFFS = bonds.by_pair({values}, {c.n}, "float64").{square}')
    for name in ("rin", "r0", "rcut"):
        table = f"BOND_{name.upper()}"
        if table in needed:
            values = floats(getattr(b, name) for b in c.bonds)
            out += broken(f"{table} = bonds.by_pair({values}, {c.n}, DTYPE)")
    return out


def bond_names(c: Context) -> list[str]:
    s = c.graph.species
    return [f"{s[i]}-{s[j]}" for i in range(len(s)) for j in range(i, len(s))]


def _needed_plain(c: Context) -> set[str]:
    """Lengths that some function reads from a table, because they differ between bonds."""
    needed = {
        f"BOND_{k.upper()}" for k in ("rin", "rcut") if len({getattr(b, k) for b in c.bonds}) > 1
    }
    for node, _ in c.graph.of(op.SelectLinear):
        needed |= set(_with_tables(c, node)[0].plain)
    return needed
