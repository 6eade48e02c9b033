"""Where a test MD starts: a few training frames of all config types, and the temperature that they are of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from etace.data.isolated import isolated
from etace.fit.dynamics.temperature import by_forces, named
from etace.words import count

if TYPE_CHECKING:
    from etace.model import Model

RUNS = 6
ATOMS = 200  # of all runs together, if there are two
ONE = 1000  # atoms of a frame that runs alone
SMALL = 200  # atoms: larger frames only where there are no others
LEAST = 12  # atoms of a periodic cell: smaller ones are repeated
ASKED = 8  # frames of a config type whose temperature is asked
MOST = 48  # of all
ASKED_ATOMS = 20_000  # of all, from the second on
DEFAULT = 300.0  # K
COLD, HOT = 30.0, 10_000.0  # K: frames outside are of no trajectory at equilibrium


@dataclass(frozen=True, eq=False)
class Start:
    """atoms: an `ase.Atoms`, its cell repeated if it was small; source: of the frame; group: config type
    own: temperature of the frame by itself, K; 0: atoms at rest"""

    atoms: Any
    source: str
    group: str
    own: float


@dataclass(frozen=True)
class Own:
    """temperature: of the data, K; how: it was found, in words"""

    temperature: float
    how: str


def starts(model: Model, structures: Sequence[Any], seed: int = 0) -> tuple[list[Start], Own]:
    """At most `RUNS`, the same for the same data; none where no atom has a neighbour.

    structures: `etace.data.Labelled`
    """
    asked = [s for s in _asked(structures) if not isolated(s.atoms, model.cutoff_radius)]
    cells = [_repeated(s.atoms) for s in asked]
    by_name = [named(s.group) for s in asked]
    found = by_forces(model, cells, [s.forces for s in asked], seed)
    every = [
        Start(a, s.source, s.group, name or (float(T) if T > COLD else 0.0))
        for s, a, name, T in zip(asked, cells, by_name, found, strict=True)
    ]
    own = _own([s.own for s in every if COLD < s.own <= HOT], by_name)
    limit = max(4 * own.temperature, 1000.0)
    # others roll down, whatever the model
    near = [s for s, T in zip(every, found, strict=True) if np.isfinite(T) and s.own <= limit]
    return _chosen(near or every), own


def _own(thermal: Sequence[float], by_name: Sequence[float | None]) -> Own:
    if not thermal:
        return Own(DEFAULT, "assumed: no frame looks as if it came from MD")
    if all(name is not None for name in by_name):
        return Own(float(np.median(thermal)), "by the names of config types")
    T = float(np.round(np.median(thermal), -1 if np.median(thermal) >= 100 else 0))
    return Own(T, f"by the forces in {count(len(thermal), 'frame')}")


def _asked(structures: Sequence[Any]) -> list[Any]:
    """Frames of every config type, evenly by energy, from the middle out."""
    more = [s for s in structures if len(s.atoms) > 1 or s.atoms.pbc.any()]
    if not more:
        return []
    limit = max(SMALL, min(len(s.atoms) for s in more))
    groups: dict[str, list[Any]] = {}
    for s in more:
        if len(s.atoms) <= limit:
            groups.setdefault(s.group, []).append(s)
    lists = []
    for group in sorted(groups, key=lambda g: (-len(groups[g]), g)):
        own = groups[group]
        per_atom = [0.0 if s.energy is None else s.energy / len(s.atoms) for s in own]
        order = np.argsort(per_atom, kind="stable")
        places = np.unique(np.linspace(0, len(own) - 1, ASKED + 2).round().astype(int))
        places = places[1:-1] if len(places) > 2 else places  # not the oddest
        middle = sorted(places, key=lambda k: (abs(k - (len(own) - 1) / 2), k))
        lists.append([own[order[k]] for k in middle])
    out = _in_turn(lists)[:MOST]
    atoms = np.cumsum([len(s.atoms) for s in out])
    return out[: max(1, int((atoms <= ASKED_ATOMS).sum()))]


def _in_turn(lists: Sequence[Sequence[Any]]) -> list[Any]:
    """The first of each, the second of each ..."""
    longest = max(map(len, lists), default=0)
    return [own[k] for k in range(longest) for own in lists if k < len(own)]


def _chosen(found: Sequence[Start]) -> list[Start]:
    """As many as their size allows; again from the first where there are few."""
    if not found:
        return []
    out: list[Start] = []
    atoms = 0
    for k in range(RUNS):
        start = found[k % len(found)]
        n = len(start.atoms)
        if (len(out) >= 2 and atoms + n > ATOMS) or (out and max(n, atoms) > ONE):
            continue
        out.append(start)
        atoms += n
    return out


def _repeated(atoms: Any) -> Any:
    """Small cells several times over: one atom in its own images feels no force."""
    out = atoms.copy()
    while out.pbc.any() and len(out) < LEAST:
        lengths = np.where(out.pbc, out.cell.lengths(), np.inf)
        times = [1, 1, 1]
        times[int(np.argmin(lengths))] = 2
        out = out.repeat(times)
    return out
