"""A checkpoint that is not what this user's fit wrote is never used, and it is said why."""

import shutil

import numpy as np
import pytest
from etace.fit.checkpoint import Checkpoint
from etace.fit.factors import Factor, Key
from etace.io.model_file import read_model, write_model

FIT = "ab" * 32
FACTORS = {
    Key("train", "edi", "energy"): Factor(7, np.triu(np.arange(16.0).reshape(4, 4) + 1)),
    Key("validation", "Å \n<b>", "forces"): Factor(2, np.ones((2, 4))),
}


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("ETACE_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "m.checkpoint"
    mark = Checkpoint(path, FIT)
    mark.keep(3, FACTORS)
    mark.write()
    return path


def refused(path, why):
    mark = Checkpoint(path, FIT)
    assert mark.load() == (0, {})
    assert why in mark.unused
    assert "\n" not in mark.unused


def test_what_was_written_is_found(path):
    mark = Checkpoint(path, FIT)
    done, factors = mark.load()
    assert (done, mark.unused) == (3, "")
    assert {k: f.rows for k, f in factors.items()} == {k: f.rows for k, f in FACTORS.items()}
    for key, f in factors.items():
        np.testing.assert_array_equal(f.R, FACTORS[key].R)
    assert Checkpoint(path.with_name("none"), FIT).load() == (0, {})


def test_of_another_fit(path):
    mark = Checkpoint(path, "cd" * 32)
    assert mark.load() == (0, {})
    assert mark.unused == "it is of another fit"


def test_a_flipped_bit(path):
    whole = path.read_bytes()
    for k in range(8 * whole.index(b"energy"), 8 * len(whole), 101):
        changed = bytearray(whole)
        changed[k // 8] ^= 1 << k % 8
        path.write_bytes(changed)
        mark = Checkpoint(path, FIT)
        assert mark.load() == (0, {})
        assert mark.unused


@pytest.mark.parametrize(
    ("tensors", "about", "why"),
    [
        ({"0": np.eye(4)}, {}, "somebody else"),
        ({}, {"rows": [8, 2]}, "somebody else"),
        ({}, {"done": 4}, "somebody else"),
        ({}, {"seal": "0" * 64}, "somebody else"),
        ({}, {"done": "3"}, "done is '3', not a whole number"),
        ({}, {"keys": 3}, "keys is 3, not a list"),
        ({}, {"keys": [["train", "a", "charges", 0]] * 2}, "not energy or forces or virial"),
        ({}, {"more": 1}, "'more', which this etace does not know"),
    ],
)
def test_changed_by_a_hostile_writer(path, tensors, about, why):
    """The digest is right again: the seal is not."""
    old, said = read_model(path)
    write_model(path, {**old, **tensors}, {**said, **about})
    refused(path, why)


def test_without_a_seal_or_with_another_key(path, cache):
    tensors, about = read_model(path)
    write_model(path, tensors, {k: v for k, v in about.items() if k != "seal"})
    refused(path, "somebody else")
    write_model(path, tensors, about)
    shutil.rmtree(cache)
    refused(path, "another cache of etace")


def test_the_key_is_the_users_own(path, cache):
    (key,) = (cache / "key").iterdir()
    assert key.stat().st_mode & 0o777 == 0o600


def test_where_no_key_can_be_kept_no_checkpoint_is_written(monkeypatch, tmp_path):
    blocked = tmp_path / "blocked"
    blocked.write_text("")
    monkeypatch.setenv("ETACE_CACHE_DIR", str(blocked))
    mark = Checkpoint(tmp_path / "a", FIT)
    mark.keep(3, FACTORS)
    mark.write()
    assert not (tmp_path / "a").exists()
