"""The inference form of each model: the same graph, its parameters frozen into tables.

Written: for every radial its curves, for every basis its shell, for every pair term its curve, and
for every model `coefficients`, `features`, `products`, `gradients` and `values` in terms of the kernels of `etace.inference`.
"""

from __future__ import annotations

from etacec.codegen import expr
from etacec.codegen.breaking import broken
from etacec.codegen.context import Context
from etacec.codegen.embeddings import bond_length, curves_of, polynomials_of, upstream
from etacec.codegen.names import quoted
from etacec.formula.nodes import polynomial_degree
from etacec.ir import nodes as op

MAX_FOLDED = 12  # degree of an envelope that is folded into the polynomials


def pieces(c: Context) -> list[str]:
    """Curves, shells and pairs: what models share."""
    terms = [t for _, total in c.models for t in c.graph.inputs(f"model {total.model}")]
    readouts = sorted({t for t in terms if isinstance(c.graph.op(t), op.Readout)})
    out: list[str] = []
    done: set[str] = set()
    for t in readouts:
        radial = _radial(c, t)
        if radial not in done:
            done.add(radial)
            out += _curves(c, radial)
    for t in readouts:
        o = c.graph.op(t)
        assert isinstance(o, op.Readout)
        if o.kind == "pair":
            out += ["", f"{c.names.derived(t, 'PAIR')} = inference.Pair({_name(c, t)}, DTYPE)"]
        elif (source := c.graph.inputs(t)[0]) not in done:
            done.add(source)
            out += _shell(c, source, _radial(c, t))
    if not out:
        return []
    title = "# --- inference form: parameters frozen into tables; see etace.inference"
    return ["", "", title, *out]


def model(c: Context, node: str, o: op.Total) -> list[str]:
    """`coefficients`, the functions of a block and the Inference of one model."""
    terms = list(zip(map(float, o.factors), c.graph.inputs(node), strict=True))
    readouts = [(f, t) for f, t in terms if _kind(c, t) == "readout"]
    pairs = [(f, t) for f, t in terms if _kind(c, t) == "pair"]
    zbls = [(f, t) for f, t in terms if _kind(c, t) == "zbl"]
    onebodies = [(f, t) for f, t in terms if _kind(c, t) == "onebody"]
    shells = list(dict.fromkeys(c.graph.inputs(t)[0] for _, t in readouts))
    d = lambda suffix: c.names.derived(o.model, suffix)  # noqa: E731
    out = []
    if shells:
        out += _products(c, d("PRODUCTS"), shells, [t for _, t in readouts])
    out += ["", "", f"def {d('coefficients')}(params):"]
    out += ['    """What tables are made of, by their names."""']
    out += ["    return {"]
    entries = [("one-body", _onebody(c, onebodies))] if onebodies else []
    entries += [(s, _weights(c, _radial(c, s))) for s in shells]
    if shells:
        weights = ", ".join(_times(f, c.weights(t, _readout(c, t).weights)) for f, t in readouts)
        entries.append(("products of A", f"{d('PRODUCTS')}.coefficients([{weights}])"))
    for f, t in pairs:
        w = _times(f, c.weights(t, _readout(c, t).weights))
        own = c.names.derived(t, "PAIR")
        entries.append((t, f"{own}.coefficients({w}, {_weights(c, _radial(c, t))})"))
    entries += [(t, repr(f)) for f, t in zbls]
    for key, value in entries:
        out += broken(f"{quoted(key)}: {value},", "        ")
    out += ["    }"]
    names = _feature_names(shells)
    for head, body in (
        (f"def {d('features')}(tables, edges):", _features(c, names)),
        (
            f"def {d('products')}(tables, features, E):",
            _products_of(d("PRODUCTS"), names, onebodies),
        ),
        (
            f"def {d('gradients')}(tables, edges, features, E, w):",
            _gradients(c, names, pairs, zbls),
        ),
        (
            f"def {d('values')}(tables, edges, features, E):",
            _values(c, d("PRODUCTS"), names, pairs, zbls, onebodies),
        ),
    ):
        out += ["", "", head, *body]
    cutoffs = "CUTOFFS" if shells or pairs or zbls else f"np.zeros(({c.n}, {c.n}))"
    made = [(s, _shell_name(c, s)) for s in shells]
    made += [("products of A", d("PRODUCTS"))] if shells else []
    made += [(t, c.names.derived(t, "PAIR")) for _, t in pairs]
    made += [(t, c.names.derived(t, "ZBL")) for _, t in zbls]
    functions = ", ".join(
        d(x) for x in ("coefficients", "features", "products", "gradients", "values")
    )
    arguments = f"{functions}, {cutoffs}, DTYPE"
    if made:
        arguments += f", {d('PIECES')}"
        out += ["", "", f"{d('PIECES')} = {{"]
        out += [*(f"    {quoted(key)}: {value}," for key, value in made), "}"]
    else:
        out += ["", ""]
    return [*out, *broken(f"{d('inference')} = inference.Inference({arguments})")]


