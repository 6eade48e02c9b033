"""Each block of the file to its numbers. One function per kind; faults go to the caller."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from fractions import Fraction

from etacec.diagnostics import Report, did_you_mean, shown
from etacec.model.formulas import curve, polynomials
from etacec.model.products import conjuncts, products
from etacec.model.spec import Angular, Basis, OneBody, Radial, Readout, Weights
from etacec.model.units import ENERGY
from etacec.model.values import Amount, Fault, Scope, Value, integer, number, truth, with_dimension
from etacec.syntax import ast

KEYS: Mapping[str, tuple[str, ...]] = {
    "radial": ("transform", "envelope", "polynomials", "weights", "where"),
    "angular": ("harmonics",),
    "basis": ("factors", "order", "L", "only", "where"),
    "pair": ("from", "weights"),
    "readout": ("from", "weights"),
}
NEEDED: Mapping[str, tuple[str, ...]] = {
    "radial": ("transform", "envelope", "polynomials"),
    "angular": ("harmonics",),
    "basis": ("factors",),
    "pair": ("from",),
    "readout": ("from",),
}
EXAMPLE = {
    "transform": "transform = agnesi(p = 2, q = 2)",
    "envelope": "envelope(y) = (1 - y^2)^2",
    "polynomials": "polynomials = legendre(12)",
    "harmonics": "harmonics = solid",
    "factors": "factors = R * Y",
    "from": "from = B",
}
MAX_CHANNELS = 20_000
MAX_L = 20
MAX_ORDER = 8


class Entries:
    """The entries of a block by key: unknown, doubled and missing ones are faults."""

    def __init__(self, block: ast.Block, report: Report):
        self.block = block
        self.wheres: list[ast.Where] = []
        self.fields: dict[str, ast.Field | ast.Weights] = {}
        meant: set[str] = set()  # by misspelt keys: not reported as missing too
        for e in block.entries:
            key = (
                "where"
                if isinstance(e, ast.Where)
                else "weights"
                if isinstance(e, ast.Weights)
                else e.key
            )
            if key not in KEYS[block.kind]:
                meant |= set(get_close_matches(key, KEYS[block.kind], n=1))
                help = did_you_mean(
                    key, KEYS[block.kind], "it takes " + ", ".join(KEYS[block.kind])
                )
                what = f"{'an' if block.kind == 'angular' else 'a'} {block.kind} block"
                report.add("E201", f"{what} has no key `{shown(key)}`", e.span, help=help)
            elif isinstance(e, ast.Where):
                self.wheres.append(e)
            elif key in self.fields:
                report.add("E202", f"`{key}` is said twice", e.span, help="keep one of the two")
            else:
                if isinstance(e, ast.Field) and e.argument and key not in ("transform", "envelope"):
                    report.add(
                        "E208", f"`{key}` is not a formula", e.span, help=f"write `{key} = ...`"
                    )
                self.fields[key] = e
        missing = [k for k in NEEDED[block.kind] if k not in self.fields]
        for key in (k for k in missing if k not in meant):
            report.add(
                "E212", f"{block.kind} `{block.name}` needs `{key}`", block.span,
                help=f"for example: {EXAMPLE[key]}",
            )  # fmt: skip
        self.complete = not missing

    def field(self, key: str) -> ast.Field | None:
        found = self.fields.get(key)
        return found if isinstance(found, ast.Field) else None

    def weights(self) -> ast.Weights | None:
        found = self.fields.get("weights")
        return found if isinstance(found, ast.Weights) else None


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


def radial(block: ast.Block, name: str, scope: Scope, entries: Entries) -> Radial:
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
    word = _word(field.value)
    if word not in ("solid", "spherical"):
        raise Fault("E209", "harmonics are `spherical` or `solid`", field.value.span)
    return Angular(name, ls[0], ls[-1], word, block.doc, block.span)


def _word(expr: ast.Expr) -> str:
    return expr.name if isinstance(expr, ast.Name) else ""


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
    if _word(value) in names:
        return _word(value), 0.0
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
    help = did_you_mean(
        name, (*names, "normal"), "there is: zeros, one_hot, glorot_normal, normal(0.1)"
    )
    raise Fault("E209", "there is no start of this name", value.span, help=help)


def basis(
    block: ast.Block,
    name: str,
    scope: Scope,
    entries: Entries,
    radials: Mapping[str, Radial],
    angulars: Mapping[str, Angular],
) -> Basis:
    """Candidates of the basis; radials and angulars by the names this file uses."""
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
        blocks = _enumerated(entries, names, values, ls, L, scope, block)
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
    found_r = [radials[_word(p)] for p in parts if _word(p) in radials]
    found_a = [angulars[_word(p)] for p in parts if _word(p) in angulars]
    for p in parts:
        if _word(p) not in radials and _word(p) not in angulars:
            raise Fault(
                "E217", f"`{shown(_word(p))}` is no radial or angular block", p.span,
                help=did_you_mean(_word(p), [*radials, *angulars]),
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
        out += products(factors, ls, order, L, conditions, here, span)
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


def readout(
    block: ast.Block, name: str, scope: Scope, entries: Entries, sources: Mapping[str, str]
) -> Readout:
    """sources: names this file uses -> full names of bases (readout) or radials (pair)."""
    field = entries.field("from")
    assert field
    word = _word(field.value)
    kind = "basis" if block.kind == "readout" else "radial"
    if word not in sources:
        raise Fault(
            "E217", f"`{shown(word)}` is no {kind}" if word else f"the name of a {kind} is needed here",
            field.value.span, help=did_you_mean(word, sources),
        )  # fmt: skip
    return Readout(
        name,
        block.kind,
        sources[word],
        weights(entries.weights(), "species", scope),
        block.doc,
        block.span,
    )


def onebody(
    block: ast.Block, name: str, scope: Scope, species: tuple[str, ...], report: Report
) -> OneBody:
    energies: dict[str, Fraction] = {}
    for e in block.entries:
        if not isinstance(e, ast.Field) or e.argument is not None:
            report.add(
                "E201",
                "a onebody block has one energy per species",
                e.span,
                help="for example: Si = -0.846 eV",
            )
            if isinstance(e, ast.Field):
                energies.setdefault(e.key, Fraction(0))
        elif e.key not in species:
            help = did_you_mean(e.key, species, "the species are: " + ", ".join(species))
            report.add("E210", f"`{shown(e.key)}` is not one of the species", e.span, help=help)
        elif e.key in energies:
            report.add("E202", f"`{e.key}` is said twice", e.span, help="keep one of the two")
        else:
            try:
                energies[e.key] = Fraction(with_dimension(e.value, scope, ENERGY, e.key))
            except Fault as fault:
                report.found.append(fault.diagnostic)
                energies[e.key] = Fraction(0)
    missing = [s for s in species if s not in energies]
    if missing:
        report.add(
            "E408", f"`{name}` has no energy for {', '.join(missing)}", block.span,
            help=", ".join(f"{s} = 0 eV" for s in missing),
        )  # fmt: skip
    mode = block.mode == "learnable"
    values = tuple(energies.get(s, Fraction(0)) for s in species)
    return OneBody(name, values, mode, block.doc, block.span)
