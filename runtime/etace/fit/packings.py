"""Random packings of atoms: structures that no data hold, at any density, the same ones for one seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from etace.fit.volumes import of

SIZES = (8, 16, 32)  # atoms in a cell: few see their images, many see disorder
TRIES = 15  # places among which an atom takes the one that is farthest from the others
PUSHES = 100  # that part atoms which overlap


def mixtures(species: Sequence[str]) -> list[tuple[str, ...]]:
    """Each species alone, every two, and all together."""
    every: list[tuple[str, ...]] = [(s,) for s in species]
    every += combinations(species, 2)
    return [*every, tuple(species)] if len(species) > 2 else every


def packings(
    species: Sequence[str], each: Mapping[str, float], seed: int, sizes: Sequence[int] = SIZES
) -> Iterator[Any]:
    """`ase.Atoms` at V0 in cubic cells, without end: the mixtures by turns, in random parts.

    each: volume of an atom by species, Å³
    """
    from ase import Atoms

    rng = np.random.default_rng(seed)
    every = mixtures(species)
    turn = 0
    while True:
        of_these = every[turn % len(every)]
        symbols = _drawn(rng, of_these, int(rng.choice(sizes)))
        places = _pushed(rng, len(symbols)) if rng.random() < 0.3 else _apart(rng, len(symbols))
        edge = sum(each[s] for s in symbols) ** (1 / 3)
        yield Atoms(symbols, scaled_positions=places, cell=edge * np.eye(3), pbc=True)
        turn += 1


def compressed(atoms: Any, each: Mapping[str, float], part: float) -> Any:
    """The same at V = part * V0."""
    out = atoms.copy()
    out.set_cell(
        atoms.cell * (part * of(atoms, each) / atoms.cell.volume) ** (1 / 3), scale_atoms=True
    )
    return out


def _drawn(rng: np.random.Generator, these: Sequence[str], n: int) -> list[str]:
    """n symbols with at least one of each, in random order."""
    parts = rng.dirichlet(np.ones(len(these)))
    found = (
        [*these, *rng.choice(list(these), n - len(these), p=parts)] if n > len(these) else [*these]
    )
    return [str(s) for s in rng.permutation(found)]


def _nearest(d: np.ndarray) -> np.ndarray:
    """Differences of scaled positions to the nearest image."""
    return d - np.round(d)


def _apart(rng: np.random.Generator, n: int) -> np.ndarray:
    """Scaled positions, one after the other where there is room."""
    places = rng.random((1, 3))
    while len(places) < n:
        tried = rng.random((TRIES, 3))
        away = np.linalg.norm(_nearest(tried[:, None] - places), axis=-1).min(axis=1)
        places = np.concatenate([places, tried[[away.argmax()]]])
    return places


def _pushed(rng: np.random.Generator, n: int) -> np.ndarray:
    """Scaled positions at random, then pushed apart: close to as dense as spheres go."""
    places = rng.random((n, 3))
    reach = 1.05 * n ** (-1 / 3)
    for _ in range(PUSHES):
        d = _nearest(places[:, None] - places)
        r = np.linalg.norm(d, axis=-1) + 9 * np.eye(n)
        overlap = np.maximum(0, reach - r) / np.maximum(r, 1e-3 * reach)
        places = places + 0.3 * (overlap[..., None] * d).sum(axis=1)
    return places % 1
