"""Budgets of work, counted in steps, so that the same spec gets the same answer on any machine."""

from __future__ import annotations

from dataclasses import dataclass


class Undecided(Exception):
    """A question that is left open, and why."""


class Spent(Undecided):
    """The budget of a question is used up."""

    def __init__(self) -> None:
        super().__init__("it takes too much work")


@dataclass
class Work:
    """limit: steps that may be spent; a step takes about a microsecond."""

    limit: int
    spent: int = 0

    def spend(self, steps: int) -> None:
        """Raises Spent when the budget is used up."""
        self.spent += steps
        if self.spent > self.limit:
            raise Spent
