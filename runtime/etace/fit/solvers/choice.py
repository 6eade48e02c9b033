"""From a path of solutions to one of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from etace.fit.factors import System
from etace.fit.solve import Path, Solution
from etace.fit.solvers.figures import figures, losses


def choose(
    system: System,
    validation: System | None,
    found: Sequence[np.ndarray],
    size: int | None,
    within: float,
) -> Solution:
    """By size: the last of the path with at most so many coefficients. Without a size, the first
    whose validation residual is within a factor of the smallest; without validation rows, the last."""
    C = np.array(found)
    sizes = np.count_nonzero(C, axis=1)
    train = np.sqrt(losses(system, C) / max(system.rows, 1))
    held = None
    if validation is not None:
        held = np.sqrt(losses(validation, C) / max(validation.rows, 1))
    if size is not None:
        k = int(np.flatnonzero(sizes <= size)[-1])
    elif held is not None:
        k = int(np.argmax(held <= within * held.min()))
    else:
        k = len(C) - 1
    c = C[k].copy()
    return Solution(c, None, figures(system, c, validation), Path(C, sizes, train, held, k))
