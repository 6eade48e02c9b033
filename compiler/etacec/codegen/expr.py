"""Formula nodes to JAX text; constants of the bond folded or put into tables first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from etacec.codegen.breaking import broken
from etacec.formula.nodes import (
    Const,
    Fn,
    Neg,
    Node,
    Op,
    Pi,
    Var,
    children,
    evaluate,
    exact,
    rebuild,
    text,
    variables,
    walk,
)
from etacec.model.spec import BondLengths

_LEVEL = {"+": 1, "-": 1, "*": 2, "/": 2, "^": 4}
_FUNCTIONS = {"min": "minimum", "max": "maximum"}
_LENGTHS = ("rin", "r0", "rcut")


@dataclass
class BondTables:
    """Values that depend on the bond alone: one number if all bonds agree, else a table.

    name: makes the name of table number k of a formula; rows: (table, formula text, values).
    """

    bonds: tuple[BondLengths, ...]
    name: Callable[[int], str]
    rows: list[tuple[str, str, tuple[float, ...]]] = field(default_factory=list)
    plain: list[str] = field(default_factory=list)  # BOND_R0 and its like, where needed

    def fold(self, node: Node) -> Node:
        """The formula with all that depends on the bond alone replaced by numbers or table names."""
        names = variables(node)
        if names and all(n.startswith("bond.") for n in names):
            return self._constant(node)
        return rebuild(node, tuple(self.fold(c) for c in children(node)))

    def _constant(self, node: Node) -> Node:
        values = []
        for b in self.bonds:
            lengths = {f"bond.{k}": getattr(b, k) for k in _LENGTHS}
            value: Fraction | float | None = exact(node, lengths)
            if value is None:
                value = float(evaluate(node, {k: float(v) for k, v in lengths.items()}))
            values.append(value)
        if len(set(values)) == 1:
            return Const(Fraction(values[0]))
        if isinstance(node, Var):
            table = f"BOND_{node.name.removeprefix('bond.').upper()}"
            if table not in self.plain:
                self.plain.append(table)
            return Var(f"table {table}")
        formula = text(node)
        for table, known, _ in self.rows:
            if known == formula:
                return Var(f"table {table}")
        table = self.name(len(self.rows) + 1)
        self.rows.append((table, formula, tuple(float(v) for v in values)))
        return Var(f"table {table}")


def statements(node: Node, indent: str = "    ") -> list[str]:
    """Lines of a function body that return the formula; repeated and long parts are named."""
    lines: list[str] = []
    names: dict[Node, str] = {}

    def name(part: Node) -> None:
        if part in names:
            return
        shorten(part)
        text = code(part, names)
        names[part] = f"t{len(names) + 1}"
        lines.append(f"{indent}{names[part]} = {text}")

    def shorten(part: Node) -> None:
        """Name the longest operand until the part fits on a line."""
        while len(code(part, names)) > WIDTH:
            inner = [c for c in children(part) if c not in names and isinstance(c, Op | Fn | Neg)]
            if not inner:
                return
            name(max(inner, key=lambda c: len(code(c, names))))

    for part in _repeated(node):
        name(part)
    shorten(node)
    return [*lines, f"{indent}return {code(node, names)}"]


WIDTH = 76


def _repeated(node: Node) -> list[Node]:
    """Subformulas with an operation that occur more than once, smallest first."""
    counts = Counter(n for n in walk(node) if isinstance(n, Op | Fn) and _worth(n))
    found = [n for n, c in counts.items() if c > 1]
    outer = {o: set(walk(o)) - {o} for o in found}
    # A part that occurs only inside another repeated part is computed there, once.
    keep = [n for n in found if not any(n in outer[o] and counts[o] == counts[n] for o in found)]
    return sorted(keep, key=lambda n: sum(1 for _ in walk(n)))


def _worth(node: Node) -> bool:
    return bool(variables(node))


def number(value: Fraction) -> str:
    """A Python literal, or a quotient of two, that reads well and is exact where it can be."""
    if value.denominator == 1 and abs(value) < 10**15:
        return str(value.numerator)
    decimal = repr(float(value))
    if Fraction(decimal) == value or max(abs(value.numerator), value.denominator) > 10**9:
        return decimal
    return f"{value.numerator} / {value.denominator}"


def code(node: Node, names: dict[Node, str] | None = None) -> str:
    return _code(node, names or {})[0]


def _code(node: Node, names: dict[Node, str]) -> tuple[str, int]:
    if node in names:
        return names[node], 5
    if isinstance(node, Const):
        s = number(node.value)
        return s, 2 if "/" in s else (3 if s.startswith("-") else 5)
    if isinstance(node, Pi):
        return "jnp.pi", 5
    if isinstance(node, Var):
        if node.name.startswith("table "):
            return f"bonds.table({node.name.removeprefix('table ')}, bond)", 5
        return node.name, 5
    if isinstance(node, Fn):
        name = _FUNCTIONS.get(node.name, node.name)
        return f"jnp.{name}({', '.join(code(a, names) for a in node.args)})", 5
    if isinstance(node, Neg):
        s, level = _code(node.operand, names)
        return "-" + (s if level >= 3 else f"({s})"), 3
    level = _LEVEL[node.operator]
    left, a = _code(node.left, names)
    right, b = _code(node.right, names)
    if a < level or (node.operator == "^" and a <= level):
        left = f"({left})"
    if b < level or (b == level and node.operator != "+") or (b == 3 and level < 3):
        right = f"({right})"
    if node.operator == "^":
        # As ruff formats it: no spaces between names and plain numbers.
        tight = all(x.replace(".", "").replace("_", "").isalnum() for x in (left, right))
        return (f"{left}**{right}" if tight else f"{left} ** {right}"), level
    return f"{left} {node.operator} {right}", level


def uses_tables(node: Node) -> bool:
    return any(isinstance(n, Var) and n.name.startswith("table ") for n in walk(node))


def table_lines(name: str, values: Sequence[float], n_species: int, comment: str) -> list[str]:
    inside = ", ".join(repr(v) for v in values)
    return [f"# {comment}", *broken(f"{name} = bonds.by_pair(({inside}), {n_species}, DTYPE)")]
