"""Many trajectories at once, each with its thermostat and random numbers of its own.

Langevin dynamics as BAOAB (Leimkuhler and Matthews): half a kick, half a step, the thermostat, half a step, half
a kick. All structures go through the kernel in one call, which costs small ones a tenth of a call each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import units

from etace.errors import StructureError

if TYPE_CHECKING:
    from etace.model import Model

FRICTION = 0.01 / units.fs  # 1 / 100 fs
SKIN = 0.7  # Å
LONGEST = 1.0  # Å, of one step


class Walkers:
    """frames: `ase.Atoms`, where they start; step: fs; seed: of all random numbers

    ids: which of the frames still go; fallen: why others do not
    """

    def __init__(self, model: Model, frames: Sequence[Any], step: float, seed: int = 0):
        self.model, self.frames, self.dt = model, list(frames), step * units.fs
        self.ids = list(range(len(frames)))
        self.fallen: dict[int, str] = {}
        self.rngs = [np.random.default_rng([seed % 2**63, k]) for k in self.ids]
        self.x = np.concatenate([np.asarray(f.positions, float) for f in frames])
        self.v = np.zeros_like(self.x)
        self.mass = np.concatenate([f.get_masses() for f in frames])[:, None]
        self.heat = np.zeros(len(frames))
        self._list()

    # ------------------------------------------------------------ what there is

    @property
    def sizes(self) -> list[int]:
        """Atoms of each."""
        return [len(self.frames[k]) for k in self.ids]

    def positions(self) -> list[np.ndarray]:
        """[n, 3] of each, Å, not wrapped."""
        return [x.copy() for x in np.split(self.x, np.cumsum(self.sizes)[:-1])]

    def kinetic(self) -> np.ndarray:
        """eV of each."""
        return self._sum(0.5 * self.mass * self.v**2)

    def moving(self) -> list[np.ndarray]:
        """[n] of each: kinetic energy of every atom, eV."""
        every = 0.5 * (self.mass * self.v**2).sum(axis=1)
        return np.split(every, np.cumsum(self.sizes)[:-1])

    # ------------------------------------------------------------ moving

    def thermalise(self, temperature: float) -> None:
        """Velocities anew, of this temperature, K."""
        self.v = np.sqrt(units.kB * temperature / self.mass) * self._noise()
        self.heat[:] = 0.0

    @np.errstate(over="ignore", invalid="ignore")  # of what is about to be dropped
    def advance(self, temperature: float, steps: int) -> None:
        """So many steps; what cannot go on is dropped, and `fallen` says why."""
        keep = np.exp(-FRICTION * self.dt)
        for _ in range(steps if self.ids else 0):
            self.v += 0.5 * self.dt * self.forces / self.mass
            self.x += 0.5 * self.dt * self.v
            before = self.kinetic()
            spread = np.sqrt((1 - keep**2) * units.kB * temperature / self.mass)
            self.v = keep * self.v + spread * self._noise()
            self.heat += self.kinetic() - before
            self.x += 0.5 * self.dt * self.v
            self._force(np.abs(self.v) * self.dt)
            if not self.ids:
                return
            self.v += 0.5 * self.dt * self.forces / self.mass

    def drop(self, why: dict[int, str]) -> None:
        """Those of these ids stay where they are."""
        if not why:
            return
        self.fallen |= why
        stay = [k not in why for k in self.ids]
        rows = np.repeat(stay, self.sizes)
        self.x, self.v, self.mass = self.x[rows], self.v[rows], self.mass[rows]
        self.heat = self.heat[stay]
        self.rngs = [g for g, on in zip(self.rngs, stay, strict=True) if on]
        self.ids = [k for k, on in zip(self.ids, stay, strict=True) if on]
        self._list()

    def _force(self, moved: np.ndarray) -> None:
        """Energy and forces at the new positions. moved: [n, 3], Å, in this step"""
        far = self._most(moved)
        wild = {
            k: f"an atom moved by more than {LONGEST:g} Å in one step"
            for k, d in zip(self.ids, far, strict=True)
            if not d < LONGEST
        }
        if wild:
            self.drop(wild)
        elif np.square(self.x - self._at).sum(axis=1).max() >= (SKIN / 2) ** 2:
            self._list()
        else:
            self._evaluate()

    def _list(self) -> None:
        """List neighbours anew; those of which that cannot be done are dropped."""
        if not self.ids:
            return
        frames = [self.frames[k].copy() for k in self.ids]
        for frame, x in zip(frames, self.positions(), strict=True):
            frame.positions = x
        evaluator: Any = self.model.evaluator
        try:
            self._near = evaluator.prepare(
                [self.model.paired(f, skin=SKIN) for f in frames], batch=True
            )
        except StructureError:
            wrong = {k: why for k, f in zip(self.ids, frames, strict=True) if (why := self._why(f))}
            if not wrong:
                raise
            self.drop(wrong)
            return
        self._at = self.x.copy()
        self._evaluate()

    def _why(self, frame: Any) -> str:
        """Why its neighbours cannot be listed; empty: they can."""
        try:
            self.model.evaluator.prepare([self.model.paired(frame, skin=SKIN)])
        except StructureError as error:
            return str(error)
        return ""

    def _evaluate(self) -> None:
        evaluator: Any = self.model.evaluator
        r = evaluator(self.model.params, self._near.moved(self.x))
        self.energy, self.forces = np.asarray(r.energy, float), np.asarray(r.forces, float)

    def _noise(self) -> np.ndarray:
        return np.concatenate(
            [g.standard_normal((n, 3)) for g, n in zip(self.rngs, self.sizes, strict=True)]
        )

    def _sum(self, values: np.ndarray) -> np.ndarray:
        """Of each, of [n, 3]."""
        starts = np.cumsum([0, *self.sizes[:-1]])
        out: np.ndarray = np.add.reduceat(values.sum(axis=1), starts)
        return out

    def _most(self, values: np.ndarray) -> np.ndarray:
        """Largest of each, of [n, 3]; NaN where there is one."""
        starts = np.cumsum([0, *self.sizes[:-1]])
        out: np.ndarray = np.maximum.reduceat(values.max(axis=1), starts)
        return out
