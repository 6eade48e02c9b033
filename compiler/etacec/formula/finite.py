"""Where a formula of one variable is infinite, not real or bent inside an interval.

Such places are zeros of its parts: of what it divides by, of what roots, logarithms and powers are taken
of, of what `abs`, `min` and `max` compare. Zeros of products, quotients and powers are those of their
parts; of rational formulas they are counted exactly (`roots.py`); of others intervals show that there is
none, or close in on them (`interval.py`). The ends of the interval are not part of it: `contact.py`
looks at them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import numpy as np

from etacec.formula import roots
from etacec.formula.contact import order_of_zero
from etacec.formula.interval import enclose
from etacec.formula.nodes import (
    Const,
    Fn,
    Neg,
    Node,
    Op,
    Pi,
    Var,
    evaluate,
    exact,
    sub,
    substitute,
    text,
    variables,
    walk,
)
from etacec.formula.work import Undecided, Work

QUESTION = 1_000_000  # steps for all parts of one formula
_NARROW = 1e-9  # of the interval: where closing in on a zero ends
_BOXES = 400  # of that width at most
_NEAR = np.array(
    [1e-2, 1e-3, 1e-4]
)  # of the interval: distances at which a singular place is looked at
_LEVELS_OFF = 0.6  # growth from one of these distances to the next, below which there is a limit
_BENDS = 0.85  # ratio of the slope's jumps at two of them, below which there is no kink
_LARGEST = 20_000  # nodes of a formula

Kind = Literal["infinite", "not real", "0/0", "kink", "undecided"]


@dataclass(frozen=True)
class Place:
    """at: value of the variable; why: in the language's words."""

    kind: Kind
    at: float
    why: str


@lru_cache(maxsize=4096)
def places(node: Node, low: Fraction, high: Fraction) -> tuple[tuple[Place, ...], int]:
    """(places inside low < variable < high, steps it took); `node` has one variable at most."""
    work = Work(QUESTION)
    if not variables(node):
        return (), 1
    out: list[Place] = []
    poles = _poles(node, low, high, work)
    for part, kind in _parts(node):
        try:
            out += _of_part(node, part, kind, low, high, poles, work)
        except Undecided as open_:
            middle = float(low + high) / 2
            at = getattr(open_, "at", middle)
            out.append(
                Place("undecided", at, f"it is not known where `{_short(part)}` is 0: {open_}")
            )
            break
    worst = {p.at: p for p in sorted(out, key=lambda p: _RANK.index(p.kind), reverse=True)}
    return tuple(sorted(worst.values(), key=lambda p: (_RANK.index(p.kind), p.at))), work.spent


_RANK = ("not real", "infinite", "0/0", "undecided", "kink")


def _short(node: Node) -> str:
    written = text(node)
    return written if len(written) <= 60 else written[:59] + "…"


def _parts(node: Node) -> Iterator[tuple[Node, str]]:
    """(part, what its zeros are to the formula), each once."""
    seen: set[tuple[Node, str]] = set()
    for k, n in enumerate(walk(node)):
        if k > _LARGEST:
            yield node, "long"
            return
        for found in _of_node(n):
            if found not in seen and variables(found[0]):
                seen.add(found)
                yield found


def _of_node(n: Node) -> list[tuple[Node, str]]:
    if isinstance(n, Op):
        if n.operator == "/":
            return [(n.right, "divisor")]
        if n.operator == "^":
            if not isinstance(n.right, Const):
                return [(n.left, "positive")]
            whole = n.right.value.denominator == 1
            if n.right.value < 0:
                return [(n.left, "divisor" if whole else "positive")]
            return [] if whole else [(n.left, "root")]
    if isinstance(n, Fn):
        if n.name == "log":
            return [(n.args[0], "positive")]
        if n.name == "sqrt":
            return [(n.args[0], "root")]
        if n.name == "abs":
            return [(n.args[0], "bend")]
        if n.name in ("min", "max"):
            return [(sub(n.args[0], n.args[1]), "bend")]
        if n.name == "clip":
            return [(sub(n.args[0], end), "bend") for end in n.args[1:]]
    return []


def _poles(node: Node, low: Fraction, high: Fraction, work: Work) -> list[float] | None:
    """Where a rational formula is infinite; None: it is not rational."""
    try:
        found = roots.quotient(node, work)
        return None if found is None else [x for x, _ in roots.roots(found[1], low, high, work)]
    except Undecided:
        return None


def _of_part(
    node: Node,
    part: Node,
    kind: str,
    low: Fraction,
    high: Fraction,
    poles: list[float] | None,
    work: Work,
) -> Iterator[Place]:
    if kind == "long":
        raise Undecided("the formula is too long")
    shown = _short(part)
    does = "divides by" if kind == "divisor" else "takes a logarithm or power of"
    try:
        found = zeros(part, low, high, work)
    except _Everywhere:
        if kind in ("divisor", "positive"):
            yield Place("infinite", float(low + high) / 2, f"it {does} `{shown}`, which is 0")
        return
    if kind in ("positive", "root"):
        edges = [float(low), *found, float(high)]
        middles = [(a + b) / 2 for a, b in pairwise(edges) if b > a]
        for x in middles:
            if not enclose(part, (x, x), work)[1] >= 0:
                wanted = "a logarithm or power" if kind == "positive" else "a root"
                yield Place(
                    "not real", x, f"it takes {wanted} of `{shown}`, which is negative there"
                )
                return
    width = float(high - low)
    for x in found:
        if kind in ("root", "bend"):
            if _bends(node, x, width):
                yield Place("kink", x, f"`{shown}` changes sign or begins there")
            continue
        if poles is None:
            infinite = _is_infinite(node, part, x, width)
        else:
            infinite = any(abs(x - p) <= 1e-9 * width for p in poles)
        yield Place("infinite" if infinite else "0/0", x, f"it {does} `{shown}`, which is 0 there")


