"""Other things one does with a model: design rows, training, many structures."""

from __future__ import annotations

import sys

from benchmarks.case import Case
from benchmarks.compare import OURS, Contestant, Session
from benchmarks.report import Table
from benchmarks.workers import Worker


def rows(session: Session) -> Table:
    """Design rows of energy, forces and virial; order 3, levels 14, 16 and 20."""
    cases = [Case((3, 3, 3), level=level) for level in (14, 16, 20)]
    contestants = [
        Contestant("design rows, native", "ours", "native rows"),
        Contestant("design rows, JAX", "ours", "rows"),
    ]
    found = session.compare(cases, contestants)
    for row in found:
        row["s per 1000 atoms"] = row["µs/atom"] / 1000
    columns = (
        "who",
        "atoms",
        "functions",
        "neighbours",
        "s per 1000 atoms",
        "ratio",
        "first call, s",
    )
    notes = ("One core; neighbour list made every time; functions: pair included.",)
    return Table("rows", "Design rows, linear Si, order 3", columns, found, notes)


def training(session: Session) -> Table:
    """The differentiable form relative to inference."""
    kinds = {
        "energy": "training form: energy",
        "forces": "training form: energy, forces",
        "training": "training form: energy, forces, virial",
        "gradient": "training form: gradient of a loss",
    }
    contestants = [OURS, *(Contestant(label, "ours", kind) for kind, label in kinds.items())]
    found = session.compare([Case((2, 2, 2)), Case((4, 4, 4))], contestants)
    columns = ("who", "atoms", "functions", "µs/atom", "ratio", "first call, s")
    notes = (
        "One core, neighbour list given; first line: inference, energy, forces and virial.",
        "Training form: differentiable, all parameters live. The loss is of energy and forces, its "
        "gradient in every parameter.",
    )
    return Table("training", "Training form, linear Si, order 3", columns, found, notes)


def compilations(session: Session) -> Table:
    """How often XLA compiles while structures change."""
    kinds = {
        "md": ("200 structures of 216 atoms, neighbours fluctuating, ASE calculator", (3, 3, 3)),
        "npt": ("the same with the cell fluctuating by 3 %", (3, 3, 3)),
        "dataset": ("50 structures of 8 to 400 atoms, one by one", (4, 4, 4)),
        "batch": ("50 structures of 8 to 400 atoms, evaluate_batch", (4, 4, 4)),
    }
    found = []
    for kind, (label, repeat) in kinds.items():
        with Worker("ours", [session.core]) as worker:
            reply = worker.ask(Case(repeat), kind, 0)
        row = {"what": label, "XLA compilations": int(reply["compilations"])}
        row |= {"compiling, s": reply["compile_seconds"], "in all, s": reply["first"]}
        found.append(row)
        print(f"  {row}", file=sys.stderr)
    columns = ("what", "XLA compilations", "compiling, s", "in all, s")
    notes = ("New process each; every program XLA compiled is counted, small ones too.",)
    return Table("compilations", "Compilations", columns, found, notes)