def _feature_names(shells: list[str]) -> dict[str, tuple[str, str, str]]:
    """R, Y and A of every shell; numbered where there are several."""
    if len(shells) == 1:
        return {shells[0]: ("R", "Y", "A")}
    return {s: (f"R{k}", f"Y{k}", f"A{k}") for k, s in enumerate(shells)}


def _unpacked(names: dict[str, tuple[str, str, str]]) -> str:
    """R, Y, A; or (R0, Y0, A0), (R1, Y1, A1)"""
    each = [", ".join(n) for n in names.values()]
    return each[0] if len(each) == 1 else ", ".join(f"({e})" for e in each)


def _every(names: dict[str, tuple[str, str, str]]) -> str:
    """All A, one after the other."""
    each = [n[2] for n in names.values()]
    return each[0] if len(each) == 1 else f"jnp.concatenate([{', '.join(each)}])"


def _features(c: Context, names: dict[str, tuple[str, str, str]]) -> list[str]:
    """What no readout changes: kernels in the order of the formulas."""
    out = ['    """Radials, harmonics and A of a block of atoms of one species."""']
    for s, (R, Y, A) in names.items():
        shell = _shell_name(c, s)
        out += [
            f"    {R} = inference.radials({shell}, tables[{quoted(s)}], edges)",
            f"    {Y} = inference.harmonics({shell}, edges)",
            f"    {A} = inference.pool({shell}, {R}, {Y})",
        ]
    return [*out, f"    return {_unpacked(names) if names else '()'}"]


def _products_of(
    products: str, names: dict[str, tuple[str, str, str]], onebodies: list[tuple[float, str]]
) -> list[str]:
    """What is done atom by atom: products and their adjoint."""
    out = ['    """E_i of the atoms, [B], but for pairs; and w = dE_i/dA, [A, B]."""']
    total = 'E + tables["one-body"]' if onebodies else "E"
    if not names:
        return [*out, f"    return {total}, None"]
    return [
        *out,
        f"    {_unpacked(names)} = features",
        f'    rho, w = {products}(tables["products of A"], {_every(names)})',
        f"    return {total} + rho, w",
    ]


def _gradients(
    c: Context,
    names: dict[str, tuple[str, str, str]],
    pairs: list[tuple[float, str]],
    zbls: list[tuple[float, str]],
) -> list[str]:
    """What is done edge by edge: gradients of A times w, and pairs."""
    out = ['    """E_i with the energies of pairs, and dE_i/dr_ij of the edges."""']
    out.append(
        f"    {_unpacked(names)} = features" if names else "    f = inference.no_gradients(edges)"
    )
    last = ""
    for s, (R, Y, A) in names.items():
        first = f"{last}{A}.shape[0]" if len(names) > 1 else ""
        w = f"w[{last.removesuffix(' + ')} : {first}]" if len(names) > 1 else "w"
        w = w.replace("[ : ", "[: ")
        call = f"inference.edge_gradients({_shell_name(c, s)}, {R}, {Y}, {w}, edges)"
        out += broken(f"f = inference.add_gradients(f, {call})" if last else f"f = {call}", "    ")
        last = f"{first} + "
    for _, t in pairs:
        own = c.names.derived(t, "PAIR")
        out.append(f"    E, f = inference.add_pair({own}, tables[{quoted(t)}], edges, E, f)")
    for _, t in zbls:
        out.append(f"    E, f = inference.add_zbl(tables[{quoted(t)}], edges, E, f)")
    return [*out, "    return E, f"]


def _values(
    c: Context,
    products: str,
    names: dict[str, tuple[str, str, str]],
    pairs: list[tuple[float, str]],
    zbls: list[tuple[float, str]],
    onebodies: list[tuple[float, str]],
) -> list[str]:
    """The same without gradients, for many readouts at once."""
    out = ['    """E_i for every member of a committee: [members, B]."""']
    if names:
        every = _every(names)
        out += [
            f"    {_unpacked(names)} = features",
            f'    E = E + {products}.values(tables["products of A"], {every})',
        ]
    for _, t in pairs:
        own = c.names.derived(t, "PAIR")
        out.append(f"    E = E + inference.pair_values({own}, tables[{quoted(t)}], edges)")
    for _, t in zbls:
        out.append(f"    E = E + inference.zbl_values(tables[{quoted(t)}], edges)")
    total = 'E + tables["one-body"][:, None]' if onebodies else "E"
    return [*out, f"    return {total}"]


