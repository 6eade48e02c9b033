"""Part 6: design rows and a least-squares fit; writes part6.safetensors here (or the path given).

Rows of energies weigh 30 / sqrt(atoms), rows of forces 1; a small ridge keeps the dependent pair
columns harmless. This is what `etace fit` does, without its streaming, priors, evidence and report.
"""

import sys
from pathlib import Path

import etace
import numpy as np
from ase.io import read

here = Path(__file__).parent
model = etace.load(here / "../specs/si_o.etace", "si_o")
train = read(here / "data/SiO2_EDI_train.xyz", index=":")
test = read(here / "data/SiO2_EDI_test.xyz", index=":")

start = model.evaluate_batch(train)  # all readouts are zero: the one-body part
# One composition only, so all that the energies say of the species is one number per atom; the
# pair and many-body terms take it up.
A, y = [], []
for atoms, fixed in zip(train, start, strict=True):
    rows = model.energy_forces_virial_basis(atoms)
    w = 30 / np.sqrt(len(atoms))
    A += [w * rows.energy[None], rows.forces.reshape(-1, model.length_basis)]
    y += [
        [w * (atoms.get_potential_energy() - fixed.energy)],
        (atoms.get_forces() - fixed.forces).ravel(),
    ]
A, y = np.concatenate(A), np.concatenate(y)
scale = np.sqrt((A**2).mean(axis=0)) + 1e-300
U, s, Vt = np.linalg.svd(A / scale, full_matrices=False)
c = Vt.T @ (s / (s**2 + (1e-5 * s[0]) ** 2) * (U.T @ y)) / scale
model.set_linear_parameters(c)

for name, frames in (("train", train), ("test", test)):
    found = model.evaluate_batch(frames)
    dE = [
        (r.energy - a.get_potential_energy()) / len(a) for r, a in zip(found, frames, strict=True)
    ]
    dF = np.concatenate(
        [(r.forces - a.get_forces()).ravel() for r, a in zip(found, frames, strict=True)]
    )
    print(
        f"{name:5s}: RMSE {1000 * np.sqrt(np.mean(np.square(dE))):.2f} meV/atom, {np.sqrt(np.mean(dF**2)):.3f} eV/Å"
    )

path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("part6.safetensors")
model.save(path)
print("written:", path.name)
