"""A census in words: lines for people, sentences of what is suspicious."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from etace.data import suspicious
from etace.data.census import Census, Range
from etace.data.labelled import Dataset
from etace.data.suspicious import Suspicion
from etace.telling import Tell
from etace.words import count

SHOWN = 3  # sources of a suspicion
TITLES = {
    "energy": "energy, eV/atom",
    "force": "|F|, eV/Å",
    "virial": "virial/3, eV/atom",
    "volume": "volume, Å³/atom",
}
UNITS = {  # what they make of the slope of energies against work
    "energies in meV": 1e3,
    "energies in kJ/mol": 96.485,
    "energies in kcal/mol": 23.061,
    "energies in Rydberg": 1 / 13.6057,
    "energies in Hartree": 1 / 27.2114,
    "forces in meV/Å": 1e-3,
    "forces in Rydberg/bohr": 25.711,
    "forces in Hartree/bohr": 51.422,
    "energies in Hartree and forces in Hartree/bohr": 1.8897,
}
VIRIALS = {  # what they make of the slope of energies against the work of virials
    "the sign": -1.0,
    "stresses in GPa": 1 / 160.2177,
    "stresses in GPa, positive under compression,": -1 / 160.2177,
    "stresses in kbar": 1 / 1602.177,
    "stresses in kbar, positive under compression,": -1 / 1602.177,
    "stresses in Hartree/bohr³": 183.63,
    "virials in Hartree": 27.2114,
    "virials in Rydberg": 13.6057,
}
CONVENTION = (
    "virial: eV, -dE/dstrain, positive under compression; stress: eV/Å³, -virial/volume, as ASE has it; "
    "six numbers: xx yy zz yz xz xy"
)


def warnings(dataset: Dataset, progress: Tell | None = None) -> list[str]:
    """What was set aside and what is suspicious about the data, in sentences; [] if nothing is."""
    found = suspicious.suspicions(dataset.structures, progress=progress)
    return [*map(str, dataset.remarks), *sentences(found)]


def lines(census: Census) -> list[str]:
    """The tables, then what is suspicious."""
    out = [
        f"{count(census.structures, 'structure')}, {count(census.atoms, 'atom')}, "
        f"{count(census.compositions, 'composition')}; "
        + ", ".join(f"{x} {n}" for x, n in census.species.items())
    ]
    rows = [[name, g.structures, g.atoms, *g.labels.values()] for name, g in census.groups.items()]
    if len(rows) > 1:
        rows.append(["all", census.structures, census.atoms, *census.labels.values()])
    out += ["", *_table(["config type", "structures", "atoms", *census.labels], rows)]
    if census.ranges:
        titles = ["", "lowest", "median", "highest", "lowest in", "highest in"]
        out += ["", *_table(titles, [_range(k, r) for k, r in census.ranges.items()])]
    if census.shortest:
        rows = [["-".join(x.pair), f"{x.distance:.4f}", x.source] for x in census.shortest]
        out += ["", *_table(["pair", "shortest, Å", "in"], rows)]
    out.append("")
    if census.duplicates:
        extra = sum(len(group) - 1 for group in census.duplicates)
        first = ", ".join(census.duplicates[0][:SHOWN])
        out.append(f"structures that are there again: {extra} (the first: {first})")
    else:
        out.append("no structure is there twice")
    found = sentences(census.suspicions)
    return out + ([f"suspicious: {text}" for text in found] or ["nothing suspicious"])


def sentences(found: Sequence[Suspicion]) -> list[str]:
    return [WORDS[x.kind](x) for x in found]


WORDS: dict[str, Callable[[Suspicion], str]] = {
    "forces": lambda x: (
        f"forces above {suspicious.FORCE:g} eV/Å, up to {x.value:.4g}, in {_where(x)}"
    ),
    "net_force": lambda x: (
        f"forces do not sum to zero, up to {x.value:.3g} eV/Å, in {_where(x)} "
        "(set to zero on fixed atoms, or of another frame?)"
    ),
    "energy": lambda x: (
        f"energies far off the others of such a composition, up to {x.value:.3g} eV/atom, in {_where(x)}"
    ),
    "close": lambda x: (
        f"atoms closer than {suspicious.CLOSE} Å, down to {x.value:.3g} Å, in {_where(x)}"
    ),
    "lists": lambda x: f"neighbours cannot be found in {_where(x)}: {x.detail}",
    "unit": lambda x: (
        f"atoms are {x.value:.2g} times as far apart as covalent bonds: are positions and cell in Å? "
        f"({'bohr would be near 1.9' if x.value > 1 else 'nm would be near 0.1'})"
    ),
    "slope": lambda x: (
        "forces seem to be gradients, of the wrong sign: energies of near frames rise along them"
        if -4 < x.value < -0.25
        else f"energies of near frames differ by {x.value:.3g} times what their forces say: "
        f"are energies in eV and forces in eV/Å?{_hint(x.value, UNITS, x.detail)}"
    ),
    "spread": lambda x: (
        f"energies of one composition differ by up to {x.value:.4g} eV/atom, which no force tells of, as in "
        f"{_where(x)}: they may be in meV"
    ),
    "stress": lambda x: (
        f"stresses are {x.value:.3g} eV/Å³ ({160.2177 * x.value:.0f} GPa), by their median: are they in "
        "GPa or kbar?"
    ),
    "zero_energy": lambda x: (
        f"energies of exactly 0 eV in {_where(x)}: filled in where there was none?"
    ),
    "zero_forces": lambda x: (
        f"forces that are all exactly zero, without a symmetry that makes them so, in {_where(x)}"
    ),
    "zero_virial": lambda x: (
        f"virials or stresses of exactly zero in {_where(x)}: filled in where there was none?"
    ),
    "constant": lambda x: (
        f"the same energy to the last digit in {x.value:.0f} structures that differ: {_where(x)}"
    ),
    "per_atom": lambda x: (
        "energies do not grow with the number of atoms: are they per atom? They must be of the whole "
        "structure"
    ),
    "virial_slope": lambda x: (
        f"energies of strained cells change by {x.value:.3g} times what their virials or stresses say"
        f"{_hint(x.value, VIRIALS, x.detail, signs=True)}; the first is {_where(x)}"
    ),
    "voigt": lambda x: (
        "energies of strained cells agree with virials or stresses whose last three numbers are read as "
        f"{x.detail}, and not as yz xz xy; the first is {_where(x)}"
    ),
    "shifted": lambda x: (
        f"energies follow the forces of the {'next' if x.value > 0 else 'previous'} frame, and not those "
        f"of their own: labels are shifted by a frame; the first is {_where(x)}"
    ),
    "unrelated": lambda x: (
        f"energies of near frames do not follow the forces (correlation {x.value:.2f}): are they of other "
        f"frames, or of atoms in another order? The first is {_where(x)}"
    ),
    "twice": lambda x: (
        f"the same structure with energies that differ by {x.value:.3g} eV/atom: {_where(x)}"
    ),
}


def _hint(ratio: float, units: Mapping[str, float], more: str, signs: bool = False) -> str:
    """What makes such a ratio, if any of the units does; more: what also does; signs: whether they count"""
    size = ratio if signs else abs(ratio)
    near = [unit for unit, value in units.items() if 1 / 1.3 < size / value < 1.3]
    near += [more] if more else []
    return f" ({' or '.join(near)} would do that)" if near else ""


def _where(x: Suspicion) -> str:
    first = ", ".join(x.sources[:SHOWN])
    more = len(x.sources) - SHOWN
    return f"{first} and {more} more" if more > 0 else first


def _range(name: str, r: Range) -> list[str]:
    return [TITLES[name], *(f"{x:.4f}" for x in (r.low, r.median, r.high)), r.lowest, r.highest]


def _table(titles: list[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """Columns of numbers to the right, of words to the left."""
    cells = [titles, *([str(x) for x in row] for row in rows)]
    columns = list(zip(*cells, strict=True))
    right = [all(_is_number(x) for x in column[1:]) for column in columns]
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join(
            x.rjust(w) if r else x.ljust(w) for x, w, r in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in cells
    ]


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).removeprefix("-").isdigit()
