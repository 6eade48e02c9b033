"""Radial and angular blocks, and the weights of any block, to their numbers."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from fractions import Fraction

from etacec.diagnostics import did_you_mean, shown
from etacec.formula.work import Spent, Work
from etacec.model.entries import (
    MAX_CHANNELS,
    MAX_L,
    NEEDED,
    STEP,
    Entries,
    word,
)
from etacec.model.formulas import curve, polynomials
from etacec.model.spec import Angular, Radial, Weights
from etacec.model.values import Amount, Fault, Scope, Value, decimal_comma, integer, number, truth
from etacec.syntax import ast


def binder_values(block: ast.Block, scope: Scope) -> list[tuple[str, range]]:
    out: list[tuple[str, range]] = []
    for b in block.binders:
        if b.name in dict(out):
            raise Fault("E202", f"`{shown(b.name)}` is an index twice", b.span)
        if b.name in scope.names:
            raise Fault(
                "E202",
                f"`{shown(b.name)}` is a parameter already",
                b.span,
                help="choose another index",
            )
        first, last = integer(b.range.first, scope), integer(b.range.last, scope)
        if last < first:
            raise Fault("E406", f"the range {first}..{last} is empty", b.range.span)
        if last - first > MAX_CHANNELS:
            raise Fault("E406", f"the range {first}..{last} is too long", b.range.span)
        out.append((b.name, range(first, last + 1)))
    return out


def radial(block: ast.Block, name: str, scope: Scope, entries: Entries, work: Work) -> Radial:
    """work: of the whole file, for the conditions on its channels."""
    binders = binder_values(block, scope)
    names = tuple(n for n, _ in binders)
    for n, values in binders:
        if n == "n" and values[0] < 1:
            raise Fault("E406", "`n` counts from 1", block.binders[names.index("n")].range.span)
        if n == "l" and (values[0] < 0 or values[-1] > MAX_L):
            raise Fault(
                "E406",
                f"`l` runs between 0 and {MAX_L}",
                block.binders[names.index("l")].range.span,
            )
    total = 1
    for _, values in binders:
        total *= len(values)
    if total > MAX_CHANNELS:
        raise Fault("E406", f"{total} channels: at most {MAX_CHANNELS} are possible", block.span)
    try:
        work.spend(STEP * total * sum(ast.operations(w.condition) for w in entries.wheres))
    except Spent:
        raise Fault(
            "E402", f"{total} channels are too many for this condition", block.span,
            help="shorten the ranges or the condition",
        ) from None  # fmt: skip
    channels = [
        c
        for c in itertools.product(*(v for _, v in binders))
        if all(truth(w.condition, _with(scope, names, c)) for w in entries.wheres)
    ]
    if not channels:
        raise Fault("E401", "this condition leaves nothing", entries.wheres[0].span)
    fields = [entries.field(k) for k in NEEDED["radial"]]
    transform, envelope, polys = fields
    assert transform and envelope and polys
    return Radial(
        name,
        names,
        tuple(channels),
        curve(transform, scope),
        curve(envelope, scope),
        polynomials(polys, scope),
        weights(entries.weights(), "pair", scope),
        block.doc,
        block.span,
    )


def _with(scope: Scope, names: Iterable[str], values: Iterable[int]) -> Scope:
    indices: dict[str, Value] = {n: Amount(Fraction(v)) for n, v in zip(names, values, strict=True)}
    return Scope({**scope.names, **indices}, scope.bond, hint=scope.hint)


def angular(block: ast.Block, name: str, scope: Scope, entries: Entries) -> Angular:
    binders = binder_values(block, scope)
    if len(binders) != 1 or binders[0][0] != "l":
        raise Fault(
            "E406",
            "an angular block has one index, `l`",
            block.span,
            help=f"angular {name}[l in 0..4]",
        )
    ls = binders[0][1]
    if ls[0] < 0 or ls[-1] > MAX_L:
        raise Fault("E406", f"`l` runs between 0 and {MAX_L}", block.binders[0].range.span)
    field = entries.field("harmonics")
    assert field
    written = word(field.value)
    if written not in ("solid", "spherical"):
        raise Fault("E209", "harmonics are `spherical` or `solid`", field.value.span)
    return Angular(name, ls[0], ls[-1], written, block.doc, block.span)


def weights(entry: ast.Weights | None, per: str, scope: Scope) -> Weights:
    """`per`: what these weights are shared by (`pair` for a radial, else `species`)."""
    if entry is None:
        return Weights(True, "glorot_normal")
    if entry.per not in (None, per):
        other = (
            "a radial's weights are shared per `pair`"
            if per == "pair"
            else "these weights are shared per `species`"
        )
        raise Fault("E213", other, entry.span, help=f"write `per {per}`")
    init, scale, load = "", 0.0, ""
    for setting in entry.settings:
        if not isinstance(setting, ast.Argument) or setting.name not in ("init", "load"):
            raise Fault("E206", 'weights take `init = ...` or `load = "..."`', setting.span)
        if init:
            raise Fault("E202", "the start is said twice", setting.span)
        if setting.name == "load":
            if not isinstance(setting.value, ast.Text):
                raise Fault("E304", "a file name in quotes is needed here", setting.value.span)
            init, load = "load", setting.value.value
        else:
            init, scale = _initial(setting.value, scope)
    if not init:
        if entry.mode == "frozen":
            raise Fault(
                "E214", "frozen weights need values", entry.span,
                help='write `frozen(init = one_hot)` or `frozen(load = "weights.npz")`',
            )  # fmt: skip
        init = "glorot_normal"
    if init == "one_hot" and per != "pair":
        raise Fault("E206", "`one_hot` is for the weights of a radial", entry.span)
    return Weights(entry.mode == "learnable", init, scale, load)


def _initial(value: ast.Expr, scope: Scope) -> tuple[str, float]:
    names = ("glorot_normal", "one_hot", "zeros")
    if word(value) in names:
        return word(value), 0.0
    if (
        isinstance(value, ast.Call)
        and value.name == "normal"
        and len(value.args) == 1
        and not value.keywords
    ):
        scale = float(number(value.args[0], scope).value)
        if scale < 0:
            raise Fault("E403", "a standard deviation is not negative", value.span)
        return "normal", scale
    name = value.name if isinstance(value, ast.Name | ast.Call) else ""
    if name == "normal":
        help = decimal_comma(value.args) if isinstance(value, ast.Call) else ""
        message = "`normal` takes one argument, the standard deviation"
        raise Fault("E206", message, value.span, help=help or "write `normal(0.1)`")
    help = did_you_mean(
        name, (*names, "normal"), "there is: zeros, one_hot, glorot_normal, normal(0.1)"
    )
    raise Fault("E209", "there is no start of this name", value.span, help=help)
