"""Lengths of each bond: the more specific line wins, key by key; the caller's lines beat a used file's."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from etacec.diagnostics import Report, Span, did_you_mean, shown
from etacec.model.elements import nearest_neighbour
from etacec.model.load import Unit
from etacec.model.spec import BondLengths
from etacec.model.units import LENGTH
from etacec.model.values import Amount, Fault, Scope, Value, with_dimension
from etacec.syntax import ast

KEYS = ("rin", "r0", "rcut")
MOST = 20  # lines for one key of one pair
DEFAULT_RCUT = Fraction(5, 2)  # times r0


@dataclass(frozen=True)
class Rule:
    """One line that sets a length. depth: of its file, 0 for the root; stars: of its two kinds"""

    depth: int
    stars: int
    expr: ast.Expr
    unit: Unit
    span: Span

    @property
    def rank(self) -> tuple[int, int]:
        return self.depth, self.stars


def bonds(root: Unit, species: tuple[str, ...], report: Report) -> tuple[BondLengths, ...]:
    """All unordered pairs, upper triangle by rows."""
    rules = _rules(root, species, report)
    out = []
    for i, a in enumerate(species):
        for b in species[i:]:
            out.append(_lengths(a, b, rules, species, root, report))
    return tuple(out)


def _rules(
    root: Unit, species: tuple[str, ...], report: Report
) -> dict[tuple[str, str, str], list[Rule]]:
    """(kind, kind, key) -> the rules that set it; kinds sorted, `*` first."""
    rules: dict[tuple[str, str, str], list[Rule]] = {}
    for unit in root.all():
        for bond in unit.of(ast.Bond):
            ends = [k.name for k in bond.kinds]
            unknown = [k for k in bond.kinds if k.name != "*" and k.name not in species]
            for k in unknown:
                help = did_you_mean(k.name, species, "the species are: " + ", ".join(species))
                report.add(
                    "E210", f"`{shown(k.name)}` is not one of the species", k.span, help=help
                )
            if unknown:
                continue
            a, b = sorted(ends)
            for entry in bond.entries:
                if isinstance(entry, ast.Field) and entry.argument and entry.key in KEYS:
                    where = entry.argument if entry.kinds else "-".join(ends)
                    report.add(
                        "E208", f"`{entry.key}` is not a formula", entry.span,
                        help=f"write `bond {where} {{ {entry.key} = ... }}`",
                    )  # fmt: skip
                    continue
                if not isinstance(entry, ast.Field) or entry.key not in KEYS:
                    key = (
                        entry.key if isinstance(entry, ast.Field) else type(entry).__name__.lower()
                    )
                    report.add(
                        "E201", f"a bond has no key `{shown(key)}`", entry.span,
                        help=did_you_mean(key, KEYS, "it takes " + ", ".join(KEYS)),
                    )  # fmt: skip
                    continue
                rule = Rule(unit.depth, ends.count("*"), entry.value, unit, entry.span)
                same = rules.setdefault((a, b, entry.key), [])
                if len(same) < MOST:  # more would only be said to contradict one another too
                    same.append(rule)
    return rules


def _lengths(
    a: str,
    b: str,
    rules: dict[tuple[str, str, str], list[Rule]],
    species: tuple[str, ...],
    root: Unit,
    report: Report,
) -> BondLengths:
    default = _mean(a, b)
    longest = None
    if all(nearest_neighbour(s) is not None for s in species):
        longest = max(_mean(s, s) or Fraction(0) for s in species)
    known: dict[str, Value] = {}
    names: dict[str, Value] = {"n_species": Amount(Fraction(len(species)))}
    if default is not None:
        names["bond_length"] = Amount(default, LENGTH)
    if longest is not None:
        names["max_bond_length"] = Amount(longest, LENGTH)
    out: dict[str, Fraction] = {}
    said: list[Rule] = []
    for key in ("r0", "rin", "rcut"):
        rule = chosen(a, b, key, rules, report)
        said += [] if rule is None else [rule]
        if rule is None:
            value = {
                "rin": Fraction(0),
                "r0": default,
                "rcut": DEFAULT_RCUT * out["r0"] if "r0" in out else None,
            }[key]
            if value is None:
                if key == "r0":
                    report.add(
                        "E405", f"no table has a bond length for {a}-{b}", _place(root, a, b),
                        help=f"say it: bond {a}-{b} {{ r0 = 2.5 Å }}",
                    )  # fmt: skip
                value = Fraction(1) if key == "r0" else DEFAULT_RCUT
        else:
            value = _value(rule, key, names, known, out, report)
        out[key] = value
        known[key] = Amount(value, LENGTH)
    closest = min(said, key=lambda r: r.rank).span if said else Span(root.file.name)
    return BondLengths(out["rin"], out["r0"], out["rcut"], closest)


def _place(root: Unit, a: str, b: str) -> Span:
    """Where the species without a length is declared."""
    names = [n for u in root.all() for s in u.of(ast.Species) for n in s.names]
    unknown = [n.span for n in names if n.name in (a, b) and nearest_neighbour(n.name) is None]
    return unknown[0] if unknown else Span(root.file.name)


def _value(
    rule: Rule,
    key: str,
    names: dict[str, Value],
    known: dict[str, Value],
    out: dict[str, Fraction],
    report: Report,
) -> Fraction:
    hint = (
        ""
        if "bond_length" in names
        else "an element here has no bond length in any table: write a length"
    )
    scope = Scope({**rule.unit.params, **names}, known, hint=hint)
    try:
        return Fraction(with_dimension(rule.expr, scope, LENGTH, key))
    except Fault as fault:
        report.add(*fault.diagnostic.parts)
        return {"rin": Fraction(0), "r0": Fraction(1)}.get(key, 2 * out.get("r0", Fraction(1)))


def chosen(
    a: str,
    b: str,
    key: str,
    rules: dict[tuple[str, str, str], list[Rule]],
    report: Report,
    written: str = "bond {bond} {{ {key} = ... }}",
) -> Rule | None:
    """The most specific rule of a bond's length. written: how one of this bond would look"""
    bond = f"{a}-{b}"
    a, b = sorted((a, b))
    # "*" sorts before every element.
    patterns = {(a, b), ("*", a), ("*", b), ("*", "*")}
    found = sorted(
        (r for p in sorted(patterns) for r in rules.get((*p, key), [])),
        key=lambda r: (r.rank, r.span),
    )
    if not found:
        return None
    best = [r for r in found if r.rank == found[0].rank]
    for other in best[1:]:
        if other.expr != best[0].expr or other.unit is not best[0].unit or other.stars < 2:
            report.add(
                "E211", f"two lines say `{key}` of {bond}, and neither is more specific", other.span,
                help=f"write `{written.format(bond=bond, key=key)}`, or keep one of them",
            )  # fmt: skip
    return best[0]


def _mean(a: str, b: str) -> Fraction | None:
    """Mean of two elements' nearest-neighbour lengths, Å (design reference, section 1.4)."""
    x, y = nearest_neighbour(a), nearest_neighbour(b)
    return None if x is None or y is None else (x + y) / 2
