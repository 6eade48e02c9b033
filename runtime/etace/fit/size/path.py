"""Growing a model one thing at a time: each step takes what lowers the cross-validated errors most for its columns."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from etace.fit.size.columns import Columns
from etace.fit.size.validated import Errors, Validation, few

MARGIN = 0.03  # of the best error: what is within it is as good
STEPS = (
    1.10,
    1.60,
)  # columns of a step, times those before, at least: what pays may need a long one
PATIENCE = 3  # steps that better nothing
ENERGY = 0.25  # how much the median energy error counts beside the forces' in comparing steps


@dataclass(frozen=True, eq=False)
class Step:
    """degrees: of each order; columns: linear parameters"""

    degrees: tuple[int, ...]
    columns: int
    errors: Errors

    @property
    def force(self) -> float:
        """What is compared first: the error of forces, of energies where there are none."""
        e = self.errors
        return e.rmse.get("forces", e.rmse.get("energy", e.rmse.get("virial", float("nan"))))

    @property
    def score(self) -> float:
        """The logarithm of an error, less is better."""
        energy = self.errors.median
        return _log(self.force) + (ENERGY * _log(energy) if energy == energy else 0.0)


def grow(
    columns: Columns,
    validation: Validation,
    top: Sequence[int],
    start: Step | None = None,
    most: float = math.inf,
    patience: float = PATIENCE,
    stop: Callable[[], bool] = lambda: False,
) -> list[Step]:
    """Steps from the smallest model, or from `start`, towards the degrees `top`; each is larger than the last.

    most: columns; patience: steps that better nothing before the end; stop: asked before each step
    """
    first = start.degrees if start else _first(top)
    own = columns.of(first)
    errors = validation.better(own, start.errors.ridge) if start else validation.best(own)
    path = [Step(first, len(own), errors)]
    best, idle = path[-1].score, 0
    while idle < patience and not stop():
        now, ridge = path[-1], path[-1].errors.ridge
        larger = {d: columns.of(d) for d in _larger(columns, now, top)}
        larger = {d: c for d, c in larger.items() if len(c) <= most}
        if not larger:
            break
        # which step pays is asked of few folds; what it gives, of all
        own = columns.of(now.degrees)
        some = few(own)
        before = Step(now.degrees, len(own), validation.errors(own, ridge, some)).score
        tried = [Step(d, len(c), validation.errors(c, ridge, some)) for d, c in larger.items()]
        step = min(tried, key=lambda s: (s.score - before) / math.log(s.columns / now.columns))
        errors = validation.better(larger[step.degrees], ridge)
        path.append(Step(step.degrees, step.columns, errors))
        idle = 0 if path[-1].score < best - 0.002 else idle + 1
        best = min(best, path[-1].score)
    return path


def smallest(path: Sequence[Step], margin: float = MARGIN) -> Step:
    """Within a margin of the best errors on the path, of forces and of the median energy.

    A median of few energies is known to a few percent only: their margin is never less.
    """
    force = min(s.force for s in path)
    energy = min((s.errors.median for s in path if s.errors.median == s.errors.median), default=0.0)
    count = sum(len(r) for (_, kind), r in path[0].errors.residuals.items() if kind == "energy")
    wide = max(margin, 0.5 / math.sqrt(count) if count else 0.0)
    for s in sorted(path, key=lambda s: s.columns):
        close = not s.errors.median > (1 + wide) * energy
        if s.force <= (1 + margin) * force and close:
            return s
    return min(path, key=lambda s: s.score)


def slope(path: Sequence[Step]) -> float:
    """By what power of the columns forces still get better at the end of a path: -d ln F / d ln P."""
    end = path[-1]
    before = next((s for s in reversed(path) if s.columns < 0.7 * end.columns), path[0])
    if before.columns == end.columns:
        return 1.0
    return -_log(end.force / before.force) / _log(end.columns / before.columns)


def _first(top: Sequence[int]) -> tuple[int, ...]:
    """Few radial functions of order 1, and next to nothing of order 2."""
    return tuple(min(a, b) for a, b in zip((4, 3), top, strict=False))


def _larger(columns: Columns, step: Step, top: Sequence[int]) -> list[tuple[int, ...]]:
    """Degrees with one of them larger, or one order more, so that there are `STEPS` times as many columns if
    `top` has them."""
    out = set()
    full = [
        *step.degrees,
        *range(len(step.degrees), len(top)),
    ]  # an order of its own degree has no products
    for k in range(min(len(step.degrees) + 1, len(top))):
        grown, own = full[: max(k + 1, len(step.degrees))], step.columns
        for least in STEPS:
            while grown[k] < top[k] and own < least * step.columns:
                grown[k] += 1
                own = len(columns.of(grown))
            if own > step.columns:
                out.add(tuple(grown))
    return sorted(out)


def _log(x: float) -> float:
    return math.log(max(x, 1e-12))
