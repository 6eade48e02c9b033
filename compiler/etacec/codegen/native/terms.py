"""What the edges of a kernel are made of, as data: curves, shells, pair terms and plain energies."""

from __future__ import annotations

from dataclasses import dataclass

from etacec.formula.nodes import Node


@dataclass(frozen=True)
class Curves:
    """Functions of the distance: f_q = P_q(y) e, P by a recursion from `first`, (a, b, c) a step.

    y, e: formulas of r and the bond's tables
    """

    y: Node
    e: Node
    first: float
    steps: tuple[tuple[float, float, float], ...]

    @property
    def count(self) -> int:
        return len(self.steps) + 1


@dataclass(frozen=True)
class Shell:
    """A of one basis. l: of each factor, ascending; harmonics: spherical, solid or none

    places: f_q that each factor is, where weights are one-hot: the factors of every species of neighbours,
    whose entries stand one species after the other; None: weights [factors][count] of every ordered
    pair stand in the coefficients from `weights` on
    start: of its first entry in A
    """

    curves: Curves
    l: tuple[int, ...]
    harmonics: str
    places: tuple[int, ...] | None
    weights: int
    start: int

    @property
    def width(self) -> int:
        """Entries of A that a neighbour adds to."""
        return sum(2 * l + 1 for l in self.l)

    @property
    def lmax(self) -> int:
        return max(self.l)

    @property
    def harmonics_read(self) -> list[int]:
        """l^2 + l + m of all l that there are."""
        return [h for l in sorted(set(self.l)) for h in range(l * l, (l + 1) ** 2)]

    def entry(self, factor: int) -> int:
        """Where A[factor, m = -l] stands."""
        return self.start + sum(2 * l + 1 for l in self.l[:factor])

    def factors(self, l: int) -> list[int]:
        return [k for k, own in enumerate(self.l) if own == l]

    def pooled(self, l: int) -> bool:
        """Whether f_q Y is summed over the neighbours first and mixed then: fewer operations an edge."""
        if self.places is not None:
            return False
        n, Q, m = len(self.factors(l)), self.curves.count, 2 * l + 1
        return Q * m <= n * (Q + m)


@dataclass(frozen=True)
class PairTerm:
    """Sum of v_q f_q of an edge, v of every ordered pair in the coefficients from `weights` on."""

    curves: Curves
    weights: int


@dataclass(frozen=True)
class Energy:
    """V(r) of an edge, from formulas alone, up to the table `outer`."""

    V: Node
    outer: str
