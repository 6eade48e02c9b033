"""Part 3: one file, several models (Methods A, B and C of the tutorial), and a stack of calculators."""

from pathlib import Path

import etace
from ase.io import read

here = Path(__file__).parent
spec = here / "../specs/si_o.etace"
atoms = read(here / "data/SiO2_EDI_test.xyz")

for name in ("si_o", "many_body", "pair_only"):
    model = etace.load(spec, name)
    rows = model.energy_forces_virial_basis(atoms)
    print(f"{name:10s} P = {model.length_basis:3d}, force rows {rows.forces.shape}")

stack = etace.Stack(*(etace.load(spec, n).calculator() for n in ("pair_only", "many_body")))
print("stack:", stack.get_potential_energy(atoms), "eV, P =", stack.length_basis)
