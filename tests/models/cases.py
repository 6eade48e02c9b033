"""The specs the tests speak of, compiled once per dtype, with random weights."""

from __future__ import annotations

import types
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ase import Atoms
from ase.build import bulk
from etace.graph import AtomGraph
from etace.model import run_module
from etacec import compile_file, compile_text

ROOT = Path(__file__).parents[2]
HEAD = "etace 1\nspecies Si, O\n"
RADIAL = """
radial R[n in 1..4, l in 0..3] {
  transform   = agnesi(p = 2, q = 4)
  envelope(y) = (1 - y^2)^2
  polynomials = jacobi(6, alpha = 1, beta = 2)
}
angular Y[l in 0..3] { harmonics = spherical }
"""
TEXTS = {
    # every bond its own lengths, r_in included; a learnable onebody; scaled and subtracted terms
    "bonds": HEAD
    + """
bond *-*   { rcut = 4.6 Å }
bond Si-O  { rcut = 3.9 Å, rin = 0.4 Å, r0 = 1.7 Å }
bond O-O   { rcut = 4.2 Å }
"""
    + RADIAL
    + """
radial R2[n in 1..5] {
  transform(r) = 2 * (r / bond.rcut)^2 - 1
  envelope(r)  = cos(pi * r / (2 * bond.rcut))^2 / r
  polynomials  = bernstein(6)
}
basis B { factors = R * Y, order = 1..3
  where sum(n + 1.5 * l) <= 7 }
readout V { from = B }
pair V2 { from = R2 }
learnable onebody E0 { Si = -1 eV, O = -2 eV }
model bonds = E0 - 0.5 * V + 2 * V2
""",
    "order5": HEAD
    + "bond *-* { rcut = 4 Å }\n"
    + RADIAL
    + """
basis B { factors = R * Y, order = 1..5
  where sum(n + l) <= 8 and count(l == 0) <= 4 }
readout V { from = B, weights = learnable(init = normal(0.1)) }
onebody E0 { Si = -1 eV, O = -2 eV }
model order5 = E0 + V
""",
    # without harmonics; Chebyshev and monomials; frozen random radials
    "scalar": HEAD
    + """
bond *-* { rcut = 4.5 Å }
radial R[n in 1..4] {
  transform(r) = 1 - 2 * r / bond.rcut
  envelope     = two_sided(p_in = 0, p_out = 3)
  polynomials  = monomial(5)
  weights      = frozen(init = normal(0.5)) per pair
}
basis B { factors = R, order = 1..2
  where sum(n) <= 6 }
readout V { from = B }
onebody E0 { Si = -1 eV, O = -2 eV }
model scalar = E0 + V
""".replace("two_sided(p_in = 0, p_out = 3)", "inverse_power(p = 1)"),
}
SPECS = {p.stem: p for p in sorted((ROOT / "specs").glob("*.etace"))}
MODEL_OF = {"si_o": "si_o", "preset": "si_o", "scratch": "combined"}
# The large sets of one kind as their small ones: compiled and run in the slow sweep only.
QUICK = ["si_o", "preset", "scratch", "si_ace_small", *TEXTS]
EVERY = [*SPECS, *TEXTS]


@dataclass(frozen=True, eq=False)
class Case:
    name: str
    module: types.ModuleType
    potential: Any
    params: Any
    source: str
    evaluate: Any
    rows: Any

    def graph(self, atoms: Atoms, **keywords: Any) -> AtomGraph:
        p = self.potential
        return AtomGraph.from_atoms(atoms, p.species, p.cutoffs, dtype=p.dtype, **keywords)

    def __call__(self, atoms: Atoms) -> Any:
        """energy, energies, forces, virial as numpy, padding cut off."""
        r = self.evaluate(self.params, self.graph(atoms))
        n = len(atoms)
        return (
            float(r.energy),
            np.asarray(r.energies)[:n],
            np.asarray(r.forces)[:n],
            np.asarray(r.virial),
        )

    def scale(self, atoms: Atoms) -> float:
        """Sum of |E_i|: what relative errors are measured by."""
        return float(np.abs(self(atoms)[1]).sum()) + 1.0


@cache
def case(name: str, dtype: str = "float64") -> Case:
    done = (
        compile_text(TEXTS[name], name, dtype=dtype)
        if name in TEXTS
        else compile_file(SPECS[name], dtype=dtype)
    )
    module = run_module(done.module, name)
    potential = module.MODELS[MODEL_OF.get(name, next(iter(module.MODELS)))]
    rng = np.random.default_rng(7)
    params = potential.init(1)
    values = rng.normal(size=potential.length_basis) / np.sqrt(potential.length_basis)
    params = potential.set_linear_parameters(params, values)
    evaluate, rows = jax.jit(potential.energy_forces_virial), jax.jit(potential.design_rows)
    return Case(name, module, potential, params, done.module, evaluate, rows)


def clear_crystal(c: Case, gap: float = 2.5e-3) -> Atoms:
    """A crystal without a distance near its bond's cutoff: there, second derivatives jump (C1), and
    differences across the jump say nothing of the slope."""
    for seed in range(1000):
        atoms = crystal(c, seed)
        graph = c.graph(atoms, skin=0.1)
        with jax.enable_x64(True):
            r = np.linalg.norm(np.asarray(graph.vectors), axis=-1)
            limit = c.potential.cutoffs.ravel()[np.asarray(graph.pairs(len(c.potential.species)))]
        if (np.abs(r - limit)[graph.edge_mask] > gap).all():
            return atoms
    raise AssertionError("no such crystal")


def crystal(c: Case, seed: int = 0, amplitude: float = 0.15) -> Atoms:
    """Eight rattled atoms in a triclinic cell smaller than the cutoff, of all the model's species."""
    atoms = bulk("Si", "diamond", a=5.2, cubic=True)
    rng = np.random.default_rng(seed)
    atoms.set_cell(atoms.cell.array + rng.normal(scale=0.1, size=(3, 3)), scale_atoms=True)
    atoms.positions += rng.normal(scale=amplitude, size=atoms.positions.shape)
    species = c.potential.species
    atoms.symbols[:] = [species[k % len(species)] for k in (0, 1, 1, 0, 1, 0, 0, 1)]
    return atoms
