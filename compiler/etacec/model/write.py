"""A Spec back to the text of one file: nothing used, no params, all numbers written out.

The same spec comes out of the text again, but for names (`ace.B` is `ace_B`), spans, and the candidates
of a basis that couple to nothing.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from etace.errors import RequestError

from etacec.formula import nodes
from etacec.formula.curves import ENVELOPES, TRANSFORMS
from etacec.model.files import name_beside
from etacec.model.spec import (
    Angular,
    Basis,
    Curve,
    OneBody,
    Potential,
    Radial,
    Readout,
    Spec,
    Weights,
    Zbl,
)

WIDTH = 100
Product = tuple[tuple[int, ...], ...]  # values of the indices of each factor


@dataclass(frozen=True)
class Choice:
    """What is to be written. models: their names; products: of a basis, if not all; channels: of a
    radial, if not all; starts: weights that are not those of the spec"""

    models: Sequence[str]
    products: Mapping[str, Sequence[Product]] = field(default_factory=dict)
    channels: Mapping[str, Sequence[tuple[int, ...]]] = field(default_factory=dict)
    starts: Mapping[str, Weights] = field(default_factory=dict)
    without: frozenset[str] = frozenset()  # potentials


def flat_names(spec: Spec) -> dict[str, str]:
    """Names of blocks as they are declared in one file; different as identifiers."""
    every = [*spec.radials, *spec.angulars, *spec.bases, *spec.potentials, *spec.models]
    taken = {_key(b.name) for b in every if "." not in b.name}
    out: dict[str, str] = {}
    for b in every:
        name = b.name.replace(".", "_")
        if "." in b.name:
            while _key(name) in taken:
                name += "_"
            taken.add(_key(name))
        out[b.name] = name
    return out


def _key(name: str) -> str:
    return unicodedata.normalize("NFKC", name)


def written(spec: Spec, choice: Choice, note: str = "") -> str:
    """The text. note: a comment for its head"""
    names = flat_names(spec)
    models = [m for m in spec.models if m.name in choice.models]
    terms = list(dict.fromkeys(t for m in models for _, t in m.terms if t not in choice.without))
    named = {p.name: p for p in spec.potentials}
    potentials = [named[t] for t in terms]
    sources = {p.source for p in potentials if isinstance(p, Readout)}
    bases = [b for b in spec.bases if b.name in sources]
    radials = [r for r in spec.radials if r.name in sources | {b.radial for b in bases}]
    angulars = [a for a in spec.angulars if a.name in {b.angular for b in bases}]
    parts = ["etace 1", *(f"# {line}" for line in note.splitlines())]
    out = ["\n".join(parts), *([_doc(spec.doc)] if spec.doc else [])]
    out.append(f"species {', '.join(spec.species)}")
    out.append("\n".join(_bonds(spec)))
    out += [_potential(p, names, spec.species, choice) for p in potentials if _is_onebody(p)]
    out += [_radial(r, names, choice) for r in radials]
    out += [_angular(a, names) for a in angulars]
    out += [_basis(b, names, choice) for b in bases]
    out += [_potential(p, names, spec.species, choice) for p in potentials if not _is_onebody(p)]
    for m in models:
        own = [(f, names[t]) for f, t in m.terms if t in terms]
        sum_ = " + ".join(t if f == 1 else f"{_number(f)} * {t}" for f, t in own)
        out.append(_doc(m.doc, f"model {names[m.name]} = {sum_}"))
    return "\n\n".join(out) + "\n"


def _is_onebody(p: Potential) -> bool:
    return isinstance(p, OneBody)


def _doc(doc: str, block: str = "") -> str:
    lines = [f"## {line}".rstrip() for line in doc.splitlines()]
    return "\n".join([*lines, block] if block else lines)


def _number(value: Fraction) -> str:
    text = nodes.number_text(value)
    return f"({text})" if "/" in text else text


def _amount(value: Fraction, unit: str) -> str:
    """5.5 Å; 1/3 * 1 Å where no short decimal is exact."""
    text = nodes.number_text(value)
    return f"{text} * 1 {unit}" if "/" in text else f"{text} {unit}"


def _bonds(spec: Spec) -> Iterable[str]:
    for name, b in zip(spec.bond_names(), spec.bonds, strict=True):
        rin, r0, rcut = (_amount(x, "Å") for x in (b.rin, b.r0, b.rcut))
        yield f"bond {name} {{ rin = {rin}, r0 = {r0}, rcut = {rcut} }}"


def _block(head: str, fields: Iterable[str], doc: str) -> str:
    return _doc(doc, "\n".join([f"{head} {{", *(f"  {f}" for f in fields), "}"]))


def _radial(r: Radial, names: Mapping[str, str], choice: Choice) -> str:
    channels = list(choice.channels.get(r.name, r.channels))
    ranges = [(min(v), max(v)) for v in zip(*channels, strict=True)]
    index = ", ".join(f"{n} in {a}..{b}" for n, (a, b) in zip(r.binders, ranges, strict=True))
    condition = _condition(r.binders, channels, ranges)
    w = choice.starts.get(r.name, r.weights)
    fields = [
        *([f"where {condition}"] if condition else []),
        _curve("transform", r.transform, TRANSFORMS),
        _curve("envelope", r.envelope, ENVELOPES),
        f"polynomials = {_polynomials(r)}",
        f"weights = {_weights(w, r.span.file)} per pair",
    ]
    return _block(f"radial {names[r.name]}[{index}]", fields, r.doc)


def _curve(key: str, curve: Curve, named: Mapping[str, object]) -> str:
    if curve.text.split("(")[0] in named:
        return f"{key} = {curve.text}"
    return f"{key}({curve.argument}) = {nodes.text(curve.formula)}"


def _polynomials(r: Radial) -> str:
    p = r.polynomials
    return f"{p.kind}({', '.join([str(p.count), *map(_number, p.parameters)])})"


def _weights(w: Weights, file: str) -> str:
    setting = f"init = normal({w.scale!r})" if w.init == "normal" else f"init = {w.init}"
    if w.init == "load":
        setting = f'load = "{name_beside(w.load, file)}"'
    return f"{'learnable' if w.learnable else 'frozen'}({setting})"


def _condition(
    binders: Sequence[str],
    channels: Sequence[tuple[int, ...]],
    ranges: Sequence[tuple[int, int]],
) -> str:
    """Which channels of the ranges there are: intervals of the first index for each of the others."""
    first = tuple(range(ranges[0][0], ranges[0][1] + 1))
    rest: dict[tuple[int, ...], list[int]] = {}
    for c in channels:
        rest.setdefault(c[1:], []).append(c[0])
    whole = 1
    for a, b in ranges[1:]:
        whole *= b - a + 1
    if len(rest) == whole and all(tuple(v) == first for v in rest.values()):
        return ""
    alike: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for others, found in rest.items():
        alike.setdefault(tuple(found), []).append(others)
    parts = []
    for values, several in alike.items():
        here = [_intervals(binders[0], values)]
        if len(binders) == 2:
            here.insert(0, _intervals(binders[1], [o[0] for o in several]))
        elif len(binders) > 2:
            each = [[f"{n} == {v}" for n, v in zip(binders[1:], o, strict=True)] for o in several]
            here.insert(0, " or ".join(f"({' and '.join(e)})" for e in each))
        parts.append(" and ".join(f"({h})" if " or " in h and len(here) > 1 else h for h in here))
    text = " or ".join(parts)
    if len(text) < WIDTH:
        return text
    return "(\n    " + "\n    or ".join(parts) + "\n  )"


def _intervals(name: str, values: Sequence[int]) -> str:
    runs: list[list[int]] = []
    for v in sorted(values):
        if runs and v == runs[-1][-1] + 1:
            runs[-1].append(v)
        else:
            runs.append([v])
    return " or ".join(
        f"{name} == {r[0]}" if len(r) == 1 else f"{r[0]} <= {name} <= {r[-1]}" for r in runs
    )


def _angular(a: Angular, names: Mapping[str, str]) -> str:
    head = f"angular {names[a.name]}[l in {a.lmin}..{a.lmax}]"
    return _block(head, [f"harmonics = {a.harmonics}"], a.doc)


def _basis(b: Basis, names: Mapping[str, str], choice: Choice) -> str:
    products = choice.products.get(b.name)
    if products is None:
        products = [tuple(b.values[f] for f in block) for block in b.blocks]
    lines = ["only = ["]
    for product in products:
        factors = [
            f"({', '.join(f'{n} = {v}' for n, v in zip(b.binders, values, strict=True))})"
            for values in product
        ]
        lines.append(f"    [{', '.join(factors)}],")
    factors_ = names[b.radial] + (f" * {names[b.angular]}" if b.angular else "")
    L = str(b.L[0]) if len(b.L) == 1 else f"{b.L[0]}..{b.L[-1]}"
    fields = [f"factors = {factors_}", f"L = {L}", "\n".join([*lines, "  ]"])]
    return _block(f"basis {names[b.name]}", fields, b.doc)


def _potential(
    p: Potential, names: Mapping[str, str], species: Sequence[str], choice: Choice
) -> str:
    if isinstance(p, OneBody):
        mode = "learnable " if p.learnable else ""
        fields = [f"{s} = {_amount(e, 'eV')}" for s, e in zip(species, p.energies, strict=True)]
        return _doc(p.doc, f"{mode}onebody {names[p.name]} {{ {', '.join(fields)} }}")
    if isinstance(p, Zbl):
        if len(set(p.inner)) > 1 or len(set(p.outer)) > 1:
            raise RequestError(
                f"`{p.name}` has lengths of its own for every bond: this etace cannot write that down"
            )
        fields = [f"inner = {_amount(p.inner[0], 'Å')}", f"outer = {_amount(p.outer[0], 'Å')}"]
        return _doc(p.doc, f"zbl {names[p.name]} {{ {', '.join(fields)} }}")
    w = choice.starts.get(p.name, p.weights)
    fields = [f"from = {names[p.source]}", f"weights = {_weights(w, p.span.file)} per species"]
    return _block(f"{p.kind} {names[p.name]}", fields, p.doc)
