"""Part 1: a model, its parameters, its first energy: as a spec says it, and as it is after a fit."""

from pathlib import Path

import etace
from ase.io import read

here = Path(__file__).parent
atoms = read(here / "data/SiO2_EDI_test.xyz", index=0)
dft = atoms.get_potential_energy()

spec = etace.load(here / "../specs/si_o.etace", "si_o")
print(spec)
print("linear parameters:", spec.lengths, "in all", spec.length_basis)
# Nobody has fitted them yet: they are zero, so that only the one-body energies are left.
print(f"not fitted: E = {spec.evaluate(atoms).energy:.3f} eV, DFT says {dft:.3f} eV")

fitted = etace.load(here / "si_o.safetensors")
result = fitted.evaluate(atoms)
print(f"fitted:     E = {result.energy:.3f} eV, max |F| = {abs(result.forces).max():.2f} eV/Å")
for element in fitted.species:
    own = result.energies[atoms.symbols == element]
    print(f"  {element}: {own.mean():.3f} eV per atom, from {own.min():.3f} to {own.max():.3f}")
