"""The fuzz finds what it is for: `python -m tests.fuzz`, whose minute of all kinds is a step of .ci/run."""

import itertools
import subprocess
import sys
import time
from pathlib import Path

import pytest
from etace.errors import RequestError
from fuzz import harness, work
from fuzz.harness import ACCEPTED, FAULT, REFUSED, SAME, Case, Fault

ROOT = Path(__file__).parents[1]


class Answers:
    """A module whose check does what it is given."""

    @staticmethod
    def cases(seed):
        return (Case(f"{seed} {k}", k) for k in itertools.count())

    @staticmethod
    def check(case):
        return case.data()


def raises(error):
    raise error


@pytest.mark.parametrize(
    ("does", "outcome", "said"),
    [
        (lambda: SAME, SAME, ""),
        (lambda: ACCEPTED, ACCEPTED, ""),
        (lambda: raises(RequestError("`p` is too large")), REFUSED, "`p` is too large"),
        (lambda: raises(RequestError("")), FAULT, "a refusal of 0 characters"),
        (lambda: raises(RequestError("Traceback (most")), FAULT, "a refusal of 15"),
        (lambda: raises(Fault("the energy moved by 1 eV")), FAULT, "moved by 1 eV"),
        (lambda: raises(KeyError("p")), FAULT, "Traceback (most recent call last)"),
        (lambda: None, FAULT, "neither same nor accepted"),
    ],
)
def test_an_answer_is_judged(does, outcome, said):
    found, text = harness.judge(Answers, Case("one", does))
    assert found == outcome
    assert said in text


def test_work_without_end_is_a_fault(monkeypatch):
    def endless():
        while True:
            try:
                while True:
                    sum(range(1000))
            except Exception:  # as readers do that take every error for bad input
                continue

    monkeypatch.setattr(harness, "LIMIT", 0.3)
    begun = time.process_time()
    found, text = harness.judge(Answers, Case("endless", endless))
    assert found == FAULT
    assert "no answer in 0.3 s" in text
    assert time.process_time() - begun < 5


def test_a_chunk_of_a_seed_is_always_the_same():
    from fuzz import settings, structures

    for module in (settings, structures):
        first, again = ([c.name for c in work.chunk(module, 7, 3)] for _ in range(2))
        assert first == again
        assert first != [c.name for c in work.chunk(module, 7, 4)]


def test_the_command_counts_and_says_that_all_is_well(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--only", "settings", "--cases", "60", "--faults", tmp_path],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].split()[:2] == ["settings", "60"]


def test_a_crash_of_the_process_is_a_fault_with_what_shows_it(tmp_path, monkeypatch):
    """And the cases behind it are tried all the same."""
    module = tmp_path / "fuzz/crashing.py"  # one more file of the namespace package
    module.parent.mkdir()
    module.write_text(
        "import os, signal\n"
        "from fuzz.harness import Case\n"
        "def cases(seed):\n"
        "    return (Case(str(k), k, {'k.txt': b'%d' % k}) for k in range(10**9))\n"
        "def check(case):\n"
        "    if case.data == 3:\n"
        "        os.kill(os.getpid(), signal.SIGSEGV)\n"
        "    return 'same'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    folder = tmp_path / "faults"
    folder.mkdir()
    tally = work.run(["crashing"], 0, time.monotonic() + 60, work.CHUNK, folder)["crashing"]
    assert tally.counts == {"same": work.CHUNK - 1, "fault": 1}
    assert (folder / "crashing-0-0-3/k.txt").read_bytes() == b"3"
    assert "--only crashing --seed 0 --chunk 0" in (folder / "crashing-0-0-3/fault.txt").read_text()
