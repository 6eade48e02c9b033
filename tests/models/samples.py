"""The models these tests are about, and the structures they are tried on."""

from functools import cache
from pathlib import Path
from types import ModuleType

import jax
import numpy as np
from ase import Atoms
from ase.build import bulk
from etace.graph import AtomGraph
from etacec import compile_file, compile_text
from etacec.model.files import Files

SPECS = Path(__file__).parent.parent.parent / "specs"

# Different cutoffs and inner radii for every bond.
PER_BOND = """etace 1
species Si, O
bond *-* { rin = 0.6 Å, r0 = 2.0 Å, rcut = 4.4 Å }
bond O-O { rin = 0.5 Å, r0 = 1.6 Å, rcut = 3.6 Å }
bond Si-O { rcut = 4.0 Å }
radial R[n in 1..3, l in 0..2] {
  transform   = agnesi(p = 2, q = 4)
  envelope(y) = (1 - y^2)^2
  polynomials = legendre(5)
}
angular Y[l in 0..2] { harmonics = spherical }
basis B {
  factors = R * Y
  order   = 1..3
  where sum(n + l) <= 6
}
readout V { from = B }
radial R2[n in 1..4] {
  transform(r) = (r - bond.r0) / (bond.rcut - bond.rin)
  envelope(r)  = (1 - r / bond.rcut)^3
  polynomials  = monomial(4)
}
pair U { from = R2 }
onebody E0 { Si = -0.846 eV, O = -1.023 eV }
model per_bond = E0 + U + V
"""

ORDER_4 = """etace 1
species Si, O
bond *-* { rcut = 4.2 Å }
radial R[n in 1..2, l in 0..2] {
  transform   = agnesi(p = 2, q = 2)
  envelope(y) = (1 - y^2)^2
  polynomials = chebyshev(4)
}
angular Y[l in 0..2] { harmonics = spherical }
basis B {
  factors = R * Y
  order   = 1..4
  where sum(n + l) <= 8
}
readout V { from = B }
onebody E0 { Si = -0.846 eV, O = -1.023 eV }
model order_4 = E0 + V
"""

ORDER_5 = """etace 1
species Si
bond *-* { rcut = 4.0 Å }
radial R[l in 0..2] {
  transform   = agnesi(p = 1, q = 4)
  envelope(y) = (1 - y^2)^2
  polynomials = bernstein(3)
}
angular Y[l in 0..2] { harmonics = solid }
basis B {
  factors = R * Y
  order   = 1..5
  where sum(l) <= 6
}
readout V { from = B }
onebody E0 { Si = -1.5 eV }
model order_5 = E0 + V
"""

# A learnable onebody and terms that are scaled and subtracted.
SCALED = """etace 1
species Si, O
bond *-* { rcut = 4.2 Å }
radial R[n in 1..3, l in 0..1] {
  transform(r) = 1 - 2 * r / bond.rcut
  envelope(y)  = (1 - y^2)^2
  polynomials  = jacobi(4, alpha = 1, beta = 2)
}
angular Y[l in 0..1] { harmonics = spherical }
basis B {
  factors = R * Y
  order   = 1..2
  where sum(n + l) <= 4
}
readout V { from = B }
radial R2[n in 1..2] {
  transform   = agnesi(p = 1, q = 3)
  envelope    = inverse_power_shifted(p = 2)
  polynomials = legendre(3)
}
pair U { from = R2 }
learnable onebody E0 { Si = -0.846 eV, O = -1.023 eV }
model scaled = E0 + 0.5 * V - U
"""

# A readout whose weights lie in a file, next to a learnable pair term.
LOADED = """etace 1
species Si, O
bond *-* { rcut = 4.2 Å }
radial R[n in 1..2, l in 0..1] {
  transform(r) = 1 - 2 * r / bond.rcut
  envelope(y)  = (1 - y^2)^2
  polynomials  = chebyshev(3)
  weights      = learnable(load = "radial.npy") per pair
}
angular Y[l in 0..1] { harmonics = spherical }
basis B { factors = R * Y, order = 1..2 }
readout V {
  from    = B
  weights = frozen(load = "readout.npy") per species
}
radial R2[n in 1..2] {
  transform   = agnesi(p = 1, q = 3)
  envelope    = inverse_power(p = 1)
  polynomials = legendre(3)
}
pair U { from = R2 }
onebody E0 { Si = -0.846 eV, O = -1.023 eV }
model loaded = E0 + U + V
"""

