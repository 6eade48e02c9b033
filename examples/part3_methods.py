"""Part 3: one file, several models (Methods A, B and C of the tutorial), and a stack of calculators.

The fitted model gives each its parameters. The pair term and the many-body term add up to the whole.
"""

from pathlib import Path

import etace
from ase.io import read

here = Path(__file__).parent
atoms = read(here / "data/SiO2_EDI_test.xyz", index=0)
fitted = etace.load(here / "si_o.safetensors")

models = {}
for name in ("si_o", "many_body", "pair_only"):
    model = etace.load(here / "../specs/si_o.etace", name)
    model.params = {block: fitted.params[block] for block in model.params}
    rows = model.energy_forces_virial_basis(atoms)
    energy = model.evaluate(atoms).energy
    print(
        f"{name:9s}  E = {energy:11.6f} eV, P = {model.length_basis:3d}, force rows {rows.forces.shape}"
    )
    models[name] = model

stack = etace.Stack(*(models[name].calculator() for name in ("pair_only", "many_body")))
print(f"stack      E = {stack.get_potential_energy(atoms):11.6f} eV, P = {stack.length_basis}")