def _curves(c: Context, radial: str) -> list[str]:
    """y and e of an edge, and the Radial made of them."""
    found = {what: (curve, formula) for what, curve, formula in curves_of(c, radial)}
    (_, transform), (envelope, formula) = found["transform"], found["envelope"]
    r = "r" if not any(b.rin for b in c.bonds) else f"jnp.maximum(r, {bond_length(c, 'rin')})"
    y = [r, *(["bond"] if expr.uses_tables(transform) else [])]
    e = [envelope.curve.argument, *(["bond"] if expr.uses_tables(formula) else [])]
    name, d = c.names[radial], lambda suffix: c.names.derived(radial, suffix)
    degree = polynomial_degree(formula, "y") if envelope.curve.argument == "y" else None
    folded = degree is not None and degree <= MAX_FOLDED
    polynomials = polynomials_of(c, radial)
    count = c.graph.input_op(radial, op.PolynomialBasis).polynomials.count
    arguments = f"{d('curves')}, lambda y: {polynomials}, {count}"
    if folded:
        arguments += f", folded=({degree}, {d('envelope')})"
    return [
        "",
        "",
        f"def {d('curves')}(r, bond):",
        f'    """(y, e) of {name} on an edge of length r."""',
        f"    y = {d('transform')}({', '.join(y)})",
        f"    return y, {d('envelope')}({', '.join(e)})",
        "",
        "",
        *(
            ["# The envelope is a polynomial of y: it is folded into the matrix of the radials."]
            if folded
            else []
        ),
        *broken(f"{d('RADIAL')} = inference.Radial({arguments})"),
    ]


def _shell(c: Context, source: str, radial: str) -> list[str]:
    (products,) = c.graph.inputs(source)
    (pooled,) = c.graph.inputs(products)
    angular = [c.graph.op(i) for i in c.graph.inputs(pooled)[1:]]
    kind = angular[0].kind if angular and isinstance(angular[0], op.Harmonics) else "none"
    arguments = (
        f'{c.names.derived(radial, "RADIAL")}, {c.names.derived(source, "POOL")}, "{kind}", DTYPE'
    )
    o = c.graph.op(radial)
    assert isinstance(o, op.SelectLinear)
    if not o.weights.learnable:
        arguments += f", frozen={c.names.derived(radial, 'WEIGHTS')}"
    return ["", *broken(f"{_shell_name(c, source)} = inference.Shell({arguments})")]


def _products(c: Context, name: str, shells: list[str], readouts: list[str]) -> list[str]:
    """The comment says how orders are formulated, and why: the same rule for every model."""
    made = [_shell_name(c, s) for s in shells]
    tables = [
        f"({c.names.derived(c.graph.inputs(t)[0], 'TABLE')}, {shells.index(c.graph.inputs(t)[0])})"
        for t in readouts
    ]
    comma = lambda x: f"({', '.join(x)}{',' if len(x) == 1 else ''})"  # noqa: E731
    return [
        "",
        "",
        *broken(f"{name} = inference.Products({comma(made)}, {comma(tables)}, DTYPE)"),
    ]


def _onebody(c: Context, terms: list[tuple[float, str]]) -> str:
    out = []
    for f, t in terms:
        o = c.graph.op(t)
        assert isinstance(o, op.SelectConstant)
        table = c.names.derived(t, "ENERGIES")
        out.append(_times(f, f'params[{quoted(t)}]["energies"]' if o.learnable else table))
    return " + ".join(out)


def _times(factor: float, what: str) -> str:
    return what if factor == 1 else f"{factor!r} * {what}"


def _kind(c: Context, term: str) -> str:
    o = c.graph.op(term)
    return o.kind if isinstance(o, op.Readout) else "zbl" if isinstance(o, op.Zbl) else "onebody"


def _readout(c: Context, term: str) -> op.Readout:
    o = c.graph.op(term)
    assert isinstance(o, op.Readout)
    return o


def _weights(c: Context, radial: str) -> str:
    o = c.graph.op(radial)
    assert isinstance(o, op.SelectLinear)
    return c.weights(radial, o.weights)


def _radial(c: Context, readout: str) -> str:
    """The radial block that a readout, pair or basis depends on."""
    return next(n for n in upstream(c, readout) if isinstance(c.graph.op(n), op.SelectLinear))


def _name(c: Context, readout: str) -> str:
    return c.names.derived(_radial(c, readout), "RADIAL")


def _shell_name(c: Context, basis: str) -> str:
    return c.names.derived(basis, "SHELL")
