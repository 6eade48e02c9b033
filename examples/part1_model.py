"""Part 1: a model from an `.etace` file, its parameters, its first energy."""

from pathlib import Path

import etace
from ase.build import bulk

here = Path(__file__).parent
model = etace.load(here / "../specs/si_o.etace", "si_o")

atoms = bulk("Si", "diamond", a=5.43).repeat((2, 2, 1))
atoms.rattle(0.05, seed=1)
atoms.symbols[[1, 2, 4, 5, 7]] = "O"

print(model)
print("linear parameters:", model.lengths, "in all", model.length_basis)
result = model.evaluate(atoms)
# Readouts start at zero, so only the one-body energies are left: 3 Si + 5 O.
print(f"E = {result.energy:.6f} eV, max |F| = {abs(result.forces).max():.1f} eV/Å")
