"""The command line: `python -m benchmarks [TABLE ...]`, or `--quick` for a check in CI."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from benchmarks import machine, plots, report
from benchmarks.compare import Session
from benchmarks.tables import TABLES
from benchmarks.workers import cores_here


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"default: {' '.join(TABLES)}")
    parser.add_argument(
        "--quick", action="store_true", help="small, no peers; fails if forms disagree"
    )
    parser.add_argument("--no-peers", action="store_true", help="only etace")
    parser.add_argument("-o", "--output", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--core", type=int, default=cores_here()[-1], help="to measure on")
    parser.add_argument("--rounds", type=int, default=5, help="turns of everyone (5)")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a turn (0.5)")
    parser.add_argument(
        "--columns", type=int, nargs="+", default=(), help="sizes of the table `columns`"
    )
    asked = parser.parse_args()
    if unknown := [name for name in asked.tables if name not in TABLES]:
        parser.error(f"no such table: {', '.join(unknown)}; there are: {', '.join(TABLES)}")

    here = machine.describe()
    print(report.about(here) + "\n", flush=True)
    if asked.quick:
        return _quick(asked.core)
    session = Session(asked.core, asked.rounds, asked.seconds, not asked.no_peers, asked.columns)
    done: list[report.Table] = []
    for name in asked.tables or TABLES:
        start = time.perf_counter()
        print(f"{name} ...", file=sys.stderr, flush=True)
        done.append(TABLES[name](session))
        print(done[-1].markdown(), flush=True)
        print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr)
        report.write(asked.output, here, done)  # after each, so that a run cut short has left some
    plots.draw(asked.output, done)
    print(f"written to {asked.output}", file=sys.stderr)
    return 0


def _quick(core: int) -> int:
    from benchmarks.quick import quick

    table, wrong = quick(Session(core, rounds=2, seconds=0.05, peers=False))
    print(table.markdown())
    for problem in wrong:
        print(f"disagreement: {problem}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
