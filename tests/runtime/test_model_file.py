"""Model files come back as they were written, or not at all."""

import os
import subprocess
import sys

import numpy as np
import pytest
import safetensors.numpy
from etace.errors import ModelFileError, NoDigestWarning
from etace.io import model_file
from etace.io.model_file import digest, read_model, write_model
from etace.io.replace import check_writable, replacing

TENSORS = {
    "readout.W": np.linspace(0, 1, 6).reshape(2, 3),
    "a": np.arange(3, dtype=np.int32),
    "scalar": np.array(2.5, np.float32),
    "nothing": np.zeros((0, 3)),
}
METADATA = {"name": "Si–O", "species": ["Si", "O"], "numbers": {"b": 1.0, "a": 1e-300}}


def test_what_is_written_is_read(tmp_path):
    path = tmp_path / "model.etace.safetensors"
    write_model(path, TENSORS, METADATA)
    tensors, metadata = read_model(path)
    assert metadata == METADATA
    assert list(tensors) == sorted(TENSORS)
    for name, value in TENSORS.items():
        assert tensors[name].dtype == value.dtype
        assert tensors[name].shape == value.shape
        np.testing.assert_array_equal(tensors[name], value)
    assert os.listdir(tmp_path) == [path.name]


def test_the_same_model_gives_the_same_bytes(tmp_path):
    write_model(tmp_path / "one", TENSORS, METADATA)
    write_model(tmp_path / "two", dict(reversed(TENSORS.items())), dict(reversed(METADATA.items())))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_views_of_any_layout_keep_their_values(tmp_path):
    base = np.arange(24.0).reshape(2, 3, 4)
    views = {
        "transposed": base.T,
        "fortran": np.asfortranarray(base),
        "strided": base[:, ::2, ::-1],
        "broadcast": np.broadcast_to(base[0, 0], (3, 4)),
        "swapped": base.astype(">f8"),
    }
    write_model(tmp_path / "m", views, {})
    for name, value in read_model(tmp_path / "m")[0].items():
        np.testing.assert_array_equal(value, views[name])


def test_an_old_file_is_replaced_also_through_a_link(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    for number in (1, 2):
        write_model(link, TENSORS, {"number": number})
        assert read_model(target)[1] == {"number": number}
    assert link.is_symlink()


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step, error):
    path = tmp_path / "model"
    write_model(path, TENSORS, {"version": "old"})

    def fail(*_):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(model_file.os, step, fail)
        expected = ModelFileError if isinstance(error, OSError) else KeyboardInterrupt
        with pytest.raises(expected) as caught:
            write_model(path, TENSORS, {"version": "new"})
    assert expected is KeyboardInterrupt or "No space left on device" in str(caught.value)
    assert os.listdir(tmp_path) == ["model"]
    assert read_model(path)[1] == {"version": "old"}


def test_a_damaged_or_foreign_file_is_an_error_with_its_name(tmp_path):
    write_model(tmp_path / "whole", TENSORS, METADATA)
    whole = (tmp_path / "whole").read_bytes()
    contents = [b"", b"some text, long enough for a header", whole[:-1], whole[:100], whole[:7]]
    contents += [whole.replace(b"readout", b"\xff\xffadout")]
    for content in contents:
        (tmp_path / "bad.file").write_bytes(content)
        with pytest.raises(ModelFileError, match=r"bad\.file is not a model file") as caught:
            read_model(tmp_path / "bad.file")
        assert "\n" not in str(caught.value)
    with pytest.raises(ModelFileError, match=r"missing: no such file$"):
        read_model(tmp_path / "missing")
    with pytest.raises(ModelFileError, match="cannot read"):
        read_model(tmp_path)


def test_only_ordinary_files_of_a_sane_size_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.truncate(os.open(tmp_path / "endless", os.O_CREAT | os.O_WRONLY), 1 << 40)
    for name, words in (
        ("pipe", "no ordinary file"),
        ("/dev/zero", "no ordinary file"),
        ("endless", "larger than 8 GiB"),
        ("a\0b", "cannot read"),
    ):
        with pytest.raises(ModelFileError, match=words):
            read_model(tmp_path / name)


