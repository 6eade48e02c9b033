"""What is noted while the frames of a file are read: where labels stood, which were set aside and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from etace.data import labels
from etace.data.frames import Frame
from etace.data.labelled import Keys, Remark
from etace.data.labels import Label, OddLabel
from etace.errors import DataError

T = TypeVar("T")


@dataclass
class Seen:
    """text: of the first; structures: how many; first: its source"""

    text: str
    first: str
    structures: int = 0


@dataclass
class Notes:
    """keys: all there are; where: kind -> place -> structures; blank: kind -> structures with NaN there"""

    keys: set[str] = field(default_factory=set)
    where: dict[str, Counter[str]] = field(default_factory=lambda: _counters("free_energy"))
    blank: Counter[str] = field(default_factory=Counter)
    _seen: dict[tuple[str, ...], Seen] = field(default_factory=dict)
    _odd: dict[str, str] = field(default_factory=dict)  # kind -> the first that is wrong

    def frame(self, frame: Frame) -> None:
        self.keys.update(labels.present(frame.atoms))
        for text in frame.remarks:
            self.remark((text,), text, frame.source)

    def remark(self, key: tuple[str, ...], text: str, source: str, structures: int = 1) -> None:
        """key: the same for what counts as the same"""
        self._seen.setdefault(key, Seen(text, source)).structures += int(structures)

    def remarks(self) -> tuple[Remark, ...]:
        return tuple(Remark(s.text, s.structures, s.first) for s in self._seen.values())

    def label(self, frame: Frame, kind: str, keys: Keys, value: Callable[[Label], T]) -> T | None:
        """The value of a label, or None where it is missing or was set aside."""
        label = labels.look(frame.atoms, kind, keys, frame.source)
        if label is None:
            self.blank[kind] += labels.placeholder(frame.atoms, kind, keys)
            return None
        try:
            found = value(label)
        except OddLabel as odd:
            self._set_aside(kind, odd, frame.source)
            return None
        self.where[kind][label.where] += 1
        return found

    def virial(self, frame: Frame, keys: Keys, place: str, odd: list[OddLabel]) -> None:
        for one in odd:
            self._set_aside("virial", one, frame.source)
        if place:
            self.where["virial"][place] += 1
        elif not odd:
            self.blank["virial"] += any(
                labels.placeholder(frame.atoms, kind, keys) for kind in ("virial", "stress")
            )

    def refuse_if_all_odd(self, kind: str, sound: int) -> None:
        """Raises DataError: there are such labels, and none is sound."""
        if kind in self._odd and not sound:
            raise DataError(self._odd[kind])

    def _set_aside(self, kind: str, odd: OddLabel, source: str) -> None:
        if not odd.soft:
            self._odd.setdefault(kind, f"{source}: {odd}")
        self.remark((kind, odd.where, odd.why), f"{odd}: set aside", source)


def _counters(*more: str) -> dict[str, Counter[str]]:
    return {kind: Counter() for kind in ("energy", "forces", "virial", *more)}
