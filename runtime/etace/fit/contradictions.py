"""Labels that contradict each other: which of them are wrong, what is wrong with them, and the evidence.

Energies, forces and virials are derivatives of one function, and files of one data set are of one kind.
So each kind of label, and each part of the data, is left out of a fit in turn and predicted by the rest
(`witness`). Where a known mistake explains what is off (`corrections`), and the labels fit together
once it is mended, it is said. This is done where a fit is bad, or has so few rows that it cannot be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from etace.data import Labelled
from etace.fit.corrections import (
    UNNAMED,
    Correction,
    best_correction,
    composition,
    named,
    residual,
)
from etace.fit.factors import KINDS
from etace.fit.odd import FEW, PART, SHARE, TIMES, odd_places
from etace.fit.tables import Comparison
from etace.fit.witness import Part, Which, Witness, numbers, sample
from etace.words import count

BAD = 0.25  # errors of a kind of label in a part, relative to how much the labels vary
DOUBTFUL = 0.1  # the same part for all the data; above it kinds of label are compared
ROWS = 3  # per column: with fewer a fit can hide contradictions
PARTS, SUSPECTS, ROUNDS = 12, 4, 3
BETTER = 0.5  # by which the sum of the logarithms of relative errors falls, at least
FLAGS = {"energy": "--no-energy", "forces": "--no-forces", "virial": "--no-virial"}
PLURAL = {"energy": "energies", "forces": "forces", "virial": "virials"}
UNITS = {"energy": "eV/atom", "forces": "eV/Å", "virial": "eV/atom"}
ALL: Part | None = None


@dataclass(frozen=True, eq=False)
class Finding:
    """part: whose labels are wrong, None: those of all; places: of the structures that change
    whole: whether that is all of the part
    score: of the labels together once they are mended, smaller is better"""

    correction: Correction
    part: Part | None
    places: Sequence[int]
    whole: bool
    structures: list[Labelled]
    score: float


def contradictions(
    model: Any,
    structures: Sequence[Labelled],
    compared: Sequence[Comparison],
    cores: int,
    say: Callable[[str], None] = lambda text: None,
) -> list[str]:
    """What is likely wrong with the labels, one sentence each.

    compared: the structures by the model that was fitted to them; say: told that there is something to check
    """
    parts = _parts(structures, compared)
    suspects = _suspects(parts, compared, BAD)
    rows = sum(3 * c.atoms * (c.forces is not None) for c in compared)
    doubtful = _suspects([""] * len(parts), compared, DOUBTFUL)
    if not (suspects or doubtful or rows < ROWS * model.length_basis):
        return []
    worst = f" ({', '.join(filter(None, suspects))} fitted worst)" if any(suspects) else ""
    say(f"checking labels against each other{worst}")
    chosen = sample(structures, parts)
    witness = Witness(model, [structures[k] for k in chosen], [parts[k] for k in chosen], cores)
    order = [p for p, _ in Counter(suspects).most_common(SUSPECTS)]
    findings, current = list[Finding](), list(witness.structures)
    for _ in range(ROUNDS):
        found = _best(witness, current, order)
        if found is None:
            break
        findings.append(found)
        current = found.structures
    if len(findings) > 1:
        findings = _once_more(witness, findings, current)
    return [_sentence(f, witness, structures, parts) for f in findings]


def _once_more(
    witness: Witness, findings: Sequence[Finding], mended: list[Labelled]
) -> list[Finding]:
    """Each mistake against all that is mended: what was found first was found beside the others."""
    out: dict[tuple[str, Part | None], Finding] = {}
    for f in findings:
        kind, places = f.correction.kind, witness.places(f.part, f.correction.kind)
        c = witness.solve(mended, {(witness.parts[k], kind) for k in places})
        told = dict(zip(places, witness.predict(c, kind, places), strict=True))
        chosen = places if f.whole else [k for k in places if k in f.places]
        given = [witness.structures[k] for k in chosen]
        found = best_correction(kind, given, [told[k] for k in chosen], f.part is not ALL)
        if found:
            out[kind, f.part] = replace(f, correction=found)
    return list(out.values())


def _best(witness: Witness, current: list[Labelled], suspects: Sequence[Part]) -> Finding | None:
    before = _score(witness, current)
    found: list[Finding] = []
    for without, shifts in _trials(witness, suspects):
        c = witness.solve(current, without)
        for kind in sorted({kind for _, kind in without}, key=KINDS.index):
            own = sorted({part for part, k in without if k == kind})
            for part in [ALL, *own] if len(own) > 1 else [ALL if witness.one else own[0]]:
                found += _tried(witness, current, c, kind, part, shifts)
    if not found:
        return None
    best = min(found, key=lambda f: f.score + _unlikely(f))
    return best if best.score < before - BETTER else None


def _trials(witness: Witness, suspects: Sequence[Part]) -> list[tuple[Collection[Which], bool]]:
    """(labels to leave out, whether energies of the rest set the zero of those left out)"""
    names, kinds = sorted(set(witness.parts)), witness.kinds
    out: list[tuple[Collection[Which], bool]] = []
    if len(kinds) > 1:
        out += [({(p, kind) for p in names}, False) for kind in kinds]
    if len(names) > 1:
        for part in suspects:
            out.append(({(part, kind) for kind in kinds}, True))
            if len(kinds) > 1:
                out += [({(part, kind)}, kind == "energy") for kind in kinds]
    return out


def _tried(
    witness: Witness,
    current: list[Labelled],
    c: np.ndarray,
    kind: str,
    part: Part | None,
    shifts: bool,
) -> list[Finding]:
    """Of all structures of a part, else of those that the fit without them does not predict."""
    places = witness.places(part, kind)
    told = dict(zip(places, witness.predict(c, kind, places), strict=True))
    for chosen in (places, _off(kind, current, places, told)):
        own, by = [current[k] for k in chosen], [told[k] for k in chosen]
        first = best_correction(kind, own, by, shifts) if chosen else None
        if first is None:
            continue
        out = []
        for correction in (first, *_seen_from_forces(first)):
            mended, changed = list(current), list[int]()
            for k, s in zip(chosen, correction.apply(own, by), strict=True):
                if not np.array_equal(
                    getattr(s, correction.kind), getattr(mended[k], correction.kind)
                ):
                    changed.append(k)
                mended[k] = s
            whole = len(changed) > 0.9 * len(places)
            score = _score(witness, mended)
            out.append(Finding(correction, part, changed, whole, mended, score))
        return out
    return []


def _off(
    kind: str, current: Sequence[Labelled], places: Sequence[int], told: dict[int, Any]
) -> list[int]:
    """Places of the structures that are off much more than most."""
    if len(places) < FEW:
        return []
    error = np.array([
        _rms(np.asarray(getattr(current[k], kind)) - told[k]) / (1 if kind == "forces" else len(current[k].atoms))
        for k in places
    ])  # fmt: skip
    size = np.median([_rms(np.asarray(told[k])) for k in places]) if kind == "forces" else 0.0
    limit = max(TIMES * float(np.median(error)), PART * float(size))
    found = [k for k, e in zip(places, error, strict=True) if e > limit]
    return found if len(found) <= SHARE * len(places) else []


def _seen_from_forces(c: Correction) -> list[Correction]:
    """What is wrong with forces if it is not the energies that are off by a factor."""
    if c.kind != "energy" or not c.plain:
        return []
    factor, words = named("forces", 1 / c.factor)
    return [replace(c, kind="forces", factor=factor, words=words, arrange=c.arrange_of("forces"))]


def _unlikely(f: Finding) -> float:
    """Energies have no wrong sign; factors that are no unit are rare."""
    c = f.correction
    sign = c.kind == "energy" and c.plain and c.factor == -1.0
    return 0.2 * sign + 0.3 * (UNNAMED in c.words) + 0.1 * (f.part is not ALL)


def _score(witness: Witness, structures: list[Labelled]) -> float:
    """How badly all labels together are fitted: sum of logarithms of relative errors."""
    c = witness.solve(structures)
    total = 0.0
    for kind in witness.kinds:
        places = witness.places(ALL, kind)
        told = witness.predict(c, kind, places)
        own = [structures[k] for k in places]
        y = [numbers(s, kind) for s in own]
        p = [numbers(replace(s, **{kind: v}), kind) for s, v in zip(own, told, strict=True)]
        sizes = [1 if kind == "forces" else len(s.atoms) for s in own]
        total += np.log(_relative(kind, own, *(_stacked(v, sizes) for v in (y, p))))
    return float(total)


def _stacked(values: Sequence[np.ndarray], sizes: Sequence[int]) -> np.ndarray:
    return np.concatenate([v / n for v, n in zip(values, sizes, strict=True)])


def _relative(kind: str, structures: Sequence[Labelled], y: np.ndarray, p: np.ndarray) -> float:
    """Root mean square error over how much the labels vary; energies but for their composition."""
    size = residual(composition(structures), y) if kind == "energy" else y
    floor = (
        1e-3 if kind != "forces" else 1e-2
    )  # eV/atom, eV/Å: labels have no more digits than that
    return max(_rms(y - p), 1e-6) / max(_rms(size), floor)


def _rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(x * x))) if x.size else 0.0


# ------------------------------------------------------------ parts and suspects


def _parts(structures: Sequence[Labelled], compared: Sequence[Comparison]) -> list[Part]:
    """Of each structure: its file, its config type or both, where there are not too many; frames that
    stand out are a part of their own."""
    files = [s.source.rpartition(":")[0] for s in structures]
    groups = [s.group for s in structures]
    keys: list[list[str]] = [v for v in (files, groups) if 1 < len(set(v)) <= PARTS]
    parts = [", ".join(dict.fromkeys(own)) for own in zip(*keys, strict=True)] or [""] * len(files)
    if len(set(parts)) > PARTS:
        parts = list(keys[0])
    odd, sizes = odd_places(compared), Counter(parts)
    many = {part for part, n in Counter(parts[k] for k in odd).items() if n > 0.3 * sizes[part]}
    for k in odd:
        if parts[k] not in many:
            parts[k] = f"{parts[k]}, frames that stand out".removeprefix(", ")
    return parts


def _suspects(
    parts: Sequence[Part], compared: Sequence[Comparison], limit: float
) -> dict[Part, int]:
    """Parts that are fitted badly, each with how badly in per cent."""
    out: dict[Part, int] = {}
    whole = {kind: _spread(compared, kind) for kind in KINDS}
    for part in sorted(set(parts)):
        own = [c for c, p in zip(compared, parts, strict=True) if p == part]
        for kind in KINDS:
            errors = [e for c in own if len(e := c.errors(kind))]
            if not errors or not whole[kind]:
                continue
            size = max(_spread(own, kind), 0.3 * whole[kind])
            bad = _rms(np.concatenate(errors)) / size
            if bad > limit:
                out[part] = max(out.get(part, 0), int(100 * min(bad, 1e6)))
    return out


def _spread(found: Sequence[Comparison], kind: str) -> float:
    """How much labels vary, in the unit of their errors: forces about 0, others about their mean."""
    own = [getattr(c, kind)[0] for c in found if getattr(c, kind) is not None]
    if not own:
        return 0.0
    if kind == "forces":
        return _rms(np.concatenate([np.ravel(v) for v in own]))
    values = np.array(own, float)
    about = np.median(values, axis=0) if len(values) > 3 else 0.0
    return 1000 * _rms(values - about)


# ------------------------------------------------------------ words


def _sentence(
    f: Finding, witness: Witness, structures: Sequence[Labelled], parts: Sequence[Part]
) -> str:
    c = f.correction
    kind = PLURAL[c.kind]
    n = sum(p == f.part or f.part is ALL for p in parts) if f.whole else len(f.places)
    of = f" of {f.part}" if f.part else ""
    some = f"{'' if f.whole else 'some '}{kind}{of}"
    first = witness.structures[f.places[0]].source
    many = f"{count(n, 'structure')}, such as {first}" if n > 1 else first
    others = " and ".join(PLURAL[k] for k in witness.kinds if k != c.kind)
    if len(witness.kinds) == 1 or f.part is not ALL or not f.whole:
        others = "the other labels"
    do = f"mend them, or go without ({FLAGS[c.kind]})"
    if c.plain:
        do = f"multiply them by {c.factor:.5g}, or go without ({FLAGS[c.kind]})"
    also = ""
    if c.kind == "energy" and c.plain and c.factor == -1.0:
        also = ", or else forces and virials are gradients (+dE/dx)"
    return (
        f"{some} contradict {others}: they seem to {_infinitive(c.words)}{also} ({many}). As given they "
        f"are off by {c.given:.3g} {UNITS[c.kind]}, mended by {c.mended:.3g} "
        f"(correlation {c.correlation:.3f}): {do}"
    )


def _infinitive(words: str) -> str:
    """`are in kbar, and have the wrong sign` after `seem to`."""
    return ", and ".join(
        "be " + w[4:] if w.startswith("are ") else w for w in words.split(", and ")
    )
