"""Basis blocks to their candidates: factors, orders, conditions."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from etacec.diagnostics import did_you_mean, shown
from etacec.formula.work import Spent, Work
from etacec.model.entries import (
    MAX_L,
    MAX_ORDER,
    Entries,
    word,
)
from etacec.model.products import MOST, conjuncts, products, too_many
from etacec.model.spec import Angular, Basis, Radial
from etacec.model.values import Amount, Fault, Scope, Value, integer
from etacec.syntax import ast


def basis(
    block: ast.Block,
    name: str,
    scope: Scope,
    entries: Entries,
    radials: Mapping[str, Radial],
    angulars: Mapping[str, Angular],
    work: Work,
) -> Basis:
    """Candidates of the basis; radials and angulars by the names this file uses.

    work: of the whole file, for its products.
    """
    field = entries.field("factors")
    assert field
    r, a = _factors(field.value, radials, angulars)
    names, values, factors = _one_particle(r, a, field)
    L = _l_values(entries.field("L"), scope)
    ls = [l for _, l in factors]
    if a is not None:
        high = max(ls)
        if high > a.lmax:
            raise Fault(
                "E407", f"`{r.name}` has l up to {high}, but `{a.name}` stops at {a.lmax}", field.value.span,
                help=f"angular {a.name}[l in 0..{high}]",
            )  # fmt: skip
    only = entries.field("only")
    if only is not None:
        for key in ("order", "where"):
            if key in entries.fields or (key == "where" and entries.wheres):
                raise Fault(
                    "E215", f"`only` lists the products; `{key}` has no place beside it", only.span
                )
        blocks = _listed(only.value, names, values, scope)
    else:
        blocks = _enumerated(entries, names, values, ls, L, scope, block, work)
    if len(blocks) > MOST:
        raise Fault(
            "E402", f"`{name}` has {len(blocks)} products: at most {MOST} are possible", block.span,
            help="lower its order, or bound a sum more tightly: `where sum(n + 1.5 * l) <= 10`",
        )  # fmt: skip
    if not blocks:
        if entries.wheres:
            raise Fault("E401", "this condition leaves nothing", entries.wheres[0].span)
        raise Fault(
            "E401", f"no product of these factors couples to L = {', '.join(map(str, L))}", block.span,
            help="a product of one factor has its l for L; of two factors with L = 0, equal l",
        )  # fmt: skip
    labels = tuple(
        "(" + ", ".join(f"{n} = {v}" for n, v in zip(names, value, strict=True)) + ")"
        for value in values
    )
    return Basis(
        name,
        r.name,
        None if a is None else a.name,
        tuple(factors),
        labels,
        names,
        tuple(values),
        tuple(blocks),
        L,
        block.doc,
        block.span,
    )


def _factors(
    expr: ast.Expr, radials: Mapping[str, Radial], angulars: Mapping[str, Angular]
) -> tuple[Radial, Angular | None]:
    parts = [expr]
    if isinstance(expr, ast.Binary) and expr.operator == "*":
        parts = [expr.left, expr.right]
    if not all(isinstance(p, ast.Name) for p in parts):
        raise Fault(
            "E216",
            "factors are a radial times an angular block",
            expr.span,
            help="write `factors = R * Y`",
        )
    found_r = [radials[word(p)] for p in parts if word(p) in radials]
    found_a = [angulars[word(p)] for p in parts if word(p) in angulars]
    for p in parts:
        if word(p) not in radials and word(p) not in angulars:
            raise Fault(
                "E217", f"`{shown(word(p))}` is no radial or angular block", p.span,
                help=did_you_mean(word(p), [*radials, *angulars]),
            )  # fmt: skip
    if len(found_r) != 1 or len(found_a) > 1:
        raise Fault(
            "E216",
            "factors are one radial times one angular block",
            expr.span,
            help="write `factors = R * Y`",
        )
    return found_r[0], found_a[0] if found_a else None


def _one_particle(
    r: Radial, a: Angular | None, field: ast.Field
) -> tuple[tuple[str, ...], list[tuple[int, ...]], list[tuple[int, int]]]:
    """(names of the indices, their values per factor, (channel, l) per factor)."""
    if "l" in r.binders:
        at = r.binders.index("l")
        if a is None and any(c[at] for c in r.channels):
            raise Fault(
                "E216", f"`{r.name}` has an index l, so its products need harmonics", field.value.span,
                help=f"write `factors = {r.name} * Y`",
            )  # fmt: skip
        low = 0 if a is None else a.lmin
        kept = [(k, c) for k, c in enumerate(r.channels) if c[at] >= low]
        return r.binders, [c for _, c in kept], [(k, c[at]) for k, c in kept]
    if a is None:
        return r.binders, list(r.channels), [(k, 0) for k in range(len(r.channels))]
    pairs = [(k, c, l) for k, c in enumerate(r.channels) for l in range(a.lmin, a.lmax + 1)]
    return (*r.binders, "l"), [(*c, l) for _, c, l in pairs], [(k, l) for k, _, l in pairs]


def _l_values(field: ast.Field | None, scope: Scope) -> tuple[int, ...]:
    if field is None:
        return (0,)
    values = _whole_range(field, scope)
    if values[0] < 0 or values[-1] > MAX_L:
        raise Fault("E406", f"`L` runs between 0 and {MAX_L}", field.value.span)
    return tuple(values)


def _whole_range(field: ast.Field, scope: Scope) -> range:
    if isinstance(field.value, ast.Range):
        first, last = integer(field.value.first, scope), integer(field.value.last, scope)
        if last < first:
            raise Fault("E406", f"the range {first}..{last} is empty", field.value.span)
        return range(first, last + 1)
    value = integer(field.value, scope)
    return range(value, value + 1)


def _enumerated(
    entries: Entries,
    names: tuple[str, ...],
    values: list[tuple[int, ...]],
    ls: list[int],
    L: tuple[int, ...],
    scope: Scope,
    block: ast.Block,
    work: Work,
) -> list[tuple[int, ...]]:
    field = entries.field("order")
    if field is None:
        raise Fault(
            "E212",
            f"basis `{block.name}` needs `order` or `only`",
            block.span,
            help="for example: order = 1..3",
        )
    orders = _whole_range(field, scope)
    if orders[0] < 1 or orders[-1] > MAX_ORDER:
        raise Fault("E406", f"the order runs between 1 and {MAX_ORDER}", field.value.span)
    factors: list[dict[str, Value]] = [
        {n: Amount(Fraction(v)) for n, v in zip(names, value, strict=True)} for value in values
    ]
    out: list[tuple[int, ...]] = []
    hint = (
        f"here {', '.join(names)} belong to one factor: write sum({names[0]}), max({names[0]}), ..."
    )
    for order in orders:
        here = Scope({**scope.names, "order": Amount(Fraction(order))}, scope.bond, hint="")
        conditions = [c for w in entries.wheres for c in conjuncts(w.condition)]
        for w in entries.wheres:
            _refuse_bare_indices(w.condition, names, hint)
        span = entries.wheres[0].span if entries.wheres else block.span
        try:
            out += products(factors, ls, order, L, conditions, here, span, work)
        except Spent:
            raise too_many(order, span) from None
    return out


def _refuse_bare_indices(expr: ast.Expr, names: tuple[str, ...], hint: str) -> None:
    """`n + l <= 4` in a basis means nothing: a product has many n."""
    if isinstance(expr, ast.Name) and expr.name in names:
        raise Fault("E218", f"a product has several `{expr.name}`", expr.span, help=hint)
    if isinstance(expr, ast.Call) and expr.name in ("sum", "max", "min", "count"):
        return
    for value in vars(expr).values():
        for child in value if isinstance(value, tuple) else (value,):
            if isinstance(child, ast.Expr):
                _refuse_bare_indices(child, names, hint)


def _listed(
    expr: ast.Expr, names: tuple[str, ...], values: list[tuple[int, ...]], scope: Scope
) -> list[tuple[int, ...]]:
    """`only = [[(n = 1, l = 0)], ...]`: products one by one; sorted, so that order of writing is free."""
    index = {value: k for k, value in enumerate(values)}
    if not isinstance(expr, ast.ListOf):
        raise Fault(
            "E304", "a list of products is needed here", expr.span, help="only = [[(n = 1, l = 0)]]"
        )
    blocks: list[tuple[int, ...]] = []
    for product in expr.items:
        if not isinstance(product, ast.ListOf) or not product.items:
            raise Fault(
                "E304",
                "a product is a list of factors",
                product.span,
                help="[(n = 1, l = 1), (n = 2, l = 1)]",
            )
        block = []
        for factor in product.items:
            if not isinstance(factor, ast.Record):
                raise Fault("E304", "a factor is written `(n = 1, l = 0)`", factor.span)
            given = {a.name: integer(a.value, scope) for a in factor.items}
            if set(given) != set(names) or len(given) != len(factor.items):
                raise Fault("E219", f"a factor has the indices {', '.join(names)}", factor.span)
            value = tuple(given[n] for n in names)
            if value not in index:
                raise Fault(
                    "E219",
                    "the radial has no such channel",
                    factor.span,
                    help="widen its ranges, or its `where`",
                )
            block.append(index[value])
        if len(block) > MAX_ORDER:
            raise Fault("E406", f"the order runs between 1 and {MAX_ORDER}", product.span)
        found = tuple(sorted(block))
        if found in blocks:
            raise Fault("E202", "this product is listed twice", product.span)
        blocks.append(found)
    return sorted(blocks, key=lambda b: (len(b), b))
