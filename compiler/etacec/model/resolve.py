"""Syntax trees to a `Spec`: parameters set, files used, names looked up. All mistakes at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from etacec.diagnostics import Diagnostic, Mistakes, Report, Span, did_you_mean, shown
from etacec.formula.work import Work
from etacec.model import bases, embeddings, potentials
from etacec.model.bonds import bonds
from etacec.model.check import check
from etacec.model.elements import SYMBOLS, other_name
from etacec.model.entries import Entries
from etacec.model.files import Files
from etacec.model.load import Unit, load
from etacec.model.products import STEPS
from etacec.model.spec import Angular, Basis, BondLengths, Model, Potential, Radial, Spec
from etacec.model.values import Amount, Broken, Fault, Scope, evaluate
from etacec.model.zbl import zbl
from etacec.syntax import ast
from etacec.syntax.parse import parse_value


@dataclass
class _Names:
    """What one unit has declared, by the names it uses itself."""

    radials: dict[str, Radial] = field(default_factory=dict)
    angulars: dict[str, Angular] = field(default_factory=dict)
    bases: dict[str, Basis] = field(default_factory=dict)
    potentials: dict[str, Potential] = field(default_factory=dict)
    models: dict[str, Model] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)  # blocks with mistakes: not reported again
    children: dict[str, _Names] = field(default_factory=dict)


def resolve(
    file: ast.File, files: Files, overrides: Mapping[str, str] | None = None
) -> tuple[Spec, list[Diagnostic]]:
    """(the spec, warnings); raises `Mistakes` with all errors and warnings found."""
    report = Report()
    root = load(file, files, report)
    _override(root, overrides or {}, report)
    report.raise_errors()  # without its files a spec only breeds follow-up messages
    species = _species(root, report)
    for unit in root.all():
        _params(unit, species, report)
    lengths = bonds(root, species, report)
    found = _Names()
    _declare(root, found, species, lengths, Work(STEPS), report)
    models = _models(root, found, report)
    spec = Spec(
        file.name.rsplit("/", 1)[-1].removesuffix(".etace"),
        file.doc,
        species,
        lengths,
        tuple(_all(found, lambda n: n.radials)),
        tuple(_all(found, lambda n: n.angulars)),
        tuple(_all(found, lambda n: n.bases)),
        tuple(_all(found, lambda n: n.potentials)),
        models,
    )
    report.raise_errors()
    check(spec, files, report, file.name)
    for unit in root.all():
        if unit.use is None or unit.use.quoted:
            _unread_params(unit, report)
    report.raise_errors()
    return spec, report.found


def _all(names: _Names, pick: Callable[[_Names], dict[str, Any]]) -> list[Any]:
    out = list(pick(names).values())
    for child in names.children.values():
        out += _all(child, pick)
    return out


def _override(root: Unit, overrides: Mapping[str, str], report: Report) -> None:
    known = [p.name for p in root.of(ast.Param)]
    for name in sorted(overrides):
        where = f"-D {shown(name)}"
        if name not in known:
            help = did_you_mean(name, known) if known else "this file has no params"
            report.add(
                "E220", f"there is no param `{shown(name)}` to set with -D", Span(), help=help
            )
            continue
        try:
            root.given[name] = (parse_value(overrides[name], where), None)
        except Mistakes as mistakes:
            reason = mistakes.diagnostics[0]
            report.add(
                "E220",
                f"cannot read `{shown(overrides[name])}` ({where}): {reason.message}",
                Span(),
            )


def _species(root: Unit, report: Report) -> tuple[str, ...]:
    """The root's species, or the first used file's: the caller's win."""
    for unit in root.all():
        declared = unit.of(ast.Species)
        if not declared:
            continue
        for other in declared[1:]:
            report.add(
                "E202", "the species are said twice", other.span, help="write them on one line"
            )
        names = declared[0].names
        out: list[str] = []
        for n in names:
            if n.name not in SYMBOLS:
                help = other_name(n.name) or did_you_mean(
                    n.name, SYMBOLS, "write element symbols: Si, O"
                )
                report.add("E221", f"`{shown(n.name)}` is not an element", n.span, help=help)
            elif n.name in out:
                report.add("E202", f"`{n.name}` is listed twice", n.span)
            else:
                out.append(n.name)
        report.raise_errors()
        return tuple(out)
    report.add(
        "E222", "no species are declared", Span(root.file.name), help="for example: species Si, O"
    )
    report.raise_errors()
    return ()


