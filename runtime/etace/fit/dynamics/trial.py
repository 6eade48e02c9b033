"""The test MD of a fitted model: from frames of its data at their temperature, then hotter, until it breaks."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.units import kB

from etace.fit.dynamics.frames import frame, graded, thinned
from etace.fit.dynamics.limits import HOTTEST as MOLECULES
from etace.fit.dynamics.limits import Failure, Known, Watch
from etace.fit.dynamics.results import Level, Run, Trial, breaking
from etace.fit.dynamics.starts import Start, starts
from etace.fit.dynamics.walkers import Walkers
from etace.fit.progress import Progress
from etace.native.evaluator import NativeEvaluator
from etace.words import count

if TYPE_CHECKING:
    from etace.model import Model

PICOSECONDS = 5.0
SECONDS = 30.0
LADDER = (1.0, 1.5, 2.0, 3.0)
COLDEST = 200.0  # K: the ladder of colder data begins here after the first
LEAST = 100.0  # K: what breaks at the data's temperature is tried colder down to here
HOTTEST = 6000.0  # K
LOOK = 20.0  # fs between two looks at a trajectory
KEPT = 40  # looks that are remembered
ENOUGH = 1.0  # ps, before time goes to a hotter temperature
FEW = 0.5  # ps: less says nothing, unless no more was wanted


def trial(
    model: Model,
    structures: Sequence[Any],
    seed: int = 0,
    seconds: float = SECONDS,
    picoseconds: float | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Trial:
    """Run it. structures: `etace.data.Labelled`, those that were fitted; seed: of velocities and thermostats
    seconds: at most, of all; picoseconds: of each run at each temperature, `PICOSECONDS` if None
    tell: takes a line at each temperature

    Without the native kernel there is none: it would take too long. Ctrl-C ends it early, and what there is
    counts. The same seed and data give the same, but for what `seconds` cut short.
    """
    if not isinstance(model.evaluator, NativeEvaluator):
        return Trial(short=f"no MD: it needs the native kernel ({model.backend_in_use})")
    wanted = PICOSECONDS if picoseconds is None else picoseconds
    end = time.monotonic() + seconds
    levels: list[Level] = []
    frames: list[Any] = []
    own, short, step, remarks = None, "", 1.0, list[str]()
    try:
        chosen, own = starts(model, structures, seed)
        if not chosen:
            return Trial(own, short="no MD: in no training frame does an atom have neighbours")
        known, step = Known.of(model, structures), timestep([s.atoms for s in chosen])
        course = _Course(model, chosen, known, step, seed)
        ladder = temperatures(own.temperature, any(w.topology.pairs for w in course.watches))
        remarks = _remarks(chosen, course.watches)
        while ladder:
            share = time.monotonic() + (end - time.monotonic()) / len(ladder)
            level, broken = course.level(ladder.pop(0), wanted, share, end)
            if not level.broken and level.ps < min(FEW, wanted / 2):
                short = f"{seconds:.3g} s were too short for {'more' if levels else 'an MD'}"
                break
            levels.append(level)
            frames += broken
            tell(_told(level))
            if level.ps < 0.99 * wanted and not level.broken:
                short = f"cut short to stay within {seconds:.3g} s"
            if level.broken:
                ladder = _colder(levels)
                if ladder:
                    course = _Course(model, chosen, known, step, seed)
    except KeyboardInterrupt:
        short = "stopped by hand"
    graded(model, frames)
    levels.sort(key=lambda level: level.temperature)
    return Trial(own, tuple(levels), wanted, step, short, tuple(frames), tuple(remarks))


def tried(
    model: Model,
    structures: Sequence[Any],
    seed: int,
    progress: Progress,
    seconds: float = SECONDS,
) -> Trial:
    """As a step of a fit, which says what comes out. Arguments: `trial`"""
    progress.begin("test MD")
    told = lambda line: progress.note(f"test MD: {line}")  # noqa: E731
    found = trial(model, structures, seed, seconds, tell=told)
    for line in found.remarks:
        progress.note(f"test MD: {line}")
    for line in found.warnings:
        progress.note(f"warning: {line}")
    progress.note(f"test MD: {found.sentence}")
    progress.done("test MD", found.sentence)
    return found


def _colder(levels: Sequence[Level]) -> list[float]:
    """K, what to try after a level broke: nothing once one has held."""
    T = float(round(levels[-1].temperature / 2, -1))
    return [] if T < LEAST or not all(level.broken for level in levels) else [T]


def _told(level: Level) -> str:
    if level.broken:
        return breaking(level)
    return f"at {level.temperature:.0f} K {count(len(level.runs), 'run')} of {level.ps:.3g} ps held"


def timestep(structures: Sequence[Any]) -> float:
    """fs, for the lightest atom."""
    lightest = min(float(a.get_masses().min()) for a in structures)
    return 0.5 if lightest < 3 else 1.0 if lightest < 20 else 2.0


def temperatures(own: float, molecules: bool) -> list[float]:
    """K, ascending: the data's, and hotter ones up to where breaking is no fault."""
    most = max(own, MOLECULES if molecules else HOTTEST)
    hotter = [f * max(own, COLDEST) for f in LADDER[1:]]
    return [own, *(float(round(T, -1)) for T in hotter if own < T <= most)]


