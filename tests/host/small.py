"""A small model with numbers in it, and atoms of it."""

from pathlib import Path

import etace
import numpy as np
from ase import Atoms
from ase.build import bulk

SPEC = """etace 1
species Si, O
onebody E0 { Si = -1 eV, O = -2 eV }
use linear_ace as ace { max_order = 2, max_level = 5, max_l = 2, cutoff = 4 Å }
model m = E0 + ace.two_body + ace.many_body
"""


def small_model(folder: Path, backend: str = "native", **keywords) -> etace.Model:
    path = folder / "small.etace"
    path.write_text(SPEC, encoding="utf8")
    model = etace.load(path, backend=backend, **keywords)
    rng = np.random.default_rng(1)
    model.set_linear_parameters(0.1 * rng.normal(size=model.length_basis))
    return model


def crystal(repeat: int = 1, seed: int = 0) -> Atoms:
    atoms = bulk("Si", cubic=True) * (repeat, repeat, repeat)
    atoms.numbers[::2] = 8
    atoms.rattle(0.1, seed=seed)
    return atoms


def with_everything(model: etace.Model) -> etace.Model:
    """A committee and extrapolation grades too."""
    from etace.extrapolation import learned

    values = model.get_linear_parameters()
    grades, _ = learned(model, [crystal(seed=k) for k in range(3)])
    model.set_committee([values, 1.1 * values, 0.9 * values])
    model.set_extrapolation(grades)
    model.card = {"model": "m", "made": "for a test"}
    return model


def energy_of(atoms):
    """For a process of its own, which imports this module."""
    atoms.rattle(0.1, seed=7)
    return float(atoms.get_potential_energy())
