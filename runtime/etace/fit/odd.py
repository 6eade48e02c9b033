"""Single frames whose labels the fit does not follow, among many that it does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from etace.fit.factors import KINDS
from etace.fit.tables import UNITS, Comparison

FEW, PEERS = 10, 6  # frames at least: with the label, and of the config type
OTHERS = 0.5  # of that, what the other kinds of label are off by, at most
TINY = 1e-9
TIMES = 8.0  # the median error of the frames, and
PART = 0.5  # of how much the labels vary, at least
SHARE = 0.4  # of the frames, at most: else the fit is bad, not the frames
SHOWN = 3
LEAST = {"forces": 0.02, "virial": 5.0}  # eV/Å, meV/atom: what is smaller may be 0


def odd_frames(compared: Sequence[Comparison]) -> dict[str, list[int]]:
    """kind -> places of the frames that stand out from others of their config type, worst first.

    Only in this kind: where the fit follows none of a frame's labels, the frame is unlike the others.
    """
    out: dict[str, list[int]] = {}
    ratio = {kind: _ratios(compared, kind) for kind in KINDS}
    for kind in KINDS:
        limit = PART * _size(compared, kind)
        found = [
            k
            for k in np.argsort(-np.nan_to_num(ratio[kind]), kind="stable").tolist()
            if ratio[kind][k] > TIMES and _error(compared[k], kind) > limit
            and not any(ratio[other][k] > OTHERS * ratio[kind][k] for other in KINDS if other != kind)
        ]  # fmt: skip
        if 0 < len(found) <= SHARE * np.isfinite(ratio[kind]).sum():
            out[kind] = found
    return out


def odd_places(compared: Sequence[Comparison]) -> list[int]:
    return sorted({k for places in odd_frames(compared).values() for k in places})


def sentences(compared: Sequence[Comparison]) -> list[str]:
    """What stands out, one line for each kind of label."""
    out = []
    for kind, places in odd_frames(compared).items():
        places = [k for k in places if kind == "energy" or np.any(getattr(compared[k], kind)[0])]
        if not places:
            continue  # `zeros` says it
        errors = [_error(compared[k], kind) for k in places]
        most = np.median([_error(c, kind) for c in compared if len(c.errors(kind))])
        out.append(
            f"{kind} of {_listed(compared, places)}: off by {max(errors):.3g} {UNITS[kind]}, where most "
            f"structures are off by {most:.3g}; are these labels right?"
        )
    return out


def zeros(compared: Sequence[Comparison]) -> list[str]:
    """Labels that are all 0 where the fit says that they are not."""
    out = []
    for kind in ("forces", "virial"):
        own = [k for k, c in enumerate(compared) if getattr(c, kind) is not None]
        zero = [k for k in own if not np.any(getattr(compared[k], kind)[0])]
        rest = [_error(compared[k], kind) for k in own if k not in set(zero)]
        limit = 3 * float(np.median(rest)) if rest else 0.0
        wrong = [k for k in zero if _error(compared[k], kind) > max(limit, LEAST[kind])]
        if wrong:
            said = max(_error(compared[k], kind) for k in wrong)
            out.append(
                f"{kind} of {_listed(compared, wrong)} are all 0, where the fit says up to {said:.3g} "
                f"{UNITS[kind]}: leave out what was not calculated"
            )
    return out


def _error(c: Comparison, kind: str) -> float:
    return float(np.sqrt(np.mean(c.errors(kind) ** 2)))


def _listed(compared: Sequence[Comparison], places: Sequence[int]) -> str:
    more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    return ", ".join(compared[k].source for k in places[:SHOWN]) + more


def _ratios(compared: Sequence[Comparison], kind: str) -> np.ndarray:
    """[structures], error over the median error of the config type; NaN without a label, or where the
    config type has few."""
    out = np.full(len(compared), np.nan)
    own = [k for k, c in enumerate(compared) if getattr(c, kind) is not None]
    if len(own) < FEW:
        return out
    error = {k: _error(compared[k], kind) for k in own}
    whole = float(np.median(list(error.values())))
    for group in {compared[k].group for k in own}:
        same = [k for k in own if compared[k].group == group]
        if len(same) >= PEERS:
            most = max(float(np.median([error[k] for k in same])), 0.25 * whole, TINY)
            out[same] = [error[k] / most for k in same]
    return out


def _size(compared: Sequence[Comparison], kind: str) -> float:
    """How much labels vary, robustly, in the unit of their errors."""
    values = [np.ravel(getattr(c, kind)[0]) for c in compared if getattr(c, kind) is not None]
    if not values:
        return 0.0
    if kind == "forces":
        return float(np.median([np.sqrt(np.mean(v * v)) for v in values]))
    array = np.array(values)
    return 1000 * 1.4826 * float(np.median(np.abs(array - np.median(array, axis=0)).max(axis=1)))
