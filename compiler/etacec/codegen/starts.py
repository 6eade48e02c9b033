"""Starts of learnable parameters and values of frozen ones."""

from __future__ import annotations

from collections.abc import Iterable

from etacec.codegen.breaking import broken
from etacec.codegen.context import Context
from etacec.codegen.names import quoted
from etacec.codegen.tables import array_table, tuple_text
from etacec.ir import nodes as op
from etacec.model.spec import Weights


def init(c: Context) -> list[str]:
    out = [
        "",
        "",
        "# --- starts",
        "",
        "",
        "def init(seed=0):",
        '    """Starts of all learnable parameters, by block: numpy arrays in DTYPE."""',
        "    return {",
    ]
    for node, shape, fans, w in learnable(c):
        start = f'"weights": {_start(c, node, shape, fans, w)}'
        out += broken(f"{quoted(node)}: {{{start}}},", "        ")
    for node, constant in c.graph.of(op.SelectConstant):
        if constant.learnable:
            table = c.names.derived(node, "ENERGIES")
            out.append(f'        "{node}": {{"energies": {table}.copy()}},')
    out.append("    }")
    if out[-2].endswith("return {"):
        out[-2:] = ["    return {}"]
    for node, o in c.graph.of(op.SelectLinear):
        if not o.weights.learnable:
            shape = (len(o.channels), o.polynomials, c.n**2)
            _frozen(c, node, shape, (o.polynomials, len(o.channels)), o.weights)
    for node, readout in c.graph.of(op.Readout):
        if not readout.weights.learnable:
            _frozen(c, node, (readout.functions, c.n), (readout.functions, 1), readout.weights)
    return out


def _frozen(
    c: Context, node: str, shape: tuple[int, ...], fans: tuple[int, int], w: Weights
) -> None:
    table = c.names.derived(node, "WEIGHTS")
    if w.init == "load":
        c.tables += array_table(table, c.arrays[node])
    else:
        c.tables.append(f"{table} = {_start(c, node, shape, fans, w, '0')}")


def learnable(c: Context) -> Iterable[tuple[str, tuple[int, ...], tuple[int, int], Weights]]:
    for node, o in c.graph.of(op.SelectLinear):
        if o.weights.learnable:
            count = len(o.channels)
            yield node, (count, o.polynomials, c.n**2), (o.polynomials, count), o.weights
    for node, readout in c.graph.of(op.Readout):
        if readout.weights.learnable:
            yield node, (readout.functions, c.n), (readout.functions, 1), readout.weights


def _start(
    c: Context,
    node: str,
    shape: tuple[int, ...],
    fans: tuple[int, int],
    w: Weights,
    seed: str = "seed",
) -> str:
    text, key = tuple_text(shape), f'"{c.names[node]}"'
    if w.init == "zeros":
        return f"np.zeros({text}, DTYPE)"
    if w.init == "glorot_normal":
        call = f"starts.glorot_normal({seed}, {key}, {text}, {fans[0]}, {fans[1]})"
    elif w.init == "normal":
        call = f"starts.normal({seed}, {key}, {text}, {w.scale!r})"
    elif w.init == "one_hot":
        o = c.graph.op(node)
        assert isinstance(o, op.SelectLinear)
        at = o.binders.index("n") if "n" in o.binders else 0
        ns = f"[c[{at}] for c in {c.names.derived(node, 'CHANNELS')}]"
        call = f"starts.one_hot({ns}, {o.polynomials}, {c.n})"
    else:
        table = c.names.derived(node, "START")
        line = f"{table} = np.array("
        if line not in c.tables:
            c.tables += array_table(table, c.arrays[node])
        return f"{table}.copy()"
    return f"{call}.astype(DTYPE)"
