"""Makes models/si.safetensors: specs/si_ace_small.etace fitted, for the MD table.  python -m benchmarks.fit_si TRAIN.xyz [TEST.xyz]

Data: the Si set of Zuo et al., J. Phys. Chem. A 124 (2020) 731 (BSD-3-Clause, Materials Virtual Lab).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import etace
import numpy as np
from ase.io import read

from benchmarks.workers import ROOT

MODEL = Path(__file__).parent / "models" / "si.safetensors"


def main(train: str, test: str | None = None) -> None:
    model = etace.load(ROOT / "specs" / "si_ace_small.etace")
    frames = _read(train)
    A, y = zip(*(rows(model, a) for a in frames), strict=True)
    # a smooth potential: coefficients of high degree are held back
    gamma = np.array([smoothness(p.function) for p in model.potential.linear_parameters])
    scaled = np.concatenate(A) / gamma
    U, s, Vt = np.linalg.svd(scaled, full_matrices=False)
    c = Vt.T @ (s / (s**2 + (1e-9 * s[0]) ** 2) * (U.T @ np.concatenate(y))) / gamma
    model.set_linear_parameters(c)
    for name, found in (("train", frames), ("test", _read(test) if test else [])):
        if found:
            print(f"{name}: RMSE {errors(model, found)}")
    model.save(MODEL)


def _read(path: str) -> list[Any]:
    found = read(path, index=":")
    return found if isinstance(found, list) else [found]


def rows(model: etace.Model, atoms: Any) -> tuple[np.ndarray, np.ndarray]:
    """Design rows and labels of energy (weight 30 / sqrt(N)) and forces (1)."""
    r = model.energy_forces_virial_basis(atoms)
    w = 30 / np.sqrt(len(atoms))
    A = np.concatenate([w * r.energy[None], r.forces.reshape(-1, model.length_basis)])
    labels = [w * atoms.get_potential_energy(), *atoms.get_forces().ravel()]
    return A, np.array(labels)


def smoothness(function: str) -> float:
    """sum over factors of n^2 + (1.5 l)^2, of labels such as `(n=1, l=0)(n=2, l=0)`."""
    total = 0.0
    for factor in function.strip("()").split(")("):
        values = dict(part.split("=") for part in factor.split(";")[0].split(", "))
        total += float(values["n"]) ** 2 + (1.5 * float(values.get("l", 0))) ** 2
    return total


def errors(model: etace.Model, frames: list[Any]) -> str:
    found = model.evaluate_batch(frames)
    e = [(r.energy - a.get_potential_energy()) / len(a) for r, a in zip(found, frames, strict=True)]
    f = [r.forces - a.get_forces() for r, a in zip(found, frames, strict=True)]
    both = (1000 * np.sqrt(np.mean(np.square(e))), np.sqrt(np.mean(np.concatenate(f) ** 2)))
    return f"{both[0]:.1f} meV/atom, {both[1]:.3f} eV/Å"


if __name__ == "__main__":
    main(*sys.argv[1:])
