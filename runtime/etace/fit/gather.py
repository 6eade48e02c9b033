"""The data of a fit: read, divided, and what is suspicious of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from etace.data import Dataset, Keys, Labelled, read, warnings
from etace.data.duplicates import duplicates
from etace.errors import StructureError
from etace.fit.progress import Progress
from etace.fit.settings import Settings, beside
from etace.fit.split import Parts, divided
from etace.fit.table import OLD_RULE
from etace.telling import Lines, Tell
from etace.words import count


def keys_of(settings: Settings) -> Keys:
    return Keys(**settings.keys)


def files(settings: Settings, tell: Tell | None = None) -> dict[str, Dataset]:
    """What the files of the settings hold: `train`, and `test` if there is one. tell: takes how far it is

    Raises DataError.
    """
    keys, want = keys_of(settings), settings.kinds
    named = {"train": settings.train, "test": settings.test}
    return {name: read(own, keys, want, tell) for name, own in named.items() if own}


def parts_of(settings: Settings, given: Mapping[str, Dataset]) -> Parts:
    """given: what `files` returns"""
    valid_fraction = 0.0 if settings.split_rule == OLD_RULE else settings.valid_fraction
    return divided(
        given["train"], given.get("test"),
        settings.test_fraction, valid_fraction, settings.split_seed,
    )  # fmt: skip


def gathered(
    settings: Settings, progress: Progress, given: Mapping[str, Dataset] | None = None
) -> Parts:
    """Training, validation and test structures.

    given: what `files` would return
    """
    given = files(settings, Lines(progress.note)) if given is None else given
    for file in (f for own in given.values() for f in own.found):
        progress.note(str(file))
    parts = parts_of(settings, given)
    for name, fraction in (
        ("test", settings.test_fraction),
        ("validation", settings.valid_fraction),
    ):
        if fraction and name in parts.sets:
            progress.note(_how(name, parts.sets[name], settings.split_seed))
    if settings.split_rule == OLD_RULE:
        progress.note(_of_old(settings, "test" if parts.test else "training"))
    return parts


def _of_old(settings: Settings, judges: str) -> str:
    """What a settings file of that version asks for, and the way of now. judges: to whose errors it scaled"""
    did = []
    if settings.valid_fraction:
        did.append(f"hold {settings.valid_fraction:g} of the training structures out")
    if settings.calibrate == "validation":
        did.append(f"scale the committee to the {judges} errors")
    return (
        f"as etace {OLD_RULE} did, for the same numbers: {' and '.join(did)}; for the way of now, write "
        f"valid_fraction = {settings.valid_fraction or 0.1:g} in {beside(settings.output, '.fit.toml').name} "
        "in place of holdout and split_rule"
    )


def _how(name: str, own: Dataset, seed: int) -> str:
    groups = Counter(s.group for s in own.structures)
    listed = ", ".join(f"{g} {n}" for g, n in sorted(groups.items()))
    of = f" ({listed})" if len(groups) > 1 else ""
    size = count(len(own.structures), "structure")
    return f"{name} set: {size}{of} of the training files, drawn with split seed {seed}; not fitted"


def suspicious(species: Sequence[str], parts: Parts, tell: Tell) -> list[str]:
    """What is likely wrong with the data, before any fit. species: of the model; tell: takes how far it is"""
    out = [*warnings(parts.train, tell), *_unseen(species, parts.train)]
    for name, own in parts.sets.items():
        if name != "train":
            out += [f"{name} set: {line}" for line in warnings(own, tell)]
    for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
        if first in parts.sets and second in parts.sets:
            out += _shared(first, parts.sets[first], second, parts.sets[second])
    return out


def check_species(species: Sequence[str], parts: Parts) -> None:
    """Raises StructureError: a structure holds what the model does not know."""
    known = set(species)
    for s in (s for own in parts.sets.values() for s in own.structures):
        unknown = sorted(set(s.atoms.get_chemical_symbols()) - known)
        if unknown:
            raise StructureError(
                f"{s.source} contains {', '.join(unknown)}, but the model knows only "
                f"{', '.join(species)}"
            )


def _unseen(species: Sequence[str], train: Dataset) -> list[str]:
    """Species of the model that no training structure holds."""
    unseen = ", ".join(s for s in species if s not in train.species)
    return [f"no training structure has {unseen}: nothing is learned of it"] if unseen else []


def _shared(first: str, a: Dataset, second: str, b: Dataset) -> list[str]:
    """Structures of the second set that are in the first too."""
    both: list[Labelled] = [*a.structures, *b.structures]
    start = len(a.structures)
    again = sum(
        sum(k >= start for k in group)
        for group in duplicates(both)
        if any(k < start for k in group)
    )
    name = {"train": "training"}.get(first, first)
    whole = len(b.structures)
    return [f"{again} of {whole} {second} structures are in the {name} set too"] if again else []
