"""Compilers that fail in every way, and caches that cannot be used or trusted: right numbers all the same, and
one line that says why it is slower."""

import os
import subprocess
import sys
import time
from pathlib import Path

import etace
import numpy as np
import pytest
from ase import Atoms
from cases import TEXTS
from etace.loading import from_compilation
from etace.native import build, commands, toolchain
from etace.native.build import BuildError, library
from etacec import compile_text

FOUND = toolchain.find()
pytestmark = [
    pytest.mark.skipif(FOUND is None, reason="no C compiler here"),
    pytest.mark.skipif(os.name != "posix", reason="the compilers are scripts of a shell"),
]
TEXT = "int answer(void) { return 42; }\n"
ATOMS = Atoms("SiO2", [[0, 0, 0], [1.6, 0, 0], [0, 1.7, 0]])
ANSWERS = 'case "$*" in *--version*|*-dM*) exec {real} "$@";; esac\n'
OUTPUT = 'while [ "$1" != -o ]; do shift; done\n'
SCRIPTS = {
    "no compiler": ("exit 1", "which is no C compiler that works"),
    "says yes to all": ("exit 0", "which is no C compiler that works"),
    "fails": (ANSWERS + "exit 3", "it wrote nothing and ended with 3"),
    "writes nothing": (ANSWERS + "exit 0", "it wrote nothing and ended with 0"),
    "many lines": (ANSWERS + "printf 'one\\n\\377\\ntwo\\n' >&2; exit 1", "the kernel (one))"),
    "an error among them": (
        ANSWERS + "printf 'a\\nx: error: b\\nc\\n' >&2; exit 1",
        "the kernel (x: error: b))",
    ),
    "garbage": (ANSWERS + OUTPUT + 'head -c 5000 /dev/zero > "$2"', "cannot be loaded"),
    "something else": (
        ANSWERS + OUTPUT + 'echo "int other;" | {real} -x c -shared -fPIC -o "$2" -',
        "has no function etace_",
    ),
}


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("ETACE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache/native"


@pytest.fixture(scope="module")
def expected():
    return model("jax").evaluate(ATOMS)


def model(backend):
    made = from_compilation(compile_text(TEXTS["zbl"], "zbl"))
    made.backend, made.cores = backend, 1
    return made


def script(path, body):
    real = " ".join(FOUND.command)
    path.write_text(f"#!/bin/sh\n{body.replace('{real}', real)}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("name", SCRIPTS)
def test_bad_compilers_are_one_line_and_right_numbers(name, monkeypatch, tmp_path, cache, expected):
    body, said = SCRIPTS[name]
    monkeypatch.setenv(toolchain.VARIABLE, script(tmp_path / "cc", body))
    auto = model("auto")
    found = auto.evaluate(ATOMS)
    assert found.energy == expected.energy
    np.testing.assert_array_equal(found.forces, expected.forces)
    assert auto.backend_in_use.startswith("jax (")
    assert said in auto.backend_in_use
    assert "\n" not in auto.backend_in_use
    assert not cache.exists() or not list(cache.iterdir())  # nothing bad is kept
    with pytest.raises(etace.EtaceError, match="no native kernel"):
        model("native").evaluate(ATOMS)


@pytest.mark.parametrize("late", [False, True], ids=("asked", "compiling"))
def test_compilers_that_hang_end_with_what_they_started(late, monkeypatch, tmp_path):
    held = tmp_path / "held"
    body = (ANSWERS if late else "") + f"(echo $$ > {held}; exec sleep 1000) & wait"
    monkeypatch.setenv(toolchain.VARIABLE, script(tmp_path / "cc", body))
    monkeypatch.setattr(toolchain, "ANSWER", 5 if late else 0.5)
    monkeypatch.setattr(build, "TIMEOUT", 0.5)
    if late:
        with pytest.raises(BuildError, match=r"took more than 0\.5 s"):
            library(TEXT, toolchain.find())
    else:
        assert toolchain.find() is None
        assert "no C compiler that works" in toolchain.missing()
    group = int(held.read_text())
    for _ in range(100):
        if not _lives(group):
            break
        time.sleep(0.05)
    else:
        pytest.fail("the compiler is still there")


def _lives(group):
    """Whether a process of the group does anything: those that ended may wait for a parent to notice."""
    done = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True)
    rows = (line.split() for line in done.stdout.splitlines())
    return any(int(row[0]) == group and not row[1].startswith("Z") for row in rows)


def test_without_a_path_compilers_find_their_parts(monkeypatch):
    monkeypatch.delenv("PATH")
    done = commands.ran([sys.executable, "-c", "import os; print(os.environ['PATH'])"], 60)
    assert done.stdout.strip() == os.defpath


@pytest.mark.parametrize("damage", ["truncated", "flipped", "no hash", "another hash"])
def test_a_damaged_object_is_made_anew(damage, cache):
    assert library(TEXT, FOUND).answer() == 42
    (kept,) = cache.glob("*.so")
    good, hashed = kept.read_bytes(), kept.with_suffix(".sha256")
    kept.unlink()  # not the file that is mapped
    kept.write_bytes(good)
    if damage == "truncated":
        kept.write_bytes(good[: len(good) // 3])
    elif damage == "flipped":
        kept.write_bytes(good[:4000] + bytes(255 - x for x in good[4000:4100]) + good[4100:])
    elif damage == "no hash":
        hashed.unlink()
    else:
        hashed.write_text("0" * 64)
    found = library(TEXT, FOUND)
    assert found.answer() == 42
    assert not found.unkept
    assert kept.read_bytes() == good


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_what_others_could_have_written_is_not_loaded(mode, cache):
    library(TEXT, FOUND)
    (kept,) = cache.glob("*.so")
    before = kept.stat().st_mtime_ns, kept.stat().st_ino
    cache.chmod(mode)
    found = library(TEXT, FOUND)
    assert found.answer() == 42
    assert found.unkept == f"others can write to {cache}"
    assert (kept.stat().st_mtime_ns, kept.stat().st_ino) == before
    native = model("native")
    native.evaluate(ATOMS)
    assert native.backend_in_use.endswith(f"; compiled anew: others can write to {cache}")


def test_a_new_cache_is_the_users_own(cache):
    library(TEXT, FOUND)
    assert cache.stat().st_mode & 0o777 == 0o700


def test_a_cache_that_is_somebody_elses_is_not_used(cache, monkeypatch):
    library(TEXT, FOUND)
    if os.geteuid() == 0:
        os.chown(cache, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: cache.stat().st_uid + 1)
    found = library(TEXT, FOUND)
    assert found.answer() == 42
    assert found.unkept == f"{cache} is somebody else's"


def test_a_cache_that_can_only_be_read_is_read(cache, monkeypatch):
    library(TEXT, FOUND)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert not library(TEXT, FOUND).unkept
    found = library(TEXT + "\n", FOUND)
    assert found.answer() == 42
    assert found.unkept == f"{cache} cannot be written to"


def test_a_full_disk_keeps_nothing(cache, monkeypatch):
    def write(self, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write)
    found = library(TEXT, FOUND)
    assert found.answer() == 42
    assert found.unkept == f"{cache} cannot be written to (no space left on device)"
    assert not list(cache.iterdir())


def test_without_room_to_compile_it_is_said(monkeypatch):
    def write(self, *_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", write)
    with pytest.raises(BuildError, match=r"cannot be compiled \(no space left on device\)$"):
        library(TEXT, FOUND)


def test_a_killed_build_leaves_nothing_that_is_used(cache, tmp_path):
    started = tmp_path / "started"
    slow = script(tmp_path / "cc", ANSWERS + f"touch {started}; sleep 3")
    code = (
        "from etace.native import toolchain\nfrom etace.native.build import library\n"
        f"library({TEXT!r}, toolchain.find())\n"
    )
    worker = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, toolchain.VARIABLE: slow}
    )
    while not started.exists():
        assert worker.poll() is None
        time.sleep(0.02)
    worker.kill()
    worker.wait()
    assert not list(cache.glob("*"))
    assert library(TEXT, FOUND).answer() == 42


def test_two_may_build_the_same(cache):
    code = (
        "from etace.native import toolchain\nfrom etace.native.build import library\n"
        f"assert library({TEXT!r}, toolchain.find()).answer() == 42\n"
    )
    workers = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(2)]
    assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    assert sorted(p.suffix for p in cache.iterdir()) == [".sha256", ".so"]
    assert library(TEXT, FOUND).answer() == 42
