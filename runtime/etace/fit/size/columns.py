"""Which columns of a large model a smaller one of the same family has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from etace.fit.priors import factors_of
from etace.potential import Linear


class Columns:
    """Of a model of the default family: each linear parameter by its order and total degree.

    order: [P], factors of the function, 0 of the pair term; degree: [P], its polynomial's degrees and l_weight
    times its l, summed
    """

    def __init__(self, model: Any, l_weight: float):
        species = len(model.species)
        order: list[np.ndarray] = []
        degree: list[np.ndarray] = []
        for term in model.potential.terms:
            if not isinstance(term, Linear):
                continue
            found = [factors_of(label, species) for label in term.labels]
            pair = term.products is None
            order.append(np.tile([0 if pair else len(f) for f in found], species))
            degree.append(np.tile([sum(n + l_weight * l for n, l in f) for f in found], species))
        self.order, self.degree = np.concatenate(order), np.concatenate(degree)

    def of(self, degrees: Sequence[int]) -> np.ndarray:
        """[P'], places of the columns of the model with these total degrees of each order."""
        most = np.zeros(max(len(degrees), int(self.order.max(initial=0))) + 1)
        most[0] = max(degrees)  # of the pair term
        most[1 : len(degrees) + 1] = degrees
        return np.flatnonzero(self.degree <= most[self.order] + 1e-9)
