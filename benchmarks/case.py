"""One measurement's structure and size of model, the same for everyone who takes part.

Imported by the workers of the peers too: needs ase and numpy only.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

LATTICE = 5.431  # Å, silicon
RATTLE = 0.1  # Å


@dataclasses.dataclass(frozen=True)
class Case:
    """A rattled diamond lattice and a linear ACE.

    repeat: cubic cells of 8 atoms; elements: dealt to the atoms at random
    order, level: correlation order and total degree n + 1.5 l
    cutoff: Å
    spec, model: of ours; spec None: the file in `specs/` named after the elements, which takes
        order, level and cutoff; other files stand as they are
    functions: many-body and pair functions per species, what a peer should come close to
    """

    repeat: tuple[int, int, int]
    elements: tuple[str, ...] = ("Si",)
    order: int = 3
    level: int = 12
    cutoff: float = 5.5
    spec: str | None = None
    model: str | None = None
    functions: int = 0

    @property
    def n_atoms(self) -> int:
        return 8 * int(np.prod(self.repeat))

    def atoms(self) -> Any:
        """`ase.Atoms`; the same numbers wherever it is called."""
        from ase.build import bulk

        atoms = bulk("Si", "diamond", a=LATTICE, cubic=True).repeat(self.repeat)
        rng = np.random.default_rng(0)
        atoms.positions += RATTLE * rng.normal(size=(len(atoms), 3))
        atoms.symbols = rng.choice(self.elements, len(atoms))
        return atoms

    @staticmethod
    def from_json(fields: dict[str, Any]) -> Case:
        values: Any = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        return Case(**values)