def _params(unit: Unit, species: tuple[str, ...], report: Report) -> None:
    """Parameters in the order written; given values replace the file's own."""
    unit.params = {"n_species": Amount(Fraction(len(species)))}
    declared = unit.of(ast.Param)
    known = [p.name for p in declared]
    for name, (expr, _) in unit.given.items():
        if name not in known:
            what = unit.file.name
            help = did_you_mean(
                name, known, f"it has: {', '.join(known)}" if known else "it has none"
            )
            places = (
                [e.span for e in unit.use.entries if getattr(e, "key", "") == name]
                if unit.use
                else []
            )
            span = places[0] if places else expr.span
            report.add("E220", f"`{what}` has no param `{shown(name)}`", span, help=help)
    for p in declared:
        expr, reader = unit.given.get(p.name, (p.value, unit))
        names = reader.params if reader is not None else unit.params
        try:
            unit.params[p.name] = evaluate(expr, Scope(names))
        except Fault as fault:
            d = fault.diagnostic
            if reader is None:  # given with -D: no file has a place for it
                d = replace(d, message=f"{d.message} (-D {p.name})", span=Span())
            report.add(*d.parts)
            unit.params[p.name] = Broken(d)


def _unread_params(unit: Unit, report: Report) -> None:
    """Params that no other line of the file reads."""
    declared = unit.of(ast.Param)
    if not declared:
        return
    read: set[str] = set()
    for d in unit.file.declarations:
        read |= ast.names_read(d)
    for p in declared:
        if p.name not in read:
            help = f"read it (`{p.name}`) where its value is meant, or delete this line"
            report.add("W610", f"nothing reads the param `{shown(p.name)}`", p.span, help=help)


def _declare(
    unit: Unit,
    names: _Names,
    species: tuple[str, ...],
    lengths: tuple[BondLengths, ...],
    work: Work,
    report: Report,
) -> None:
    scope = Scope(unit.params)
    declared = unit.of(ast.Block)
    # In the order of dependence, so that the order of writing is free.
    for kind in ("radial", "angular", "basis", "pair", "readout", "onebody", "zbl"):
        for block in declared:
            if block.kind == kind:
                _one(block, unit, names, scope, species, lengths, work, report)
    for alias, child in unit.children.items():
        names.children[alias] = _Names()
        _declare(child, names.children[alias], species, lengths, work, report)


def _one(
    block: ast.Block,
    unit: Unit,
    names: _Names,
    scope: Scope,
    species: tuple[str, ...],
    lengths: tuple[BondLengths, ...],
    work: Work,
    report: Report,
) -> None:
    full, local = f"{unit.prefix}{block.name}", block.name
    before = len(report.errors)
    try:
        if block.kind == "onebody":
            names.potentials[local] = potentials.onebody(block, full, scope, species, report)
            return
        if block.kind == "zbl":
            names.potentials[local] = zbl(block, full, unit, species, lengths, report)
            return
        entries = Entries(block, report)
        if not entries.complete:
            names.broken.add(local)
            return
        if block.kind == "radial":
            names.radials[local] = embeddings.radial(block, full, scope, entries, work)
        elif block.kind == "angular":
            names.angulars[local] = embeddings.angular(block, full, scope, entries)
        elif block.kind == "basis":
            if not _needs_broken(entries.field("factors"), names):
                names.bases[local] = bases.basis(
                    block, full, scope, entries, names.radials, names.angulars, work
                )
        else:
            found: Mapping[str, Basis | Radial] = (
                names.bases if block.kind == "readout" else names.radials
            )
            if not _needs_broken(entries.field("from"), names):
                sources = {k: v.name for k, v in found.items()}
                names.potentials[local] = potentials.readout(block, full, scope, entries, sources)
    except Fault as fault:
        report.add(*fault.diagnostic.parts)
    known = {**names.radials, **names.angulars, **names.bases, **names.potentials}
    if len(report.errors) > before or local not in known:
        names.broken.add(local)


def _needs_broken(entry: ast.Field | None, names: _Names) -> bool:
    """Whether a block rests on one that has mistakes of its own: then it is not looked at."""
    if entry is None:
        return False
    value = entry.value
    parts = [value.left, value.right] if isinstance(value, ast.Binary) else [value]
    return any(isinstance(p, ast.Name) and p.name in names.broken for p in parts)


# ---------------------------------------------------------------- models


