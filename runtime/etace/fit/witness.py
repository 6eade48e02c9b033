"""What some labels of a sample of structures say of the others: a fit to the ones, asked for the others.

The rows of the sample stay, for its smoothest functions only, so that labels can be left out or corrected
and the fit made again in no time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from etace.data import Labelled
from etace.fit.assemble import Target, plan, rows_of
from etace.fit.factors import KINDS, System, eliminate
from etace.fit.priors import Prior, gamma
from etace.fit.solve import evidence
from etace.fit.weights import DEFAULT
from etace.inference.form import VOIGT
from etace.parallel import ordered

COLUMNS = 400  # of a design row that are used
ATOMS = 2000  # of a sample, about

Part = str
Which = tuple[Part, str]  # labels of one kind in one part


@dataclass(frozen=True, eq=False)
class Piece:
    """Rows of one kind and structure. A: [rows, columns]; fixed: [rows], what no column changes;
    scale: of both against the label"""

    A: np.ndarray
    fixed: np.ndarray
    scale: float


class Witness:
    """structures: the sample; parts: which part each is of; columns: those used, of the model's
    pieces: (place of the structure, kind) -> its rows
    """

    def __init__(
        self, model: Any, structures: Sequence[Labelled], parts: Sequence[Part], cores: int
    ):
        self.structures, self.parts = list(structures), list(parts)
        g = gamma(model.potential, Prior())
        self.columns = np.sort(np.argsort(g, kind="stable")[:COLUMNS])
        self.gamma = g[self.columns]
        self.pieces = _pieces(model, self.structures, self.columns, cores)

    @cached_property
    def _by_part(self) -> dict[Which, list[int]]:
        found: dict[Which, list[int]] = defaultdict(list)
        for k, kind in self.pieces:
            found[self.parts[k], kind].append(k)
        return dict(found)

    @property
    def one(self) -> bool:
        """Whether there is one part only."""
        return len(set(self.parts)) == 1

    @property
    def kinds(self) -> list[str]:
        return [k for k in KINDS if any(kind == k for _, kind in self._by_part)]

    def places(self, part: Part | None, kind: str) -> list[int]:
        """Of the structures of a part, or of all, that have such a label."""
        own = [v for (p, k), v in self._by_part.items() if k == kind and part in (None, p)]
        return sorted(k for places in own for k in places)

    @cached_property
    def _grams(self) -> dict[Which, np.ndarray]:
        return {
            which: sum(self.pieces[k, which[1]].A.T @ self.pieces[k, which[1]].A for k in places)
            for which, places in self._by_part.items()
        }

    def solve(self, structures: Sequence[Labelled], without: Collection[Which] = ()) -> np.ndarray:
        """[columns], fitted to the labels of these structures but those left out."""
        n = len(self.columns)
        G, b, norm, rows = np.zeros((n, n)), np.zeros(n), 0.0, 0
        for which, places in self._by_part.items():
            if which in without:
                continue
            w2 = DEFAULT[which[1]] ** 2
            G += w2 * self._grams[which]
            for k in places:
                piece = self.pieces[k, which[1]]
                y = piece.scale * numbers(structures[k], which[1]) - piece.fixed
                b += w2 * (piece.A.T @ y)
                norm += w2 * float(y @ y)
                rows += len(y)
        s, V = np.linalg.eigh(G)
        keep = s > 1e-13 * s[-1]
        root = np.sqrt(s[keep])
        R, z = np.zeros((n, n)), np.zeros(n)
        R[: len(root)] = root[:, None] * V[:, keep].T
        z[: len(root)] = (V[:, keep].T @ b) / root
        system = System(R, z, max(norm - float(z @ z), 0.0), rows)
        reduced = eliminate(system, self.gamma == 0)
        scale = self.gamma[reduced.others]
        found: np.ndarray = reduced.back(evidence(reduced.rest.scaled(scale)).c / scale)
        return found

    def predict(self, c: np.ndarray, kind: str, places: Sequence[int]) -> list[Any]:
        """Labels of structures by the fit, in the order of places."""
        out: list[Any] = []
        for k in places:
            piece = self.pieces[k, kind]
            value = (piece.A @ c + piece.fixed) / piece.scale
            if kind == "energy":
                out.append(float(value[0]))
            elif kind == "forces":
                out.append(value.reshape(-1, 3))
            else:
                out.append(_matrix(value))
        return out


def numbers(s: Labelled, kind: str) -> np.ndarray:
    """A label as its rows have it."""
    value = np.asarray(getattr(s, kind), float)
    return np.array([value[a, b] for a, b in VOIGT]) if kind == "virial" else value.reshape(-1)


def _matrix(six: np.ndarray) -> np.ndarray:
    out = np.zeros((3, 3))
    for value, (a, b) in zip(six, VOIGT, strict=True):
        out[a, b] = out[b, a] = value
    return out


def _pieces(
    model: Any, structures: Sequence[Labelled], columns: np.ndarray, cores: int
) -> dict[tuple[int, str], Piece]:
    # the group tells rows of one structure from those of others
    goals = [
        Target(s.atoms, s.energy, s.forces, s.virial, str(k), 1.0, "train", s.source)
        for k, s in enumerate(structures)
    ]
    shape = plan(model, goals)

    def made(batch: tuple[tuple[int, ...], int]) -> dict[tuple[int, str], Piece]:
        out = {}
        for key, rows in rows_of(model, goals, *batch, shape):
            k = int(key.group)
            scale = 1.0 if key.kind == "forces" else len(structures[k].atoms) ** -0.5
            fixed = scale * numbers(structures[k], key.kind) - rows[:, -1]
            out[k, key.kind] = Piece(rows[:, columns], fixed, scale)
        return out

    batches = [b for t in shape.tasks for b in zip(t.batches, t.slots, strict=True)]
    found: dict[tuple[int, str], Piece] = {}
    for own in ordered(made, batches, cores):
        found |= own
    return found


def sample(structures: Sequence[Labelled], parts: Sequence[Part], atoms: int = ATOMS) -> list[int]:
    """Places of structures of all parts, about so many atoms in all, in their order: of each part its
    share at most, and whole runs of frames, whose neighbours may be what went wrong."""
    own: dict[Part, list[int]] = defaultdict(list)
    for k, part in enumerate(parts):
        own[part].append(k)
    out: list[int] = []
    left, waiting = atoms, len(own)
    for places in sorted(own.values(), key=lambda p: sum(len(structures[k].atoms) for k in p)):
        share, used = left // waiting, 0
        for k in places if len(places) < 60 else _spread(places):
            size = len(structures[k].atoms)
            if used and used + size > share:
                break
            used += size
            out.append(k)
        left, waiting = left - used, waiting - 1
    return sorted(out)


def _spread(places: Sequence[int], run: int = 20) -> list[int]:
    """Runs of places from the whole list: those at the start, the middle, a quarter, ... first."""
    runs = [places[k : k + run] for k in range(0, len(places), run)]
    order = sorted(range(len(runs)), key=lambda k: (k * 0.6180339887) % 1)
    return [k for r in order for k in runs[r]]
