"""The cache returns what `couple` returns, whatever lies in the folder."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from etacec.coupling import GAUGE_VERSION, Pattern, cache, cache_folder, couple, couple_all
from etacec.coupling.cache import file_name, to_text

PATTERN = Pattern(((1, 2), (2, 2)), 2)
OTHER = Pattern(((1, 1), (1, 1)))


@pytest.fixture
def counted(monkeypatch):
    """The patterns that were computed, not read."""
    computed = []

    def counting(pattern):
        computed.append(pattern)
        return couple(pattern)

    monkeypatch.setattr(cache, "couple", counting)
    return computed


def test_the_second_time_reads(tmp_path, counted):
    first = couple_all([PATTERN, OTHER, PATTERN], tmp_path / "a" / "b")
    again = couple_all([OTHER, PATTERN], tmp_path / "a" / "b")
    assert first == again == {p: couple(p) for p in (PATTERN, OTHER)}
    assert list(first) == [PATTERN, OTHER]
    assert counted == [PATTERN, OTHER]
    assert sorted(os.listdir(tmp_path / "a" / "b")) == sorted(map(file_name, (PATTERN, OTHER)))


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch, counted):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ETACE_CACHE_DIR", str(tmp_path))
    assert couple_all([PATTERN], None) == {PATTERN: couple(PATTERN)}
    assert not os.listdir(tmp_path)


def test_forbidden_patterns_need_no_file(tmp_path):
    assert couple_all([Pattern(((1, 1),))], tmp_path)[Pattern(((1, 1),))].functions == 0
    assert not os.listdir(tmp_path)


def changed(**values):
    """A file whose checksum is right and whose content is not."""
    payload = json.loads(to_text(couple(PATTERN)))["coupling"] | values
    body = json.dumps(payload, separators=(",", ":"))
    return json.dumps({"sha256": cache._digest(body), "coupling": payload}).encode()


WHOLE = to_text(couple(PATTERN)).encode()
BAD = {
    "empty": b"",
    "truncated": WHOLE[: len(WHOLE) // 2],
    "one byte short of json": WHOLE[:-2],
    "garbage": bytes(range(256)),
    "not an object": b"[1, 2]",
    "null": b"null",
    "deep": b"[" * 200000,
    "no coupling": b'{"sha256": "0"}',
    "a digit changed": re.sub(rb'("surds":\[\[)\d', rb"\g<1>7", WHOLE),
    "another pattern": to_text(couple(OTHER)).encode(),
    "another pattern, right checksum": changed(L=0),
    "another gauge": changed(gauge=GAUGE_VERSION + 1),
    "another format": changed(format=0),
    "too few functions": changed(functions=1),
    "no groups": changed(groups=3),
    "malformed groups": changed(groups=[[2, 2], [1, 2]]),
    "a coefficient that is not there": changed(surds=[]),
}


@pytest.mark.parametrize("content", BAD.values(), ids=BAD.keys())
def test_a_bad_file_is_replaced(tmp_path, counted, content):
    path = tmp_path / file_name(PATTERN)
    path.write_bytes(content)
    assert content != WHOLE
    assert couple_all([PATTERN], tmp_path) == {PATTERN: couple(PATTERN)}
    assert counted == [PATTERN]
    assert path.read_bytes() == WHOLE
    assert os.listdir(tmp_path) == [path.name]


def test_a_folder_in_the_files_place(tmp_path):
    (tmp_path / file_name(PATTERN)).mkdir()
    assert couple_all([PATTERN], tmp_path) == {PATTERN: couple(PATTERN)}
    assert os.listdir(tmp_path) == [file_name(PATTERN)]


def test_a_file_in_the_folders_place(tmp_path):
    (tmp_path / "file").write_text("")
    assert couple_all([PATTERN], tmp_path / "file" / "x") == {PATTERN: couple(PATTERN)}


def test_a_folder_that_cannot_be_written(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(os, "replace", refuse)
    assert couple_all([PATTERN], tmp_path) == {PATTERN: couple(PATTERN)}
    assert not os.listdir(tmp_path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(tmp_path):
    folder = tmp_path / "kept"
    couple_all([PATTERN], folder)
    folder.chmod(0o500)
    try:
        assert couple_all([PATTERN, OTHER], folder) == {p: couple(p) for p in (PATTERN, OTHER)}
    finally:
        folder.chmod(0o700)


WORKER = """
import sys
from pathlib import Path
from etacec.coupling import Pattern, couple, couple_all
patterns = [Pattern(((2, 2), (l, 1), (l, 1))) for l in (3, 4)]
for _ in range(40):
    for path in Path(sys.argv[1]).glob("*.json"):
        path.unlink(missing_ok=True)
    assert couple_all(patterns, Path(sys.argv[1])) == {p: couple(p) for p in patterns}
"""


def test_two_processes_at_once(tmp_path):
    """Each also takes away, again and again, what the other may be writing or reading."""
    command = [sys.executable, "-c", WORKER, str(tmp_path)]
    workers = [subprocess.Popen(command) for _ in range(2)]
    try:
        assert [worker.wait(timeout=120) for worker in workers] == [0, 0]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
    assert all(name.endswith(".json") and name[0] != "." for name in os.listdir(tmp_path))


def test_the_users_folder(monkeypatch):
    monkeypatch.delenv("ETACE_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert cache_folder() == Path("/x/etace/coupling")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache/etace/coupling"
    monkeypatch.setenv("ETACE_CACHE_DIR", "/own")
    assert cache_folder() == Path("/own/coupling")


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_a_folder_that_others_can_fill_is_not_used(monkeypatch, tmp_path):
    monkeypatch.setenv("ETACE_CACHE_DIR", str(tmp_path))
    (tmp_path / "coupling").mkdir(mode=0o700)
    assert cache_folder() == tmp_path / "coupling"
    (tmp_path / "coupling").chmod(0o777)
    assert cache_folder() is None


def test_without_a_home_there_is_no_folder(monkeypatch):
    def home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("ETACE_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", home)
    assert cache_folder() is None


def test_names_tell_patterns_apart():
    patterns = [PATTERN, OTHER, Pattern(((1, 2),)), Pattern(((1, 2),), 2), Pattern(((1, 1),), 2)]
    assert len({file_name(p) for p in patterns}) == len(patterns)


def test_importing_is_light():
    code = "import sys, etacec.coupling; sys.exit('sympy' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