def test_files_of_other_programs_and_of_later_versions_are_refused(tmp_path):
    path = tmp_path / "other"
    for metadata, message in (
        (None, "not written by etace"),
        ({"etace": "{"}, "damaged"),
        ({"etace": "[1]"}, "damaged"),
        ({"etace": '{"format": true, "metadata": {}}'}, "its format is no number"),
        ({"etace": '{"format": 0, "metadata": {}}'}, "its format is no number"),
        ({"etace": "[" * 100_000}, "damaged"),
        ({"etace": '{"format": 1, "metadata": {"x": NaN}}'}, "NaN is no number"),
        ({"etace": '{"format": 1, "metadata": {}, "sha256": ""}'}, "damaged"),
        ({"etace": '{"format": 2, "metadata": {}}'}, "it should hold format, metadata, sha256"),
        (
            {"etace": '{"format": 2, "metadata": {"x": 1e999}, "sha256": "0"}'},
            "its sha256 is another",
        ),
        ({"etace": '{"format": 3}'}, "format 3, this etace reads up to 2: install a newer one"),
    ):
        safetensors.numpy.save_file({"a": np.zeros(2)}, path, metadata=metadata)
        with pytest.raises(ModelFileError, match=message):
            read_model(path)


def test_a_flipped_bit_is_never_read_as_something_else(tmp_path):
    """Every bit of a small file: refused in one line, or (in the padding) the same content."""
    path = tmp_path / "m"
    write_model(path, {"a": np.array([1.5])}, {"rcut": "5.5"})
    whole, before = path.read_bytes(), read_model(path)
    refused = 0
    for k in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[k // 8] ^= 1 << k % 8
        path.write_bytes(changed)
        try:
            tensors, metadata = read_model(path)
        except ModelFileError:
            refused += 1
            continue
        assert metadata == before[1]
        assert {n: a.tobytes() for n, a in tensors.items()} == {
            n: a.tobytes() for n, a in before[0].items()
        }
    assert refused > 7.5 * len(whole)


def test_the_digest_tells_names_dtypes_and_shapes_apart():
    a = np.arange(6.0)
    others = [
        ({"a": a}, {}), ({"b": a}, {}), ({"a": a.reshape(2, 3)}, {}), ({"a": a.view(np.int64)}, {}),
        ({"a": a}, {"x": 1}), ({"a": a[:3], "b": a[3:]}, {}), ({"a": a[:2], "b": a[2:]}, {}),
    ]  # fmt: skip
    assert len({digest(*own) for own in others}) == len(others)
    assert digest({"a": np.asfortranarray(a.reshape(2, 3))}, {}) == digest(*others[2])


def test_a_file_of_the_first_format_is_read_with_one_note(tmp_path):
    path = tmp_path / "old"
    text = '{"format": 1, "metadata": {"x": 1}}'
    safetensors.numpy.save_file({"a": np.ones(2)}, path, metadata={"etace": text})
    with pytest.warns(NoDigestWarning, match="old carries no digest") as found:
        assert read_model(path)[1] == {"x": 1}
    assert len(found) == 1


def test_what_a_file_cannot_hold_is_refused_before_writing(tmp_path):
    for tensors, metadata in (
        ({"c": np.zeros(2, complex)}, {}),
        ({"o": np.array([None])}, {}),
        ({"__metadata__": np.zeros(2)}, {}),
        ({}, {"x": float("nan")}),
        ({}, {"x": object()}),
    ):
        with pytest.raises(ModelFileError, match="cannot write"):
            write_model(tmp_path / "m", tensors, metadata)
    with pytest.raises(ModelFileError, match="cannot write"):
        write_model(tmp_path / "no such folder" / "m", {}, {})
    assert os.listdir(tmp_path) == []


KILLED = """
import os, signal, sys
from etace.io.replace import replacing
with replacing(sys.argv[1]) as beside:
    beside.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(os.name != "posix", reason="nothing can be killed so here")
def test_what_a_killed_process_had_begun_goes_with_the_next_write(tmp_path):
    path = tmp_path / "a.txt"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert len(os.listdir(tmp_path)) == 1  # beside; the file itself is not there
    with replacing(tmp_path / "b.txt") as beside, replacing(path) as own:
        beside.write_text("another's is left alone")
        own.write_text("whole")
        assert beside.exists()
        assert len(os.listdir(tmp_path)) == 2
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "b.txt"]


def test_a_place_is_tried_without_a_trace(tmp_path):
    check_writable(tmp_path / "a.txt")
    assert os.listdir(tmp_path) == []
    with pytest.raises(OSError, match="folder"):
        check_writable(tmp_path)
    with pytest.raises(FileNotFoundError):
        check_writable(tmp_path / "no" / "a.txt")
