"""A structure to time a model on where none is given: a crystal of about so many atoms, rattled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

ATOMS = 512
RATTLE = 0.04  # of a bond
SIMPLE = ("diamond", "fcc", "bcc")  # crystals with cubic cells that are taken as they are


def crystal(species: Sequence[str], seed: int, atoms: int = ATOMS) -> Any:
    """An `ase.Atoms`: an element in its own lattice where that is cubic, else in diamond's with bonds as
    long as the atoms' radii say; several elements in turn."""
    from ase.build import bulk
    from ase.data import atomic_numbers, covalent_radii, reference_states

    state = reference_states[atomic_numbers[species[0]]] or {}
    if len(species) == 1 and state.get("symmetry") in SIMPLE:
        cell = bulk(species[0], cubic=True)
        bond = float((cell * 2).get_distances(0, range(1, 8 * len(cell)), mic=True).min())
    else:
        bond = 2 * float(np.mean([covalent_radii[atomic_numbers[s]] for s in species]))
        cell = bulk(species[0], "diamond", a=4 * bond / np.sqrt(3), cubic=True)
    sides = max(1, round((atoms / len(cell)) ** (1 / 3)))
    made = cell * (sides, sides, sides)
    made.symbols[:] = [species[k % len(species)] for k in range(len(made))]
    made.rattle(RATTLE * bond, seed=seed)
    return made
