"""Formulas of the file to formula nodes: parameters become numbers, only r, y and bond.* stay."""

from __future__ import annotations

from fractions import Fraction

from etacec.diagnostics import did_you_mean, shown
from etacec.formula import nodes
from etacec.formula.curves import ENVELOPES, POLYNOMIALS, TRANSFORMS, BadArgument, Named
from etacec.formula.nodes import Node
from etacec.model.spec import Curve, Polynomials
from etacec.model.units import NUMBER
from etacec.model.values import (
    Amount,
    Fault,
    Scope,
    decimal_comma,
    intact,
    integer,
    number,
    quantity,
    unknown,
)
from etacec.syntax import ast
from etacec.syntax.source import expression

BOND = ("rin", "r0", "rcut")
ARGUMENTS = {"transform": ("r",), "envelope": ("y", "r")}
MAX_POLYNOMIALS = 200
MAX_EXPONENT = 50  # of a weight: beyond it, orthonormal polynomials become too small for numbers


def curve(field: ast.Field, scope: Scope) -> Curve:
    """The transform or envelope of one field: a formula of its argument, or a named one."""
    if field.argument is not None:
        if field.argument not in ARGUMENTS[field.key]:
            allowed = " or ".join(f"`{field.key}({a})`" for a in ARGUMENTS[field.key])
            raise Fault(
                "E208", f"`{field.key}({shown(field.argument)})` is not a formula known here",
                field.span, help=f"write {allowed}",
            )  # fmt: skip
        formula = to_nodes(field.value, field.argument, scope)
        return Curve(expression(field.value), field.argument, formula)
    named = TRANSFORMS if field.key == "transform" else ENVELOPES
    value = field.value
    name = value.name if isinstance(value, ast.Call | ast.Name) else None
    if name is None or name not in named:
        argument = ARGUMENTS[field.key][0]
        known = ", ".join(sorted(named))
        raise Fault(
            "E209", f"there is no {field.key} of this name", value.span,
            help=did_you_mean(name or "", named, f"there is: {known}; or write a formula: {field.key}({argument}) = ..."),
        )  # fmt: skip
    arguments = _arguments(value, named[name], name, scope)
    try:
        formula = named[name].formula(**arguments)
    except BadArgument as error:
        raise Fault("E403", str(error), value.span) from None
    given = ", ".join(f"{k} = {nodes.number_text(v)}" for k, v in arguments.items())
    return Curve(f"{name}({given})", named[name].argument, formula)


def _arguments(value: ast.Expr, named: Named, name: str, scope: Scope) -> dict[str, Fraction]:
    out = {k: Fraction(v) for k, v in named.defaults.items() if v is not None}
    keys = list(named.defaults)
    if isinstance(value, ast.Call):
        if len(value.args) > len(keys):
            raise Fault(
                "E206",
                f"`{name}` takes {', '.join(keys)}",
                value.span,
                help=decimal_comma(value.args),
            )
        pairs = [(k, a) for k, a in zip(keys, value.args, strict=False)]
        for keyword in value.keywords:
            if keyword.name not in keys:
                raise Fault(
                    "E206", f"`{name}` has no argument `{shown(keyword.name)}`", keyword.span,
                    help=did_you_mean(keyword.name, keys),
                )  # fmt: skip
            pairs.append((keyword.name, keyword.value))
        for key, expr in pairs:
            out[key] = _plain(expr, scope)
    missing = [k for k in keys if k not in out]
    if missing:
        example = ", ".join(f"{k} = 2" for k in keys)
        raise Fault(
            "E206",
            f"`{name}` needs {' and '.join(missing)}",
            value.span,
            help=f"write `{name}({example})`",
        )
    return {k: out[k] for k in keys}


def _plain(expr: ast.Expr, scope: Scope) -> Fraction:
    a = number(expr, scope)
    if a.dimension != NUMBER:
        raise Fault("E301", "a plain number is needed here", expr.span)
    return Fraction(a.value)


