"""Wrong input, at random and by the thousand: `python -m tests.fuzz --minutes 5`.

Each file of this folder makes cases of one kind. Two processes work through them, a chunk at a time; chunk
k of a seed holds the same cases on every machine. A fault is printed and kept in a folder with the files
that show it again.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
OWN = {"__init__", "__main__", "harness", "mutations", "work"}


def main() -> int:
    there = sorted(p.stem for p in HERE.glob("*.py") if p.stem not in OWN)
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, help="stop after this time (default 1)")
    parser.add_argument("--cases", type=int, help="stop after this many of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default=",".join(there), help=f"some of {','.join(there)}")
    parser.add_argument("--chunk", type=int, help="only this one, in this process: shows a fault")
    parser.add_argument("--faults", type=Path, help="folder for what shows them")
    given = parser.parse_args()
    names = given.only.split(",")
    if unknown := [n for n in names if n not in there]:
        parser.error(f"there is no {', '.join(unknown)}: {', '.join(there)}")
    folder = given.faults or Path(tempfile.gettempdir()) / "etace-fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="etace-fuzz-cache-") as cache:
        os.environ.setdefault("ETACE_CACHE_DIR", cache)
        from .work import Tally, run, show

        if given.chunk is not None:
            return sum(show(name, given.seed, given.chunk) for name in names) > 0
        minutes = given.minutes or (1.0 if given.cases is None else float("inf"))
        begun = time.monotonic()
        tally: dict[str, Tally] = run(
            names, given.seed, begun + 60 * minutes, given.cases or sys.maxsize, folder
        )
    print(f"\nseed {given.seed}, {time.monotonic() - begun:.0f} s")
    print(
        f"{'':14}{'cases':>8}{'refused':>9}{'same':>8}{'accepted':>10}{'faults':>8}{'slowest, s':>12}"
    )
    for name, own in tally.items():
        n = own.counts
        figures = (own.cases, n["refused"], n["same"], n["accepted"], n["fault"])
        print("{:14}{:8}{:9}{:8}{:10}{:8}".format(name, *figures), f"{own.slowest:11.2f}")
    faults = sum(own.counts["fault"] for own in tally.values())
    if faults:
        print(f"{faults} faults: {folder}")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
