"""Worker for PACE's C++ evaluators, by python-ace. Runs in the environment of that peer only.

A potential of as many functions as asked for (SBessel radials, linear embedding), with fixed
random coefficients. Timed: energy, forces and virial in C++ with the neighbour list given; ghost
atoms and list are made before. `calculator`: the ASE calculator, which makes its list every time.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pyace.asecalc import PyACECalculator
from pyace.atomicenvironment import aseatoms_to_atomicenvironment
from pyace.basis import ACEBBasisSet
from pyace.calculator import ACECalculator
from pyace.evaluator import ACECTildeEvaluator, ACERecursiveEvaluator
from pyace.multispecies_basisextension import create_multispecies_basis_config

from benchmarks.case import Case
from benchmarks.serve import Prepared, serve

# Radials and angular momenta per order, from which the functions of lowest degree are taken.
LIMITS = {
    "small": ([12, 6, 4, 2], [0, 4, 4, 3]),
    "large": ([20, 12, 8, 3], [0, 6, 6, 5]),
    "species": ([12, 4, 2, 1], [0, 4, 2, 2]),
}


def potential(case: Case) -> tuple[Any, int]:
    """The C-tilde basis set, and its number of functions per species."""
    wide = "small" if case.functions < 400 else "large"
    radials, momenta = LIMITS["species" if len(case.elements) > 2 else wide]
    config = {
        "deltaSplineBins": 0.001,
        "elements": sorted(case.elements),
        "embeddings": {
            "ALL": {
                "npot": "FinnisSinclairShiftedScaled",
                "fs_parameters": [1, 1],
                "ndensity": 1,
                "rho_core_cut": 200000,
                "drho_core_cut": 250,
            }
        },
        "bonds": {
            "ALL": {
                "radbase": "SBessel",
                "radparameters": [5.25],
                "rcut": case.cutoff,
                "dcut": 0.01,
                "NameOfCutoffFunction": "cos",
                "core-repulsion": [0.0, 1.0],
            }
        },
        "functions": {
            "number_of_functions_per_element": case.functions,
            "ALL": {
                "nradmax_by_orders": radials[: case.order],
                "lmax_by_orders": momenta[: case.order],
            },
        },
    }
    basis = ACEBBasisSet(create_multispecies_basis_config(config))
    basis.basis_coeffs = 0.01 * np.random.default_rng(0).normal(size=len(basis.basis_coeffs))
    return basis.to_ACECTildeBasisSet(), len(basis.basis_rank1[0]) + len(basis.basis[0])


def prepare(case: Case, variant: str) -> Prepared:
    basis, functions = potential(case)
    atoms = case.atoms()
    index = {element: k for k, element in enumerate(basis.elements_name)}
    environment = aseatoms_to_atomicenvironment(atoms, case.cutoff, index)
    neighbours = sum(map(len, environment.neighbour_list[: len(atoms)])) / len(atoms)
    facts = {"functions": functions, "neighbours": neighbours}
    if variant == "calculator":
        asked = PyACECalculator(basis, recursive_evaluator=True, recursive=True)

        def step() -> tuple[float, Any]:
            asked.calculate(atoms)
            return asked.results["energy"], asked.results["forces"]

        return Prepared(step, facts)

    if variant == "recursive":
        evaluator = ACERecursiveEvaluator(basis)
        evaluator.set_recursive(True)
    else:
        evaluator = ACECTildeEvaluator(basis)
    calculator = ACECalculator()
    calculator.set_evaluator(evaluator)
    alive = basis, evaluator  # C++ holds bare pointers to both

    def run(_: Any = alive) -> tuple[float, Any]:
        calculator.compute(environment, compute_projections=False)
        return calculator.energy, calculator.forces

    return Prepared(run, facts)


if __name__ == "__main__":
    serve(prepare)
