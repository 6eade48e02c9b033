"""The named transforms and envelopes, as formulas: the one place where they are defined.

Sources: the Agnesi transforms and envelopes of ACEpotentials.jl (Witt et al., J. Chem. Phys. 159
(2023) 164101), in the form of the design reference, sections 1.1 and 2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from etacec.formula.nodes import ONE, TWO, Const, Fn, Node, Var, add, const, div, mul, power, sub

R, Y = Var("r"), Var("y")
INNER, OUTER = Var("inner"), Var("outer")
RIN, R0, RCUT = Var("bond.rin"), Var("bond.r0"), Var("bond.rcut")


class BadArgument(ValueError):
    """An argument of a named curve or polynomial that makes no sense."""


@dataclass(frozen=True)
class Named:
    """A curve with a name: its parameters with defaults (None: must be given), and its formula."""

    argument: str
    defaults: Mapping[str, int | None]
    formula: Callable[..., Node]


def agnesi(p: Fraction, q: Fraction) -> Node:
    """y = clip(-1 + 2 (x - 1) / (x_cut - 1), -1, 1), x = 1 / (1 + a s^q / (1 + s^(q-p))).

    s = (r - rin) / (r0 - rin); `a` makes the slope largest at r = r0. y(rin) = -1, y(rcut) = 1.
    """
    whole(p, "p"), whole(q, "q")
    if not 0 < p <= q:
        raise BadArgument(f"agnesi needs 0 < p <= q, but p = {p} and q = {q}")
    a = (-2 * q + p * (4 * q - 2)) / (p + p * p + q + q * q)
    if a <= 0:
        raise BadArgument(f"agnesi has no steepest point at r0 for p = {p}, q = {q}")

    def x(r: Node) -> Node:
        s = div(sub(r, RIN), sub(R0, RIN))
        if p == q:  # 1 + s^0 = 2
            return div(ONE, add(ONE, mul(Const(a / 2), power(s, Const(q)))))
        below = add(ONE, power(s, Const(q - p)))
        return div(ONE, add(ONE, div(mul(Const(a), power(s, Const(q))), below)))

    scaled = div(mul(TWO, sub(x(R), ONE)), sub(x(RCUT), ONE))
    return Fn("clip", (sub(scaled, ONE), const(-1), ONE))


def two_sided(p_in: Fraction, p_out: Fraction) -> Node:
    """(1 + y)^p_in (1 - y)^p_out: zero at both ends of [-1, 1]."""
    for name, p in (("p_in", p_in), ("p_out", p_out)):
        whole(p, name)
        if p < 0:
            raise BadArgument(f"two_sided needs {name} >= 0, but {name} = {p}")
    return mul(power(add(ONE, Y), Const(p_in)), power(sub(ONE, Y), Const(p_out)))


def inverse_power(p: Fraction) -> Node:
    """((r/rcut)^-p - 1) (1 - r/rcut): repulsive as r^-p, zero with zero slope at rcut."""
    _positive(p, "inverse_power")
    u = div(R, RCUT)
    return mul(sub(power(u, Const(-p)), ONE), sub(ONE, u))


def inverse_power_shifted(p: Fraction) -> Node:
    """t^-p - tc^-p + p tc^(-p-1) (t - tc), t = r/r0, tc = rcut/r0: the pair envelope of ACE1."""
    _positive(p, "inverse_power_shifted")
    t, tc = div(R, R0), div(RCUT, R0)
    value = sub(power(t, Const(-p)), power(tc, Const(-p)))
    return add(value, mul(mul(Const(p), power(tc, Const(-p - 1))), sub(t, tc)))


def switch() -> Node:
    """1 - 10 t^3 + 15 t^4 - 6 t^5, t = (r - inner) / (outer - inner): how a zbl ends, from 1 to 0."""
    t = div(sub(R, INNER), sub(OUTER, INNER))
    inside = add(sub(const(10), mul(const(15), t)), mul(const(6), power(t, const(2))))
    return sub(ONE, mul(power(t, const(3)), inside))


def whole(value: Fraction, name: str) -> int:
    if value.denominator != 1:
        raise BadArgument(f"{name} is a whole number, but {name} = {float(value)}")
    return int(value)


def _positive(p: Fraction, name: str) -> None:
    whole(p, "p")
    if p <= 0:
        raise BadArgument(f"{name} needs p > 0, but p = {p}")


TRANSFORMS = {"agnesi": Named("r", {"p": None, "q": None}, agnesi)}
ENVELOPES = {
    "inverse_power": Named("r", {"p": 1}, inverse_power),
    "inverse_power_shifted": Named("r", {"p": 2}, inverse_power_shifted),
    "two_sided": Named("y", {"p_in": 2, "p_out": 2}, two_sided),
}
POLYNOMIALS: Mapping[str, tuple[str, ...]] = {
    "chebyshev": (),
    "legendre": (),
    "jacobi": ("alpha", "beta"),
    "monomial": (),
    "bernstein": (),
}