TEXTS = {
    "per_bond": PER_BOND,
    "order_4": ORDER_4,
    "order_5": ORDER_5,
    "scaled": SCALED,
    "loaded": LOADED,
}
ARRAYS = {
    "radial.npy": np.random.default_rng(3).normal(size=(4, 3, 4)),
    "readout.npy": np.random.default_rng(4).normal(size=(9, 2)),
}

SPEC_FILES = sorted(p.stem for p in SPECS.glob("*.etace"))
NAMES = [*SPEC_FILES, *TEXTS]


@cache
def compilation(name, dtype="float64"):
    if name in TEXTS:
        files = Files(carried_texts={}, carried_arrays=ARRAYS)
        return compile_text(TEXTS[name], f"{name}.etace", files=files, dtype=dtype)
    return compile_file(SPECS / f"{name}.etace", dtype=dtype)


@cache
def module(name, dtype="float64"):
    return run(compilation(name, dtype).module, name)


def run(text, name="generated"):
    """The generated text as a module."""
    made = ModuleType(name)
    exec(compile(text, f"{name}.py", "exec"), made.__dict__)
    return made


def main_model(name):
    """The model that has all the terms of its file."""
    return {"scratch": "combined", "preset": "si_o"}.get(name, name)


@cache
def potential(name, dtype="float64"):
    return module(name, dtype).MODELS[main_model(name)]


def random_params(pot, seed=0):
    """Params with random numbers in every learnable array: readouts small, radials as they start."""
    rng = np.random.default_rng(seed)
    params = pot.init(seed)
    theta = rng.normal(size=pot.length_basis) * 0.1
    return pot.set_linear_parameters(params, theta.astype(pot.dtype))


# ---------------------------------------------------------------- structures


def rattled(pot, n_silicon=3, seed=0, size=0.1):
    """The tutorial's cell: 8 atoms of diamond, smaller than the cutoff, rattled; 3 Si + 5 O."""
    rng = np.random.default_rng(seed)
    atoms = bulk("Si", "diamond", a=5.43) * (2, 2, 1)
    atoms.positions += rng.uniform(-size, size, atoms.positions.shape)
    if len(pot.species) == 1:
        atoms.symbols[:] = pot.species[0]
    else:
        atoms.symbols[rng.permutation(8)[n_silicon:]] = pot.species[1]
    return atoms


def cluster(pot, seed=0):
    """8 atoms in free space, no two closer than 1.6 Å."""
    rng = np.random.default_rng(seed)
    found = [np.zeros(3)]
    while len(found) < 8:
        x = rng.uniform(-2.5, 2.5, 3)
        if min(np.linalg.norm(x - y) for y in found) > 1.6:
            found.append(x)
    return Atoms([pot.species[k % len(pot.species)] for k in range(8)], np.array(found))


def triclinic(pot):
    """Two atoms in a skew cell much smaller than the cutoff: most neighbours are images."""
    cell = [[2.7, 0.1, 0.0], [0.7, 2.6, 0.2], [-0.3, 0.4, 2.9]]
    symbols = [pot.species[0], pot.species[-1]]
    return Atoms(symbols, [[0.0, 0.0, 0.0], [1.3, 1.2, 1.5]], cell=cell, pbc=True)


def graph(pot, atoms, capacity=None, **options):
    return AtomGraph.from_atoms(
        atoms, pot.species, pot.cutoffs, dtype=pot.dtype, capacity=capacity, **options
    )


# ---------------------------------------------------------------- compiled once


@cache
def jitted(name, what, dtype="float64"):
    """A function of (params, graph), compiled once for each shape."""
    return jax.jit(getattr(potential(name, dtype), what))


def scale(pot, results):
    """What rounding errors of an energy are measured by."""
    return float(np.abs(np.asarray(results.energies)).sum()) + 1.0