def _remarks(chosen: Sequence[Start], watches: Sequence[Watch]) -> list[str]:
    out = []
    changing = sorted({s.group for s, w in zip(chosen, watches, strict=True) if w.changing})
    if changing:
        out.append(
            f"molecules of {', '.join(changing)} are hot or change in the data: whether their bonds break "
            "was not asked"
        )
    return out


class _Course:
    """The runs, from one temperature to the next."""

    def __init__(self, model: Model, chosen: Sequence[Start], known: Known, step: float, seed: int):
        self.chosen, self.step = chosen, step
        self.watches = [Watch(known, s.atoms, s.own) for s in chosen]
        self.walkers = Walkers(model, [s.atoms for s in chosen], step, seed)
        self.looks: list[deque[tuple[float, np.ndarray]]] = [deque(maxlen=KEPT) for _ in chosen]

    def level(self, T: float, wanted: float, share: float, end: float) -> tuple[Level, list[Any]]:
        """All runs at one temperature; and frames of those that broke.

        They end after `wanted` ps, or at the time `share` if they have gone far enough, or at `end`.
        """
        walkers = self.walkers
        walkers.thermalise(T)
        begun = dict(zip(walkers.ids, walkers.energy + walkers.kinetic(), strict=True))
        ids, traces = (
            list(walkers.ids),
            {k: list[tuple[float, float, float]]() for k in walkers.ids},
        )
        failed: dict[int, tuple[float, Failure, np.ndarray]] = {}
        for looks in self.looks:
            looks.clear()
        steps = max(round(LOOK / self.step), 1)
        ps, total = 0.0, round(1000 * wanted / self.step)
        done = 0
        while done < total and walkers.ids:
            if (now := time.monotonic()) >= end or (now >= share and ps >= ENOUGH):
                break
            here = min(steps, total - done)
            walkers.advance(T, here)
            done += here
            ps = done * self.step / 1000
            for k in set(ids) - set(walkers.ids) - set(failed):
                failed[k] = ps, Failure(walkers.fallen[k]), self._last(k)
            failed |= self._looked(T, ps, begun, traces)
        runs = []
        frames: list[Any] = []
        for k in ids:
            s, found = self.chosen[k], failed.get(k)
            long, why = (ps, None) if found is None else found[:2]
            trace = np.array(traces[k]).reshape(-1, 3)
            runs.append(Run(s.source, s.group, len(s.atoms), s.own, T, long, why, trace))
            if found is not None:
                frames += self._frames(k, T, found)
        return Level(T, tuple(runs)), frames

    def _looked(
        self, T: float, ps: float, begun: dict[int, float], traces: dict[int, list[Any]]
    ) -> dict[int, tuple[float, Failure, np.ndarray]]:
        """Look at all that still go; those that broke are dropped and returned."""
        walkers = self.walkers
        if not walkers.ids:
            return {}
        out: dict[int, tuple[float, Failure, np.ndarray]] = {}
        every = zip(
            walkers.ids,
            walkers.positions(),
            walkers.moving(),
            walkers.energy,
            walkers.heat,
            strict=True,
        )
        for k, x, moving, energy, heat in every:
            n, kinetic = len(x), float(moving.sum())
            each, drift = float(energy) / n, float(energy + kinetic - heat - begun[k]) / n
            traces[k].append((ps, kinetic / (1.5 * n * kB), each))
            why = self.watches[k].failure(x, T, moving, each, drift)
            if why is None:
                self.looks[k].append((ps, x))
            else:
                out[k] = ps, why, x
        walkers.drop({k: found[1].why for k, found in out.items()})
        return out

    def _last(self, k: int) -> np.ndarray:
        return self.looks[k][-1][1] if self.looks[k] else self.chosen[k].atoms.positions

    def _frames(self, k: int, T: float, found: tuple[float, Failure, np.ndarray]) -> list[Any]:
        ps, failure, x = found
        s, bonds = self.chosen[k], self.watches[k].topology
        out = [
            frame(s.atoms, before, bonds, T, at, k, s.source, None)
            for at, before in thinned(self.looks[k])
        ]
        if np.isfinite(x).all():
            out.append(frame(s.atoms, x, bonds, T, ps, k, s.source, failure))
        return out
