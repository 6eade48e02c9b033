"""TOML files that people write."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from etace.errors import RequestError

LARGEST = 10_000_000  # bytes


def read_toml(path: Path) -> dict[str, Any]:
    """Raises RequestError: a file that is not there, too large, or not TOML."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        reason = getattr(error, "strerror", None) or "cannot be read"
        raise RequestError(f"{path}: {reason.lower()}") from None
    if len(content) > LARGEST:
        raise RequestError(f"{path}: longer than {LARGEST} bytes, so no file of settings")
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise RequestError(f"{path} is not TOML: it is not UTF-8 text") from None
    except RecursionError:
        raise RequestError(f"{path} is not a file of settings: it is nested too deep") from None
    except ValueError as error:
        raise RequestError(f"{path} is not TOML: {error}") from None
