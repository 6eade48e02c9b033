"""How far standard deviations and grades are true, in and out of distribution: the tables of docs/fit.md.

    python -m benchmarks.coverage DATA [--size small] [--members 16] [--only NAME ...]

DATA: a folder with the Si and Mo sets of Zuo et al. (J. Phys. Chem. A 124 (2020) 731) in `mlearn`, 3BPA at 300 K of Kovacs
et al. (J. Chem. Theory Comput. 17 (2021) 7696) in `3bpa`, silica in `siox`. Nothing is chosen by what is tested.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import etace
import numpy as np
from etace.data import Labelled, read
from etace.fit.calibration import judge

Sets = dict[str, Sequence[Labelled]]  # train, and those to judge by


def si(data: Path) -> Sets:
    return _of_files(data / "mlearn/Si_train.xyz.gz", data / "mlearn/Si_test.xyz.gz")


def mo(data: Path) -> Sets:
    return _of_files(data / "mlearn/Mo_train.xyz.gz", data / "mlearn/Mo_test.xyz.gz")


def silica(data: Path) -> Sets:
    return _of_files(data / "siox/SiO2_EDI_train.xyz.gz", data / "siox/SiO2_EDI_test.xyz.gz")


def molecule(data: Path) -> Sets:
    every = _read(data / "3bpa/train_300K.xyz.gz")
    return {"train": every[:400], "test": every[400:]}


def silica_by_volume(data: Path, sign: int = 1) -> Sets:
    """The half of larger volumes per atom (sign = -1: smaller) is new; of the other half a tenth is not fitted either."""
    every = _read(data / "siox/SiO2_EDI_train.xyz.gz")
    return _halves(every, [sign * s.atoms.get_volume() / len(s.atoms) for s in every])


def molecule_by_energy(data: Path) -> Sets:
    """The half of higher energies is new."""
    every = _read(data / "3bpa/train_300K.xyz.gz")
    return _halves(every, [s.energy or 0.0 for s in every])


CASES: dict[str, tuple[str, Callable[[Path], Sets]]] = {
    "Si": ("Si", si),
    "Mo": ("Mo", mo),
    "SiO2": ("Si,O", silica),
    "3BPA": ("C,H,N,O", molecule),
    "SiO2, smaller volumes": ("Si,O", silica_by_volume),
    "SiO2, larger volumes": ("Si,O", partial(silica_by_volume, sign=-1)),
    "3BPA, lower energies": ("C,H,N,O", molecule_by_energy),
}


def _read(path: Path) -> Sequence[Labelled]:
    return read([str(path)]).structures


def _of_files(train: Path, test: Path) -> Sets:
    return {"train": _read(train), "test": _read(test)}


def _halves(every: Sequence[Labelled], of: Sequence[float]) -> Sets:
    order = [every[k] for k in np.argsort(of, kind="stable")]
    low, high = order[: len(order) // 2], order[len(order) // 2 :]
    return {
        "train": [s for k, s in enumerate(low) if k % 10],
        "like training": low[::10],
        "the other half": high,
    }


def rows(
    name: str, elements: str, sets: Sets, size: str, members: int
) -> Iterator[tuple[str, ...]]:
    """Of each set that is not fitted: coverage of each kind, and atoms and structures of a grade above 1."""
    begun = time.perf_counter()
    found = etace.fit_model(
        elements=elements, size=size, train=list(sets["train"]), committee=members
    )
    took = time.perf_counter() - begun
    model: Any = found.model
    for which, own in sets.items():
        if which == "train":
            continue
        grades = list(model.extrapolation_grades([s.atoms for s in own]))
        above = np.mean(np.concatenate(grades) > 1), np.mean([g.max() > 1 for g in grades])
        more = f"{100 * above[0]:.2f}", f"{100 * above[1]:.0f}", f"{took:.0f}"
        for c in judge(model, own, which):
            shares = [f"{100 * x:.1f}" for x in (c.one, c.two, c.three)]
            bound = "-" if c.bound is None else f"{100 * c.bound:.1f}"
            chance = f"{100 * c.chance(0.683):.1f}"
            yield name, which, str(len(own)), c.kind, *shares, bound, chance, *more
            name, which, more = "", "", ("", "", "")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--size", default="small")
    parser.add_argument("--members", type=int, default=16)
    parser.add_argument("--only", nargs="*", default=list(CASES), choices=list(CASES))
    asked = parser.parse_args()
    heads = ("data", "tested on", "structures", "kind", "1 sd", "2 sd", "3 sd", "95.4 % bound", "chance",
             "atoms above 1, %", "structures, %", "s")  # fmt: skip
    print("| " + " | ".join(heads) + " |\n" + "|---" * len(heads) + "|")
    for name in asked.only:
        elements, sets = CASES[name]
        for row in rows(name, elements, sets(asked.data), asked.size, asked.members):
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
