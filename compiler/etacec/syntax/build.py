"""Parse tree to syntax tree: one small function per grammar rule."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

from lark import Token, Tree

from etacec.diagnostics import Diagnostic, Mistakes, Span
from etacec.syntax import ast

_BINARY = {"or_": "or", "and_": "and", "add": "+", "sub": "-", "mul": "*", "div": "/", "pow": "^"}
DEPTH = 150  # operations inside one another
DIGITS = 60  # of a number
LARGEST_EXPONENT = 300


class Builder:
    """Turns lark trees of one file into `ast` nodes."""

    def __init__(self, file: str, docs: dict[int, str]):
        self.file = file
        self.docs = docs  # last line of a doc comment -> its text
        self.depth = 0

    # ------------------------------------------------------------ places

    def span(self, node: Any) -> Span:
        """The node's stretch on its first line (a node over several lines is shown by its start)."""
        if isinstance(node, Token):
            return Span(self.file, node.line or 1, node.column or 1, len(node))
        meta = node.meta
        if meta.empty:
            return Span(self.file)
        width = meta.end_column - meta.column if meta.end_line == meta.line else 10_000
        return Span(self.file, meta.line, meta.column, max(1, width))

    def doc(self, node: Tree[Token]) -> str:
        return self.docs.get(node.meta.line - 1, "")

    # ------------------------------------------------------------ declarations

    def declaration(self, tree: Tree[Token]) -> ast.Declaration:
        kind = str(tree.data)
        span = self.span(tree)
        c: list[Any] = list(tree.children)
        if kind == "version":
            return ast.Version(int(self.number(c[0])), span=self.span(c[0]))
        if kind == "use":
            source = c[0].children[0]
            quoted = source.type == "STRING"
            name = str(source)[1:-1] if quoted else str(source)
            alias = None if c[1] is None else str(c[1])
            return ast.Use(name, quoted, alias, self.entries(c[2:]), span=self.span(source))
        if kind == "param":
            return ast.Param(str(c[0]), self.expr(c[1]), self.doc(tree), span=self.span(c[0]))
        if kind == "species":
            return ast.Species(tuple(self.name(t) for t in c), span=span)
        if kind == "bond":
            kinds = (self.name(c[0].children[0]), self.name(c[1].children[0]))
            return ast.Bond(kinds, self.entries(c[2:]), span=span)
        if kind == "model":
            return ast.Model(str(c[0]), self.expr(c[1]), self.doc(tree), span=self.span(c[0]))
        mode: str | None = None
        binders: tuple[ast.Binder, ...] = ()
        rest = c
        if kind == "onebody":
            mode, rest = (None if c[0] is None else str(c[0].children[0])), c[1:]
        name = rest[0]
        entries = rest[1:]
        if kind in ("radial", "angular"):
            binders = tuple(self.binder(b) for b in rest[1].children)
            entries = rest[2:]
        return ast.Block(
            kind,
            str(name),
            binders,
            self.entries(entries),
            mode,
            self.doc(tree),
            span=self.span(name),
        )

    def binder(self, tree: Tree[Token]) -> ast.Binder:
        name, bounds = tree.children
        value = self.expr(bounds)
        assert isinstance(name, Token) and isinstance(value, ast.Range)
        return ast.Binder(str(name), value, span=self.span(name))

    def entries(self, trees: list[Any]) -> tuple[ast.Entry, ...]:
        return tuple(self.entry(t) for t in trees if isinstance(t, Tree))

    def entry(self, tree: Tree[Token]) -> ast.Entry:
        c: list[Any] = list(tree.children)
        if tree.data == "where":
            return ast.Where(self.expr(c[0]), span=self.span(tree))
        if tree.data == "weights":
            mode, settings, per = c
            given = () if settings is None else self.args(settings.children)
            return ast.Weights(
                str(mode.children[0]),
                given,
                None if per is None else str(per.children[0]),
                span=self.span(tree),
            )
        key, argument, value = c
        kinds: tuple[ast.Name, ...] = ()
        name = None
        if argument is not None:
            ends = [t.children[0] if isinstance(t, Tree) else t for t in argument.children]
            name = "-".join(map(str, ends))
            kinds = tuple(self.name(t) for t in ends) if len(ends) == 2 else ()
        return ast.Field(str(key), name, self.expr(value), kinds, span=self.span(key))

    def args(self, nodes: list[Any]) -> tuple[ast.Expr | ast.Argument, ...]:
        return tuple(
            self.argument(n) if n.data == "arg" else self.expr(n) for n in nodes if n is not None
        )

    def argument(self, tree: Any) -> ast.Argument:
        name, value = tree.children
        return ast.Argument(str(name), self.expr(value), span=self.span(name))

    # ------------------------------------------------------------ expressions

    def name(self, token: Any) -> ast.Name:
        return ast.Name(str(token), span=self.span(token))

    def number(self, token: Token) -> Fraction:
        digits, _, exponent = token.lower().partition("e")
        if len(digits) > DIGITS or len(exponent) > 5 or abs(int(exponent or 0)) > LARGEST_EXPONENT:
            help = f"at most {DIGITS} digits, and exponents up to {LARGEST_EXPONENT}"
            raise Mistakes(
                [Diagnostic("E307", "this number is too long", self.span(token), help=help)]
            )
        return Fraction(str(token))

    def expr(self, tree: Any) -> ast.Expr:
        self.depth += 1
        if self.depth > DEPTH:
            message = "this expression nests too deeply to be read"
            help = f"at most {DEPTH} operations inside one another: use a param for a part of it"
            span = replace(self.span(tree), width=1)
            raise Mistakes([Diagnostic("E101", message, span, help=help)])
        try:
            return self._expr(tree)
        finally:
            self.depth -= 1

    def _expr(self, tree: Any) -> ast.Expr:
        kind, span = str(tree.data), self.span(tree)
        c: list[Any] = list(tree.children)
        if kind in _BINARY:
            return ast.Binary(_BINARY[kind], self.expr(c[0]), self.expr(c[1]), span=span)
        if kind in ("neg", "not_"):
            return ast.Unary("-" if kind == "neg" else "not", self.expr(c[0]), span=span)
        if kind == "compare":
            return ast.Compare(
                tuple(self.expr(x) for x in c[::2]), tuple(str(x) for x in c[1::2]), span=span
            )
        if kind == "range":
            return ast.Range(self.expr(c[0]), self.expr(c[1]), span=span)
        return self.atom(kind, c, span)

    def atom(self, kind: str, c: list[Any], span: Span) -> ast.Expr:
        if kind == "number":
            return ast.Number(self.number(c[0]), span=span)
        if kind == "quantity":
            return ast.Quantity(self.number(c[0]), str(c[1]), self.span(c[1]), span=span)
        if kind == "string":
            return ast.Text(str(c[0])[1:-1], span=span)
        if kind == "name":
            return ast.Name(str(c[0]), span=span)
        if kind == "member":
            return ast.Member(self.expr(c[0]), str(c[1]), span=span)
        if kind == "of_bond":
            return ast.OfBond(str(c[0]), span=span)
        if kind == "call":
            given = self.args(c[1:])
            plain = tuple(a for a in given if not isinstance(a, ast.Argument))
            named = tuple(a for a in given if isinstance(a, ast.Argument))
            return ast.Call(str(c[0]), plain, named, span=span)
        if kind == "element":
            return ast.Element(self.expr(c[0]), self.expr(c[1]), span=span)
        if kind == "list":
            return ast.ListOf(tuple(self.expr(x) for x in c if x is not None), span=span)
        assert kind == "record", kind
        return ast.Record(tuple(self.argument(x) for x in c if x is not None), span=span)
