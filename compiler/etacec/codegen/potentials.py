"""Onebodies, zbls, readouts and pairs, and the models that add them."""

from __future__ import annotations

import re
from fractions import Fraction

import networkx as nx

from etacec.codegen import inference
from etacec.codegen.breaking import WIDTH, broken
from etacec.codegen.comments import comment, safe
from etacec.codegen.context import Context, call, floats, section, strings
from etacec.codegen.names import quoted
from etacec.codegen.starts import learnable
from etacec.codegen.tables import tuple_text
from etacec.ir import nodes as op
from etacec.model.elements import SYMBOLS


def onebody(c: Context, node: str, o: op.SelectConstant) -> list[str]:
    name = c.names[node]
    table = c.names.derived(node, "ENERGIES")
    values = ", ".join(repr(float(e)) for e in o.energies)
    energies = f'params[{quoted(node)}]["energies"]' if o.learnable else table
    return [
        *section(f"onebody {safe(node)}", o.doc),
        f"{table} = np.array([{values}], DTYPE)  # eV: {', '.join(c.graph.species)}",
        "",
        "",
        f"def {name}(params, graph):",
        f'    """{name}[Z_i]: [atoms], eV."""',
        f"    return tensor.constant({energies}, graph)",
    ]


def zbl(c: Context, node: str, o: op.Zbl) -> list[str]:
    name, table = c.names[node], c.names.derived(node, "ZBL")
    charges = [SYMBOLS.index(s) + 1 for s in c.graph.species]
    return [
        *section(f"zbl {safe(node)}", o.doc),
        f"{table} = repulsion.Zbl(",
        f"    charges={tuple_text(charges)},",
        *broken(f"inner=bonds.by_pair({floats(o.inner)}, {c.n}, DTYPE),", "    "),
        *broken(f"outer=bonds.by_pair({floats(o.outer)}, {c.n}, DTYPE),", "    "),
        ")",
        "",
        "",
        f"def {name}(params, graph):",
        '    """1/2 sum over j of the screened repulsion of the nuclei, ending at outer: [atoms], eV."""',
        f"    return repulsion.energies({table}, graph)",
    ]


def readout(c: Context, node: str, o: op.Readout) -> list[str]:
    name, (source,) = c.names[node], c.graph.inputs(node)
    weights = c.weights(node, o.weights)
    shape = f"[{o.functions}, {c.n}]"
    if o.kind == "pair":
        (radial,) = c.graph.inputs(source)
        W, P = c.weights(radial, c.select(radial).weights), c.names.derived(radial, "polynomials")
        channels = f"tensor.scalars({c.names.derived(radial, 'CHANNELS')})"
        what = f"sum over k of W[k; Z_i] sum over j of {c.names[radial]}[k](ij)"
        body = [
            *call(
                "sums = ", "tensor.pool", [W, f"{P}(graph)", "None", channels, "graph", str(c.n)]
            ),
            f"    return tensor.readout(sums, {weights}, graph)",
        ]
    else:
        A, table = (c.names.derived(source, suffix) for suffix in ("A", "TABLE"))
        what = f"sum over k of W[k; Z_i] {c.names[source]}[k](i)"
        parts = [f"{A}(params, graph)", weights, table, "graph"]
        body = call("return ", "tensor.evaluate", parts)
    return [
        *section(f"{o.kind} {safe(node)}", o.doc),
        "",
        "",
        f"def {name}(params, graph):",
        f'    """{what}: [atoms], eV; W: {shape}."""',
        *body,
    ]


def model(c: Context, node: str, o: op.Total) -> list[str]:
    name = c.names[o.model]
    sites = c.names.derived(o.model, "site_energies")
    terms = list(zip(o.factors, c.graph.inputs(node), strict=True))
    text = _sum([(f, c.names[t]) for f, t in terms])
    called = _sum([(f, f"{c.names[t]}(params, graph)") for f, t in terms])
    out = ["", "", f"# --- model {safe(o.model)}", *comment(o.doc), "", ""]
    out += [
        f"def {sites}(params, graph):",
        f'    """{text}: [atoms], eV."""',
        *_returned(called),
        *inference.model(c, node, o),
        "",
        "",
        f"{name} = Potential(",
        f"    name={quoted(o.model)},",
        "    species=SPECIES,",
    ]
    edges = any(isinstance(c.graph.op(t), op.Readout | op.Zbl) for _, t in terms)
    out.append("    cutoffs=CUTOFFS," if edges else f"    cutoffs=np.zeros(({c.n}, {c.n})),")
    out += ["    dtype=DTYPE,", "    terms=("]
    for factor, t in terms:
        out += _term(c, t, float(factor))
    out.append("    ),")
    if len(terms) == 1 and len(out[-2]) + len(out[-3]) < 90 and out[-3] == "    terms=(":
        out[-3:] = [f"    terms=({out[-2].strip()}),"]  # as ruff joins it
    shapes = _shapes(c, [t for _, t in terms])
    out += (
        ["    blocks={", *(f"        {line}" for line in shapes), "    },"]
        if shapes
        else ["    blocks={},"]
    )
    own = c.names.derived(o.model, "inference")
    return [*out, "    starts=init,", f"    sites={sites},", f"    inference={own},", ")"]


