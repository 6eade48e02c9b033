"""What a value may be: rules that check what they are given and say in words what they take."""

from __future__ import annotations

import json
import math
import numbers
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np

from etace.errors import RequestError

SHOWN = 60  # characters of a value in a message


class SettingError(RequestError):
    """A wrong value. key: `prior.p`; what: the rest of the sentence."""

    def __init__(self, key: str, what: str) -> None:
        super().__init__(key, what)
        self.key, self.what = _one_line(key), what

    def __str__(self) -> str:
        return f"`{self.key}` {self.what}"


class Rule(ABC):
    """takes: what is allowed, as the end of `must be ...`."""

    @property
    @abstractmethod
    def takes(self) -> str: ...

    @abstractmethod
    def check(self, key: str, value: Any) -> Any:
        """The value in its own type. Raises SettingError: it is not allowed."""

    def parse(self, key: str, text: str) -> Any:
        """The value that a word of a command line stands for."""
        return self.check(key, text)

    def refused(self, key: str, value: Any, hint: str = "") -> SettingError:
        return SettingError(key, f"must be {self.takes}, found {shown(value)}{hint}")


@dataclass(frozen=True)
class Flag(Rule):
    @property
    def takes(self) -> str:
        return "true or false"

    def check(self, key: str, value: Any) -> bool:
        if not isinstance(value, bool | np.bool_):
            hint = ", without quotes" if value in ("true", "false") else ""
            raise SettingError(key, f"must be {self.takes}{hint}, found {shown(value)}")
        return bool(value)

    def parse(self, key: str, text: str) -> bool:
        return self.check(key, {"true": True, "false": False}.get(text.strip().lower(), text))


@dataclass(frozen=True)
class Number(Rule):
    """From `least` to `most`; without: least and most themselves are not allowed."""

    least: float
    most: float
    without_least: bool = False
    without_most: bool = False

    @property
    def takes(self) -> str:
        low = f"above {self.least:g} and up" if self.without_least else f"from {self.least:g}"
        high = f"less than {self.most:g}" if self.without_most else f"{self.most:g}"
        return f"a number {low} to {high}"

    def check(self, key: str, value: Any) -> float:
        real = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not real or not self.least <= value <= self.most:
            raise self.refused(key, value)
        if (self.without_least and value == self.least) or (
            self.without_most and value == self.most
        ):
            raise self.refused(key, value)
        return float(value)

    def parse(self, key: str, text: str) -> float:
        return self.check(key, _number(text))


@dataclass(frozen=True)
class Whole(Rule):
    least: int
    most: int

    @property
    def takes(self) -> str:
        return f"a whole number from {self.least} to {self.most}"

    def check(self, key: str, value: Any) -> int:
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not whole or not self.least <= value <= self.most:
            raise self.refused(key, value)
        return int(value)

    def parse(self, key: str, text: str) -> int:
        return self.check(key, _number(text))


@dataclass(frozen=True)
class Text(Rule):
    @property
    def takes(self) -> str:
        return "text in quotes"

    def check(self, key: str, value: Any) -> str:
        if not isinstance(value, str):
            raise self.refused(key, value)
        if "\0" in value or not _writable(value):
            raise SettingError(key, f"holds characters that no text has: {shown(value)}")
        return value


@dataclass(frozen=True)
class Word(Rule):
    words: tuple[str, ...]

    @property
    def takes(self) -> str:
        return f"one of {', '.join(self.words)}"

    def check(self, key: str, value: Any) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise self.refused(key, value, meant(value, self.words))
        return str(value)


@dataclass(frozen=True)
class File(Rule):
    """A name, or a URL of a database."""

    ending: str = ""

    @property
    def takes(self) -> str:
        return "the name of a file" + (f" that ends in {self.ending}" if self.ending else "")

    def check(self, key: str, value: Any) -> str:
        name = os.fspath(value) if isinstance(value, os.PathLike) else value
        if not isinstance(name, str) or not name.strip() or not name.endswith(self.ending):
            raise self.refused(key, value)
        if "\0" in name or not _writable(name):
            raise SettingError(key, f"is the name of a file that is not UTF-8: {shown(name)}")
        return name


@dataclass(frozen=True)
class Maybe(Rule):
    """None, or what the rule takes."""

    rule: Rule

    @property
    def takes(self) -> str:
        return self.rule.takes

    def check(self, key: str, value: Any) -> Any:
        return None if value is None else self.rule.check(key, value)

    def parse(self, key: str, text: str) -> Any:
        return self.rule.parse(key, text)


@dataclass(frozen=True)
class ListOf(Rule):
    """A list or tuple of what the rule takes; what: in words, in the plural."""

    rule: Rule
    what: str

    @property
    def takes(self) -> str:
        return f"a list of {self.what}"

    def check(self, key: str, value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise self.refused(key, value)
        return tuple(self.rule.check(f"{key}[{k}]", v) for k, v in enumerate(value))


@dataclass(frozen=True)
class Fields(Rule):
    """A table with some of these keys; one that is None is as if it was not there."""

    rules: Mapping[str, Rule]

    @property
    def takes(self) -> str:
        return f"a table with some of {', '.join(self.rules)}"

    def check(self, key: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise self.refused(key, value)
        known(key, value, self.rules)
        found = {k: self.rules[k].check(f"{key}.{k}", v) for k, v in value.items()}
        return {k: v for k, v in found.items() if v is not None}


@dataclass(frozen=True)
class TableOf(Rule):
    """A table with any keys; what: its values in words, in the plural."""

    rule: Rule
    what: str

    @property
    def takes(self) -> str:
        return f"a table of {self.what}"

    def check(self, key: str, value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise self.refused(key, value)
        names = Text()
        return {
            names.check(f"{key}, a name in it,", k): self.rule.check(f"{key}.{k}", v)
            for k, v in value.items()
        }


def known(key: str, given: Mapping[Any, Any], rules: Mapping[str, Any]) -> None:
    """Raises SettingError: a name in a table that nobody reads."""
    for name in given:
        if name not in rules:
            there = ", ".join(rules) or "none"
            raise SettingError(
                f"{key}.{name}" if key else str(name),
                f"is unknown{meant(name, tuple(rules))}; there is: {there}",
            )


def meant(word: Any, words: Sequence[str]) -> str:
    close = get_close_matches(word, words, n=1) if isinstance(word, str) and len(word) < 40 else []
    return f" (did you mean `{close[0]}`?)" if close else ""


def shown(value: Any) -> str:
    """A value in a message: as TOML writes it, and short."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        text = json.dumps(value[: SHOWN + 1], ensure_ascii=not _writable(value[: SHOWN + 1]))
    elif isinstance(value, int) and value.bit_length() > 200:
        return f"a number of about {int(value.bit_length() * math.log10(2)) + 1} digits"
    elif isinstance(value, numbers.Number):
        text = repr(value)
    elif isinstance(value, Mapping):
        return "a table"
    elif isinstance(value, list | tuple):
        return "an empty list" if not value else f"a list with {shown(value[0])}"[:SHOWN]
    else:
        text = f"{type(value).__name__} {value!s}"
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def _one_line(key: str) -> str:
    """A key in a message: short, and without characters that break the line."""
    text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in key)
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def _number(text: str) -> Any:
    """The number that a word is, or the word."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _writable(text: str) -> bool:
    """Whether UTF-8 can hold it."""
    try:
        text.encode("utf8")
    except UnicodeEncodeError:
        return False
    return True
