"""What a pattern's coefficients take to compute, known before they are."""

from __future__ import annotations

from collections.abc import Iterable

from etacec.coupling.multiplicity import group_weights, multiplicity, states
from etacec.coupling.pattern import Pattern

STEPS = 2_500_000  # of all patterns of a file
SECONDS = 2e-6  # of a step, with the text that is made of its coefficients
_ENTRY = 12  # for each function on each class of highest weight
_NULL_SPACE = 5  # for each pair of classes of a group of equal factors


class TooHeavy(Exception):
    """steps: how many it would take, of `STEPS`."""

    def __init__(self, steps: int):
        super().__init__(f"{steps} steps")
        self.steps = steps


def steps(pattern: Pattern) -> int:
    """An estimate, good to a factor of two or three on patterns that take a second."""
    inside = sum(group_weights(l, n)[l * n] ** 2 for l, n in pattern.groups if n > 1)
    return _ENTRY * multiplicity(pattern) * states(pattern) + _NULL_SPACE * inside


def bound(patterns: Iterable[Pattern]) -> None:
    """Raises TooHeavy where all of them together are beyond `STEPS`."""
    total = sum(map(steps, patterns))
    if total > STEPS:
        raise TooHeavy(total)
