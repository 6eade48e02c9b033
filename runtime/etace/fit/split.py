"""Training, validation and test structures: who is fitted, who is asked for choices, who judges.

Drawn from each config type alike. A structure that is there more than once goes with its copies, so that
no part holds one that another was fitted to; atoms alone stay in training, which needs them for E0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from etace import params
from etace.data import Dataset, Labelled
from etace.data.duplicates import duplicates
from etace.data.isolated import isolated
from etace.errors import RequestError
from etace.fit.assemble import Target
from etace.words import count


@dataclass(frozen=True, eq=False)
class Parts:
    """valid, test: None where there are none"""

    train: Dataset
    valid: Dataset | None = None
    test: Dataset | None = None

    @property
    def sets(self) -> dict[str, Dataset]:
        """Those there are, by name."""
        named = {"train": self.train, "validation": self.valid, "test": self.test}
        return {name: own for name, own in named.items() if own is not None}


def divided(
    train: Dataset,
    test: Dataset | None,
    test_fraction: float,
    valid_fraction: float,
    seed: int,
) -> Parts:
    """test_fraction: of the training structures that become the test set, if it has no files of its own;
    valid_fraction: of the rest, for choices; seed: of the draws

    Raises RequestError: a fraction that takes no structure, or all.
    """
    if test_fraction:
        train, test = _cut(train, test_fraction, seed, "test")
    valid = None
    if valid_fraction:
        train, valid = _cut(train, valid_fraction, seed, "validation")
    return Parts(train, valid, test)


def _cut(data: Dataset, fraction: float, seed: int, name: str) -> tuple[Dataset, Dataset]:
    own = drawn(data.structures, fraction, seed, name)
    whole = len(data.structures)
    if not own or len(own) == whole:
        what = "no structure" if not own else "every structure, and leaves none to fit"
        raise RequestError(
            f"a {name} part of {fraction:g} takes {what}: the data have {count(whole, 'structure')} "
            "in all, and each config type is divided alike"
        )
    taken = set(own)
    kept = tuple(s for k, s in enumerate(data.structures) if k not in taken)
    return Dataset(kept, data.found), Dataset(tuple(data.structures[k] for k in own), data.found)


def drawn(structures: Sequence[Labelled], fraction: float, seed: int, name: str) -> list[int]:
    """Places of a fraction of each config type, ascending. name: `test` or `validation`"""
    draws = params.normal(seed, name, (len(structures),))
    copies = {k: group for group in duplicates(structures) for k in group}
    out: set[int] = set()
    for config_type in sorted({s.group for s in structures}):
        own = [
            k for k, s in enumerate(structures) if s.group == config_type and not isolated(s.atoms)
        ]
        wanted = round(fraction * len(own))
        taken = 0
        for k in sorted(own, key=lambda k: draws[copies.get(k, (k,))[0]]):
            if taken >= wanted:
                break
            if k not in out:
                group = copies.get(k, (k,))
                out.update(group)
                taken += len(group)
    return sorted(out)


def held_out(goals: Sequence[Target], fraction: float, seed: int) -> list[Target]:
    """The same with a fraction of each config type marked as validation, as version 0.1 drew it: its
    settings files keep their numbers. What is marked is not fitted, and is a training structure otherwise.

    Raises RequestError: a fraction that leaves no structure to fit.
    """
    draws, out = params.normal(seed, "hold-out", (len(goals),)), list(goals)
    for config_type in sorted({t.group for t in goals}):
        own = [k for k, t in enumerate(goals) if t.group == config_type and not t.bound]
        for k in sorted(own, key=lambda k: draws[k])[: round(fraction * len(own))]:
            out[k] = replace(out[k], split="validation")
    if all(t.bound or t.split == "validation" for t in out):
        raise RequestError(f"a validation part of {fraction:g} leaves no structure to fit")
    return out
