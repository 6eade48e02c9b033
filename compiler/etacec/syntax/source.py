"""Syntax tree back to text, in the layout the language page asks for."""

from __future__ import annotations

from fractions import Fraction

from etacec.syntax import ast

_LEVEL = {"or": 1, "and": 2, "compare": 4, "+": 5, "-": 5, "*": 6, "/": 6, "^": 8}


def expression(e: ast.Expr) -> str:
    """An expression with only the parentheses it needs."""
    return _expr(e)[0]


def number(value: Fraction) -> str:
    """The shortest decimal that reads back as the same number, else a quotient."""
    if value.denominator == 1:
        return str(value.numerator)
    text = repr(float(value))
    if Fraction(text) == value and "inf" not in text:
        return text
    return f"{value.numerator} / {value.denominator}"


def _expr(e: ast.Expr) -> tuple[str, int]:
    match e:
        case ast.Number(value):
            return number(value), 9
        case ast.Quantity(value, unit):
            return f"{number(value)} {'Å' if unit == 'angstrom' else unit}", 9
        case ast.Text(value):
            return f'"{value}"', 9
        case ast.Name(name):
            return name, 9
        case ast.Member(owner, name):
            return f"{_wrap(owner, 9)}.{name}", 9
        case ast.OfBond(name):
            return f"bond.{name}", 9
        case ast.Call(name, args, keywords):
            given = [expression(a) for a in args] + [_argument(k) for k in keywords]
            return f"{name}({', '.join(given)})", 9
        case ast.Element(owner, index):
            return f"{_wrap(owner, 9)}[{expression(index)}]", 9
        case ast.ListOf(items):
            return f"[{', '.join(expression(x) for x in items)}]", 9
        case ast.Record(items):
            return f"({', '.join(_argument(x) for x in items)})", 9
        case ast.Unary("-", operand):
            return f"-{_wrap(operand, 7)}", 7
        case ast.Unary(_, operand):
            return f"not {_wrap(operand, 3)}", 3
        case ast.Compare(operands, operators):
            parts = [_wrap(operands[0], 5)]
            for operator, operand in zip(operators, operands[1:], strict=True):
                parts += [operator, _wrap(operand, 5)]
            return " ".join(parts), 4
        case ast.Range(first, last):
            return f"{_wrap(first, 5)}..{_wrap(last, 5)}", 0
        case ast.Binary("^", left, right):
            return f"{_wrap(left, 9)}^{_wrap(right, 7)}", 8
        case ast.Binary(operator, left, right):
            level = _LEVEL[operator]
            return f"{_wrap(left, level)} {operator} {_wrap(right, level + 1)}", level
    raise AssertionError(e)


def _wrap(e: ast.Expr, least: int) -> str:
    text, level = _expr(e)
    return text if level >= least else f"({text})"


def _argument(a: ast.Argument) -> str:
    return f"{a.name} = {expression(a.value)}"


# ---------------------------------------------------------------- declarations


def source(file: ast.File) -> str:
    """A whole file as text."""
    out: list[str] = []
    last = ""
    for d in file.declarations:
        kind = _kind(d)
        if out and not (kind == last and kind in ("param", "bond", "use", "model")):
            out.append("")
        if getattr(d, "doc", ""):
            out += [f"## {line}".rstrip() for line in d.doc.split("\n")]  # type: ignore[union-attr]
        out.append(_declaration(d))
        last = kind
        if isinstance(d, ast.Version) and file.doc:
            out += ["", *(f"## {line}".rstrip() for line in file.doc.split("\n"))]
    return "\n".join(out) + "\n"


def _kind(d: ast.Declaration) -> str:
    return d.kind if isinstance(d, ast.Block) else type(d).__name__.lower()


def _declaration(d: ast.Declaration) -> str:
    match d:
        case ast.Version(number_):
            return f"etace {number_}"
        case ast.Use(name, quoted, alias, entries):
            what = f'"{name}"' if quoted else name
            given = f" {{ {', '.join(entry(e)[0] + ' = ' + entry(e)[1] for e in entries)} }}"
            return f"use {what}" + (f" as {alias}" if alias else "") + (given if entries else "")
        case ast.Param(name, value):
            return f"param {name} = {expression(value)}"
        case ast.Species(names):
            return "species " + ", ".join(n.name for n in names)
        case ast.Bond((a, b), entries):
            inside = ", ".join(f"{k} = {v}" for k, v in map(entry, entries))
            return f"bond {a.name}-{b.name} {{ {inside} }}"
        case ast.Model(name, value):
            return f"model {name} = {expression(value)}"
        case ast.Block():
            return _block(d)
    raise AssertionError(d)


def _block(d: ast.Block) -> str:
    head = f"{d.mode} {d.kind}" if d.mode else d.kind
    index = ", ".join(f"{b.name} in {expression(b.range)}" for b in d.binders)
    lines = [f"{head} {d.name}{f'[{index}]' if index else ''} {{"]
    fields = [entry(e) for e in d.entries]
    width = max((len(k) for k, v in fields if v), default=0)
    for key, value in fields:
        lines.append(f"  {key}" if not value else f"  {key.ljust(width)} = {value}")
    return "\n".join([*lines, "}"])


def entry(e: ast.Entry) -> tuple[str, str]:
    """(left of `=`, right of it); a `where` is all left."""
    match e:
        case ast.Field(key, argument, value):
            return (f"{key}({argument})" if argument else key), expression(value)
        case ast.Where(condition):
            return f"where {expression(condition)}", ""
        case ast.Weights(mode, settings, per):
            inside = ", ".join(
                _argument(s) if isinstance(s, ast.Argument) else expression(s) for s in settings
            )
            return "weights", mode + (f"({inside})" if settings else "") + (
                f" per {per}" if per else ""
            )
    raise AssertionError(e)
