"""Graphs and trees as text: what `etace show` prints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from fractions import Fraction
from typing import Any

from etacec.diagnostics import Span
from etacec.ir import nodes as op
from etacec.ir.graph import ModelGraph
from etacec.passes import PASSES


def describe(o: op.Op) -> str:
    """What a node computes, in one line."""
    match o:
        case op.Distance():
            return "|r_ij|"
        case op.Direction():
            return "r_ij"
        case op.Transform(curve):
            return f"y(r) = {curve.text}"
        case op.Envelope(curve):
            return f"e({curve.argument}) = {curve.text}"
        case op.PolynomialBasis(polynomials):
            return f"P_q(y) = {polynomials}"
        case op.SelectLinear():
            kept = "" if len(o.kept) == len(o.channels) else f", {len(o.kept)} needed"
            return f"[{', '.join(o.binders)}]: {len(o.channels)} channels{kept}, W {o.weights} per pair"
        case op.Harmonics():
            kept = "" if o.used == o.lmax else f", l <= {o.used} needed"
            return f"{o.kind} harmonics, l <= {o.lmax}{kept}"
        case op.Pool(factors):
            width = sum(2 * l + 1 for _, l in factors)
            return f"sum over neighbours: {len(factors)} factors, {width} functions"
        case op.Candidates():
            return f"{len(o.blocks)} candidate products, L = {_list(o.L)}"
        case op.Products():
            count = sum(
                len(o.couplings[c].classes) for b in o.blocks for c in b.couplings if c >= 0
            )
            return f"{len(o.blocks)} products of factors, {count} of functions; {len(o.couplings)} couplings"
        case op.Couple():
            return f"coupled: {_list(o.functions)} functions" if o.functions else "coupled"
        case op.Readout():
            return f"{o.functions} functions, W {o.weights} per species"
        case op.SelectConstant():
            values = ", ".join(f"{float(e):g}" for e in o.energies)
            return f"{'learnable' if o.learnable else 'frozen'} {values} eV"
        case op.Zbl():
            spans = {
                f"{float(a):.4g} to {float(b):.4g}" for a, b in zip(o.inner, o.outer, strict=True)
            }
            return f"1/2 sum over neighbours, ZBL, switched off over {', '.join(sorted(spans))} Å"
        case op.Total():
            return "sum of potentials"
    raise AssertionError(o)


def _list(values: Sequence[int]) -> str:
    return ", ".join(map(str, values))


def graph(g: ModelGraph) -> str:
    """One line a node: name, operation, inputs, what it computes."""
    rows = [
        (n, type(g.op(n)).__name__, ", ".join(g.inputs(n)), describe(g.op(n))) for n in g.nodes()
    ]
    widths = [max(len(r[k]) for r in rows) for k in range(3)]
    lines = [f"# {g.name}: {', '.join(g.species)}; {len(rows)} nodes, inputs first"]
    lines += [
        f"{n.ljust(widths[0])}  {kind.ljust(widths[1])}  <- {inputs.ljust(widths[2])}  {what}"
        if inputs
        else f"{n.ljust(widths[0])}  {kind.ljust(widths[1])}     {''.ljust(widths[2])}  {what}"
        for n, kind, inputs, what in rows
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def passes(stages: Sequence[tuple[str, ModelGraph]]) -> str:
    """The graph after lowering, then what each pass changed."""
    known = {p.name: p for p in PASSES}
    out = []
    before: dict[str, str] = {}
    for name, g in stages:
        after = {n: describe(g.op(n)) for n in g.nodes()}
        if name in known:
            out.append(f"## {name}: {known[name].what} ({known[name].why_here})")
            out += [f"- {n}: {before[n]}" for n in before if n not in after]
            out += [
                f"  {n}: {before[n]} -> {after[n]}"
                for n in after
                if before.get(n, after[n]) != after[n]
            ]
        else:
            out += [f"## {name}", graph(g).rstrip()]
        out.append("")
        before = after
    return "\n".join(out)


def dot(g: ModelGraph) -> str:
    """Graphviz."""
    quote = lambda s: '"' + s.replace("\\", "\\\\").replace('"', '\\"') + '"'  # noqa: E731
    lines = [
        f"digraph {quote(g.name)} {{",
        "  rankdir=BT;",
        "  node [shape=box, fontname=Helvetica];",
    ]
    for n in g.nodes():
        lines.append(
            f"  {quote(n)} [label={quote(n + chr(10) + describe(g.op(n)))}];".replace(
                chr(10), "\\n"
            )
        )
    for n in g.nodes():
        lines += [f"  {quote(i)} -> {quote(n)};" for i in g.inputs(n)]
    return "\n".join([*lines, "}"]) + "\n"


def tree(value: Any, indent: str = "") -> str:
    """Any of our frozen dataclasses, nested, one field a line; places left out."""
    if is_dataclass(value) and not isinstance(value, type):
        shown = [
            (f.name, getattr(value, f.name))
            for f in fields(value)
            if not isinstance(getattr(value, f.name), Span)
        ]
        if all(_leaf(v) for _, v in shown):
            inside = ", ".join(f"{k}={_leaf_text(v)}" for k, v in shown if v not in ("", None, ()))
            return f"{type(value).__name__}({inside})"
        lines = [type(value).__name__]
        for name, v in shown:
            if v not in ("", None, ()):
                lines.append(f"{indent}  {name}: {tree(v, indent + '  ')}")
        return "\n".join(lines)
    if isinstance(value, tuple) and not _leaf(value):
        items = [f"{indent}  - {tree(v, indent + '    ')}" for v in value]
        return "\n".join(["", *items])
    return _leaf_text(value)


def _leaf(value: Any) -> bool:
    if isinstance(value, tuple):
        return len(value) <= 12 and all(_leaf(v) and not isinstance(v, tuple) for v in value)
    return not is_dataclass(value)


def _leaf_text(value: Any) -> str:
    if isinstance(value, Fraction):
        return str(value.numerator) if value.denominator == 1 else f"{float(value):.12g}"
    if isinstance(value, tuple):
        return "(" + ", ".join(_leaf_text(v) for v in value) + ")"
    return repr(value)
