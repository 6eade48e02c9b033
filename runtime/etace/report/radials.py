"""All radial functions of a model on a scan of every bond."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from etace.potential import Linear
from etace.precision import host_precision
from etace.report.dimers import SHORTEST

POINTS = 240


@dataclass(frozen=True, eq=False)
class Radial:
    """One radial embedding on one bond. r: [points], Å; values: [points, channels]

    channels: indices of each, such as (n, l); channel_degrees: its l, or None
    bond: `Si-O` where all embeddings are the same both ways, else `Si ← O`, centre first
    """

    name: str
    bond: str
    r: np.ndarray
    values: np.ndarray
    channels: tuple[tuple[int, ...], ...]
    channel_degrees: tuple[int | None, ...]

    @property
    def degrees(self) -> list[int | None]:
        return sorted(set(self.channel_degrees), key=lambda l: -1 if l is None else l)


def radials(model: Any, points: int = POINTS) -> list[Radial]:
    """Every embedding of the model's terms on every ordered bond, of its channels those that a term
    reads; both directions as one where all embeddings are the same."""
    from ase import Atoms

    from etace.graph import AtomGraph

    names = model.species
    cutoffs = np.asarray(model.potential.cutoffs)
    embeddings = {t.radial.__name__: t.radial for t in _terms(model)}
    used = _used(model)
    curves: dict[tuple[str, int, int], tuple[np.ndarray, np.ndarray]] = {}
    for a in range(len(names)):
        for b in range(a, len(names)):
            if cutoffs[a, b] <= 0:
                continue
            # an edge at the cutoff itself is none
            r = np.linspace(min(SHORTEST, 0.5 * cutoffs[a, b]), cutoffs[a, b] * (1 - 1e-6), points)
            frames = [Atoms([names[a], names[b]], positions=[[0, 0, 0], [0, 0, x]]) for x in r]
            with host_precision(model.potential.dtype):
                graph = AtomGraph.batch([model.graph(f) for f in frames])
                for name, radial in embeddings.items():
                    slots = np.asarray(radial(model.params, graph))[: 2 * points, 0]
                    for centre, neighbour, own in ((a, b, slots[0::2]), (b, a, slots[1::2])):
                        curves[name, centre, neighbour] = (r, own)
    alike = {
        (a, b): all(_equal(curves[name, a, b][1], curves[name, b, a][1]) for name in embeddings)
        for _, a, b in curves
    }
    return [
        _radial(model, name, (a, b), r, own, alike[a, b], used[name])
        for (name, a, b), (r, own) in sorted(curves.items(), key=lambda x: x[0])
        if a <= b or not alike[a, b]
    ]


def _terms(model: Any) -> list[Linear]:
    return [t for t in model.potential.terms if isinstance(t, Linear)]


def _used(model: Any) -> dict[str, list[int] | None]:
    """Places of the channels of every embedding that some term reads; None: all, as a pair term does."""
    used: dict[str, list[int] | None] = {}
    for t in _terms(model):
        name = t.radial.__name__
        before = used.get(name, [])
        if t.products is None or before is None:
            used[name] = None
        else:
            used[name] = sorted({*before, *t.products.pool.used})
    return used


def _equal(x: np.ndarray, y: np.ndarray) -> bool:
    return bool(np.allclose(x, y, rtol=1e-6, atol=1e-9 * float(np.abs(x).max() + 1)))


def _radial(
    model: Any,
    name: str,
    bond: tuple[int, int],
    r: np.ndarray,
    own: np.ndarray,
    alike: bool,
    used: list[int] | None,
) -> Radial:
    a, b = (model.species[k] for k in bond)
    text = f"{a}-{b}" if alike else f"{a} ← {b}"
    table = getattr(model.module, f"{name}_CHANNELS", None)
    if table is None or len(table) != own.shape[1]:
        table = [(k + 1,) for k in range(own.shape[1])]
    places = range(len(table)) if used is None else used
    channels = tuple(tuple(int(i) for i in table[k]) for k in places)
    degrees = tuple(c[-1] if len(c) > 1 else None for c in channels)
    return Radial(name, text, r, own[:, list(places)], channels, degrees)
