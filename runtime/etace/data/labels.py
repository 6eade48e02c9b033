"""Labels of one frame: found under a documented list of names, checked, in one sign and unit.

Names are compared without regard to case. ASE's readers take `energy`, `forces` and `stress` out of a
frame and put them into a calculator: they are looked for there too. NaN throughout stands for a label that
is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from etace.data.comment import number
from etace.data.labelled import Keys
from etace.errors import DataError

NAMES = {
    "energy": ("energy", "ref_energy", "dft_energy", "total_energy", "potential_energy"),
    "free_energy": ("free_energy", "ref_free_energy", "dft_free_energy"),
    "forces": ("forces", "force", "ref_forces", "ref_force", "dft_forces", "dft_force"),
    "virial": ("virial", "virials", "ref_virial", "ref_virials", "dft_virial", "dft_virials"),
    "stress": ("stress", "ref_stress", "dft_stress"),
    "group": ("config_type", "configtype", "config-type", "group"),
}
ASYMMETRY = 1e-3  # of a virial, relative to its largest entry
DISAGREEMENT = 0.01  # of virial and -stress * volume, relative to the largest entry
ROUNDING = 0.02  # eV, of a stress written with few digits
MOST = 1e7  # eV or eV/Å, of each atom: the heaviest have -1.5e6 eV with all their electrons

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
    return sorted({str(k) for _, place in places(atoms) for k in place})


def look(atoms: Any, kind: str, keys: Keys, source: str) -> Label | None:
    """The label of a kind, or None.

    Raises DataError: two that differ, and nothing says which.
    """
    found = [label for label in _candidates(atoms, kind, keys) if not _blank(label.value)]
    if not found:
        return None
    for other in found[1:]:
        a, b = np.asarray(found[0].value), np.asarray(other.value)
        if a.shape != b.shape or not np.array_equal(a, b):
            asked = getattr(keys, kind, None)
            flag = f"--{kind}-key" if asked is None else "a file without the other"
            raise DataError(
                f"{source}: {found[0].where} and {other.where} are both there and differ: "
                f"say which with {flag}"
            )
    return found[0]


def placeholder(atoms: Any, kind: str, keys: Keys) -> bool:
    """Whether NaN stands where a label would."""
    return any(_blank(label.value) for label in _candidates(atoms, kind, keys))


def _candidates(atoms: Any, kind: str, keys: Keys) -> list[Label]:
    asked = getattr(keys, kind, None)
    if asked == "":
        return []
    names = (asked.lower(),) if asked is not None else NAMES.get(kind, ())
    return [
        Label(place[k], f"{k} ({where})")
        for where, place in places(atoms)
        for k in sorted(place, key=str)
        if str(k).lower() in names and place[k] is not None
    ]


def _blank(value: Any) -> bool:
    array = np.asarray(value) if isinstance(value, float | list | tuple | np.ndarray) else None
    return array is not None and array.dtype.kind == "f" and bool(np.isnan(array).all())


def config_type(atoms: Any, keys: Keys, source: str) -> str:
    """The word under the first of the names that is there: `group` may mean something else beside it."""
    for name in (keys.group,) if keys.group is not None else NAMES["group"]:
        if label := look(atoms, "group", replace(keys, group=name), source):
            return str(label.value)
    return "default"


class OddLabel(Exception):
    """A label that cannot be meant, and so is set aside.

    where: the label; why: what is odd about it, the same words for every structure; detail: of this one
    soft: nothing is wrong with it, it only says nothing
    """

    def __init__(self, label: Label, why: str, detail: str = "", soft: bool = False):
        self.where, self.why, self.detail, self.soft = label.where, why, detail, soft
        super().__init__(f"{label.where} {why}" + (f" ({detail})" if detail else ""))


def energy(label: Label, n: int) -> float:
    """eV. n: atoms. Raises OddLabel, as the others."""
    return float(_numbers(label, (), n))


def weight(label: Label) -> float:
    value = float(_numbers(label, (), 1))
    if value < 0:
        raise OddLabel(label, "is a negative weight", f"{value:g}")
    return value


def forces(label: Label, n: int) -> np.ndarray:
    """[n, 3], eV/Å"""
    return _numbers(label, (n, 3), 1)


def virial(label: Label, kind: str, atoms: Any) -> np.ndarray:
    """[3, 3], eV, -dE/dstrain, from a virial or a stress of 3 x 3, 9 or 6 numbers (xx yy zz yz xz xy)."""
    n = np.size(label.value)
    if n not in (6, 9):
        raise OddLabel(label, f"has {n} numbers, not 3 x 3, 9 or 6")
    if kind == "stress" and (atoms.cell.rank < 3 or not atoms.pbc.all()):
        why = "needs a volume, so a cell periodic in three directions"
        raise OddLabel(label, why, soft=True)
    value = _numbers(label, np.shape(label.value), np.inf).reshape(-1)
    matrix = value[np.array(SIX)] if n == 6 else value.reshape(3, 3)
    if kind == "stress":
        matrix = -atoms.get_volume() * matrix
    if np.abs(matrix).max() > MOST * len(atoms):
        raise OddLabel(label, "is beyond what atoms can have", f"{np.abs(matrix).max():.3g} eV")
    off = np.abs(matrix - matrix.T).max()
    if off > ASYMMETRY * max(np.abs(matrix).max(), 1e-3):
        raise OddLabel(label, "is not symmetric", f"off by {off:.3g} eV")
    return 0.5 * (matrix + matrix.T)


def find_virial(
    atoms: Any, keys: Keys, source: str
) -> tuple[np.ndarray | None, str, list[OddLabel]]:
    """A virial, or a stress times -volume, where it stood, and what was set aside; a key that is given
    decides between them. Both are set aside where they say different things."""
    kinds: tuple[str, ...] = ("virial", "stress")
    if bool(keys.virial) != bool(keys.stress):
        kinds = ("virial",) if keys.virial else ("stress",)
    found: list[tuple[np.ndarray, str, Label]] = []
    odd: list[OddLabel] = []
    for kind in kinds:
        if label := look(atoms, kind, keys, source):
            how = "as it is" if kind == "virial" else "times -volume"
            place = f"{label.where}, {np.size(label.value)} numbers, {how}"
            try:
                found.append((virial(label, kind, atoms), place, label))
            except OddLabel as error:
                odd.append(error)
    if len(found) == 2:
        (a, _, first), (b, _, second) = found
        if np.abs(a - b).max() > DISAGREEMENT * max(np.abs(a).max(), np.abs(b).max()) + ROUNDING:
            why = f"and {second.where} disagree, say which with --virial-key or --stress-key"
            traces = f"traces {a.trace():.5g} and {b.trace():.5g} eV, -dE/dstrain"
            return None, "", [*odd, OddLabel(first, why, traces)]
    return (*found[0][:2], odd) if found else (None, "", odd)


def _numbers(label: Label, shape: tuple[int, ...], most: float) -> np.ndarray:
    """most: MOST times this is the limit"""
    value = np.asarray(label.value)
    try:
        if value.dtype.kind == "b":
            raise ValueError
        if value.dtype.kind in "US":  # Python would take 1_000 for a number
            value = np.array([number(str(t)) for t in value.flat]).reshape(value.shape)
        value = value.astype(float)
    except (TypeError, ValueError):
        raise OddLabel(label, "is not made of numbers", repr(label.value)[:40]) from None
    if shape == () and value.size == 1:
        value = value.reshape(())
    if value.shape != shape:
        comma = "; decimals take a point" if shape == () and value.shape == (2,) else ""
        raise OddLabel(label, f"has shape {list(value.shape)}, not {list(shape)}{comma}")
    if not np.isfinite(value).all():
        raise OddLabel(label, f"holds {_odd(value)}")
    if (size := np.abs(value).max(initial=0)) > MOST * most:
        raise OddLabel(label, "is beyond what atoms can have", f"{size:.3g}")
    return value


def _odd(value: np.ndarray) -> str:
    return "NaN" if np.isnan(value).any() else "an infinite number"
