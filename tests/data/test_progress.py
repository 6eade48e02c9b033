"""Who waits is told how far things are; who cannot show Å is told so in plain letters."""

import os
import subprocess
import sys

import pytest
from ase import Atoms
from ase.io import write
from etace import telling
from etace.telling import Lines
from etacec.cli import app
from typer.testing import CliRunner


@pytest.fixture
def file(tmp_path):
    write(tmp_path / "a.xyz", [Atoms("Cu2", [[0, 0, 0], [0, 0, 2 + 0.1 * k]]) for k in range(40)])
    return tmp_path / "a.xyz"


@pytest.fixture
def slow(monkeypatch):
    """A clock on which every look takes three seconds."""
    now = iter(range(0, 10**6, 3))
    monkeypatch.setattr(telling.time, "monotonic", lambda: float(next(now)))


def test_steps_are_told_after_a_while_and_then_now_and_then(slow):
    said = []
    tell = Lines(said.append)
    for k in range(10):
        tell("reading", k, None)
    assert said == ["reading: 1 structure", "reading: 5 structures", "reading: 9 structures"]
    for k in range(4):
        tell("measuring", k, 12)
    assert said[3:] == ["measuring: 3 of 12 structures"]


def test_what_is_quick_is_not_told():
    said = []
    tell = Lines(said.append)
    for k in range(1000):
        tell("reading", k, None)
    assert said == []


def test_the_command_tells_of_reading_and_measuring(file, slow):
    done = CliRunner().invoke(app, ["data", str(file)])
    assert done.exit_code == 0, done.output
    for words in ("reading: 2 structures", "distances: ", " of 40 structures", "near frames: "):
        assert words in done.stderr
    assert "reading" not in done.stdout


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_output_in_any_encoding_is_whole(file, encoding):
    named = file.rename(file.with_name("ß_Å_漢.xyz"))
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run(
        [sys.executable, "-m", "etacec", "data", named.name],
        capture_output=True, cwd=named.parent, env=environment, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    text = done.stdout.decode("utf-8" if encoding == "ascii" else encoding)
    assert "nothing suspicious" in text or "suspicious:" in text
    assert "shortest, Å" in text
    assert "Å³" in text
