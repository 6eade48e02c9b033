"""Native kernels of models of different make: time, compilation, lines, fraction of peak, by `etace bench`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from etacec.defaults import Shape, spec

from benchmarks.compare import Session
from benchmarks.report import Table
from benchmarks.workers import printed

SPECS = Path(__file__).parent.parent / "specs"
LINEAR = SPECS / "si.etace"
# what it is: the spec, and options
CASES: dict[str, tuple[Path, list[str]]] = {
    "order 3": (LINEAR, []),
    "order 3, plain radials": (SPECS / "si_one_hot.etace", []),
    "the tutorial's, Si and O": (SPECS / "tutorial.etace", ["--model", "full"]),
    "four species": (SPECS / "si_ge_sn_c.etace", []),
    "order 4, level 16": (LINEAR, ["-D", "max_order=4", "-D", "max_level=16"]),
    "order 5, level 12": (LINEAR, ["-D", "max_order=5", "-D", "max_level=12"]),
}
DEFAULT = "default of etace fit --size medium, Si"
SHAPE = Shape((22, 18, 15, 13))
COLUMNS = (
    "model", "functions", "native, µs/atom", "JAX, µs/atom", "step in ASE, µs/atom", "cc, s", "lines",
    "operations per atom", "GFLOP/s", "fraction of peak", "useful lanes",
)  # fmt: skip
NOTES = (
    "Energy, forces and virial of a rattled crystal of about 512 atoms, float64, one core, list given; "
    "fastest calls. cc: the C compiler, nothing kept. functions: linear parameters of an atom.",
    "Fraction of peak: operations counted in the kernel itself over the time, beside what a loop of fused "
    "multiply-adds reaches on the same core. useful lanes: the part of the operations spent on neighbours "
    "and atoms that are there.",
)


def kernels(session: Session) -> Table:
    rows = [_bench(session, name, *case) for name, case in CASES.items()]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "si.etace"
        path.write_text(spec(["Si"], {"Si": 0.0}, SHAPE), encoding="utf8")
        rows.append(_bench(session, DEFAULT, path, []))
    return Table("kernels", "Native kernels", COLUMNS, rows, NOTES)


def _bench(session: Session, name: str, path: Path, options: list[str]) -> dict[str, Any]:
    found = printed(["etacec", "bench", str(path), "--json", *options], [session.core])
    native, jax = (found["backends"][k] for k in ("native", "jax"))
    row = {"model": name, "functions": found["linear_parameters"] // len(found["species"])}
    row |= {"native, µs/atom": native["fastest"]["evaluation"]}
    row |= {"JAX, µs/atom": jax["fastest"]["evaluation"], "lines": native["lines"]}
    row |= {"step in ASE, µs/atom": native["fastest"]["step"], "cc, s": native["build_seconds"]}
    if counted := native["operations"]:
        row |= {"operations per atom": counted["per_atom"], "GFLOP/s": counted["gflops"]}
        row |= {"fraction of peak": counted["fraction_of_peak"], "useful lanes": counted["useful"]}
    print(f"  {row}", file=sys.stderr)
    return row
