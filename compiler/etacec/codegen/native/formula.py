"""Formulas and their slopes in r as C statements; equal parts are computed once.

Forward differentiation on the nodes of a formula: every node has a value and, where it moves with r, a
slope, both the name of a C variable or a number.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

from etacec.formula.nodes import ONE, Const, Fn, Neg, Node, Op, Pi, Var, power, sub, variables

LARGEST = 64  # halves up to it are products and a root


class Duals:
    """Statements in the making. `lines` is what has been written so far.

    tables: names of constants of the bond that the formulas read, in the order met
    """

    def __init__(self, prefix: str = "t") -> None:
        self._prefix = prefix
        self.lines: list[str] = []
        self.tables: list[str] = []
        self._values: dict[Node, str] = {Var("r"): "r"}
        self._constants: set[str] = set()  # variables that depend on the bond alone
        self._slopes: dict[Node, str | None] = {Var("r"): number(1)}

    def value(self, node: Node) -> str:
        if node not in self._values:
            self._values[node] = self._value(node)
        return self._values[node]

    def slope(self, node: Node) -> str | None:
        """None: the formula does not depend on r."""
        if "r" not in variables(node):
            return None
        if node not in self._slopes:
            self._slopes[node] = self._slope(node)
        return self._slopes[node]

    def let(self, expression: str) -> str:
        name = f"{self._prefix}{len(self.lines)}"
        read = re.findall(rf"\b{self._prefix}\d+\b|\br\b", expression)
        if all(x in self._constants for x in read):
            self._constants.add(name)
        kind = "real" if name in self._constants else "vec"
        self.lines.append(f"const {kind} {name} = {expression};")
        return name

    def _value(self, node: Node) -> str:
        if isinstance(node, Const):
            return number(node.value)
        if isinstance(node, Pi):
            return number(math.pi)
        moves = "r" in variables(node)
        if isinstance(node, Var):
            table = node.name.removeprefix("table ")
            if table not in self.tables:
                self.tables.append(table)
            return self.let(f"{table}[pair]")
        if isinstance(node, Neg):
            return self.let(f"-{self.value(node.operand)}")
        if isinstance(node, Fn):
            return self.let(_call(node.name, [self.value(a) for a in node.args], moves))
        if node.operator == "^":
            return self._power(node, moves)
        if node.operator == "/":
            return self._quotient(node)
        left, right = self.value(node.left), self.value(node.right)
        return self.let(f"{left} {node.operator} {right}")

    def _quotient(self, node: Op) -> str:
        """Times the inverse, which others may share and a constant has for nothing."""
        if isinstance(node.right, Const):
            inverse = number(1 / node.right.value)
        elif node.left == ONE:
            return self.let(f"{number(1)} / {self.value(node.right)}")
        else:
            inverse = self.value(Op("/", ONE, node.right))
        left = self.value(node.left)
        return inverse if left == number(1) else self.let(f"{left} * {inverse}")

    def _power(self, node: Op, moves: bool) -> str:
        base, exponent = node.left, node.right
        n = exponent.value if isinstance(exponent, Const) else None
        if n is not None and (n.denominator == 1 or (n.denominator == 2 and abs(n) <= LARGEST)):
            x = self.value(base)
            found = self._whole(x, abs(n.numerator) // n.denominator)
            if n.denominator == 2:
                root = self.let(_call("sqrt", [x], moves))
                found = root if found == number(1) else self.let(f"{found} * {root}")
            return self.let(f"{number(1)} / {found}") if n < 0 else found
        if "r" in variables(base) and "r" not in variables(exponent):
            return self._power_of_bond(base, exponent)
        log = self.value(Fn("log", (base,)))
        return self.let(_call("exp", [self.let(f"{self.value(exponent)} * {log}")], moves))

    def _power_of_bond(self, base: Node, exponent: Node) -> str:
        """The exponent is a constant of the bond, perhaps a whole number: the base may be below 0."""
        n, x = self.value(exponent), self.value(base)
        log = self.value(Fn("log", (Fn("abs", (base,)),)))
        size = self.let(_call("exp", [self.let(f"{n} * {log}")], True))
        odd = self.let(f"(real)cos({number(math.pi)} * {n})")
        return self.let(f"choose({x} < 0, all({odd}) * {size}, {size})")

    def _whole(self, x: str, n: int) -> str:
        """x^n by squares."""
        out, square = number(1), x
        while n:
            if n % 2:
                out = square if out == number(1) else self.let(f"{out} * {square}")
            n //= 2
            if n:
                square = self.let(f"{square} * {square}")
        return out

    def _slope(self, node: Node) -> str | None:
        if isinstance(node, Neg):
            return self._times(number(-1), self.slope(node.operand))
        if isinstance(node, Fn):
            return self._slope_of_function(node)
        assert isinstance(node, Op)
        left, right = node.left, node.right
        a, b = self.slope(left), self.slope(right)
        if node.operator in "+-":
            return self._sum(a, b if node.operator == "+" else self._times(number(-1), b))
        if node.operator == "*":
            return self._sum(self._times(a, self.value(right)), self._times(b, self.value(left)))
        if node.operator == "/":
            inverse = self.value(Op("/", ONE, right))
            rest = self._times(b, self.let(f"{self.value(node)} * {inverse}"))
            return self._sum(self._times(a, inverse), self._times(number(-1), rest))
        first = None
        if a is not None:  # b u^(b - 1) u'
            lower = power(left, sub(right, ONE))
            first = self._times(a, self.let(f"{self.value(right)} * {self.value(lower)}"))
        second = None
        if b is not None:
            log = self.value(Fn("log", (left,)))
            second = self._times(b, self.let(f"{self.value(node)} * {log}"))
        return self._sum(first, second)

    def _slope_of_function(self, node: Fn) -> str | None:
        x = node.args[0]
        d = self.slope(x)
        if node.name == "exp":
            return self._times(d, self.value(node))
        if node.name == "log":
            return self._times(d, self.let(f"{number(1)} / {self.value(x)}"))
        if node.name == "sqrt":
            return self._times(d, self.let(f"{number(Fraction(1, 2))} / {self.value(node)}"))
        if node.name == "sin":
            return self._times(d, self.value(Fn("cos", (x,))))
        if node.name == "cos":
            return self._times(d, self.let(f"-{self.value(Fn('sin', (x,)))}"))
        if node.name == "abs":
            return self._chosen(f"{self.value(x)} < 0", self._times(number(-1), d), d)
        if node.name == "clip":
            low, high = (self.value(a) for a in node.args[1:])
            inside = f"({self.value(x)} >= {low}) & ({self.value(x)} <= {high})"
            return self._chosen(inside, d, None)
        a, b = node.args
        less = f"{self.value(a)} {'<' if node.name == 'min' else '>'} {self.value(b)}"
        return self._chosen(less, self.slope(a), self.slope(b))

    def _chosen(self, condition: str, yes: str | None, no: str | None) -> str | None:
        if yes is None and no is None:
            return None
        parts = [f"all({number(0) if x is None else x})" for x in (yes, no)]
        return self.let(f"choose({condition}, {parts[0]}, {parts[1]})")

    def _times(self, a: str | None, b: str | None) -> str | None:
        if a is None or b is None:
            return None
        if number(1) in (a, b):
            return b if a == number(1) else a
        return self.let(f"{a} * {b}")

    def _sum(self, a: str | None, b: str | None) -> str | None:
        if a is None or b is None:
            return b if a is None else a
        return self.let(f"{a} + {b}")


def live(lines: Sequence[str]) -> list[str]:
    """Without variables that nobody reads."""
    while True:
        words = Counter(w for line in lines for w in re.findall(r"\w+", line))
        kept = [
            line
            for line in lines
            if not (m := re.match(r"\s*const (?:vec|real) (\w+) = [^,]*;$", line))
            or words[m[1]] > 1
        ]
        if len(kept) == len(lines):
            return kept
        lines = kept


def number(value: Fraction | float | int) -> str:
    """A C number in the model's precision."""
    return f"N({float(value)!r})"


def _call(name: str, arguments: list[str], moves: bool) -> str:
    """A function of vectors, or of the bond's constants alone."""
    if moves:
        return f"vec_{name}({', '.join(f'all({a})' for a in arguments)})"
    if name == "clip":
        x, low, high = arguments
        return f"fmin(fmax({x}, {low}), {high})"
    known = {"min": "fmin", "max": "fmax", "abs": "fabs"}
    return f"(real){known.get(name, name)}({', '.join(arguments)})"
