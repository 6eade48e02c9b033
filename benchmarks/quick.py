"""Do the benchmarks run, and do our forms agree? No time is asserted, no peer is needed."""

from __future__ import annotations

import sys

import jax
import numpy as np
from etace.native import toolchain

from benchmarks import ours
from benchmarks.case import Case
from benchmarks.compare import NATIVE, OURS, Contestant, Session
from benchmarks.report import Table
from benchmarks.tables.speed import COLUMNS

CASES = (
    Case((1, 1, 2), order=3, level=8),
    Case((1, 2, 2), ("Si", "Ge"), order=2, level=6, cutoff=4.0),
    Case((1, 1, 2), ("Si", "O"), spec="tutorial.etace", model="full"),
)
FORMS = ("inference", "training", "forces", "evaluate")


def quick(session: Session) -> tuple[Table, list[str]]:
    """The table, and what disagrees."""
    wrong = [problem for case in CASES for problem in disagreements(case)]
    native = [NATIVE] if toolchain.find() else []
    contestants = [OURS, *native, *(Contestant(f"etace, {f}", "ours", f) for f in FORMS[1:])]
    rows = session.compare(CASES[:1], contestants)
    if len(rows) < len(contestants):
        wrong.append(f"only {len(rows)} of {len(contestants)} forms were measured")
    wrong += [
        f"{row['who']}: energy {row['energy']}, not {rows[0]['energy']}"
        for row in rows
        if not np.isclose(row["energy"], rows[0]["energy"], rtol=1e-10, atol=1e-10)
    ]
    return Table("quick", "Quick check", COLUMNS, rows), wrong


def disagreements(case: Case) -> list[str]:
    """`evaluate` against the reference: the differentiable form with all parameters live."""
    model, atoms = ours.load(case), case.atoms()
    found = model.evaluate(atoms)
    with jax.enable_x64(True):
        reference = jax.jit(model.potential.energy_forces_virial)
        expected = reference(model.params, model.graph(atoms))
    pairs = {
        "energy": (found.energy, expected.energy),
        "energies": (found.energies, np.asarray(expected.energies)[: len(atoms)]),
        "forces": (found.forces, np.asarray(expected.forces)[: len(atoms)]),
        "virial": (found.virial, expected.virial),
    }
    wrong = []
    for name, (a, b) in pairs.items():
        a, b = np.asarray(a), np.asarray(b)
        gap, scale = float(np.abs(a - b).max()), float(np.abs(b).max())
        print(
            f"  {case.elements}, order {case.order}: {name} {gap:.1e} of {scale:.1e}",
            file=sys.stderr,
        )
        if not gap <= 1e-10 * scale + 1e-10:
            wrong.append(f"{case}: {name} differs by {gap} of {scale}")
    return wrong
