"""What is kept for this user is read only if this user wrote it, whole; what killed processes left is swept."""

import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from etace.io.cache import foreign, keep, kept, mark
from etace.io.replace import scratch, sweep, sweep_scratch
from etace.native import toolchain
from etace.native.build import library
from etacec.syntax import parse

posix = pytest.mark.skipif(os.name != "posix", reason="modes, owners and signals are POSIX's")
ROOT = pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root gives away")
FOUND = toolchain.find()
needs_compiler = pytest.mark.skipif(FOUND is None, reason="no C compiler here")
ONE, TWO = "int answer(void) { return 1; }\n", "int answer(void) { return 2; }\n"


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("ETACE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def temporary(monkeypatch, tmp_path):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    tempfile.tempdir = None


def test_what_is_kept_comes_back_under_its_key_alone(tmp_path):
    path = tmp_path / "a"
    assert kept(path, "key") is None
    keep(path, "key", b"one\ntwo")
    assert kept(path, "key") == b"one\ntwo"
    assert kept(path, "other") is None
    whole = path.read_bytes()
    for k in range(0, 8 * len(whole), 5):
        changed = bytearray(whole)
        changed[k // 8] ^= 1 << k % 8
        path.write_bytes(changed)
        assert kept(path, "key") is None
    assert mark("a", b"b") != mark("ab", b"")


@posix
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_not_read(mode, tmp_path):
    path = tmp_path / "a"
    keep(path, "key", b"content")
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(mode)
    assert kept(path, "key") is None


@posix
def test_a_loose_umask_changes_nothing(cache):
    before = os.umask(0)
    try:
        keep(cache.parent / "a", "key", b"content")
        assert kept(cache.parent / "a", "key") == b"content"
    finally:
        os.umask(before)


@ROOT
def test_a_file_of_somebody_else_is_not_read(tmp_path):
    path = tmp_path / "a"
    keep(path, "key", b"content")
    os.chown(path, 12345, -1)
    assert kept(path, "key") is None


@needs_compiler
def test_a_kernel_in_the_place_of_another_is_not_loaded(cache):
    """Object and digest of one entry under the name of another."""
    assert library(ONE, FOUND).answer() == 1
    (first,) = (cache / "native").glob("*.so")
    assert library(TWO, FOUND).answer() == 2
    (second,) = set((cache / "native").glob("*.so")) - {first}
    for suffix in (".so", ".sha256"):
        os.replace(first.with_suffix(suffix), second.with_suffix(suffix))
    assert library(TWO, FOUND).answer() == 2


@posix
@needs_compiler
def test_a_kernel_that_others_could_have_written_is_not_loaded(cache):
    assert library(ONE, FOUND).answer() == 1
    (path,) = (cache / "native").glob("*.so")
    for own in (path, path.with_suffix(".sha256")):
        own.chmod(0o666)
        before = own.stat().st_ino
        assert library(ONE, FOUND).answer() == 1
        assert own.stat().st_ino != before


class Evil:
    def __reduce__(self):
        return os.mkdir, ("evil",)


def test_a_kept_grammar_can_hold_no_code(cache, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    parse.parser.cache_clear()
    assert parse.parse("etace 1\n", "a")
    path = cache / "grammar/etace.grammar"
    whole = path.read_bytes()
    seen = {}

    def keeping(path, key, content):
        seen["key"] = key

    monkeypatch.setattr(parse, "keep", keeping)
    path.unlink()
    parse.parser.cache_clear()
    parse.parser()
    assert kept_content(whole, seen["key"])
    keep(path, seen["key"], pickle.dumps(Evil()))  # whole, and this user's
    parse.parser.cache_clear()
    assert parse.parse("etace 1\n", "a")
    assert not (tmp_path / "evil").exists()
    parse.parser.cache_clear()


def kept_content(whole, key):
    first, _, content = whole.partition(b"\n")
    return first == mark(key, content).encode()


def test_a_kept_grammar_is_read_and_a_damaged_one_made_anew(cache, monkeypatch):
    parse.parser.cache_clear()
    parse.parser()
    path = cache / "grammar/etace.grammar"
    whole = path.read_bytes()
    made = []
    monkeypatch.setattr(parse, "Lark", Counting(parse.Lark, made))
    parse.parser.cache_clear()
    parse.parser()
    assert not made
    path.write_bytes(whole[:-1])
    parse.parser.cache_clear()
    parse.parser()
    assert made
    parse.parser.cache_clear()


class Counting:
    """Lark, with a note of each analysis of a grammar."""

    def __init__(self, real, made):
        self.real, self.made = real, made

    def __call__(self, *arguments, **keywords):
        self.made.append(arguments)
        return self.real(*arguments, **keywords)

    def __getattr__(self, name):
        return getattr(self.real, name)


BUILDING = """
import os, sys
from pathlib import Path
from etace.io.replace import replacing, scratch
with scratch() as folder, replacing(sys.argv[1]) as beside:
    (folder / "kernel.c").write_text("half")
    beside.write_text("half")
    print("ready", flush=True)
    sys.stdin.read()
"""


@posix
def test_what_a_killed_process_left_goes_with_the_next_start(cache, temporary, tmp_path):
    (cache / "native").mkdir(parents=True, mode=0o700)
    target = cache / "native/abc.so"
    worker = subprocess.Popen(
        [sys.executable, "-c", BUILDING, target], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    worker.stdout.readline()
    (temporary / "etace-mine").mkdir()
    (temporary / f"etace-{worker.pid}@elsewhere.01234567").mkdir()

    def left():
        return sorted(len(os.listdir(p)) for p in (temporary, cache / "native"))

    assert left() == [1, 3]
    sweep(cache / "native")
    sweep_scratch()
    assert left() == [1, 3]  # the process lives
    with worker:
        worker.send_signal(signal.SIGKILL)
    assert left() == [1, 3]
    code = "from etace.io.cache import code_folder; code_folder('native')"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert left() == [0, 2]  # a folder that is not ours, and one of another machine


@posix
@needs_compiler
def test_a_killed_build_is_swept_with_what_the_compiler_wrote(cache, temporary, tmp_path):
    """kill -9 of the whole group, while the compiler is at work among its temporary files."""
    started = tmp_path / "started"
    slow = tmp_path / "cc"
    slow.write_text(
        f'#!/bin/sh\ncase "$*" in *kernel.so*) echo > "${{TMPDIR:-/tmp}}/ccXXXX.s"; touch {started}; sleep 20;; esac\n'
        f'exec {FOUND.command[0]} "$@"\n'
    )
    slow.chmod(0o755)
    code = (
        "from etace.native import toolchain\nfrom etace.native.build import library\n"
        f"library({ONE!r}, toolchain.find())\n"
    )
    environment = {**os.environ, toolchain.VARIABLE: str(slow)}
    worker = subprocess.Popen([sys.executable, "-c", code], env=environment)
    while not started.exists():
        assert worker.poll() is None
        time.sleep(0.02)
    worker.kill()
    worker.wait()
    (folder,) = temporary.iterdir()
    assert (folder / "ccXXXX.s").exists()
    subprocess.run([sys.executable, "-c", code], check=True)
    assert not list(temporary.iterdir())


def test_a_scratch_folder_is_the_users_own_and_goes(temporary):
    with scratch() as folder:
        assert folder.parent == temporary
        assert folder.stat().st_mode & 0o777 == 0o700
        Path(folder / "a").write_text("b")
    assert not list(temporary.iterdir())


def test_a_pipe_in_the_cache_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe", mode=0o600)
    assert foreign(tmp_path / "pipe").endswith("no ordinary file")
    assert foreign(tmp_path) == ""
