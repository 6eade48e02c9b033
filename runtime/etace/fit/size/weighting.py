"""Weights of config types from the errors of a cross-validation.

Labels of a hot liquid are fitted ten times worse than those of a crystal, whatever the model. With one weight for
all, the liquid rules the fit. So each config type gets the weight 1 / sigma of its own errors, energies three
times that; and these are kept only where cross-validation says that they help.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from etace.fit.repulsion import GROUP
from etace.fit.size.moments import Moments
from etace.fit.size.validated import Errors, Validation
from etace.fit.weights import Weights

FLOORS = {"energy": 0.002, "forces": 0.01, "virial": 0.01}  # eV sqrt(N), eV/Å, eV sqrt(N)
FACTORS = {"energy": 3.0, "forces": 1.0, "virial": 1.0}
WORSE = 1.10  # forces may get, for better energies


def by_config_type(
    sums: Moments, columns: np.ndarray, validation: Validation, gamma: np.ndarray
) -> tuple[Weights, str] | None:
    """(weights, a line for people), or None: there is one config type, or they do not help."""
    before = validation.best(columns)
    if len({g for g, _ in before.residuals if g != GROUP}) < 2 or "energy" not in before.rmse:
        return None
    weights = Weights(_weights(before, sums))
    after = Validation(sums, weights, gamma, validation.cores).best(columns)
    energy = after.rmse["energy"] < before.rmse["energy"] and after.median <= before.median
    forces = after.rmse.get("forces", 0.0) <= WORSE * before.rmse.get("forces", 0.0)
    if not (energy and forces):
        return None
    line = (
        "weights by config type: cross-validated energies "
        f"{1e3 * before.rmse['energy']:.3g} -> {1e3 * after.rmse['energy']:.3g} meV/√N"
    )
    if "forces" in after.rmse:
        line += (
            f", forces {1e3 * before.rmse['forces']:.3g} -> {1e3 * after.rmse['forces']:.3g} meV/Å"
        )
    return weights, line


def _weights(errors: Errors, sums: Moments) -> Mapping[str, Mapping[str, float]]:
    sigma = {
        (group, kind): max(FLOORS[kind], float(np.median(np.abs(r))) / 0.6745)
        for (group, kind), r in errors.residuals.items()
    }
    forces = [s for (_, kind), s in sigma.items() if kind == "forces"]
    unit = float(np.median(forces)) if forces else float(np.median(list(sigma.values())))
    out: dict[str, dict[str, float]] = {}
    for (group, kind), s in sorted(sigma.items()):
        out.setdefault(group, {})[kind] = float(f"{FACTORS[kind] * unit / s:.4g}")
    return out
