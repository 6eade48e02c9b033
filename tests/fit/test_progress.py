"""What takes long is named while it runs."""

import time

from etace.fit import progress
from etace.fit.progress import Progress


def test_a_slow_step_is_named_and_a_quick_one_is_not(monkeypatch):
    monkeypatch.setattr(progress, "SILENT", 0.05)
    said = []
    with Progress(said.append) as p:
        p.begin("quick")
        p.done("quick", "")
        p.begin("solve")
        time.sleep(0.3)
        p.done("solve", "")
        p.start("rows and QR", 100)
        p.at(40)
        time.sleep(0.2)
        p.done("rows and QR", "")
        told = len(said)
        time.sleep(0.2)
        assert len(said) == told
    assert not [s for s in said if s.startswith("quick")]
    assert len([s for s in said if s.startswith("solve ... 0 s")]) >= 2
    assert "rows and QR ... 0 s, 40 of 100 atoms" in said


def test_a_step_that_fails_is_silent_afterwards(monkeypatch):
    monkeypatch.setattr(progress, "SILENT", 0.05)
    said = []
    try:
        with Progress(said.append) as p:
            p.begin("solve")
            raise ValueError
    except ValueError:
        time.sleep(0.15)
    assert said == []
