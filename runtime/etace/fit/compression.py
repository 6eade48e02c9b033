"""Compression where there are no data: packings of atoms at high density that push each other apart.

Nothing in data says what a dense structure does, and functions of several neighbours grow with every power of
the density: a linear fit may well collapse. What happens there is known well enough: electrons screen the
nuclei, and the energy grows by about the sum of all pairs' repulsion (`fit.repulsion.zbl`). Random packings
of all species and mixtures carry these energies, forces and virials with weights so small that they
decide only what the data leave open.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from etace.data import Labelled
from etace.fit.assemble import Target, assemble, plan
from etace.fit.factors import Factor, Factors, Key, System, merged, system, triangle
from etace.fit.fitting import Solved, solve
from etace.fit.folds import ALWAYS
from etace.fit.packings import compressed, packings
from etace.fit.priors import Prior
from etace.fit.repulsion import zbl
from etace.fit.solve import Solution
from etace.fit.volumes import volumes
from etace.fit.weights import Weights
from etace.neighbours import neighbour_list

GROUP = "dense packings"
SEED = 20
DENSE = (0.22, 0.9)  # V / V0, evenly in the logarithm
REACH = 6.0  # Å, of the repulsion
STRENGTHS = (1.0, 0.5, 0.2, 0.1, 0.03)  # of all weights
WORSE = {"energy": 1.05, "forces": 1.01}  # errors of what is not fitted, at most
STRENGTH = 0.3  # weight of forces that are off by their own size, before that of all forces
SOFT = 50.0  # eV/Å: smaller forces have the weight of these
ATOMS = (1500, 5000)  # in all packings: a third of those of the data, within these bounds


def targets(model: Any, train: Sequence[Labelled]) -> list[Target]:
    """Compressed packings of the species with labels that repel. model: of a first fit"""
    species = [s for s in model.species if any(s in x.atoms.symbols for x in train)]
    each = volumes(species, [x.atoms for x in train])
    atoms = int(np.clip(sum(len(x.atoms) for x in train) // 3, *ATOMS))
    bound = _bound(model, train)
    rng = np.random.default_rng(SEED)
    out, made = [], packings(species, each, SEED)
    while atoms > 0:
        low, high = DENSE
        dense = compressed(next(made), each, low * (high / low) ** rng.random())
        out.append(labelled(dense, bound))
        atoms -= len(dense)
    return out


def labelled(atoms: Any, bound: float) -> Target:
    """A structure with the repulsion of all pairs above what binds an atom, eV."""
    n = len(atoms)
    energy, forces, virial = repulsion(atoms)
    size = max(float(np.sqrt(np.mean(forces**2))), SOFT)
    weight = STRENGTH / (size * np.sqrt(3 * n))
    source = f"packing {atoms.get_chemical_formula()} at {atoms.cell.volume / n:.3g} Å³ per atom"
    return Target(
        atoms, n * bound + energy, forces, virial, GROUP, weight, "train", source, bound=True
    )


def repulsion(atoms: Any) -> tuple[float, np.ndarray, np.ndarray]:
    """ZBL of all pairs: energy, eV; forces [N, 3], eV/Å; virial [3, 3], eV."""
    pairs = neighbour_list(atoms.positions, atoms.cell, atoms.pbc, REACH)
    Z, x, step = atoms.numbers, atoms.positions, 1e-4
    e, slope = np.zeros(len(pairs.r)), np.zeros(len(pairs.r))
    kinds = np.stack([Z[pairs.i], Z[pairs.j]], axis=1)
    for a, b in np.unique(kinds, axis=0):
        own = (kinds == (a, b)).all(axis=1)
        r = pairs.r[own]
        e[own] = zbl(r, int(a), int(b))
        slope[own] = (zbl(r + step, int(a), int(b)) - zbl(r - step, int(a), int(b))) / (2 * step)
    vectors = x[pairs.j] - x[pairs.i] + pairs.shift @ np.asarray(atoms.cell)
    pull = (slope / pairs.r)[:, None] * vectors  # on i
    forces = np.zeros((len(x), 3))
    np.add.at(forces, pairs.i, pull)
    return 0.5 * float(e.sum()), forces, -0.5 * pull.T @ vectors


def _bound(model: Any, train: Sequence[Labelled]) -> float:
    """Median energy per atom above the atoms alone, eV; 0 without energies."""
    from ase import Atoms

    alone = {s: model.energy(Atoms(s)) for s in model.species}
    found = [
        (s.energy - sum(alone[x] for x in s.atoms.get_chemical_symbols())) / len(s.atoms)
        for s in train if s.energy is not None and len(s.atoms) > 1
    ]  # fmt: skip
    return float(np.median(found)) if found else 0.0


def taught(
    model: Any,
    train: Sequence[Labelled],
    factors: Factors,
    weights: Weights,
    prior: Prior,
    first: Solved,
    cores: int,
) -> dict[Key, Factor]:
    """The factors with dense packings, as strong as the data let them be. first: of the factors alone"""
    notes = first.notes
    if "prior scale" not in notes:
        notes = solve(model, factors, weights, prior).notes
    more = rows(model, targets(model, train), cores)
    ratio = notes["noise"] / notes["prior scale"]
    return joined(factors, more, strength(model, factors, more, weights, prior, ratio))


def rows(model: Any, more: Sequence[Target], cores: int) -> dict[Key, Factor]:
    """The factors of targets alone, in one fold that is never left out."""
    return assemble(model, [replace(t, fold=ALWAYS) for t in more], plan(model, more), cores)


def joined(factors: Factors, more: Factors, strength: float = 1.0) -> dict[Key, Factor]:
    """Factors with those of dense packings, whose weights are multiplied by the strength."""
    out = dict(factors)
    for key, own in more.items():
        scaled = Factor(own.rows, strength * own.R)
        out[key] = merged(out[key], scaled) if key in out else scaled
    return out


def strength(
    model: Any, factors: Factors, more: Factors, weights: Weights, prior: Prior, ratio: float
) -> float:
    """The largest of `STRENGTHS` that leaves the errors of a fold that is not fitted as they are without
    dense packings; without folds, those of all that is fitted.

    ratio: noise over prior scale
    """
    train = {k: f for k, f in factors.items() if k.split == "train"}
    folds = sorted({k.fold for k in train} - {ALWAYS})
    left = folds[0] if len(folds) > 1 else None
    fitted = {k: f for k, f in train.items() if k.fold != left}
    seen = {k: f for k, f in train.items() if left is None or k.fold == left}

    def errors(given: Factors) -> dict[str, float]:
        c = solve(model, given, weights, prior, partial(_ridge, ratio=ratio)).c
        every = {kind: system(seen, lambda k, own=kind: float(k.kind == own)) for kind in WORSE}  # type: ignore[misc]
        return {kind: (s.loss(c) / s.rows) ** 0.5 for kind, s in every.items() if s.rows}

    without = errors(fitted)
    for tried in STRENGTHS[:-1]:
        found = errors(joined(fitted, more, tried))
        if all(found[k] <= WORSE[k] * without[k] for k in found):
            return tried
    return STRENGTHS[-1]


def _ridge(system: System, validation: System | None, ratio: float) -> Solution:
    """min |A c - y|^2 + ratio^2 |c|^2, by QR: for many trials."""
    n = len(system.R)
    stacked = np.zeros((2 * n, n + 1), order="F")
    stacked[:n, :n], stacked[:n, n] = system.R, system.z
    stacked[n:, :n] = ratio * np.eye(n)
    R = triangle(stacked)
    return Solution(solve_triangular(R[:n, :n], R[:n, n]), None, {})