def zeros(node: Node, low: Fraction, high: Fraction, work: Work) -> list[float]:
    """Zeros inside low < x < high, ascending. Raises Undecided where one may or may not be."""
    out: set[float] = set()
    for factor in _factors(node):
        work.spend(1)
        found = roots.quotient(factor, work)
        if found is None:
            out.update(_close_in(factor, float(low), float(high), work))
        elif found[0]:
            out.update(x for x, _ in roots.roots(found[0], low, high, work))
        else:
            raise _Everywhere
    return sorted(out)


def _factors(node: Node) -> Iterator[Node]:
    """Formulas that have a zero wherever `node` has one, and nowhere else."""
    if isinstance(node, Neg):
        yield from _factors(node.operand)
    elif isinstance(node, Op) and node.operator in "*/":
        yield from _factors(node.left)
        if node.operator == "*":
            yield from _factors(node.right)
    elif isinstance(node, Op) and node.operator == "^":
        if not isinstance(node.right, Const) or node.right.value > 0:
            yield from _factors(node.left)
    elif isinstance(node, Fn) and node.name in ("abs", "sqrt"):
        yield from _factors(node.args[0])
    elif not _never_zero(node):
        yield node


def _never_zero(node: Node) -> bool:
    if isinstance(node, Fn):
        return node.name == "exp"
    return isinstance(node, Pi) or (isinstance(node, Const) and node.value != 0)


class _Everywhere(Exception):
    """The formula is 0 at all places."""


class _At(Undecided):
    def __init__(self, why: str, at: float):
        super().__init__(why)
        self.at = at


def _close_in(node: Node, low: float, high: float, work: Work) -> list[float]:
    """Zeros of a formula without poles, by halving; those at the ends are not looked for."""
    narrow = _NARROW * (high - low)
    boxes: list[tuple[float, float]] = []
    waiting = [(low, high)]
    while waiting:
        a, b = waiting.pop()
        least, most = enclose(node, (a, b), work)
        if least > 0 or most < 0:
            continue
        if b - a > narrow:
            middle = a + (b - a) / 2
            waiting += [(middle, b), (a, middle)]
        elif boxes and boxes[-1][1] == a:
            boxes[-1] = (boxes[-1][0], b)
        else:
            boxes.append((a, b))
            if len(boxes) > _BOXES:
                raise _At("there may be very many such places", a)
        if boxes and boxes[-1][1] - boxes[-1][0] > _BOXES * narrow:
            raise _At("it stays too close to 0", boxes[-1][0])
    out = []
    for a, b in boxes:
        if a == low or b == high:
            continue
        left, right = enclose(node, (a, a), work), enclose(node, (b, b), work)
        if not (left[1] < 0 < right[0] or right[1] < 0 < left[0]):
            raise _At("it comes too close to 0", (a + b) / 2)
        out.append((a + b) / 2)
    return out


def _beside(node: Node, x: float, steps: np.ndarray) -> np.ndarray:
    """Values at x + steps."""
    names = dict.fromkeys(variables(node), x + steps)
    return np.broadcast_to(evaluate(node, names), steps.shape)


def _is_infinite(node: Node, part: Node, x: float, width: float) -> bool:
    """Whether the formula is infinite where its part is 0: by its series if x is a plain fraction."""
    (variable,) = variables(node)
    at = Fraction(x).limit_denominator(10_000)
    if exact(part, {variable: at}) == 0:
        of_r = substitute(node, {variable: Var("r")})
        with suppress(Undecided):
            return None in (order_of_zero(of_r, at, side) for side in (-1, 1))
    return _grows(node, x, width)


def _grows(node: Node, x: float, width: float) -> bool:
    """Whether the values rise beyond bounds towards x, from one side at least."""
    for side in (-1.0, 1.0):
        values = _beside(node, x, side * width * _NEAR)
        if not np.isfinite(values).all():
            return True
        first, second = np.abs(np.diff(values))
        if second > _LEVELS_OFF * first and second > 1e-9 * np.abs(values).max():
            return True
    return False


def _bends(node: Node, x: float, width: float) -> bool:
    """Whether the slope jumps at x, or is infinite there."""
    jumps = []
    for d in width * _NEAR[1:]:
        values = _beside(node, x, d * np.array([-2.0, -1.0, 1.0, 2.0]))
        if not np.isfinite(values).all():
            return False  # it is singular there, which another place says
        jumps.append(abs((values[3] - values[2]) - (values[1] - values[0])) / d)
    noise = 1e-6 * max(np.abs(values).max(), 1e-12) / width
    return bool(jumps[1] > noise and jumps[1] > _BENDS * jumps[0] and not math.isnan(jumps[1]))
