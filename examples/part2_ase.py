"""Part 2: the ASE calculator: energy, forces, stress, and a few steps of molecular dynamics."""

from pathlib import Path

import etace
import numpy as np
from ase import units
from ase.io import read
from ase.md.verlet import VelocityVerlet

here = Path(__file__).parent
atoms = read(here / "data/SiO2_EDI_test.xyz", index=0)
atoms.calc = etace.Calculator(here / "si_o.safetensors")

print(f"E      = {atoms.get_potential_energy():.6f} eV")
print(f"F[0]   = {atoms.get_forces()[0]} eV/Å")
print(f"stress = {atoms.get_stress() / units.GPa} GPa")

# Velocities of 100 K (Maxwell-Boltzmann).
spread = np.sqrt(atoms.get_masses() * units.kB * 100)[:, None]
atoms.set_momenta(spread * np.random.default_rng(0).normal(size=(len(atoms), 3)))
start = atoms.get_total_energy()
VelocityVerlet(atoms, timestep=1 * units.fs).run(20)
print(f"total energy after 20 fs: {atoms.get_total_energy() - start:+.2e} eV")
