"""Readouts, pairs and onebodies to their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from etacec.diagnostics import Report, did_you_mean, shown
from etacec.model.embeddings import weights
from etacec.model.entries import (
    Entries,
    word,
)
from etacec.model.spec import OneBody, Readout
from etacec.model.units import ENERGY
from etacec.model.values import Fault, Scope, with_dimension
from etacec.syntax import ast


def readout(
    block: ast.Block, name: str, scope: Scope, entries: Entries, sources: Mapping[str, str]
) -> Readout:
    """sources: names this file uses -> full names of bases (readout) or radials (pair)."""
    field = entries.field("from")
    assert field
    written = word(field.value)
    kind = "basis" if block.kind == "readout" else "radial"
    if written not in sources:
        raise Fault(
            "E217", f"`{shown(written)}` is no {kind}" if written else f"the name of a {kind} is needed here",
            field.value.span, help=did_you_mean(written, sources),
        )  # fmt: skip
    return Readout(
        name,
        block.kind,
        sources[written],
        weights(entries.weights(), "species", scope),
        block.doc,
        block.span,
    )


def onebody(
    block: ast.Block, name: str, scope: Scope, species: tuple[str, ...], report: Report
) -> OneBody:
    energies: dict[str, Fraction] = {}
    for e in block.entries:
        if not isinstance(e, ast.Field) or e.argument is not None:
            report.add(
                "E201",
                "a onebody block has one energy per species",
                e.span,
                help="for example: Si = -0.846 eV",
            )
            if isinstance(e, ast.Field):
                energies.setdefault(e.key, Fraction(0))
        elif e.key not in species:
            help = did_you_mean(e.key, species, "the species are: " + ", ".join(species))
            report.add("E210", f"`{shown(e.key)}` is not one of the species", e.span, help=help)
        elif e.key in energies:
            report.add("E202", f"`{e.key}` is said twice", e.span, help="keep one of the two")
        else:
            try:
                energies[e.key] = Fraction(with_dimension(e.value, scope, ENERGY, e.key))
            except Fault as fault:
                report.add(*fault.diagnostic.parts)
                energies[e.key] = Fraction(0)
    missing = [s for s in species if s not in energies]
    if missing:
        report.add(
            "E408", f"`{name}` has no energy for {', '.join(missing)}", block.span,
            help=", ".join(f"{s} = 0 eV" for s in missing),
        )  # fmt: skip
    mode = block.mode == "learnable"
    values = tuple(energies.get(s, Fraction(0)) for s in species)
    return OneBody(name, values, mode, block.doc, block.span)
