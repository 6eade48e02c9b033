"""What is asked for (`Pattern`) and what comes out (`Coupling`)."""

from dataclasses import dataclass

from etacec.coupling.surd import Surd

GAUGE_VERSION = 1
"""Raised whenever a coefficient of any pattern changes; the gauge is in the package docstring."""

Class = tuple[int, ...]
"""m of each factor, in group order, ascending inside a group."""


class CouplingError(AssertionError):
    """A bug of ours: the functions found contradict the theory. Names the pattern."""


@dataclass(frozen=True, order=True)
class Pattern:
    """The angular side of a block: (l, count) for each distinct (n, l) in it, and the output L.

    groups: ascending, one per distinct (n, l), so equal ones may repeat: two factors of l = 1 are
    ((1, 2),) when their n agree and ((1, 1), (1, 1)) when not. Raises ValueError if not so.
    """

    groups: tuple[tuple[int, int], ...]
    L: int = 0

    def __post_init__(self) -> None:
        if self.L < 0 or any(l < 0 or count < 1 for l, count in self.groups):
            raise ValueError(f"needs L >= 0, every l >= 0 and count >= 1: {self}")
        if tuple(sorted(self.groups)) != self.groups:
            raise ValueError(f"groups must be a tuple of (l, count) in ascending order: {self}")

    @property
    def order(self) -> int:
        """Number of factors in the product."""
        return sum(count for _, count in self.groups)

    @property
    def ls(self) -> tuple[int, ...]:
        """l of each factor, in group order."""
        return tuple(l for l, count in self.groups for _ in range(count))


@dataclass(frozen=True)
class Coupling:
    """B[q, M] = sum over entries (q, M, c, x) of x * product over t of A[n_t, l_t, classes[c][t]].

    classes: m of each factor of the real basis, sorted, each used by some entry.
    entries: (function, component, class, coefficient), sorted, none zero; component 0..2L is the
    real m = -L..L.
    functions: their number, equal to `multiplicity(pattern)`.
    """

    pattern: Pattern
    classes: tuple[Class, ...]
    entries: tuple[tuple[int, int, int, Surd], ...]
    functions: int
