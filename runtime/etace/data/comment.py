"""The comment line of an extended XYZ frame: `key=value` pairs, to Python values.

A value is bare, in quotes, in braces or in brackets, with one level of brackets within. What reads as
numbers becomes a number or an array, T and F become booleans, the rest stays text. A key without a value
is True. Nothing is renamed and nothing is left out.
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

WORD = r"""[^\s="'\[\]{}][^\s=]*"""
PAIR = re.compile(
    rf"""\s*(?P<key>"(?:[^"\\]|\\.)*"|{WORD})(?:(?P<equals>\s*=(?P<gap>\s*))(?P<value>
    "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' | \{{(?:[^{{}}]|\{{[^{{}}]*\}})*\}}
    | \[(?:[^\[\]]|\[[^\[\]]*\])*\] | [^\s"'\[\]{{}}][^\s]* )?)?""",
    re.VERBOSE,
)
NUMBER = re.compile(
    r"[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:[eEdD][-+]?\d+)?|nan|inf(?:inity)?)", re.IGNORECASE
)
DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eEdD][-+]?\d+)?")
BOOLEANS = {
    "T": True, "F": False, "true": True, "false": False,
    "True": True, "False": False, "TRUE": True, "FALSE": False,
}  # fmt: skip
ROW = re.compile(r"\[([^\[\]]*)\]")


def pairs(text: str) -> dict[str, Any]:
    """Keys and values of a comment line. Raises ValueError, in words, where it is not made of pairs."""
    found: dict[str, Any] = {}
    text_of: dict[str, str] = {}
    place, text = 0, text.rstrip()
    while place < len(text):
        match = PAIR.match(text, place)
        if match is None:
            raise ValueError(f"`{_short(text[place:].strip())}` is no key=value")
        key = match["key"]
        key = _unescaped(key[1:-1]) if key[0] == '"' else key
        value = match["value"]
        if match["equals"] and (value is None or (match["gap"] and "=" in _bare(value))):
            rest = text[match.start("gap") :].strip()
            if value is None and rest:
                raise ValueError(f"the value of `{key}` does not end: `{_short(rest)}`")
            raise ValueError(f"`{key}=` has no value")
        if value is not None:
            if text_of.setdefault(key, value) != value:
                raise ValueError(f"`{key}` is there twice")
            found[key] = _value(key, value)
        else:
            found.setdefault(key, True)
        place = match.end()
    return found


def number(text: str) -> float:
    """Raises ValueError, in words."""
    if NUMBER.fullmatch(text):
        return float(text.replace("D", "E").replace("d", "e"))
    if DECIMAL_COMMA.fullmatch(text):
        raise ValueError(f"`{text}` is no number: decimals take a point")
    raise ValueError(f"`{_short(text)}` is no number")


def _value(key: str, text: str) -> Any:
    if text[0] == "[":
        inner = text[1:-1]
        if "[" not in inner:
            return _list(key, inner, always=True)
        rows = [_list(key, row, always=True) for row in ROW.findall(inner)]
        if len({np.shape(row) for row in rows}) > 1:
            raise ValueError(f"the rows of `{key}` differ in length")
        return np.array(rows)
    quoted = text[0] in "\"'{"
    inner = _unescaped(text[1:-1]) if text[0] in "\"'" else text[1:-1] if quoted else text
    if inner.startswith("_JSON "):
        return _json(key, inner.removeprefix("_JSON "))
    return _list(key, inner)


def _list(key: str, text: str, always: bool = False) -> Any:
    """One value, or an array of several; always: an array of one too"""
    tokens = text.split()
    if any("," in t for t in tokens):
        listed = len(tokens) == 1 or any(t.endswith(",") for t in tokens)
        if not listed and all(NUMBER.fullmatch(t.replace(",", ".")) for t in tokens):
            first = next(t for t in tokens if "," in t)
            raise ValueError(f"`{first}` in `{key}`: decimals take a point")
        tokens = text.replace(",", " ").split()
    if not tokens:
        return np.zeros(0) if always else text
    if all(NUMBER.fullmatch(t) for t in tokens):
        try:
            values: list[Any] = [int(t) for t in tokens]
            array = np.array(values, dtype=np.int64)
        except (ValueError, OverflowError):
            values = [number(t) for t in tokens]
            array = np.array(values)
        return values[0] if len(values) == 1 and not always else array
    if all(t in BOOLEANS for t in tokens):
        flags = [BOOLEANS[t] for t in tokens]
        return flags[0] if len(flags) == 1 and not always else np.array(flags)
    return np.array(tokens) if always else text


def _json(key: str, text: str) -> Any:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"`{key}` is not JSON") from None
    try:
        array = np.array(value)
    except ValueError:  # rows of different lengths
        return value
    return array if isinstance(value, list) and array.dtype.kind in "ifb" else value


def _bare(value: str) -> str:
    return "" if value[0] in "\"'{[" else value


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text) if "\\" in text else text


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
