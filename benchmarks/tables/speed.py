"""Time per atom and step, beside the peers."""

from __future__ import annotations

from typing import Any

from benchmarks.case import Case
from benchmarks.compare import KERNEL, NATIVE, OURS, PACE, PEERS, TABLE, Contestant, Session
from benchmarks.report import Table
from benchmarks.workers import cores_here

COLUMNS = (
    "who",
    "atoms",
    "functions",
    "neighbours",
    "µs/atom",
    "CPU µs/atom",
    "ratio",
    "first call, s",
)
STEPS = (
    Contestant("etace, native, ASE", "ours", "native calculator"),
    Contestant("etace, JAX, ASE", "ours", "calculator"),
)
NOTES = (
    "Energy, forces and virial in float64, one core unless said; medians of all turns, taken in "
    "alternation; ratio: to the first line of the same size. Where µs/atom is well above CPU µs/atom, "
    "others were using the core.",
    "Potentials are random, of like size, not the same; functions: per species, pair included.",
    "etace: neighbour list given, numpy arrays out. ASE: a step of MD through the calculator with its kept list.",
    "PACE: C++ of python-ace with ghost atoms and list given (SBessel radials; l <= 4, or 6 from 400 functions).",
    "ace-jax: its ASE calculator with its skin list kept. Its C++ kernel: called through jit on "
    "owned and ghost atoms with the list given, forces of ghosts brought home.",
)


def linear_si(session: Session) -> Table:
    """Order 3, 223 functions, 32 neighbours."""
    cases = [Case((n, n, n)) for n in (2, 4, 6, 10)]
    rows = session.compare(cases, (NATIVE, OURS, *STEPS, *PEERS))
    return Table("linear_si", "Linear Si, order 3, against atoms", COLUMNS, rows, NOTES, "atoms")


def one_hot(session: Session) -> Table:
    """The same with radials that are polynomials alone, as the preset ace1 and most other codes have them."""
    cases = [Case((n, n, n), spec="si_one_hot.etace") for n in (4, 6, 12)]
    rows = session.compare(cases, (NATIVE, OURS, PACE, KERNEL))
    title = "Linear Si, order 3, plain radials, against atoms"
    return Table("one_hot", title, COLUMNS, rows, NOTES, "atoms")


# Upstream's printed times in ms, machine not named: energy, forces, full energy, full forces on a
# CPU, then the same on a GPU without the graph.
UPSTREAM: dict[int, tuple[float | None, ...]] = {
    64: (3.38, 46.5, 3.40, 24.1, 0.54, 14.4, 0.94, 19.3),
    256: (None, 74.4, None, None, None, None, None, None),
    512: (27.8, 104.4, 31.2, 110, 0.66, 15.1, 0.95, 20),
    800: (37.1, 289.3, 45.2, 300, 0.78, 16.3, 1.24, 22),
}


def tutorial(session: Session) -> Table:
    """Si and O, order 2, level 8: beside what upstream's documentation prints."""
    rows: list[dict[str, Any]] = []
    repeats = {64: (2, 2, 2), 256: (2, 4, 4), 512: (4, 4, 4), 800: (4, 5, 5)}
    # columns of UPSTREAM for the first model
    kinds = {"energy": 0, "forces": 1, "inference": 1, "native": 1}
    contestants = [Contestant(kind, "ours", kind) for kind in kinds]
    for first, model in ((0, "many_body"), (2, "full")):
        for row in session.compare(
            [
                Case(r, ("Si", "O"), 2, 8, spec="tutorial.etace", model=model)
                for r in repeats.values()
            ],
            contestants,
        ):
            printed = UPSTREAM[row["atoms"]]
            column = first + kinds[row["who"]]
            cpu, gpu = printed[column], printed[column + 4]
            ms = row["µs/atom"] * row["atoms"] / 1000
            row |= {"model": model, "ms": ms, "upstream CPU, ms": cpu, "upstream GPU, ms": gpu}
            row["upstream CPU / ours"] = cpu / ms if cpu else None
            rows.append(row)
    columns_ = ("model", "who", "atoms", "neighbours", "functions", "ms", "upstream CPU, ms",
                "upstream CPU / ours", "upstream GPU, ms")  # fmt: skip
    notes = (
        "Upstream's machines and threads are not named, its structures have 33.5 neighbours per atom; "
        "the row of 256 atoms includes making the graph. Ours: neighbour list given.",
        "energy, forces: the differentiable form; inference, native: energy, forces and virial, by JAX "
        "and by a native kernel.",
    )
    return Table("tutorial", "The tutorial's benchmark model", columns_, rows, notes)


def species(session: Session) -> Table:
    """The same functions per species for one to four species."""
    elements = ("Si", "Ge", "Sn", "C")
    cases = [Case((4, 4, 4), elements[:n]) for n in (1, 2, 3, 4)]
    rows = session.compare(cases, (NATIVE, OURS, *PEERS))
    columns = ("who", "species", *COLUMNS[1:])
    notes = (
        *NOTES,
        "With more species the peers reach this number of functions with lower n and l (their "
        "functions tell neighbours' species apart, ours mix them in the radials), so theirs get cheaper.",
    )
    return Table("species", "Cost against number of species", columns, rows, notes, "species")


def neighbours(session: Session) -> Table:
    cases = [Case((4, 4, 4), cutoff=c) for c in (4.0, 5.5, 7.0, 8.5)]
    rows = session.compare(cases, (NATIVE, OURS, PACE, TABLE, KERNEL))
    title = "Cost against neighbours (cutoffs 4, 5.5, 7, 8.5 Å)"
    return Table("neighbours", title, COLUMNS, rows, NOTES, "neighbours")


def cores(session: Session) -> Table:
    """One process that may use more and more cores."""
    here, rows = cores_here(), []
    counts = sorted({2**k for k in range(10) if 2**k <= len(here)} | {len(here)})
    for count in counts:
        at = here[-count:] if count > 1 else [session.core]
        found = session.compare([Case((10, 10, 10))], (NATIVE, OURS, TABLE), at)
        rows += [row | {"cores": count} for row in found]
    one = {row["who"]: row["µs/atom"] for row in rows if row["cores"] == 1}
    rows = [row | {"speed-up": one[row["who"]] / row["µs/atom"]} for row in rows]
    columns = ("who", "cores", "atoms", "functions", "µs/atom", "speed-up")
    notes = ("One process. PACE and ace-jax's kernel have no threads.",)
    return Table("cores", "Scaling over cores", columns, rows, notes, "cores")
