"""What a file of ours may hold, checked in one place before anything uses it.

A `Check` takes a value and its place in the file, and raises `Wrong` with both where the value is not
allowed. `model` checks all of a model file, also one that came over the network.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from etace.dtypes import DTYPES
from etace.errors import ModelFileError
from etace.uncertainty import LEVELS
from etace.words import shortened

Check = Callable[[Any, str], None]

LONG = 1_000_000  # characters of a text, entries of a list
LONGEST_NAME = 10_000  # characters
PATH = 4_096  # of the name of a file
WORD = r"[^\W\d]\w*"  # a name of the language
HEX = r"[0-9a-f]{64}"
LARGEST = sys.float_info.max
HUGE = 1e30  # of a parameter: what is larger overflows on its way to an energy
DEPTH = 12  # lists and tables in one another


class Wrong(Exception):
    """Where a value stands, what it is, and what it should be."""


def text(what: str, pattern: str | None = None, longest: int = LONG) -> Check:
    """A text that the whole pattern matches. what: in words, such as `a name`"""
    compiled = None if pattern is None else re.compile(pattern)

    def check(value: Any, place: str) -> None:
        if not isinstance(value, str) or len(value) > longest:
            raise _wrong(value, place, what)
        if compiled is not None and not compiled.fullmatch(value):
            raise _wrong(value, place, what)

    return check


def number(least: float = -math.inf, above: float = -math.inf) -> Check:
    """A finite number, at least `least` and more than `above`."""
    bounds = [f"of at least {least:g}"] if math.isfinite(least) else []
    bounds += [f"above {above:g}"] if math.isfinite(above) else []
    what = " ".join(["a finite number", *bounds])

    def check(value: Any, place: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _wrong(value, place, what)
        if abs(value) > LARGEST or value != value or value < least or value <= above:
            raise _wrong(value, place, what)

    return check


def whole(least: int = 0, most: int = 2**53) -> Check:
    def check(value: Any, place: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise _wrong(value, place, f"a whole number from {least} to {most}")

    return check


def maybe(item: Check) -> Check:
    """The same, or null."""

    def check(value: Any, place: str) -> None:
        if value is not None:
            item(value, place)

    return check


def one_of(*allowed: str) -> Check:
    def check(value: Any, place: str) -> None:
        if not isinstance(value, str) or value not in allowed:
            raise _wrong(value, place, " or ".join(allowed))

    return check


def listed(item: Check, longest: int = LONG, least: int = 0, different: bool = False) -> Check:
    """different: no two alike"""

    def check(value: Any, place: str) -> None:
        if not isinstance(value, list) or not least <= len(value) <= longest:
            raise _wrong(value, place, f"a list of {least} to {longest} entries")
        for own in value:
            item(own, f"an entry of {place}")
        if different and len(set(value)) != len(value):
            raise Wrong(f"{place} names the same twice")

    return check


def row(*items: Check) -> Check:
    """A list of so many entries, each with a check of its own."""

    def check(value: Any, place: str) -> None:
        if not isinstance(value, list) or len(value) != len(items):
            raise _wrong(value, place, f"a list of {len(items)} entries")
        for own, item in zip(value, items, strict=True):
            item(own, place)

    return check


def table(key: Check, item: Check, longest: int = LONG) -> Check:
    """Any names, all with values of one kind."""

    def check(value: Any, place: str) -> None:
        if not isinstance(value, Mapping) or len(value) > longest:
            raise _wrong(value, place, f"a table of up to {longest} entries")
        for k, own in value.items():
            key(k, f"a name in {place}")
            item(own, f"{place}[{_shown(k)}]")

    return check


def record(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    """These names and no others."""
    known = {**required, **(optional or {})}

    def check(value: Any, place: str) -> None:
        if not isinstance(value, Mapping):
            raise _wrong(value, place, "a table")
        if missing := [k for k in required if k not in value]:
            raise Wrong(f"{place} has no {', '.join(missing)}")
        if unknown := [k for k in value if k not in known]:
            raise Wrong(f"{place} has {_shown(unknown[0])}, which this etace does not know")
        for k, own in value.items():
            known[k](own, k if place == DESCRIPTION else f"{place}.{k}")

    return check


def plain(size: int = 2 * LONG) -> Check:
    """Whatever JSON can hold, of up to `size` values."""

    def check(value: Any, place: str) -> None:
        waiting, seen = [(value, 0)], 0
        while waiting:
            own, depth = waiting.pop()
            seen += 1
            if seen > size or depth > DEPTH:
                raise Wrong(
                    f"{place} holds more than {size} values, or more than {DEPTH} in one another"
                )
            if isinstance(own, Mapping):
                for k in own:
                    text("a text", longest=PATH)(k, f"a name in {place}")
                waiting += [(v, depth + 1) for v in own.values()]
            elif isinstance(own, list | tuple):
                waiting += [(v, depth + 1) for v in own]
            elif isinstance(own, str):
                text("a shorter text", longest=20 * LONG)(own, f"a text in {place}")
            elif own is not None and not isinstance(own, bool):
                number()(own, f"a value in {place}")

    return check


def card(value: Any, place: str) -> None:
    if not isinstance(value, Mapping):
        raise _wrong(value, place, "a table")
    plain()(value, place)


DESCRIPTION = "its description"
SYMBOL = text("a chemical symbol", r"[A-Z][a-z]?")
name = text("a name", rf"{WORD}(\.{WORD})*", LONGEST_NAME)
SYMBOLS = listed(SYMBOL, 200, least=1, different=True)
DOMAIN = record(
    {},
    {
        "species": table(SYMBOL, whole()),
        "pairs": listed(row(SYMBOL, SYMBOL, number(above=0)), 40_000),
    },
)
SCALE = record(
    {
        "spread": number(least=0),
        "misfit": number(least=0),
        "bounds": listed(maybe(number(least=0)), len(LEVELS), least=len(LEVELS)),
        "count": whole(),
    }
)
CALIBRATION = record(
    {
        "scales": table(one_of("energy", "forces", "virial"), SCALE),
        "folds": whole(),
        "structures": whole(),
    }
)
FILE = text("the name of a file", r"[^\x00-\x1f\x7f]+", PATH)
METADATA = record(
    {
        "sources": table(FILE, text("the text of a spec"), 10_000),
        "root": FILE,
        "overrides": table(name, text("the text of a value"), 10_000),
        "dtype": one_of(*DTYPES),
        "spec_sha256": text("a sha256", HEX),
        "versions": table(name, text("a version", longest=LONGEST_NAME), 100),
        "model": name,
        "species": SYMBOLS,
        "cutoff": number(least=0),
        "linear_parameters": listed(text("a label", longest=100_000), 10 * LONG),
    },
    {
        "card": card,
        "domain": DOMAIN,
        "calibration": CALIBRATION,
        "graded_by": one_of("held-out atoms"),
        "format": whole(1, 1),
    },
)


def model(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any], where: str) -> None:
    """All that a model file holds, as `Model.content` makes it. Raises ModelFileError in one line.

    where: what the message calls the file
    """
    try:
        METADATA(metadata, DESCRIPTION)
        if metadata["root"] not in metadata["sources"]:
            raise Wrong(f"sources has no {_shown(metadata['root'])}, its root")
        if "etace" not in metadata["versions"]:
            raise Wrong("versions does not say which etace wrote it")
        _covered(metadata)
        for tensor, array in tensors.items():
            _tensor(tensor, array, metadata["dtype"])
    except Wrong as wrong:
        raise ModelFileError(f"{where}: {wrong}") from None


def finite(tensor: str, array: np.ndarray, dtype: str, dimensions: int | None = None) -> None:
    """One tensor: its dtype, its dimensions (None: any), and that all its numbers are finite, and below `HUGE`
    but for extrapolation grades."""
    if array.dtype != np.dtype(dtype):
        raise Wrong(f"{_shown(tensor)} has dtype {array.dtype}, not {dtype}")
    if dimensions is not None and array.ndim != dimensions:
        raise Wrong(f"{_shown(tensor)} has {array.ndim} dimensions, not {dimensions}")
    if not np.isfinite(array).all():
        raise Wrong(f"{_shown(tensor)} holds numbers that are not finite")
    if tensor != "extrapolation" and array.size and np.abs(array).max() > HUGE:
        raise Wrong(f"{_shown(tensor)} holds numbers above {HUGE:g}")


def _tensor(tensor: str, array: np.ndarray, dtype: str) -> None:
    kind, _, rest = tensor.partition("/")
    if tensor == "committee":
        finite(tensor, array, dtype, 2)
    elif tensor == "extrapolation":
        finite(tensor, array, "float32", 3)
    elif kind == "arrays":
        FILE(rest, "the name of an array")
        finite(tensor, array, "float64")
    elif kind == "params":
        block, _, key = rest.rpartition("/")
        name(block, "the block of a parameter")
        name(key, "the name of a parameter")
        finite(tensor, array, dtype)
    else:
        raise Wrong(f"it holds {_shown(tensor)}, which this etace does not know")


def _covered(metadata: Mapping[str, Any]) -> None:
    """The domain speaks of the model's species."""
    domain = metadata.get("domain", {})
    named = [*domain.get("species", ()), *(s for p in domain.get("pairs", ()) for s in p[:2])]
    if unknown := [s for s in named if s not in metadata["species"]]:
        raise Wrong(f"the domain speaks of {unknown[0]}, which is not one of the model's species")


def _wrong(value: Any, place: str, what: str) -> Wrong:
    return Wrong(f"{place} is {_shown(value)}, not {what}")


def _shown(value: Any) -> str:
    """A value in a message: short, on one line, nothing that commands a terminal."""
    if isinstance(value, Mapping):
        return f"a table of {len(value)}"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}"
    if isinstance(value, int) and abs(value) > 10**40:
        return "a very large number"
    shown = repr(shortened(value) if isinstance(value, str) else value)
    return shown if len(shown) <= 300 else f"{shown[:297]}..."
