"""Mistakes that labels are known to have, and which of them would make labels agree with a prediction.

A correction is a change of arrangement (order of components, atoms or frames, a missing volume or number
of atoms) times a factor. The factor is a free slope first, and then the unit or the sign nearest to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations
from typing import Any

import numpy as np

from etace.data import Labelled
from etace.fit.factors import KINDS
from etace.inference.form import VOIGT

HARTREE, BOHR = 27.211386, 0.52917721
KCAL, KJ = 0.0433641, 0.01036427
GPA = 1 / 160.21766

# what labels must be multiplied with -> what they are in
UNITS = {
    "energy": {
        HARTREE: "Hartree", HARTREE / 2: "Rydberg", KCAL: "kcal/mol", KJ: "kJ/mol", 1e-3: "meV",
        1e3: "keV",
    },
    "forces": {
        HARTREE / BOHR: "Hartree/bohr", HARTREE / 2 / BOHR: "Rydberg/bohr", HARTREE: "Hartree/Å",
        1 / BOHR: "eV/bohr", BOHR: "eV/Å times 1.89 (bohr taken for Å)", KCAL: "kcal/mol/Å",
        KJ: "kJ/mol/Å", KJ / 10: "kJ/mol/nm", 1e-3: "meV/Å",
    },
    "virial": {
        HARTREE: "Hartree", HARTREE / 2: "Rydberg", GPA: "GPa", GPA / 10: "kbar", GPA / 1e4: "bar",
        GPA / 1e9: "Pa", GPA / 1e3: "MPa", HARTREE / BOHR**3: "Hartree/bohr³",
        HARTREE / 2 / BOHR**3: "Rydberg/bohr³", KCAL: "kcal/mol", KJ: "kJ/mol",
    },
}  # fmt: skip
NEAR = 1.2  # a slope within this factor of 1 or of a unit is called so
CLOSE = 1.03  # the same for a unit that the other labels may be in
SLACK = 2.0  # a unit leaves an error larger than the best slope does by this factor, at most
TOLD = 1.5  # an unnamed slope is a finding beyond this factor
CORRELATION = 0.9  # of corrected labels with predictions, at least
GAIN = 2.5  # by which the correction makes the root mean square error smaller, at least
UNNAMED_GAIN = 10.0  # the same where the factor is no unit and no sign
FEW = 12  # numbers that must be compared, at least
MATCHED = 0.98  # the correlation that rearranged atoms and frames need: they were chosen to fit

# where the six numbers of each order stand in xx yy zz yz xz xy, which is what they were taken for
ORDERS = {
    "xx yy zz xy yz xz": (0, 1, 2, 4, 5, 3),
    "xx yy zz xy xz yz": (0, 1, 2, 5, 4, 3),
    "xx xy xz yy yz zz": (0, 3, 5, 4, 2, 1),
    "xx xy yy xz yz zz": (0, 2, 5, 4, 3, 1),
}

UNNAMED = "times what they"

Label = Any  # a number or an array; None where there is none
Arrange = Callable[[Sequence[Labelled], Sequence[Label]], list[Label]]


@dataclass(frozen=True, eq=False)
class Correction:
    """kind: of label; words: what is wrong; factor, arrange: what mends it
    correlation: of corrected labels with predictions
    given, mended: root mean square errors in eV/Å or eV/atom, before and after
    """

    kind: str
    words: str
    factor: float
    arrange: Arrange
    correlation: float
    given: float
    mended: float

    @property
    def plain(self) -> bool:
        """Whether it is a factor and nothing else."""
        return self.arrange in _AS_GIVEN.values()

    def arrange_of(self, kind: str) -> Arrange:
        """The same arrangement, none, of another kind of label."""
        assert self.plain
        return _AS_GIVEN[kind]

    @property
    def gain(self) -> float:
        return self.given / max(self.mended, 1e-12 * self.given, 1e-300)

    def apply(self, structures: Sequence[Labelled], predicted: Sequence[Label]) -> list[Labelled]:
        """The structures with their labels as they should be."""
        made = self.arrange(structures, predicted)
        return [
            s if y is None else replace(s, **{self.kind: self.factor * y})
            for s, y in zip(structures, made, strict=True)
        ]


def best_correction(
    kind: str, structures: Sequence[Labelled], predicted: Sequence[Label], shifts: bool = False
) -> Correction | None:
    """What makes the labels agree with the predictions, or None where they do or nothing known does.

    predicted: of each structure, as the label; shifts: whether predicted energies have the zero of the
    data, so that another one is a mistake
    """
    own = [k for k, s in enumerate(structures) if getattr(s, kind) is not None]
    chosen, told = [structures[k] for k in own], [predicted[k] for k in own]
    if not chosen:
        return None
    found = []
    for words, arrange in _arrangements(kind, shifts):
        made = arrange(chosen, told)
        if tried := _tried(kind, words, arrange, chosen, made, told):
            found.append(tried)
    if not found:
        return None
    return min(enumerate(found), key=lambda kc: kc[1].mended * _odd(*kc))[1]


def _odd(place: int, c: Correction) -> float:
    """How much less likely a correction is than the simplest one."""
    return float(1.05**place * (1.3 if UNNAMED in c.words else 1.0))


def _tried(
    kind: str,
    words: str,
    arrange: Arrange,
    structures: Sequence[Labelled],
    made: Sequence[Label],
    predicted: Sequence[Label],
) -> Correction | None:
    given = [getattr(s, kind) for s in structures]
    same = words == ""
    if not same and all(_equal(a, b) for a, b in zip(given, made, strict=True)):
        return None
    y, x, p = (_numbers(kind, structures, v) for v in (given, made, predicted))
    if kind == "virial" and words in _ORDER_WORDS:  # those that stay say nothing of the order
        moved = np.tile([k != v for k, v in enumerate(_ORDER_WORDS[words])], len(structures))
        y, x, p = y[moved], x[moved], p[moved]
    free = composition(structures) if kind == "energy" else None
    if free is not None:
        remove = partial(residual, free)
        y, x, p = (v if words.startswith("have another") else remove(v) for v in (y, x, p))
    size, other = float(np.linalg.norm(x)), float(np.linalg.norm(p))
    if (len(p) < FEW and not (kind == "energy" and len(p) > 5)) or size == 0 or other == 0:
        return None
    correlation = float(x @ p) / size / other
    slope = float(x @ p) / size**2
    if (words in _CHOSEN and correlation < MATCHED) or abs(correlation) < CORRELATION:
        return None
    best = _rms(slope * x - p)
    factor, unit = named(kind, slope)
    if _rms(factor * x - p) > SLACK * best:
        factor, unit = slope, _unnamed(slope)
    if (factor == slope and 1 / TOLD < slope < TOLD) or (same and factor == 1.0):
        return None
    all_words = ", and ".join(w for w in (words, unit) if w)
    before, after = _rms(y - p), _rms(factor * x - p)
    found = Correction(kind, all_words, factor, arrange, correlation, before, after)
    return found if found.gain >= (UNNAMED_GAIN if UNNAMED in all_words else GAIN) else None


def _rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(x * x)))


def named(kind: str, slope: float) -> tuple[float, str]:
    """(factor, in words): 1, -1 or that of a unit near a slope, or the slope itself."""
    sign, size = (-1.0, "have the wrong sign") if slope < 0 else (1.0, "")
    if 1 / NEAR < abs(slope) < NEAR:
        return sign, size
    unit = _nearest(kind, slope)
    if unit is None:
        return slope, _unnamed(slope)
    words = f"are in {UNITS[kind][unit]}"
    return sign * unit, f"{words}, and {size}" if size else words


def _nearest(kind: str, slope: float) -> float | None:
    unit = min(UNITS[kind], key=lambda f: abs(np.log(abs(slope) / f)))
    return unit if 1 / NEAR < abs(slope) / unit < NEAR else None


def _unnamed(slope: float) -> str:
    words = f"are {1 / slope:.3g} {UNNAMED} should be"
    unit = _nearest("energy", 1 / slope)
    if unit and 1 / CLOSE < abs(1 / slope) / unit < CLOSE:
        words += f", as if the others were in {UNITS['energy'][unit]}"
    return words


# ------------------------------------------------------------ arrangements


def _arrangements(kind: str, shifts: bool) -> list[tuple[str, Arrange]]:
    """(what is wrong, what mends it), the simple ones first."""
    out: list[tuple[str, Arrange]] = [("", _AS_GIVEN[kind])]
    if kind in ("energy", "virial"):
        out.append(("are per atom", _times(kind, lambda s: len(s.atoms))))
    if kind == "energy":
        out += [(f"belong to the {w} frame", _rolled(kind, k)) for w, k in _NEIGHBOURS]
        if shifts:
            out.append(("have another zero", _shifted))
    if kind == "virial":
        out.append(("are stresses without the volume", _times(kind, _volume)))
        out += [(w, partial(_reordered, order=order)) for w, order in _ORDER_WORDS.items()]
        out += [(f"belong to the {w} frame", _rolled(kind, k)) for w, k in _NEIGHBOURS]
    if kind == "forces":
        out += [(f"belong to the {w} frame", _rolled(kind, k)) for w, k in _NEIGHBOURS]
        out += [
            (f"have their columns in the order {''.join('xyz'[a] for a in p)}", _columns(p))
            for p in permutations(range(3))
            if p != (0, 1, 2)
        ]
        out.append((_ATOMS, _matched_atoms))
        out.append((_FRAMES, _matched_frames))
    return out


_NEIGHBOURS = (("next", -1), ("previous", 1))
_ATOMS = "belong to other atoms of the same structure"
_FRAMES = "belong to other frames"
_CHOSEN = (_ATOMS, _FRAMES)
_ORDER_WORDS = {f"have their numbers in the order {w}": order for w, order in ORDERS.items()}


def _as_given(kind: str) -> Arrange:
    return lambda structures, predicted: [getattr(s, kind) for s in structures]


_AS_GIVEN = {kind: _as_given(kind) for kind in KINDS}


def _times(kind: str, factor: Callable[[Labelled], float]) -> Arrange:
    def arrange(structures: Sequence[Labelled], predicted: Sequence[Label]) -> list[Label]:
        return [
            None if getattr(s, kind) is None else factor(s) * getattr(s, kind) for s in structures
        ]

    return arrange


def _volume(s: Labelled) -> float:
    return float(s.atoms.get_volume()) if s.atoms.cell.rank == 3 else 0.0


def _rolled(kind: str, by: int) -> Arrange:
    """Labels of the frame `by` places away, where that has as many atoms."""

    def arrange(structures: Sequence[Labelled], predicted: Sequence[Label]) -> list[Label]:
        out: list[Label] = [getattr(s, kind) for s in structures]
        for k, s in enumerate(structures):
            other = structures[(k - by) % len(structures)]
            if np.array_equal(other.atoms.numbers, s.atoms.numbers):
                out[k] = getattr(other, kind)
        return out

    return arrange


def _reordered(
    structures: Sequence[Labelled], predicted: Sequence[Label], order: Sequence[int]
) -> list[Label]:
    """Six numbers that stand in another order than they were taken for."""
    out: list[Label] = []
    for s in structures:
        if s.virial is None:
            out.append(None)
            continue
        six = np.array([s.virial[a, b] for a, b in VOIGT])[list(order)]
        matrix = np.zeros((3, 3))
        for value, (a, b) in zip(six, VOIGT, strict=True):
            matrix[a, b] = matrix[b, a] = value
        out.append(matrix)
    return out


def _columns(order: Sequence[int]) -> Arrange:
    inverse = np.argsort(order)

    def arrange(structures: Sequence[Labelled], predicted: Sequence[Label]) -> list[Label]:
        return [None if s.forces is None else s.forces[:, inverse] for s in structures]

    return arrange


def _matched_atoms(structures: Sequence[Labelled], predicted: Sequence[Label]) -> list[Label]:
    """Forces of each structure given to the atoms that they suit best."""
    from scipy.optimize import linear_sum_assignment

    out: list[Label] = []
    for s, p in zip(structures, predicted, strict=True):
        if s.forces is None or p is None or len(s.forces) < 2:
            out.append(s.forces)
            continue
        rows, columns = linear_sum_assignment(-np.asarray(p) @ s.forces.T)
        made = np.empty_like(s.forces)
        made[rows] = s.forces[columns]
        out.append(made)
    return out


def _matched_frames(structures: Sequence[Labelled], predicted: Sequence[Label]) -> list[Label]:
    """Forces of each frame given to the frame of the same atoms that they suit best."""
    from scipy.optimize import linear_sum_assignment

    out: list[Label] = [s.forces for s in structures]
    alike: dict[bytes, list[int]] = {}
    for k, s in enumerate(structures):
        if s.forces is not None and predicted[k] is not None:
            alike.setdefault(s.atoms.numbers.tobytes(), []).append(k)
    for places in alike.values():
        x = np.stack([np.asarray(structures[k].forces).ravel() for k in places])
        p = np.stack([np.asarray(predicted[k]).ravel() for k in places])
        for a, b in zip(*linear_sum_assignment(-p @ x.T), strict=True):
            out[places[a]] = structures[places[b]].forces
    return out


def _shifted(structures: Sequence[Labelled], predicted: Sequence[Label]) -> list[Label]:
    """Energies moved by what composition explains of their difference from the predictions."""
    own = [k for k, (s, p) in enumerate(zip(structures, predicted, strict=True))
           if s.energy is not None and p is not None]  # fmt: skip
    out: list[Label] = [s.energy for s in structures]
    sizes = np.array([len(structures[k].atoms) for k in own])
    off = np.array([structures[k].energy - predicted[k] for k in own]) / sizes
    free = composition([structures[k] for k in own])
    explained = off - residual(free, off)
    for k, n, d in zip(own, sizes, explained, strict=True):
        out[k] = structures[k].energy - n * d
    return out


# ------------------------------------------------------------ numbers


def _equal(a: Label, b: Label) -> bool:
    return (a is None and b is None) or (a is not None and b is not None and np.array_equal(a, b))


def _numbers(kind: str, structures: Sequence[Labelled], values: Sequence[Label]) -> np.ndarray:
    """Of all structures in one array: energies and virials per atom, six numbers of a virial."""
    out = []
    for s, v in zip(structures, values, strict=True):
        array = np.asarray(v, float)
        if kind == "virial":
            array = np.array([array[a, b] for a, b in VOIGT])
        out.append(array.ravel() / (1 if kind == "forces" else len(s.atoms)))
    return np.concatenate(out)


def composition(structures: Sequence[Labelled]) -> np.ndarray:
    """[structures, species], fractions."""
    species = sorted({int(z) for s in structures for z in s.atoms.numbers})
    return np.array([[np.mean(s.atoms.numbers == z) for z in species] for s in structures])


def residual(free: np.ndarray, values: np.ndarray) -> np.ndarray:
    out: np.ndarray = values - free @ np.linalg.lstsq(free, values, rcond=1e-9)[0]
    return out
