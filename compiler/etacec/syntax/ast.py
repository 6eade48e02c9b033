"""The syntax tree: what was written, with its place. No meaning yet."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from etacec.diagnostics import Span


def _span() -> Span:
    # A place is no part of what a node says: equal texts give equal trees.
    return field(default=Span(), compare=False, repr=False, kw_only=True)


# ---------------------------------------------------------------- expressions


@dataclass(frozen=True)
class Number:
    value: Fraction
    span: Span = _span()


@dataclass(frozen=True)
class Quantity:
    value: Fraction
    unit: str
    unit_span: Span = field(default=Span(), compare=False, repr=False)
    span: Span = _span()


@dataclass(frozen=True)
class Text:
    value: str
    span: Span = _span()


@dataclass(frozen=True)
class Name:
    name: str
    span: Span = _span()


@dataclass(frozen=True)
class Member:
    owner: Expr
    name: str
    span: Span = _span()


@dataclass(frozen=True)
class OfBond:
    name: str
    span: Span = _span()


@dataclass(frozen=True)
class Argument:
    name: str
    value: Expr
    span: Span = _span()


@dataclass(frozen=True)
class Call:
    name: str
    args: tuple[Expr, ...]
    keywords: tuple[Argument, ...]
    span: Span = _span()


@dataclass(frozen=True)
class Element:
    owner: Expr
    index: Expr
    span: Span = _span()


@dataclass(frozen=True)
class ListOf:
    items: tuple[Expr, ...]
    span: Span = _span()


@dataclass(frozen=True)
class Record:
    items: tuple[Argument, ...]
    span: Span = _span()


@dataclass(frozen=True)
class Unary:
    """`-x` or `not x`."""

    operator: str
    operand: Expr
    span: Span = _span()


@dataclass(frozen=True)
class Binary:
    """`+ - * / ^ and or`."""

    operator: str
    left: Expr
    right: Expr
    span: Span = _span()


@dataclass(frozen=True)
class Compare:
    """A chain `a < b <= c`: operands one more than operators."""

    operands: tuple[Expr, ...]
    operators: tuple[str, ...]
    span: Span = _span()


@dataclass(frozen=True)
class Range:
    """`first..last`, both included."""

    first: Expr
    last: Expr
    span: Span = _span()


Expr: TypeAlias = (
    Number
    | Quantity
    | Text
    | Name
    | Member
    | OfBond
    | Call
    | Element
    | ListOf
    | Record
    | Unary
    | Binary
    | Compare
    | Range
)

# ---------------------------------------------------------------- fields and declarations


@dataclass(frozen=True)
class Field:
    """`key = value`, `key(argument) = formula`, or `key(Si-O) = value`, whose argument is `Si-O`."""

    key: str
    argument: str | None
    value: Expr
    kinds: tuple[Name, ...] = field(default=(), compare=False, repr=False)
    span: Span = _span()


@dataclass(frozen=True)
class Weights:
    mode: str
    settings: tuple[Expr | Argument, ...]
    per: str | None
    span: Span = _span()


@dataclass(frozen=True)
class Where:
    condition: Expr
    span: Span = _span()


Entry: TypeAlias = Field | Weights | Where


@dataclass(frozen=True)
class Binder:
    name: str
    range: Range
    span: Span = _span()


@dataclass(frozen=True)
class Version:
    number: int
    span: Span = _span()


@dataclass(frozen=True)
class Use:
    source: str
    quoted: bool
    name: str | None
    entries: tuple[Entry, ...]
    span: Span = _span()


@dataclass(frozen=True)
class Param:
    name: str
    value: Expr
    doc: str = ""
    span: Span = _span()


@dataclass(frozen=True)
class Species:
    names: tuple[Name, ...]
    span: Span = _span()


@dataclass(frozen=True)
class Bond:
    kinds: tuple[Name, Name]
    entries: tuple[Entry, ...]
    span: Span = _span()


@dataclass(frozen=True)
class Block:
    """onebody, zbl, radial, angular, pair, basis or readout: a named block of entries."""

    kind: str
    name: str
    binders: tuple[Binder, ...]
    entries: tuple[Entry, ...]
    mode: str | None = None
    doc: str = ""
    span: Span = _span()


@dataclass(frozen=True)
class Model:
    name: str
    value: Expr
    doc: str = ""
    span: Span = _span()


Declaration: TypeAlias = Version | Use | Param | Species | Bond | Block | Model


@dataclass(frozen=True)
class File:
    """A whole source file; `doc` is the doc comment that stands by itself at the top."""

    name: str
    declarations: tuple[Declaration, ...]
    doc: str = ""


def operations(node: object) -> int:
    """How many nodes there are in an expression."""
    out = 1
    for value in vars(node).values():
        for part in value if isinstance(value, tuple) else (value,):
            if hasattr(part, "span"):
                out += operations(part)
    return out


def names_read(node: object) -> set[str]:
    """Names that expressions below a node read: not those that it declares, nor elements."""
    if isinstance(node, Name):
        return {node.name}
    if isinstance(node, Species):
        return set()
    out: set[str] = set()
    for key, value in vars(node).items():
        if key == "kinds":
            continue
        for part in value if isinstance(value, tuple) else (value,):
            if hasattr(part, "span"):
                out |= names_read(part)
    return out
