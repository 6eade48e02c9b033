"""Processes that work through chunks of cases, and who watches them."""

from __future__ import annotations

import importlib
import multiprocessing
import os
import random
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection, wait
from pathlib import Path

from .harness import FAULT, Case, Module, judge

CHUNK = 25  # cases
WORKERS = 2
SILENT = 120.0  # seconds without an answer: the worker sleeps, and is stopped
MEMORY = 12 << 30  # bytes that a worker may map: a case that wants more is at fault
START = 300.0  # seconds for a worker to import and make what its cases share
SHOWN = 20  # faults printed in full


@dataclass
class Tally:
    """Of one kind. time: seconds of work, cases made and judged; slowest: of one case."""

    counts: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    time: float = 0.0
    started: int = 0  # cases given out
    chunks: int = 0

    @property
    def cases(self) -> int:
        return sum(self.counts.values())


def load(name: str) -> Module:
    return importlib.import_module(f".{name}", __package__)  # type: ignore[return-value]


def chunk(module: Module, seed: int, number: int) -> Iterator[Case]:
    own = random.Random(f"{seed} {number}").getrandbits(32)
    return islice(module.cases(own), CHUNK)


def show(name: str, seed: int, number: int) -> int:
    """One chunk in this process, said case by case; how many faults."""
    faults = 0
    module = load(name)
    for k, case in enumerate(chunk(module, seed, number)):
        print(f"{name} {k}: {case.name}", flush=True)
        outcome, text = judge(module, case)
        print(f"    {outcome} {text}")
        faults += outcome == FAULT
    return faults


def work(pipe: Connection, seed: int, log: str) -> None:
    """Chunks as they are asked for: (name, number, first case, cases). Answers ("case", k, name, files)
    before each case, ("done", outcome, text, seconds, those with its making) after it, ("end",) after the
    last."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, resource.getrlimit(resource.RLIMIT_AS)[1]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(out, number)
    while (asked := pipe.recv()) is not None:
        name, number, first, count = asked
        module = load(name)
        last = time.process_time()
        for k, case in islice(enumerate(chunk(module, seed, number)), first, count):
            pipe.send(("case", k, case.name, dict(case.files)))
            begun = time.process_time()
            outcome, text = judge(module, case)
            now = time.process_time()
            pipe.send(("done", outcome, text, now - begun, now - last))
            last = now
        pipe.send(("end",))


class Worker:
    """One process and the case it is at."""

    def __init__(self, seed: int, log: Path) -> None:
        self.seed, self.log = seed, log
        self.task: tuple[str, int, int, int] | None = None
        self.at: tuple[int, str, dict[str, bytes]] | None = None
        self.start()

    def start(self) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, other = context.Pipe()
        self.process = context.Process(target=work, args=(other, self.seed, str(self.log)))
        self.process.start()
        other.close()
        self.heard = time.monotonic()

    def give(self, task: tuple[str, int, int, int]) -> None:
        self.task, self.at, self.heard = task, None, time.monotonic()
        self.pipe.send(task)

    def end(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


def run(names: list[str], seed: int, until: float, most: int, folder: Path) -> dict[str, Tally]:
    """Chunks of all kinds, with the same time for each, until the time is over or all have `most`."""
    tally = {name: Tally() for name in names}
    workers = [Worker(seed, folder / f"worker-{k}.log") for k in range(WORKERS)]
    try:
        busy = [w for w in workers if _next(w, tally, most)]
        while busy and time.monotonic() < until:
            ready = wait([w.pipe for w in busy], timeout=1.0)
            for worker in list(busy):
                ended = _listen(worker, tally, folder) if worker.pipe in ready else _overdue(worker)
                if ended == "crash":
                    _crash(worker, tally, folder)
                if ended and worker.task is None and not _next(worker, tally, most):
                    busy.remove(worker)
    finally:
        for worker in workers:
            worker.end()
            worker.log.unlink(missing_ok=True)
    return tally


def _next(worker: Worker, tally: dict[str, Tally], most: int) -> bool:
    """Give it a chunk of the kind that had the least time; False: nothing is left."""
    left = [name for name in tally if tally[name].started < most]
    if not left:
        return False
    name = min(left, key=lambda n: (tally[n].time, tally[n].started))
    own = tally[name]
    count = min(CHUNK, most - own.started)
    worker.give((name, own.chunks, 0, count))
    own.started += count
    own.chunks += 1
    return True


def _listen(worker: Worker, tally: dict[str, Tally], folder: Path) -> str:
    """Take one message; "end": of the chunk, "crash": of the process, "": more follows."""
    assert worker.task is not None
    try:
        message = worker.pipe.recv()
    except (EOFError, OSError):
        return "crash"
    worker.heard = time.monotonic()
    if message[0] == "end":
        worker.task = None
        return "end"
    if message[0] == "case":
        worker.at = message[1:]
        return ""
    _, outcome, text, seconds, whole = message
    own = tally[worker.task[0]]
    own.counts[outcome] += 1
    own.time += whole
    own.slowest = max(own.slowest, seconds)
    if outcome == FAULT:
        _keep(worker, text, tally, folder)
    return ""


def _overdue(worker: Worker) -> str:
    silent = time.monotonic() - worker.heard
    return "crash" if silent > (SILENT if worker.at else START) else ""


def _crash(worker: Worker, tally: dict[str, Tally], folder: Path) -> None:
    """The case is at fault; another process goes on behind it."""
    assert worker.task is not None
    name, number, _, count = worker.task
    worker.process.join(1.0)
    code = worker.process.exitcode
    if code is None:
        text = f"no answer in {SILENT:g} s"
    elif code == -signal.SIGXCPU:
        text = "no answer, and no way to stop it but to end the process"
    else:
        text = f"the process ended with {code}"
    worker.end()
    said = worker.log.read_text(errors="replace")[-2000:] if worker.log.exists() else ""
    if worker.at is None:
        raise SystemExit(f"{name}, chunk {number}: {text} before its first case\n{said}")
    tally[name].counts[FAULT] += 1
    tally[name].time += 10.0
    _keep(worker, f"{text}\n{said}", tally, folder)
    first = worker.at[0] + 1
    worker.start()
    worker.task = None
    if first < count:
        worker.give((name, number, first, count))


def _keep(worker: Worker, text: str, tally: dict[str, Tally], folder: Path) -> None:
    assert worker.task is not None
    assert worker.at is not None
    (name, number, _, _), (k, what, files) = worker.task, worker.at
    own = folder / f"{name}-{worker.seed}-{number}-{k}"
    own.mkdir(exist_ok=True)
    again = f"{Path(sys.executable).name} -m tests.fuzz --only {name} --seed {worker.seed} --chunk {number}"
    (own / "fault.txt").write_text(f"{what}\n{again}\n\n{text}\n", encoding="utf8")
    for file, content in files.items():
        (own / file).write_bytes(content)
    if sum(t.counts[FAULT] for t in tally.values()) <= SHOWN:
        last = (text.strip().splitlines() or [""])[-1][:300]
        print(f"FAULT {name}, chunk {number}, case {k}: {what}\n    {last}\n    {own}", flush=True)
