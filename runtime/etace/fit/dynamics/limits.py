"""What counts as broken in a test MD: a hole in the energy, atoms that collide, molecules that change.

Melting is not: in a solid, bonds may come and go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from ase.data import atomic_numbers, covalent_radii
from ase.data.vdw_alvarez import vdw_radii
from ase.units import kB
from scipy.special import gammainccinv

from etace.errors import StructureError
from etace.fit.dynamics.topology import APART, OTHER, Topology, searched, topology
from etace.neighbours import neighbour_list

CLOSER = 0.7  # of the shortest distance in the data, and of what any bond has
CONTACT = 0.55  # of the sum of van der Waals radii, at most, between atoms that are not bonded
APPEARS = 1.5  # of the sum of covalent radii: no bond is longer
CHANCE = 1e-9  # of so much kinetic energy in equilibrium; twice that is broken
BELOW = 0.1  # eV/atom below what cooling could reach from the data
DRIFT = 0.1  # eV/atom that the integrator makes of nothing
HOTTEST = 1200.0  # K, above which bonds of molecules really break
LOOKED = 6_000  # atoms of the training data whose molecules are looked at
LASTING = 0.9  # of the frames of one molecule, that have the same bonds


@dataclass(frozen=True)
class Failure:
    """why: one clause; atoms: those that it is about"""

    why: str
    atoms: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Known:
    """What the training data tell a test MD.

    species: of the model; closest: [5, species, species], Å, by class of pair (`topology`), infinite of none
    lowest: composition -> eV/atom, the lowest label; bonds: symbols -> how often which bonds
    """

    species: tuple[str, ...]
    closest: np.ndarray
    lowest: Mapping[tuple[Any, ...], float]
    bonds: Mapping[str, Counter[tuple[tuple[int, int], ...]]]

    @staticmethod
    def of(model: Any, structures: Sequence[Any]) -> Known:
        """structures: `etace.data.Labelled`, fitted"""
        n = len(model.species)
        index = {s: k for k, s in enumerate(model.species)}
        closest = np.full((APART + 1, n, n), np.inf)
        seen = None if model.domain is None else model.domain.pairs
        for (a, b), r in (seen or {}).items():
            closest[OTHER, [index[a], index[b]], [index[b], index[a]]] = r
        bonds: dict[str, Counter[tuple[tuple[int, int], ...]]] = {}
        for s in _some(structures):
            try:
                pairs = searched(s.atoms)
            except StructureError:
                continue
            found = topology(s.atoms, pairs)
            if not len(found.bonds.i):
                continue
            kinds = np.array([index[x] for x in s.atoms.symbols])
            at = (found.classes(pairs), kinds[pairs.i], kinds[pairs.j])
            np.minimum.at(closest, at, pairs.r)
            bonds.setdefault(str(s.atoms.symbols), Counter())[found.pairs] += 1
        lowest: dict[tuple[Any, ...], float] = {}
        for s in structures:
            if s.energy is not None:
                key, each = _composition(s.atoms), s.energy / len(s.atoms)
                lowest[key] = min(each, lowest.get(key, np.inf))
        return Known(tuple(model.species), closest, lowest, bonds)


def _some(structures: Sequence[Any]) -> list[Any]:
    """Evenly chosen, of bounded size."""
    atoms = sum(len(s.atoms) for s in structures)
    return list(structures[:: 1 + atoms // LOOKED])


def _composition(atoms: Any) -> tuple[Any, ...]:
    """Fractions of the elements."""
    numbers, counts = np.unique(atoms.numbers, return_counts=True)
    return tuple(numbers.tolist()), tuple((counts / counts.sum()).round(6).tolist())


class Watch:
    """Looks at one trajectory. atoms: where it starts; own: temperature of its frame, K"""

    def __init__(self, known: Known, atoms: Any, own: float):
        self.known, self.atoms, self.own = known, atoms, own
        self.topology = topology(atoms, searched(atoms))
        self.kinds = np.array([known.species.index(x) for x in atoms.symbols])
        same = known.bonds.get(str(atoms.symbols), Counter())
        lasting = not same or same[self.topology.pairs] >= LASTING * same.total()
        self.changing = bool(self.topology.pairs) and not (lasting and own <= HOTTEST)
        if self.changing:  # bonds come and go in the data, and may do so here
            self.topology = Topology.none(len(atoms))

    @cached_property
    def limits(self) -> np.ndarray:
        """[5, species, species], Å: closer is a collision, by class of pair."""
        z = np.array([atomic_numbers[s] for s in self.known.species])
        covalent = covalent_radii[z][:, None] + covalent_radii[z]
        contact = vdw_radii[z][:, None] + vdw_radii[z]
        contact = np.where(np.isfinite(contact), contact, 2 * covalent)
        seen = CLOSER * self.known.closest
        seen[OTHER] = np.minimum(seen[OTHER], CLOSER * covalent)
        out = np.where(np.isfinite(seen), seen, seen[OTHER])
        far = np.minimum(seen[APART], CONTACT * contact)
        out[APART] = np.maximum(far, out[OTHER])
        return out

    def failure(
        self, x: np.ndarray, temperature: float, kinetic: np.ndarray, energy: float, drift: float
    ) -> Failure | None:
        """x: [n, 3], Å, not wrapped; temperature: that of the thermostat, K; kinetic: [n], eV, of every atom
        energy: eV/atom, of atoms at rest; drift: eV/atom that was made of nothing
        """
        if not (np.isfinite(x).all() and np.isfinite(energy) and np.isfinite(kinetic).all()):
            return Failure("energy or forces are no numbers")
        return (
            self._collision(x) or self._broken(x) or self._heat(temperature, kinetic, energy, drift)
        )

    def _collision(self, x: np.ndarray) -> Failure | None:
        a, kinds = self.atoms, self.kinds
        present = np.unique(kinds)
        reach = float(self.limits[:, present[:, None], present].max())
        try:
            pairs = neighbour_list(x, a.cell.array, a.pbc, reach)
        except StructureError as error:
            return Failure(str(error))
        if not len(pairs.r):
            return None
        classes = self.topology.classes(pairs)
        ratio = pairs.r / self.limits[classes, kinds[pairs.i], kinds[pairs.j]]
        k = int(np.argmin(ratio))
        if ratio[k] >= 1:
            return None
        i, j = int(pairs.i[k]), int(pairs.j[k])
        name = "-".join(sorted((a.symbols[i], a.symbols[j])))
        what = "" if classes[k] != APART else ", not bonded,"
        return Failure(f"{name}{what} came to {pairs.r[k]:.2f} Å", (i, j))

    def _broken(self, x: np.ndarray) -> Failure | None:
        b, a = self.topology.bonds, self.atoms
        if not len(b.i):
            return None
        r = np.linalg.norm(x[b.j] - x[b.i] + b.shift @ a.cell.array, axis=1)
        radii = covalent_radii[a.numbers]
        ratio = r / (APPEARS * (radii[b.i] + radii[b.j]))
        k = int(np.argmax(ratio))
        if ratio[k] <= 1:
            return None
        i, j = int(b.i[k]), int(b.j[k])
        name = "-".join(sorted((a.symbols[i], a.symbols[j])))
        return Failure(f"a bond {name} broke", (i, j))

    def _heat(
        self, temperature: float, kinetic: np.ndarray, energy: float, drift: float
    ) -> Failure | None:
        n, kT = len(self.atoms), kB * max(temperature, self.own)
        if kinetic.sum() > 2 * kT * float(gammainccinv(1.5 * n, CHANCE)):
            return Failure(f"the atoms heated up to {kinetic.sum() / (1.5 * n * kB):.0f} K")
        k = int(np.argmax(kinetic))
        if kinetic[k] > 2 * kT * float(gammainccinv(1.5, CHANCE / n)):
            name = self.atoms.symbols[k]
            return Failure(f"one {name} got {kinetic[k]:.2g} eV of kinetic energy", (k,))
        lowest = self.known.lowest.get(_composition(self.atoms))
        if lowest is not None and energy < lowest - 1.5 * kB * self.own - BELOW:
            return Failure(
                f"the energy fell to {lowest - energy:.2g} eV/atom below any in the data"
            )
        if abs(drift) > DRIFT:
            return Failure(f"the energy drifted by {drift:.2g} eV/atom")
        return None
