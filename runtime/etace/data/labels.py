"""Labels of one frame: found under a documented list of names, checked, in one sign and unit.

Names are compared without regard to case. ASE's readers take `energy`, `forces` and `stress` out of a
frame and put them into a calculator: they are looked for there too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from etace.data.labelled import Keys
from etace.errors import DataError

NAMES = {
    "energy": ("energy", "ref_energy", "dft_energy", "total_energy", "potential_energy"),
    "forces": ("forces", "force", "ref_forces", "ref_force", "dft_forces", "dft_force"),
    "virial": ("virial", "virials", "ref_virial", "ref_virials", "dft_virial", "dft_virials"),
    "stress": ("stress", "ref_stress", "dft_stress"),
    "group": ("config_type", "configtype", "config-type", "group"),
}
HINTS = {"energy": "energ", "forces": "forc", "virial": "viri", "stress": "stress"}
ASYMMETRY = 1e-3  # of a virial, relative to its largest entry
DISAGREEMENT = 0.01  # of virial and -stress * volume, relative to the largest entry
ROUNDING = 0.02  # eV, of a stress written with few digits

# ASE's order of six: xx, yy, zz, yz, xz, xy
SIX = ((0, 5, 4), (5, 1, 3), (4, 3, 2))


@dataclass(frozen=True)
class Label:
    """A value and where it stood: `energy (info)`."""

    value: Any
    where: str


def places(atoms: Any) -> list[tuple[str, Mapping[str, Any]]]:
    """Where labels may stand, by name."""
    calculator = atoms.calc.results if atoms.calc is not None else {}
    arrays = {k: v for k, v in atoms.arrays.items() if k not in ("numbers", "positions")}
    return [("calculator", calculator), ("info", atoms.info), ("arrays", arrays)]


def present(atoms: Any) -> list[str]:
    """All keys of a frame, for messages."""
    return sorted({k for _, place in places(atoms) for k in place})


def look(atoms: Any, kind: str, keys: Keys, source: str) -> Label | None:
    """The label of a kind, or None.

    Raises DataError: two that differ, and nothing says which.
    """
    asked = getattr(keys, kind)
    if asked == "":
        return None
    names = (asked.lower(),) if asked is not None else NAMES.get(kind, ())
    found: list[Label] = []
    for where, place in places(atoms):
        for k in sorted(place, key=str):
            if str(k).lower() in names and place[k] is not None:
                found.append(Label(place[k], f"{k} ({where})"))
    if not found:
        return None
    for other in found[1:]:
        a, b = np.asarray(found[0].value), np.asarray(other.value)
        if a.shape != b.shape or not np.array_equal(a, b):
            flag = f"--{kind}-key" if asked is None else "a file without the other"
            raise DataError(
                f"{source}: {found[0].where} and {other.where} are both there and differ: "
                f"say which with {flag}"
            )
    return found[0]


def energy(label: Label, source: str) -> float:
    return float(_numbers(label, (), source))


def forces(label: Label, n: int, source: str) -> np.ndarray:
    """[n, 3], eV/Å"""
    return _numbers(label, (n, 3), source)


def virial(label: Label, kind: str, atoms: Any, source: str) -> np.ndarray:
    """[3, 3], eV, -dE/dstrain, from a virial or a stress of 3 x 3, 9 or 6 numbers (xx yy zz yz xz xy)."""
    value = np.asarray(label.value, dtype=object)
    if value.size == 6:
        six = _numbers(label, (6,), source)
        matrix = six[np.array(SIX)]
    elif value.size == 9:
        matrix = _numbers(label, value.shape, source).reshape(3, 3)
    else:
        raise DataError(f"{source}: {label.where} has {value.size} numbers, not 3 x 3, 9 or 6")
    if kind == "stress":
        if atoms.cell.rank < 3:
            raise DataError(f"{source}: {label.where} needs a cell of three vectors for its volume")
        matrix = -atoms.get_volume() * matrix
    off = np.abs(matrix - matrix.T).max()
    if off > ASYMMETRY * max(np.abs(matrix).max(), 1e-3):
        raise DataError(f"{source}: {label.where} is not symmetric (off by {off:.3g} eV)")
    return 0.5 * (matrix + matrix.T)


def find_virial(atoms: Any, keys: Keys, source: str) -> tuple[np.ndarray, str] | None:
    """A virial, or a stress times -volume, and where it stood; a key that is given decides between them.

    Raises DataError: both are there and say different things.
    """
    kinds: tuple[str, ...] = ("virial", "stress")
    if bool(keys.virial) != bool(keys.stress):
        kinds = ("virial",) if keys.virial else ("stress",)
    found: list[tuple[np.ndarray, str, str]] = []
    for kind in kinds:
        if label := look(atoms, kind, keys, source):
            how = "as it is" if kind == "virial" else "times -volume"
            place = f"{label.where}, {np.size(label.value)} numbers, {how}"
            found.append((virial(label, kind, atoms, source), place, label.where))
    if not found:
        return None
    if len(found) == 2:
        (a, _, first), (b, _, second) = found
        if np.abs(a - b).max() > DISAGREEMENT * max(np.abs(a).max(), np.abs(b).max()) + ROUNDING:
            raise DataError(
                f"{source}: {first} and {second} disagree (traces {a.trace():.5g} and {b.trace():.5g} eV, "
                f"-dE/dstrain): say which with --virial-key or --stress-key"
            )
    return found[0][:2]


def _numbers(label: Label, shape: tuple[int, ...], source: str) -> np.ndarray:
    try:
        value = np.asarray(label.value, dtype=float)
    except (TypeError, ValueError):
        raise DataError(
            f"{source}: {label.where} is not made of numbers: {label.value!r}"
        ) from None
    if value.shape != shape:
        raise DataError(f"{source}: {label.where} has shape {list(value.shape)}, not {list(shape)}")
    if not np.isfinite(value).all():
        raise DataError(f"{source}: {label.where} holds {_odd(value)}")
    return value


def _odd(value: np.ndarray) -> str:
    return "NaN" if np.isnan(value).any() else "an infinite number"
