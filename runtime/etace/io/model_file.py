"""Model files: named arrays and a description, in one safetensors file.

The description is JSON under the metadata key "etace": {"format": 2, "metadata": {..}, "sha256": ".."}, with
sorted keys. The digest is of the metadata and of every array: name, dtype, shape and bytes; a file that is
not what was written is refused. Format 1, of etace 0.1, has no digest: it is read with a warning.

The same arrays and description give the same bytes. A file is complete or not there: it is written under
another name beside its place, and moved there at the end.
"""

import hashlib
import json
import os
import stat
import warnings
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
import safetensors
import safetensors.numpy

from etace.errors import ModelFileError, NoDigestWarning
from etace.io.replace import replacing

FORMAT = 2
KEY = "etace"
LARGEST = 1 << 33  # bytes
KINDS = "fiub"  # of numpy dtypes: floating, integer, unsigned, boolean
CHANGED = "it was changed or damaged after it was written (its sha256 is another)"


def write_model(
    path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> None:
    """Write a model file, replacing one of that name.

    tensors: arrays of any shape, real numbers, integers or booleans
    metadata: anything JSON can hold (no NaN)

    Raises ModelFileError: data that the format cannot hold; a disk that is full or not writable. No
    part of a file is left behind, and an old file stays as it was.
    """
    data = _serialised(path, tensors, metadata)
    try:
        with replacing(path) as beside, open(beside, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise ModelFileError(f"cannot write {path}: {error.strerror or error}") from error


def read_model(path: str | os.PathLike[str]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """(tensors, metadata) of a model file, as `write_model` took them.

    That they are what was written is checked; what they mean is not (`etace.io.schema`).

    Raises ModelFileError: no such file, not a model file, a damaged one, or one of a newer etace.
    Warns NoDigestWarning: a file of etace 0.1.
    """
    _openable(path)
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(KEY)
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except OSError as error:
        raise ModelFileError(f"cannot read {path}: {error.strerror or error}") from error
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelFileError(
            f"{path} is not a model file, or it is damaged or cut short ({_line(error)})"
        ) from error
    if text is None:
        raise ModelFileError(f"{path} is a safetensors file, but was not written by etace")
    return tensors, _described(path, text, tensors)


def _openable(path: str | os.PathLike[str]) -> None:
    """A pipe would be waited for, a device has no end."""
    try:
        found = os.stat(path)
    except FileNotFoundError as error:
        raise ModelFileError(f"{path}: no such file") from error
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or error
        raise ModelFileError(f"cannot read {path}: {reason}") from error
    if not stat.S_ISREG(found.st_mode):
        raise ModelFileError(f"cannot read {path}: it is no ordinary file")
    if found.st_size > LARGEST:
        raise ModelFileError(f"{path} is not a model file: it is larger than {LARGEST >> 30} GiB")


def _described(
    path: str | os.PathLike[str], text: str, tensors: Mapping[str, np.ndarray]
) -> dict[str, Any]:
    """The metadata; the version is looked at first, as all else may be otherwise in a later one."""
    try:
        description = json.loads(text, parse_constant=_no_number)
        version = description["format"]
        if isinstance(version, bool) or not isinstance(version, int) or version < 1:
            raise ValueError("its format is no number")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ModelFileError(f"the description in {path} is damaged ({_line(error)})") from error
    if version > FORMAT:
        raise ModelFileError(
            f"{path} has format {version}, this etace reads up to {FORMAT}: install a newer one"
        )
    wanted = {"format", "metadata"} | ({"sha256"} if version > 1 else set())
    if set(description) != wanted or not isinstance(description["metadata"], dict):
        raise ModelFileError(
            f"the description in {path} is damaged (it should hold {', '.join(sorted(wanted))})"
        )
    metadata: dict[str, Any] = description["metadata"]
    if version == 1:
        warnings.warn(
            f"{path} carries no digest, as all files of etace 0.1: whether it is whole cannot be checked",
            NoDigestWarning,
            stacklevel=3,
        )
    elif description["sha256"] != _digest_of_found(tensors, metadata):
        raise ModelFileError(f"{path} is not used: {CHANGED}")
    return metadata


def _digest_of_found(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> str | None:
    """None: of what was never written, such as 1e999, which is read as infinite."""
    try:
        return digest(tensors, metadata)
    except ValueError:
        return None


def digest(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any]) -> str:
    """sha256 of the metadata and of all arrays. Raises ValueError: what JSON cannot hold."""
    h = hashlib.sha256()

    def add(part: bytes | memoryview) -> None:
        h.update(len(part).to_bytes(8, "little"))
        h.update(part)

    add(_text(metadata).encode())
    for name, array in sorted(tensors.items()):
        add(json.dumps([name, array.dtype.str, array.shape]).encode())
        add(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return h.hexdigest()


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)


def _serialised(
    path: str | os.PathLike[str], tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> bytes:
    arrays = {}
    for name, value in sorted(tensors.items()):
        if name == "__metadata__":
            raise ModelFileError(f"cannot write {path}: no array can be called {name}")
        array = np.asarray(value)
        if array.dtype.kind not in KINDS:
            raise ModelFileError(f"cannot write {path}: {name} has dtype {array.dtype}")
        # safetensors takes the memory of an array as it lies: a transposed view would be scrambled
        arrays[name] = np.array(array, dtype=array.dtype.newbyteorder("="), order="C", copy=True)
    try:
        # names of JSON are texts: what was given otherwise is read as a text, and the digest is of that
        own = json.loads(_text(dict(metadata)))
        whole = {"format": FORMAT, "metadata": own, "sha256": digest(arrays, own)}
        return safetensors.numpy.save(arrays, metadata={KEY: _text(whole)})
    except (TypeError, ValueError, RecursionError, safetensors.SafetensorError) as error:
        raise ModelFileError(f"cannot write {path}: {error}") from error


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _line(error: Exception) -> str:
    """What a library says, on one short line."""
    return " ".join(str(error).split())[:200]
