"""From errors and spreads to a calibration curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np

from etace.report.contents import Calibration

NOMINAL = np.linspace(0.05, 0.95, 19)


def calibration(
    found: Mapping[str, tuple[Sequence[np.ndarray], Sequence[np.ndarray]]],
) -> Calibration:
    """Share of errors within the interval of a normal distribution, for probabilities of 5 to 95 %.

    found: by name, such as energy, (errors, standard deviations) in pieces of any shape, one unit;
    deviations of 0 (by symmetry) are left out, and names of which nothing is left
    """
    reach = np.array([NormalDist().inv_cdf((1 + p) / 2) for p in NOMINAL])
    shares = {}
    for name, (errors, spreads) in found.items():
        e, s = (np.concatenate([np.zeros(0), *map(np.ravel, x)]) for x in (errors, spreads))
        ratio = np.abs(e[s > 0]) / s[s > 0]
        if len(ratio):
            shares[name] = (ratio[:, None] <= reach).mean(0)
    return Calibration(NOMINAL, shares)