def polynomials(field: ast.Field, scope: Scope) -> Polynomials:
    value = field.value
    name = value.name if isinstance(value, ast.Call | ast.Name) else None
    if not isinstance(value, ast.Call) or name is None or name not in POLYNOMIALS:
        raise Fault(
            "E209", "there are no polynomials of this name" if name not in POLYNOMIALS else f"how many `{name}`?",
            value.span,
            help=did_you_mean(name or "", POLYNOMIALS, "there is: " + ", ".join(sorted(POLYNOMIALS)))
            if name not in POLYNOMIALS else f"write `{name}(12)`",
        )  # fmt: skip
    extra = POLYNOMIALS[name]
    keys = ("N", *extra)
    spelled = {"α": "alpha", "β": "beta"}
    given: dict[str, ast.Expr] = dict(zip(keys, value.args, strict=False))
    if len(value.args) > len(keys):
        raise Fault(
            "E206", f"`{name}` takes {', '.join(keys)}", value.span, help=decimal_comma(value.args)
        )
    for keyword in value.keywords:
        key = spelled.get(keyword.name, keyword.name)
        if key not in keys or key in given:
            raise Fault(
                "E206",
                f"`{name}` has no argument `{shown(keyword.name)}`",
                keyword.span,
                help=f"it takes {', '.join(keys)}",
            )
        given[key] = keyword.value
    missing = [k for k in keys if k not in given]
    if missing:
        raise Fault(
            "E206",
            f"`{name}` needs {' and '.join(missing)}",
            value.span,
            help=f"write `{name}({', '.join(keys)})`",
        )
    count = integer(given["N"], scope)
    if not 1 <= count <= MAX_POLYNOMIALS:
        raise Fault(
            "E404",
            f"{count} polynomials: between 1 and {MAX_POLYNOMIALS} are possible",
            given["N"].span,
        )
    parameters = tuple(_plain(given[k], scope) for k in extra)
    if any(p <= -1 for p in parameters):
        raise Fault("E403", "jacobi needs alpha > -1 and beta > -1", value.span)
    if any(p > MAX_EXPONENT for p in parameters):
        raise Fault("E403", f"jacobi takes alpha and beta up to {MAX_EXPONENT}", value.span)
    return Polynomials(name, count, parameters)


def to_nodes(expr: ast.Expr, argument: str, scope: Scope) -> Node:
    """A formula of the user as nodes; `argument` is its variable."""

    def go(e: ast.Expr) -> Node:
        match e:
            case ast.Number(value):
                return nodes.Const(value)
            case ast.Quantity():
                inside = Scope({**scope.names, argument: Amount(Fraction(0))})
                return nodes.Const(Fraction(quantity(e, inside).value))
            case ast.Name(name) if name == argument:
                return nodes.Var(argument)
            case ast.Name("pi"):
                return nodes.Pi()
            case ast.Name(name):
                return _parameter(e, name, argument, scope)
            case ast.Element() | ast.Member():
                return nodes.Const(Fraction(number(e, scope).value))
            case ast.OfBond(name):
                if name not in BOND:
                    raise Fault(
                        "E205", f"`bond.{shown(name)}` is not known here", e.span,
                        help=did_you_mean(f"bond.{name}", [f"bond.{b}" for b in BOND]),
                    )  # fmt: skip
                return nodes.Var(f"bond.{name}")
            case ast.Unary("-", operand):
                return nodes.neg(go(operand))
            case ast.Binary(operator, left, right) if operator in nodes.OPERATORS:
                a, b = go(left), go(right)
                if operator == "/" and b == nodes.ZERO:
                    raise Fault("E307", "division by zero", right.span)
                return nodes.OPERATORS[operator](a, b)
            case ast.Call(name, args, ()) if name in nodes.FUNCTIONS and name != "clip":
                if len(args) != nodes.FUNCTIONS[name]:
                    raise Fault(
                        "E206",
                        f"`{name}` takes {nodes.FUNCTIONS[name]} arguments here",
                        e.span,
                        help=decimal_comma(args),
                    )
                return nodes.Fn(name, tuple(go(a) for a in args))
            case ast.Call(name):
                known = sorted(set(nodes.FUNCTIONS) - {"clip"})
                help = did_you_mean(name, known)
                if name in ("floor", "ceil"):
                    help = "a formula must have a derivative"
                raise Fault(
                    "E205", f"there is no function `{shown(name)}` in formulas", e.span, help=help
                )
            case _:
                raise Fault("E304", "this cannot be part of a formula", e.span)

    return go(expr)


def _parameter(e: ast.Name, name: str, argument: str, scope: Scope) -> Node:
    if name in scope.names:
        value = intact(scope.names[name])
        if isinstance(value, Amount):
            return nodes.Const(Fraction(value.value))
        raise Fault("E304", "a number is needed here", e.span)
    known = {*scope.names, argument, "pi"}
    raise Fault(
        "E205", f"`{shown(name)}` is not known in this formula", e.span, help=unknown(name, known)
    )
