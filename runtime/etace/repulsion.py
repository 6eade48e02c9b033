"""The repulsion of nuclei behind their electrons' screen (ZBL), which no data need to teach.

    V(r) = e^2 / (4 pi eps0) Z1 Z2 / r phi(r / a) S(r),   a = 0.8854 bohr / (Z1^0.23 + Z2^0.23)

Ziegler, Biersack and Littmark, The Stopping and Range of Ions in Solids (1985), with their four
exponentials phi. S takes it to exactly 0: 1 up to `inner`, 1 - 10 t^3 + 15 t^4 - 6 t^5 over
t = (r - inner) / (outer - inner), which leaves second derivatives continuous (C2).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from etace import bonds
from etace.graph import AtomGraph

BOHR = 0.529177210903  # Å, CODATA 2018
COULOMB = 27.211386245988 * BOHR  # e^2 / (4 pi eps0): hartree times bohr, eV Å
SCREEN = 0.8854 * BOHR  # Å
WEIGHTS = (0.1818, 0.5099, 0.2802, 0.02817)
RATES = (3.2, 0.9423, 0.4029, 0.2016)


@dataclass(frozen=True, eq=False)
class Zbl:
    """charges: Z of every species; inner, outer: Å, by ordered pair, centre * n_species + neighbour"""

    charges: tuple[int, ...]
    inner: np.ndarray
    outer: np.ndarray

    @cached_property
    def strengths(self) -> np.ndarray:
        """e^2 / (4 pi eps0) Z1 Z2 of every ordered pair, eV Å."""
        z = np.array(self.charges, float)
        return COULOMB * np.outer(z, z).ravel()

    @cached_property
    def lengths(self) -> np.ndarray:
        """a of every ordered pair, Å."""
        powers = np.array(self.charges, float) ** 0.23
        return SCREEN / np.add.outer(powers, powers).ravel()

    def freeze(self, factor: float) -> dict[str, np.ndarray]:
        """What `inference.add_zbl` takes: [species, species] each; strength holds the half of a bond
        that is one atom's, and the term's factor."""
        n, dtype = len(self.charges), self.inner.dtype
        found = {
            "strength": 0.5 * factor * self.strengths,
            "length": self.lengths,
            "inner": self.inner,
            "outer": self.outer,
        }
        return {name: np.asarray(x, dtype).reshape(n, n) for name, x in found.items()}


def screened(r: Any, strength: Any, length: Any, xp: Any = jnp) -> Any:
    """strength / r phi(r / length): V(r) without S. All broadcast; strength: eV Å, the others Å."""
    phi = sum(w * xp.exp(-rate / length * r) for w, rate in zip(WEIGHTS, RATES, strict=True))
    return strength / r * phi


def curve(r: jax.Array, strength: Any, length: Any, inner: Any, outer: Any) -> jax.Array:
    """V(r), for r up to outer. All broadcast; strength: eV Å, the others Å."""
    t = jnp.clip((r - inner) / (outer - inner), 0, 1)
    return screened(r, strength, length) * (1 - t * t * t * (10 - t * (15 - 6 * t)))


def energies(zbl: Zbl, graph: AtomGraph) -> jax.Array:
    """1/2 sum over neighbours j of V(r_ij): [N], eV."""
    dtype = graph.components[0].dtype
    bond = graph.pairs(len(zbl.charges))
    strength, length, inner, outer = (
        bonds.table(np.asarray(x, dtype), bond)
        for x in (zbl.strengths, zbl.lengths, zbl.inner, zbl.outer)
    )
    r, inside = bonds.distances(graph, outer)
    V = jnp.where(inside, curve(r, strength, length, inner, outer), 0)
    return 0.5 * jnp.sum(V, axis=1)
