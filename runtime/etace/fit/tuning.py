"""Priors and noise chosen by evidence: the factors stay, no second pass over the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from etace.errors import RequestError
from etace.fit.factors import JOINED, Factor, Factors, Key, eliminate, merged, system
from etace.fit.fitting import of_split
from etace.fit.priors import Prior, gamma
from etace.fit.solve import evidence, golden
from etace.fit.weights import Weights

STEPS = 12  # of a golden section: the interval shrinks to 0.3 %
NO_NOISE = "noise per kind needs a factor for each kind, and memory is for one only"
GRIDS: Mapping[str, Mapping[str, Sequence[float]]] = {
    "algebraic": {"p": (1, 2, 3, 4, 5, 6), "wl": (0.4, 2 / 3, 1.0, 1.5)},
    "algebraic_ace1": {"p": (1, 2, 3, 4, 5, 6), "wl": (0.75, 1.5, 3.0)},
    "exponential": {"wn": (1.0, 2.0, 4.0, 8.0), "wl": (2 / 3, 1.5, 3.0)},
    "gaussian": {"wn": (2.0, 4.0, 8.0, 16.0), "wl": (1.0, 2.0, 4.0)},
}


@dataclass(frozen=True)
class Tuned:
    """prior: the best; table: (values, log evidence) of all that were tried, in that order."""

    prior: Prior
    log_evidence: float
    table: tuple[tuple[Mapping[str, float], float], ...]


def tune_prior(
    model: Any,
    factors: Factors,
    weights: Weights,
    prior: Prior,
    grid: Mapping[str, Sequence[float]] | None = None,
) -> Tuned:
    """The numbers of a prior that make the training data most probable under `blr`.

    grid: values by name (p, wl, wn), ascending; all combinations, then a golden section about the
    best for one name after the other. Deterministic. Raises RequestError: nothing there to choose.
    """
    grid = dict(GRIDS.get(prior.kind, {}) if grid is None else grid)
    _check(prior, grid)
    whole = of_split(factors, weights, "train")
    table: list[tuple[Mapping[str, float], float]] = []

    def score(values: Mapping[str, float]) -> float:
        g = gamma(model.potential, _with(prior, values))
        reduced = eliminate(whole, g == 0)
        found = evidence(reduced.rest.scaled(g[reduced.others])).notes
        table.append((dict(values), found.get("log evidence", -np.inf)))
        return table[-1][1]

    for values in product(*grid.values()):
        score(dict(zip(grid, map(float, values), strict=True)))
    for name, tried in grid.items():
        best = _best(table)
        k = int(np.argmin([abs(v - best[name]) for v in tried]))
        low, high = tried[max(k - 1, 0)], tried[min(k + 1, len(tried) - 1)]
        if low < high:
            golden(_along(score, best, name), low, high, STEPS)
    return Tuned(_with(prior, _best(table)), max(row[1] for row in table), tuple(table))


def _best(table: Sequence[tuple[Mapping[str, float], float]]) -> Mapping[str, float]:
    return max(table, key=lambda row: row[1])[0]


def _along(
    score: Callable[[Mapping[str, float]], float], values: Mapping[str, float], name: str
) -> Callable[[float], float]:
    return lambda x: score({**values, name: x})


def _with(prior: Prior, values: Mapping[str, Any]) -> Prior:
    return replace(prior, **values)


def _check(prior: Prior, grid: Mapping[str, Sequence[float]]) -> None:
    if prior.diagonal is not None or not grid:
        raise RequestError(
            "there is nothing to tune in a prior of kind `none` or with a diagonal; "
            f"there is: {', '.join(GRIDS)}"
        )
    for name, values in grid.items():
        if name not in ("p", "wl", "wn"):
            raise RequestError(f"a prior has no number `{name}`; there is: p, wl, wn")
        if not values or list(values) != sorted(set(values)) or values[0] <= 0:
            raise RequestError(f"values of `{name}` to try must be above 0 and ascend: {values}")


@dataclass(frozen=True)
class Noise:
    """weights: such that all rows have the same noise; relative: kind -> noise, in the units of the
    weights that were given, that of the first kind 1; log_evidence: of the labels themselves"""

    weights: Weights
    relative: Mapping[str, float]
    log_evidence: float


def tune_noise(
    model: Any, factors: Factors, weights: Weights, prior: Prior, span: float = 100.0
) -> Noise:
    """One noise scale for each kind of label, the most probable, within a factor `span` either way.

    On request only: energies of a data set are fewer and correlate, so this trusts them too little. On
    Si and Mo it makes energies 2 to 4 times worse than the default weights, and forces little better.
    """
    if any(key.kind == JOINED for key in factors):
        raise RequestError(
            "noise per kind needs a factor for each kind, and memory is for one only"
        )
    parts: dict[str, Factor] = {}
    for key in sorted(factors):
        w = weights(key.group, key.kind)
        if key.split == "train" and w > 0:
            own = Factor(factors[key].rows, np.asfortranarray(w * factors[key].R))
            parts[key.kind] = merged(parts[key.kind], own) if key.kind in parts else own
    kinds: list[str] = [k for k in ("forces", "energy", "virial") if k in parts]
    if len(kinds) < 2:
        raise RequestError("noise per kind needs labels of two kinds at least")
    keyed = {Key("train", "default", kind): part for kind, part in parts.items()}
    g = gamma(model.potential, prior)

    def score(logs: Mapping[str, float]) -> float:
        """log p(y) of the rows before they are divided by their noise."""
        reduced = eliminate(system(keyed, lambda k: float(np.exp(-logs[k.kind]))), g == 0)
        found = evidence(reduced.rest.scaled(g[reduced.others])).notes
        divided = sum(parts[k].rows * logs[k] for k in kinds)
        return float(found.get("log evidence", -np.inf) - divided - reduced.log_volume)

    def along(name: str) -> float:
        f = lambda x: score({**logs, name: x})  # noqa: E731
        grid = np.linspace(-np.log(span), np.log(span), 9)
        k = int(np.argmax([f(x) for x in grid]))
        return golden(f, grid[max(k - 1, 0)], grid[min(k + 1, 8)], STEPS)

    logs = dict.fromkeys(kinds, 0.0)
    for _ in range(1 if len(kinds) == 2 else 3):
        for name in kinds[1:]:
            logs[name] = along(name)
    relative = {k: float(np.exp(x)) for k, x in logs.items()}
    groups = {
        group: {k: w / relative.get(k, 1.0) for k, w in own.items()}
        for group, own in weights.resolved().items()
    }
    return Noise(Weights(groups), relative, score(logs))
