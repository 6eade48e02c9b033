"""The specs the tests speak of, compiled once per dtype, with random weights."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from etace.graph import AtomGraph
from etace.inference.blocks import BlockGraph, pack
from etace.inference.evaluator import Evaluator
from etace.loading import run_module
from etace.native import Program, toolchain
from etace.native.evaluator import NativeEvaluator
from etace.structure import Paired, paired
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
    # a repulsive core that reaches to the neighbours of the crystals of the tests
    "zbl": HEAD
    + "bond *-* { rcut = 4 Å }\n"
    + RADIAL
    + """
zbl repulsion { inner = 0.5 * bond.r0, outer = 3.2 Å, outer(O-O) = 2.9 Å }
basis B { factors = R * Y, order = 1..2
  where sum(n + 1.5 * l) <= 6 }
readout V { from = B }
onebody E0 { Si = -1 eV, O = -2 eV }
model m = E0 + 0.5 * repulsion + V
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
# one-hot radials of three species, which have unlike numbers of channels, some alike; learnable ones beside
ONE_HOT = """etace 1
species Si, O, H
bond *-* { rcut = 4.4 Å }
bond Si-O { rcut = 3.9 Å, r0 = 1.7 Å }
bond O-H  { rcut = 3.1 Å, rin = 0.3 Å }
radial S[n in 1..4] {
  transform(r) = 2 * exp(-r / bond.r0) - 1
  envelope(r)  = (1 - r / bond.rcut)^2
  polynomials  = chebyshev(5)
}
radial R[k in 1..2, n in 1..7, l in 0..2] {
  where k + n + l <= 9
  transform   = agnesi(p = 2, q = 4)
  envelope(y) = (1 - y^2)^2
  polynomials = legendre(4)
  weights     = frozen(init = one_hot) per pair
}
angular Y[l in 0..2] { harmonics = spherical }
basis C { factors = S, order = 1..2
  where sum(n) <= 5 }
basis B { factors = R * Y, order = 1..3
  where sum(n + l) <= 6 and sum(k) <= 4 }
readout U { from = C, weights = learnable(init = normal(0.3)) per species }
readout V { from = B, weights = learnable(init = normal(0.3)) per species }
onebody E0 { Si = -1 eV, O = -2 eV, H = -0.5 eV }
model m = E0 + U + V
"""
SPECS = {p.stem: p for p in sorted((ROOT / "specs").glob("*.etace"))}
MODEL_OF = {"si_o": "si_o", "preset": "si_o", "scratch": "combined"}
# in every run; the others with --slow (`zbl` has a file of its own; `bonds` has what `si_o` and `preset` have)
QUICK = ["scratch", *(name for name in TEXTS if name not in ("zbl", "order5"))]
EVERY = [*SPECS, *TEXTS]


def some(names, quick=QUICK):
    """Quick specs always, the others with --slow."""
    return [n if n in quick else pytest.param(n, marks=pytest.mark.slow) for n in names]


@dataclass(frozen=True, eq=False)
class Case:
    """form: what a call evaluates: the training form, which is the reference, the inference form, or the
    native kernel."""

    name: str
    form: str
    module: types.ModuleType
    potential: Any
    params: Any
    source: str
    evaluate: Any
    rows: Any
    evaluator: Evaluator | NativeEvaluator
    program: Callable[[], Program]

    def native(self, cores: int = 1) -> NativeEvaluator:
        """Its kernel; where there is no compiler the test is skipped."""
        found = toolchain.find()
        if found is None:
            pytest.skip("no C compiler here")
        return NativeEvaluator(self.potential.inference, self.program(), found, cores)

    def graph(self, atoms: Atoms, **keywords: Any) -> AtomGraph:
        p = self.potential
        return AtomGraph.from_atoms(atoms, p.species, p.cutoffs, dtype=p.dtype, **keywords)

    def paired(self, atoms: Atoms, skin: float = 0.0) -> Paired:
        p = self.potential
        where = (atoms.positions, atoms.numbers, atoms.cell.array, atoms.pbc)
        return paired(*where, p.species, p.cutoffs, skin, p.dtype)

    def blocks(self, *structures: Atoms, batch: bool = False, **keywords: Any) -> BlockGraph:
        found = [self.paired(a) for a in structures]
        p = self.potential
        return pack(found, len(p.species), p.dtype, batch=batch, **keywords)

    def __call__(self, atoms: Atoms) -> Any:
        """energy, energies, forces, virial as numpy, padding cut off."""
        if self.form != "training":
            found = self.evaluator(self.params, self.evaluator.prepare([self.paired(atoms)]))
            return float(found.energy[0]), found.energies, found.forces, found.virial[0]
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
def case(name: str, dtype: str = "float64", form: str = "training", cores: int = 1) -> Case:
    if form != "training":
        other = case(name, dtype)
        fast = form == "inference"
        own = Evaluator(other.potential.inference, cores) if fast else other.native(cores)
        return replace(other, form=form, evaluator=own)
    if name in TEXTS:
        return made(name, TEXTS[name], dtype, MODEL_OF.get(name))
    return _case(name, compile_file(SPECS[name], dtype=dtype), MODEL_OF.get(name))


@cache
def made(name: str, text: str, dtype: str = "float64", model: str | None = None) -> Case:
    """A case of a spec that is written in a test. model: default: the file's first."""
    return _case(name, compile_text(text, name, dtype=dtype), model)


def _case(name: str, done: Any, model: str | None) -> Case:
    module = run_module(done.module, name)
    model = model or next(iter(module.MODELS))
    potential = module.MODELS[model]
    rng = np.random.default_rng(7)
    params = potential.init(1)
    values = rng.normal(size=potential.length_basis) / np.sqrt(potential.length_basis)
    params = potential.set_linear_parameters(params, values)
    evaluate, rows = jax.jit(potential.energy_forces_virial), jax.jit(potential.design_rows)
    evaluator = Evaluator(potential.inference, 1)
    return Case(
        name, "training", module, potential, params, done.module, evaluate, rows, evaluator,
        partial(done.native, model),
    )  # fmt: skip


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
