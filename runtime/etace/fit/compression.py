"""Compression where there are no data: packings of atoms at high density that push each other apart.

Nothing in data says what a dense structure does, and functions of several neighbours grow with every power of
the density: a linear fit may well collapse. What happens there is known well enough: electrons screen the
nuclei, and the energy grows by about the sum of all pairs' repulsion (`fit.repulsion.zbl`). Random packings
of all species and mixtures carry these energies, forces and virials with weights so small that they
decide only what the data leave open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from etace.data import Labelled
from etace.fit.assemble import Target, assemble, plan
from etace.fit.factors import Factor, Factors, Key, System, merged, system
from etace.fit.fitting import Solved, solve
from etace.fit.folds import ALWAYS
from etace.fit.packings import compressed, packings
from etace.fit.priors import Prior
from etace.fit.repulsion import zbl
from etace.fit.solve import Solution
from etace.fit.triangle import absorb_diagonal
from etace.fit.weights import Weights
from etace.neighbours import neighbour_list

GROUP = "dense packings"
SEED = 20
DENSE = (0.22, 0.9)  # V / V0, evenly in the logarithm
REACH = 6.0  # Å, of the repulsion
STRENGTHS = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01)  # of all weights
WEAK = 0.03  # where there is nothing to mend
WORSE = {
    "energy": 0.08,
    "forces": 0.03,
}  # that errors of what is not fitted may grow, or their own uncertainty
STRENGTH = 0.3  # weight of forces that are off by their own size, before that of all forces
SOFT = 50.0  # eV/Å: smaller forces have the weight of these
ATOMS = (1500, 5000)  # in all packings: a third of those of the data, within these bounds


def targets(model: Any, train: Sequence[Labelled], each: Mapping[str, float]) -> list[Target]:
    """Compressed packings with labels that repel.

    model: of a first fit; each: Å³ by species, of those that the packings are made of
    """
    atoms = int(np.clip(sum(len(x.atoms) for x in train) // 3, *ATOMS))
    own = bound(model, train)
    rng = np.random.default_rng(SEED)
    out, made = [], packings(list(each), each, SEED)
    while atoms > 0:
        low, high = DENSE
        dense = compressed(next(made), each, low * (high / low) ** rng.random())
        out.append(labelled(dense, own))
        atoms -= len(dense)
    return out


def labelled(atoms: Any, bound: float) -> Target:
    """A structure with the repulsion of all its pairs. bound: of an atom without it, eV"""
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


def bound(model: Any, train: Sequence[Labelled]) -> float:
    """Median energy per atom above the atoms alone, eV; 0 without energies."""
    from ase import Atoms

    alone = {s: model.energy(Atoms(s)) for s in model.species}
    found = [
        (s.energy - sum(alone[x] for x in s.atoms.get_chemical_symbols())) / len(s.atoms)
        for s in train if s.energy is not None and len(s.atoms) > 1
    ]  # fmt: skip
    return float(np.median(found)) if found else 0.0


def rows(model: Any, more: Sequence[Target], cores: int) -> dict[Key, Factor]:
    """The factors of targets alone, in one fold that is never left out."""
    return assemble(model, [replace(t, fold=ALWAYS) for t in more], plan(model, more), cores)


def joined(factors: Factors, more: Factors, strength: float = 1.0) -> dict[Key, Factor]:
    """Factors with those of dense packings, whose weights are multiplied by the strength."""
    out = dict(factors)
    for key, own in more.items():
        scaled = Factor(own.rows, strength * own.R)
        out[key] = merged(out[key].copy(), scaled) if key in out else scaled
    return out


def strength(
    model: Any,
    data: Factors,
    factors: Factors,
    more: Factors,
    weights: Weights,
    prior: Prior,
    first: Solved,
) -> float:
    """The largest of `STRENGTHS` that leaves the errors of a fold that is not fitted as they are without
    dense packings; without folds, those of all that is fitted. 0: none does

    data: without any dense packings; factors: with those of before; more: to be added
    first: of the data
    """
    notes = first.notes
    if "prior scale" not in notes:
        notes = solve(model, data, weights, prior).notes
    ratio = notes["noise"] / notes["prior scale"]
    folds = {k.fold for k in data if k.split == "train"}
    left = min(folds - {ALWAYS}) if len(folds) > 1 else None

    def fitted(given: Factors) -> dict[Key, Factor]:
        """One factor for each weight, without the fold that is left out."""
        out: dict[Key, Factor] = {}
        for k, f in given.items():
            if k.split == "train" and (left is None or k.fold != left):
                out = joined(out, {replace(k, fold=ALWAYS): f})
        return out

    seen = {k: f for k, f in data.items() if k.split == "train" and left in (None, k.fold)}
    judges = {kind: system(seen, lambda k, own=kind: float(k.kind == own)) for kind in WORSE}  # type: ignore[misc]
    judges = {kind: s for kind, s in judges.items() if s.rows}
    most = {kind: 1 + max(WORSE[kind], (2 * s.rows) ** -0.5) for kind, s in judges.items()}

    if not judges:  # memory has no room for factors of each kind
        return WEAK

    def errors(given: Factors) -> dict[str, float]:
        c = solve(model, given, weights, prior, partial(_ridge, ratio=ratio)).c
        return {kind: s.loss(c) ** 0.5 for kind, s in judges.items()}

    without, before = errors(fitted(data)), fitted(factors)
    for tried in STRENGTHS:
        found = errors(joined(before, more, tried))
        if all(found[k] <= most[k] * without[k] for k in found):
            return tried
    return 0.0


def _ridge(whole: System, validation: System | None, ratio: float) -> Solution:
    """min |A c - y|^2 + ratio^2 |c|^2, by QR: for many trials."""
    R = whole.beside()
    n = len(R)
    absorb_diagonal(R, np.full(n, ratio))
    return Solution(solve_triangular(R[:, :n], R[:, n]), None, {})