def _term(c: Context, node: str, factor: float) -> list[str]:
    o = c.graph.op(node)
    if isinstance(o, op.SelectConstant):
        return [
            f'        Constant("{node}", {factor!r}, {c.names[node]}, learnable={o.learnable}),'
        ]
    if isinstance(o, op.Zbl):
        return [f'        Fixed("{node}", {factor!r}, {c.names[node]}),']
    assert isinstance(o, op.Readout)
    (source,) = c.graph.inputs(node)
    if o.kind == "pair":
        (radial,) = c.graph.inputs(source)
        r = c.graph.op(radial)
        assert isinstance(r, op.SelectLinear)
        labels = (
            f"tensor.channel_labels({c.names.derived(radial, 'CHANNELS')}, {strings(r.binders)})"
        )
        edges, basis = c.names[radial], "tensor.identity"
        parts = {"radial": c.names[radial]}
    else:
        b = c.graph.op(source)
        assert isinstance(b, op.Couple)
        factors, table = (
            c.names.derived(source, "FACTORS"),
            c.names.derived(source, "TABLE"),
        )
        labels = f"tensor.labels({table}, {factors}, {strings(b.binders)})"
        edges, basis = c.names.derived(source, "edges"), c.names.derived(source, "of_A")
        (pooled,) = c.graph.inputs(c.graph.inputs(source)[0])
        radial, *angular = c.graph.inputs(pooled)
        parts = {"radial": c.names[radial]}
        for harmonics in angular:
            y = c.graph.op(harmonics)
            assert isinstance(y, op.Harmonics)
            parts["harmonics"] = f"angular.{y.kind}_gradients"
        parts["products"] = table
    return [
        "        Linear(",
        f'            "{node}",',
        f"            {factor!r},",
        f"            {c.names[node]},",
        f"            learnable={o.weights.learnable},",
        f"            labels={labels},",
        f"            edges={edges},",
        f"            basis={basis},",
        *(f"            {part}={name}," for part, name in parts.items()),
        *(["            one_hot=True,"] if _one_hot(c, radial) else []),
        "        ),",
    ]


def _one_hot(c: Context, radial: str) -> bool:
    """Whether each radial function reads one polynomial of one neighbour species."""
    r = c.graph.op(radial)
    return isinstance(r, op.SelectLinear) and r.weights.init == "one_hot" and c.n > 1


def _shapes(c: Context, terms: list[str]) -> list[str]:
    """Learnable blocks these terms read, in the order of the graph."""
    needed = {a for t in terms for a in (t, *nx.ancestors(c.graph.network, t))}
    out = [
        f'{quoted(node)}: {{"weights": {tuple_text(shape)}}},'
        for node, shape, _, _ in learnable(c)
        if node in needed
    ]
    for node, constant in c.graph.of(op.SelectConstant):
        if constant.learnable and node in needed:
            out.append(f'{quoted(node)}: {{"energies": ({c.n},)}},')
    return out


def _returned(total: str) -> list[str]:
    """`return` of a sum, broken into lines as ruff does."""
    one = f"    return {total}"
    if len(one) <= WIDTH:
        return [one]
    lines = re.sub(r" ([+-]) ", r"\n        \1 ", total).split("\n")
    return ["    return (", f"        {lines[0]}", *lines[1:], "    )"]


def _sum(terms: list[tuple[Fraction, str]]) -> str:
    """`E0 + 0.5 * V - U` of (factor, term)."""
    out = ""
    for factor, term in terms:
        f = float(factor)
        size = term if abs(f) == 1 else f"{abs(f)!r} * {term}"
        if not out:
            out = size if f > 0 else f"-{size}"
        else:
            out += f" {'+' if f > 0 else '-'} {size}"
    return out
