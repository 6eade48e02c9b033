"""The physics: a spec that reads well may still be no potential. Errors E4, warnings W6."""

from __future__ import annotations

from fractions import Fraction
from itertools import groupby

from etacec.coupling import Pattern, multiplicity
from etacec.diagnostics import Report, Span, shown
from etacec.formula.work import Work
from etacec.model.domain import FORMULAS, check_curves
from etacec.model.files import Files, NoFile
from etacec.model.spec import Radial, Readout, Spec, Zbl


def check(spec: Spec, files: Files, report: Report, file: str) -> None:
    _bonds(spec, report)
    if report.errors:
        return
    work = Work(FORMULAS)
    for radial in spec.radials:
        check_curves(spec, radial, work, report)
        _channels(spec, radial, report)
        _load(
            radial,
            (len(radial.channels), radial.polynomials.count, len(spec.species) ** 2),
            files,
            report,
            file,
        )
    for p in spec.potentials:
        if isinstance(p, Zbl):
            _zbl(spec, p, report)
        if isinstance(p, Readout):
            before = len(report.errors)
            _readout(spec, p, report)
            if p.weights.init == "load" and len(report.errors) == before:
                shape = (_functions(spec, p), len(spec.species))
                check_array(p.weights.load, shape, files, p.span, report, file)
    _unused(spec, report)


def _bonds(spec: Spec, report: Report) -> None:
    for name, b in zip(spec.bond_names(), spec.bonds, strict=True):
        for wrong, what, help in (
            (b.rin < 0, f"rin is negative ({_a(b.rin)})", "set `rin` of this bond"),
            (b.rin >= b.r0, f"rin = {_a(b.rin)} must be below r0 = {_a(b.r0)}", "set `r0` or `rin` of this bond"),
            (b.r0 >= b.rcut, f"r0 = {_a(b.r0)} must be below rcut = {_a(b.rcut)}", "set `r0` or `rcut` of this bond"),
            (b.rcut > 100, f"rcut = {_a(b.rcut)} is too long for a local potential", "the limit is 100 Å"),
        ):  # fmt: skip
            if wrong:
                report.add("E409", f"bond {name}: {what}", b.span, help=help)


def _zbl(spec: Spec, p: Zbl, report: Report) -> None:
    names = spec.bond_names()
    for name, b, inner, outer in zip(names, spec.bonds, p.inner, p.outer, strict=True):
        say = f"inner({name}) = ..., outer({name}) = ..."
        for wrong, what, help in (
            (inner < 0, f"inner is negative ({_a(inner)})", "set `inner`"),
            (inner >= outer, f"inner = {_a(inner)} must be below outer = {_a(outer)}", f"set `inner` or `outer`; of this bond: {say}"),
            (outer > b.rcut, f"outer = {_a(outer)} is beyond the bond's rcut = {_a(b.rcut)}", f"no neighbour is seen there: set `outer` lower; of this bond: outer({name}) = ..."),
        ):  # fmt: skip
            if wrong:
                report.add("E414", f"`{p.name}` on {name}: {what}", p.span, help=help)


def _a(x: Fraction) -> str:
    return f"{float(x):.6g} Å"


def _channels(spec: Spec, radial: Radial, report: Report) -> None:
    """More channels with one l than polynomials cannot be independent."""
    at = radial.binders.index("l") if "l" in radial.binders else None
    groups: dict[int, int] = {}
    for c in radial.channels:
        key = -1 if at is None else c[at]
        groups[key] = groups.get(key, 0) + 1
    most = max(groups.values())
    folded = len(spec.species) if radial.weights.init == "one_hot" else 1
    count = radial.polynomials.count * folded
    if most > count:
        report.add(
            "W601", f"`{radial.name}` has {most} channels, but only {count} are independent", radial.span,
            help=f"likely linear dependence: use at least {-(-most // folded)} polynomials",
        )  # fmt: skip


def _load(radial: Radial, shape: tuple[int, ...], files: Files, report: Report, file: str) -> None:
    if radial.weights.init != "load":
        return
    check_array(radial.weights.load, shape, files, radial.span, report, file)


def check_array(
    name: str, shape: tuple[int, ...], files: Files, span: Span, report: Report, file: str
) -> None:
    try:
        array = files.array(name, span.file or file)
    except NoFile as error:
        report.add("E507", f"cannot load `{shown(name)}`: {error}", span)
        return
    if array.shape != shape:
        report.add(
            "E508", f"`{shown(name)}` is {_by(array.shape)}, and {_by(shape)} is needed", span
        )


def _by(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape)) if shape else "a single number"


def _readout(spec: Spec, readout: Readout, report: Report) -> None:
    if readout.kind == "readout":
        basis = next(b for b in spec.bases if b.name == readout.source)
        if 0 not in basis.L or len(basis.L) > 1:
            wanted = ", ".join(str(v) for v in basis.L)
            report.add(
                "E411", f"`{readout.name}` is an energy, but `{basis.name}` has L = {wanted}", readout.span,
                help="an energy is read from a basis with L = 0",
            )  # fmt: skip
        return
    radial = next(r for r in spec.radials if r.name == readout.source)
    if "l" in radial.binders and any(c[radial.binders.index("l")] for c in radial.channels):
        report.add(
            "E412", f"`{readout.name}` sums `{radial.name}` over neighbours, but it has l > 0", readout.span,
            help="a pair term takes a radial with n only",
        )  # fmt: skip
    own = "." not in readout.name  # nobody can change a preset
    if own and len(spec.species) > 1 and radial.weights.init == "one_hot":
        report.add(
            "W602", f"pair columns of `{readout.name}` are not all independent", readout.span,
            help="centre {0} with neighbour {1} gives the same sum as centre {1} with neighbour {0}".format(*spec.species),
        )  # fmt: skip


def _functions(spec: Spec, readout: Readout) -> int:
    """How many functions a readout reads: of a basis, all its couplings."""
    if readout.kind == "pair":
        return len(next(r for r in spec.radials if r.name == readout.source).channels)
    basis = next(b for b in spec.bases if b.name == readout.source)
    total = 0
    for block in basis.blocks:
        groups = [(basis.factors[f][1], len(list(same))) for f, same in groupby(sorted(block))]
        total += multiplicity(Pattern(tuple(sorted(groups)), 0))
    return total


def _unused(spec: Spec, report: Report) -> None:
    terms = {name for m in spec.models for _, name in m.terms}
    used = {p.source for p in spec.potentials if isinstance(p, Readout)}
    in_basis = {b.radial for b in spec.bases} | {b.angular for b in spec.bases}
    root = "."  # names of used files carry a dot: a preset may offer more than is taken
    for p in spec.potentials:
        if p.name not in terms and root not in p.name:
            kind = p.kind if isinstance(p, Readout) else type(p).__name__.lower()
            report.add("W603", f"{kind} `{p.name}` is in no model", p.span)
    for b in spec.bases:
        if b.name not in used and root not in b.name:
            report.add("W604", f"basis `{b.name}` is not read out", b.span)
    for r in spec.radials:
        if r.name not in used and r.name not in in_basis and root not in r.name:
            report.add("W604", f"radial `{r.name}` is not used", r.span)
    for a in spec.angulars:
        if a.name not in in_basis and root not in a.name:
            report.add("W604", f"angular `{a.name}` is not used", a.span)
