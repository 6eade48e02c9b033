"""Model files: named arrays and a description, in one safetensors file.

The description is JSON under the metadata key "etace": {"format": 1, "metadata": {..}}, with sorted
keys. The same arrays and description give the same bytes. A file is complete or not there: it is
written under another name beside its place, and moved there at the end.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from etace.errors import ModelFileError
from etace.io.replace import replacing

FORMAT = 1
KEY = "etace"
KINDS = "fiub"  # of numpy dtypes: floating, integer, unsigned, boolean


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

    Raises ModelFileError: no such file, not a model file, a damaged one, or one of a newer etace.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            text = (file.metadata() or {}).get(KEY)
            tensors = {name: file.get_tensor(name) for name in sorted(file.keys())}
    except FileNotFoundError as error:
        raise ModelFileError(f"{path}: no such file") from error
    except OSError as error:
        raise ModelFileError(f"cannot read {path}: {error.strerror or error}") from error
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise ModelFileError(
            f"{path} is not a model file, or it is damaged or cut short ({error})"
        ) from error
    if text is None:
        raise ModelFileError(f"{path} is a safetensors file, but was not written by etace")
    try:
        description = json.loads(text)
        version, metadata = int(description["format"]), dict(description["metadata"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"the description in {path} is damaged ({error})") from error
    if version > FORMAT:
        raise ModelFileError(
            f"{path} has format {version}, this etace reads up to {FORMAT}: install a newer one"
        )
    return tensors, metadata


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
        text = json.dumps(
            {"format": FORMAT, "metadata": dict(metadata)}, sort_keys=True, allow_nan=False
        )
        return safetensors.numpy.save(arrays, metadata={KEY: text})
    except (TypeError, ValueError, safetensors.SafetensorError) as error:
        raise ModelFileError(f"cannot write {path}: {error}") from error