def _models(root: Unit, names: _Names, report: Report) -> tuple[Model, ...]:
    out: list[Model] = []
    for unit, found in _walk(root, names):
        for m in unit.of(ast.Model):
            try:
                terms = _terms(m.value, found, Scope(unit.params))
            except Fault as fault:
                report.add(*fault.diagnostic.parts)
                terms = None
            if terms is None:
                found.broken.add(m.name)
                continue
            repeated = sorted({n for _, n in terms if [x for _, x in terms].count(n) > 1})
            if repeated:
                message = f"`{repeated[0]}` stands in this model twice"
                report.add("E223", message, m.value.span, help=f"write `2 * {repeated[0]}`")
                continue
            model = Model(f"{unit.prefix}{m.name}", tuple(terms), m.doc, m.span)
            found.models[m.name] = model
            if unit is root:
                out.append(model)
    if not out and not report.errors:
        report.add(
            "E224",
            "no model is declared",
            Span(root.file.name),
            help="for example: model m = E0 + V",
        )
    return tuple(out)


def _walk(unit: Unit, names: _Names) -> list[tuple[Unit, _Names]]:
    """Used files first, so that their models are known where they are used."""
    out = []
    for alias, child in unit.children.items():
        out += _walk(child, names.children[alias])
    return [*out, (unit, names)]


def _terms(expr: ast.Expr, names: _Names, scope: Scope) -> list[tuple[Fraction, str]] | None:
    """Flattened sum: (factor, full name of a potential); None if a term had mistakes of its own."""
    match expr:
        case ast.Binary("+" | "-", left, right):
            a, b = _terms(left, names, scope), _terms(right, names, scope)
            if a is None or b is None:
                return None
            sign = 1 if expr.operator == "+" else -1
            return a + [(sign * f, n) for f, n in b]
        case ast.Unary("-", operand):
            terms = _terms(operand, names, scope)
            return None if terms is None else [(-f, n) for f, n in terms]
        case ast.Binary("*" | "/", left, right):
            factor, inner = (
                (left, right) if _is_number(left, names) and expr.operator == "*" else (right, left)
            )
            if not _is_number(factor, names):
                raise Fault(
                    "E225",
                    "potentials are added, not multiplied",
                    expr.span,
                    help="model m = E0 + 0.5 * V",
                )
            value = evaluate(factor, scope)
            if not isinstance(value, Amount) or value.dimension != (0, 0) or value.value == 0:
                raise Fault("E225", "a factor is a plain number other than 0", factor.span)
            f = Fraction(value.value) if expr.operator == "*" else 1 / Fraction(value.value)
            terms = _terms(inner, names, scope)
            return None if terms is None else [(f * g, n) for g, n in terms]
        case ast.Name() | ast.Member():
            return _potential(expr, names)
    raise Fault(
        "E225", "a model is a sum of potentials", expr.span, help="for example: model m = E0 + V"
    )


def _is_number(expr: ast.Expr, names: _Names) -> bool:
    if isinstance(expr, ast.Name):
        return (
            expr.name not in names.potentials
            and expr.name not in names.models
            and expr.name not in names.broken
        )
    return not isinstance(expr, ast.Member)


def _potential(expr: ast.Name | ast.Member, names: _Names) -> list[tuple[Fraction, str]] | None:
    path: list[str] = []
    e: ast.Expr = expr
    while isinstance(e, ast.Member):
        path.append(e.name)
        e = e.owner
    if not isinstance(e, ast.Name):
        raise Fault("E225", "a model is a sum of potentials", expr.span)
    path.append(e.name)
    here = names
    for part in reversed(path[1:]):
        if part not in here.children:
            raise Fault(
                "E217", f"`{shown(part)}` is not a file used here", expr.span,
                help=did_you_mean(part, here.children, "write: use linear_ace as ace { ... }"),
            )  # fmt: skip
        here = here.children[part]
    name = path[0]
    if name in here.potentials:
        return [(Fraction(1), here.potentials[name].name)]
    if name in here.models:
        return list(here.models[name].terms)
    if name in here.broken:
        return None
    other = {**here.radials, **here.angulars, **here.bases}
    if name in other:
        kind = type(other[name]).__name__.lower()
        help = (
            f"read it out: readout V {{ from = {name} }}"
            if kind == "basis"
            else "models add readouts, pairs, onebodies and zbls"
        )
        raise Fault("E217", f"`{shown(name)}` is a {kind}, not a potential", expr.span, help=help)
    if here is names and name in here.children:
        inside = [
            f"{name}.{p}" for p in [*here.children[name].potentials, *here.children[name].models]
        ]
        raise Fault(
            "E217", f"`{shown(name)}` is a file", expr.span, help="it has: " + ", ".join(inside)
        )
    prefix = "".join(f"{p}." for p in reversed(path[1:]))
    known = [f"{prefix}{p}" for p in [*here.potentials, *here.models]]
    full = f"{prefix}{name}"
    raise Fault(
        "E217", f"`{shown(full)}` is no potential", expr.span, help=did_you_mean(full, known)
    )
