"""From labelled structures to R factors, in bounded memory and on all cores.

Structures stand in one order (split, fold, config type, size), are cut into batches of about as many atoms
as the largest has, and batches into tasks of a few times as many rows as there are columns. Every task
makes its rows and reduces them; factors of tasks are merged in the order of the tasks. Order and cuts
depend on the data and the model alone, so the result does not depend on how many workers there are, nor
on whether the work was interrupted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from etace.data import Labelled
from etace.design import rows_and_fixed_part
from etace.errors import RequestError, StructureError
from etace.fit.factors import JOINED, Factor, Key, factor, merged
from etace.fit.weights import Weights
from etace.graph import atom_bucket, slot_bucket
from etace.inference.form import VOIGT
from etace.memory import available
from etace.parallel import ordered
from etace.searched import LIMIT, Searched

SMALLEST, ATOMS = 256, 512  # atoms in a batch, at least and at most, by size of their rows
TALL = 5  # rows of a task per column
TASK = 1 << 28  # bytes of the rows of a task, about, at most
WAITING = 1 << 31  # bytes of tasks at work, about, at most
BESIDE = 1 << 30  # bytes that a fit takes beside what grows with the square of its columns
SPARE = 0.9  # of the memory there is may be used
STRUCTURES = 64  # in a batch, at most
COMPILED = (
    1e8  # a shape takes as long to compile as so many more slots times columns take to work out
)
MANY = 48  # config types with a factor of their own


@dataclass(frozen=True, eq=False)
class Target:
    """One structure as a fit sees it.

    energy: eV; forces: [N, 3], eV/Å; virial: [3, 3], eV; None where there is no label
    split: train or validation; bound: whether the energy is that above the atoms alone
    fold: of a cross-validation (`fit.folds`)
    """

    atoms: Any
    energy: float | None
    forces: np.ndarray | None
    virial: np.ndarray | None
    group: str
    weight: float
    split: str
    source: str
    bound: bool = False
    fold: int = 0


@dataclass(frozen=True)
class Task:
    """batches: [batches of places of targets]; slots of each batch"""

    batches: tuple[tuple[int, ...], ...]
    slots: tuple[int, ...]


class Joining(Enum):
    """Which rows share a factor, though they are of different keys: where memory is not for one of each."""

    NONE = "none"
    KINDS = "of all kinds and config types"
    FOLDS = "of all kinds, config types and folds"

    def __call__(self, key: Key) -> Key:
        """Of what becomes of the rows of a key."""
        if self is Joining.NONE:
            return key
        return Key(key.split, "", JOINED, 0 if self is Joining.FOLDS else key.fold)


@dataclass(frozen=True, eq=False)
class Plan:
    """order of the work. atoms: of a batch, padding included; atoms_of: real ones of each task
    joining: which rows share a factor; weights: that they have from the start then"""

    tasks: tuple[Task, ...]
    atoms: int
    structures: int
    atoms_of: tuple[int, ...]
    joining: Joining = Joining.NONE
    weights: Weights = Weights()


def plan(
    model: Any,
    targets: Sequence[Target],
    weights: Weights | None = None,
    free: int | None = None,
) -> Plan:
    """Where JAX makes the rows, by shapes: needs the lists of neighbours of all structures once, for their
    longest ones.

    weights: that rows may have from the start, so that they can be joined; None: they never are, and nobody asks
    for memory; free: bytes of it; None: what there is

    Raises RequestError: memory is not for so many columns.
    """
    columns = model.length_basis + 1
    joining = Joining.NONE
    if weights is not None:
        joining = _joining(targets, columns, available() if free is None else free)
    classes = [0] * len(targets)
    if model.row_kernel is None:
        longest = [_longest(model, t) for t in targets]
        classes = _classes(longest, [len(t.atoms) for t in targets], columns)
    atoms = atom_bucket(max(SMALLEST, *(len(t.atoms) for t in targets)))
    if model.row_kernel is not None:
        batches = batched(targets, columns, model.searched)
    else:
        kinds = [(t.split, t.fold, t.group, c) for t, c in zip(targets, classes, strict=True)]
        batches = _cut(targets, atoms, kinds, classes)
    tasks: list[list[list[int]]] = [[]]
    rows = 0
    for b in batches:
        if rows >= min(TALL * columns, TASK // (8 * columns)):
            tasks.append([])
            rows = 0
        tasks[-1].append(b)
        rows += sum(3 * len(targets[k].atoms) + 7 for k in b)
    made = tuple(
        Task(tuple(map(tuple, t)), tuple(max(classes[k] for k in b) for b in t)) for t in tasks
    )
    real = tuple(sum(len(targets[k].atoms) for b in t for k in b) for t in tasks)
    return Plan(made, atoms, STRUCTURES, real, joining, weights or Weights())


def batched(
    structures: Sequence[Target | Labelled],
    columns: int,
    known: Searched | None = None,
    folds: Sequence[int] = (),
) -> list[list[int]]:
    """Places of structures whose neighbours and rows are found together by native kernels: of one split, fold and
    config type, or of one batch of those that are known. folds: of structures that do not say it"""
    most = max(SMALLEST, min(ATOMS, TASK // (24 * columns)))
    kinds = []
    for k, s in enumerate(structures):
        place = None if known is None else known.place(s.atoms)
        split, fold = getattr(s, "split", ""), getattr(s, "fold", folds[k] if folds else 0)
        kinds.append((split, fold, -1, s.group) if place is None else (split, fold, place, ""))
    return _cut(structures, most, kinds, kinds)


def _cut(
    structures: Sequence[Any], atoms: int, kinds: Sequence[Any], apart: Sequence[Any]
) -> list[list[int]]:
    """Places in the order of their kinds and sizes, in batches of so many atoms at most but where one structure has
    more. apart: what is the same in a batch"""
    order = sorted(range(len(structures)), key=lambda k: (kinds[k], -len(structures[k].atoms), k))
    batches: list[list[int]] = []
    count = 0
    for k in order:
        n = len(structures[k].atoms)
        full = not batches or count + n > atoms or len(batches[-1]) == STRUCTURES
        if full or apart[batches[-1][0]] != apart[k]:
            batches.append([])
            count = 0
        batches[-1].append(k)
        count += n
    return batches


def searched(
    sets: Sequence[Sequence[Labelled]], columns: int, folds: Sequence[int] = ()
) -> Searched:
    """The same batches of sets, to be kept as long as they are needed. folds: of the structures of the first"""
    batches = []
    for n, own in enumerate(sets):
        for b in batched(own, columns, folds=() if n else folds):
            batches.append([own[k].atoms for k in b])
    return Searched(batches, min(LIMIT, available() // 8))


def keys_of(t: Target) -> dict[Key, int]:
    """The factors that its rows belong to, and how many rows each has."""
    labels = {"energy": t.energy, "forces": t.forces, "virial": t.virial}
    sizes = {"energy": 1, "forces": 3 * len(t.atoms), "virial": len(VOIGT)}
    return {
        Key(t.split, t.group, kind, t.fold): sizes[kind]
        for kind, x in labels.items()
        if x is not None
    }


def _joining(targets: Sequence[Target], columns: int, free: int) -> Joining:
    """As little of it as memory needs. Raises RequestError: it is not even for one factor of each split."""
    rows: Counter[Key] = Counter()
    for t in targets:
        rows.update(keys_of(t))
    usable, needed = SPARE * free - BESIDE, 0
    for how in Joining:
        joined: Counter[Key] = Counter()
        for key, n in rows.items():
            joined[how(key)] += n
        # the factors, their sum and what is solved; the last one is packed before
        lines = sum(min(n, columns) for n in joined.values())
        lines += columns // 2 if how is Joining.FOLDS else 2 * columns
        needed = 8 * columns * lines
        if needed <= usable:
            return how
    fit = int(columns * (max(usable, 0) / needed) ** 0.5) - 1
    raise RequestError(
        f"a fit of {columns - 1} columns needs {(needed + BESIDE) / 1e9:.3g} GB of memory, and "
        f"{SPARE * free / 1e9:.3g} GB may be used: {max(fit, 0)} columns would fit"
    )


def _longest(model: Any, t: Target) -> int:
    """Neighbours of the atom that has most, at least 1."""
    try:
        i = model.paired(t.atoms).pairs.i
    except StructureError as error:
        raise StructureError(f"{t.source}: {error}") from None
    return int(np.bincount(i).max()) if len(i) else 1


def _classes(longest: Sequence[int], atoms: Sequence[int], columns: int) -> list[int]:
    """Slots for each structure: as many as the largest needs, or fewer where that saves more time
    than another shape takes to compile."""
    sizes = [slot_bucket(max(longest))]
    for part in (6, 4):
        size = slot_bucket(-(-sizes[0] * part // 8))
        fewer = sum(n for n, most in zip(atoms, longest, strict=True) if most <= size)
        saved = (sizes[-1] - size) * fewer
        if size < sizes[-1] and saved * columns > COMPILED:
            sizes.append(size)
    return [min(s for s in sizes if s >= n) for n in longest]


def rows_of(
    model: Any, targets: Sequence[Target], members: Sequence[int], slots: int, shape: Plan
) -> Iterator[tuple[Key, np.ndarray]]:
    """Rows [.., P + 1] of [A | y] of one batch: energies / sqrt(N), forces, virials / sqrt(N).

    y: labels less what no linear parameter changes. A virial has six rows: xx, yy, zz, yz, xz, xy.
    """
    for key, A, y, weight in _rows_of(model, targets, members, slots, shape):
        if shape.joining is Joining.NONE:
            yield key, _row(A, y, weight)
        elif weight := weight * shape.weights(key.group, key.kind):
            yield shape.joining(key), _row(A, y, weight)


def _rows_of(
    model: Any, targets: Sequence[Target], members: Sequence[int], slots: int, shape: Plan
) -> Iterator[tuple[Key, np.ndarray, np.ndarray, float]]:
    """(where they belong, A, y, weight of the structure)"""
    chosen = [targets[k] for k in members]
    sizes = (shape.atoms, slots), shape.structures
    try:
        found, fixed = rows_and_fixed_part(model, [t.atoms for t in chosen], *sizes)
    except StructureError:
        for t in chosen:
            _longest(model, t)  # says of which it is
        raise
    energy, forces, virial = found
    alone, rest = fixed
    start = 0
    for k, t in enumerate(chosen):
        n = len(t.atoms)
        each = t.weight / np.sqrt(n)
        if t.energy is not None:
            own, y = energy[k], t.energy - rest.energy[k]
            if t.bound:
                own = np.where(model.potential.columns_alone, 0, own)
            else:
                y -= alone[k]
            if own.any():  # else no parameter changes it, and it says nothing of their noise
                yield Key(t.split, t.group, "energy", t.fold), own[None], np.array([y]), each
        if t.forces is not None:
            own = forces[start : start + n].reshape(3 * n, -1)
            y = t.forces - rest.forces[start : start + n]
            yield Key(t.split, t.group, "forces", t.fold), own, y.reshape(-1), t.weight
        if t.virial is not None:
            six = np.stack([virial[k, a, b] for a, b in VOIGT])
            y = t.virial - rest.virial[k]
            six_y = np.array([y[a, b] for a, b in VOIGT])
            yield Key(t.split, t.group, "virial", t.fold), six, six_y, each
        start += n


def _row(A: np.ndarray, y: np.ndarray, weight: float) -> np.ndarray:
    out = np.empty((len(A), A.shape[1] + 1))
    np.multiply(A, weight, out=out[:, :-1])
    out[:, -1] = weight * y
    return out


def reduce_task(
    model: Any, targets: Sequence[Target], task: Task, shape: Plan
) -> dict[Key, Factor]:
    """The factors of one task."""
    blocks: dict[Key, list[np.ndarray]] = defaultdict(list)
    for members, slots in zip(task.batches, task.slots, strict=True):
        for key, rows in rows_of(model, targets, members, slots, shape):
            blocks[key].append(rows)
    return {key: factor(found) for key, found in sorted(blocks.items())}


def merge_into(total: dict[Key, Factor], found: dict[Key, Factor]) -> None:
    for key, own in found.items():
        total[key] = merged(total[key], own) if key in total else own


def assemble(
    model: Any,
    targets: Sequence[Target],
    shape: Plan,
    cores: int,
    start: int = 0,
    total: dict[Key, Factor] | None = None,
    done: Callable[[int, dict[Key, Factor]], None] = lambda k, total: None,
) -> dict[Key, Factor]:
    """Factors of all tasks from `start` on, merged into `total` (of those before).

    cores: threads at work; done: called after each task with their number and the factors so far
    """
    total = {} if total is None else dict(total)
    tasks = shape.tasks[start:]
    each = 16 * (model.length_basis + 1) * 3 * max(shape.atoms_of, default=0)  # bytes, with a copy
    found = ordered(
        lambda task: reduce_task(model, targets, task, shape),
        tasks,
        max(1, min(cores, WAITING // max(each, 1))),
    )
    for k, own in enumerate(found):
        merge_into(total, own)
        done(start + k + 1, total)
    for key in total:
        if key.kind == JOINED and shape.joining is Joining.FOLDS:
            total[key].pack()
    return total
