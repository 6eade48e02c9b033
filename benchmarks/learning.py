"""What default fits make of few frames, of other folds and of another order of the same frames.

    python -m benchmarks.learning DATA [--size medium] [--frames 10 30 100 0] [--seeds 0] [--shuffle] [--only NAME ...]

DATA: as for `benchmarks.coverage`. frames: drawn from the training set by the first seed, each number holds the one before;
0: all. Test errors should fall as frames are added, and be alike for all seeds of folds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path

import etace
import numpy as np
from etace.data import Labelled

from benchmarks.coverage import CASES

SETS = ("Si", "Mo", "SiO2", "3BPA")
HEADS = (
    "data", "frames", "seed", "columns", "degrees", "l weight", "energy, meV/atom", "forces, meV/Å",
    "fitted", "cross-validated", "CPU s",
)  # fmt: skip


def row(
    name: str, train: Sequence[Labelled], test: Sequence[Labelled], size: str, seed: int
) -> tuple[str, ...]:
    """Of one default fit: its size, RMSE of test and training forces, and what cross-validation expected."""
    begun = time.process_time()
    found = etace.fit_model(
        elements=CASES[name][0], size=size, train=list(train), test=list(test), seed=seed, md=False,
        extrapolation=False,
    )  # fmt: skip
    choice = found.report.outcome.choice
    assert choice is not None
    expected = choice.step.errors.rmse.get("forces") if choice.step else None
    return (
        name, str(len(train)), str(seed), str(found.model.length_basis),
        " ".join(map(str, choice.shape.degrees)), f"{choice.shape.l_weight:g}",
        f"{found.report.rmse('energy'):.3g}", f"{1e3 * found.report.rmse('forces'):.3g}",
        f"{1e3 * found.report.rmse('forces', 'train'):.3g}",
        f"{1e3 * expected:.3g}" if expected else "-", f"{time.process_time() - begun:.0f}",
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--size", default="medium")
    parser.add_argument("--frames", type=int, nargs="*", default=[10, 30, 100, 0])
    parser.add_argument("--seeds", type=int, nargs="*", default=[0])
    parser.add_argument("--shuffle", action="store_true", help="The frames in another order.")
    parser.add_argument("--only", nargs="*", default=list(SETS), choices=list(CASES))
    asked = parser.parse_args()
    print("| " + " | ".join(HEADS) + " |\n" + "|---" * len(HEADS) + "|")
    for name in asked.only:
        sets = CASES[name][1](asked.data)
        train, (test,) = sets["train"], [own for which, own in sets.items() if which != "train"]
        order = np.random.default_rng(0).permutation(len(train))
        for n in asked.frames:
            some = order[: n or None]
            if not asked.shuffle:
                some = np.sort(some)
            for seed in asked.seeds:
                found = row(name, [train[k] for k in some], test, asked.size, seed)
                print("| " + " | ".join(found) + " |", flush=True)


if __name__ == "__main__":
    main()
