"""Units of the language. Inside: Å and eV."""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple


class Dimension(NamedTuple):
    """Powers of length and energy."""

    length: int = 0
    energy: int = 0


NUMBER, LENGTH, ENERGY = Dimension(), Dimension(length=1), Dimension(energy=1)

# CODATA 2018: bohr and hartree.
UNITS: dict[str, tuple[Fraction, Dimension]] = {
    "Å": (Fraction(1), LENGTH),
    "angstrom": (Fraction(1), LENGTH),
    "nm": (Fraction(10), LENGTH),
    "bohr": (Fraction("0.529177210903"), LENGTH),
    "eV": (Fraction(1), ENERGY),
    "meV": (Fraction(1, 1000), ENERGY),
    "Ha": (Fraction("27.211386245988"), ENERGY),
}
# Other units: (name of ours, how many of it they are); kcal and kJ are of a mole.
OTHERS: dict[str, tuple[str, Fraction]] = {
    **dict.fromkeys(("A", "a", "ang", "Ang", "ANG", "Angstrom", "ANGSTROM", "angstroms", "Angstroms", "ångström", "Ångström", "AA"), ("Å", Fraction(1))),
    **dict.fromkeys(("pm", "picometer"), ("Å", Fraction(1, 100))),
    **dict.fromkeys(("m", "meter"), ("Å", Fraction(10**10))),
    **dict.fromkeys(("nanometer", "nanometre", "Nm", "NM"), ("nm", Fraction(1))),
    **dict.fromkeys(("Bohr", "BOHR", "a0", "bohrs", "au"), ("bohr", Fraction(1))),
    **dict.fromkeys(("ev", "EV", "Ev", "electronvolt", "eVs"), ("eV", Fraction(1))),
    **dict.fromkeys(("mev", "MEV"), ("meV", Fraction(1))),
    **dict.fromkeys(("ha", "HA", "hartree", "Hartree", "Hartrees", "hartrees", "Eh", "E_h"), ("Ha", Fraction(1))),
    **dict.fromkeys(("Ry", "ry", "Rydberg", "rydberg", "RY"), ("Ha", Fraction(1, 2))),
    **dict.fromkeys(("keV", "kev"), ("eV", Fraction(1000))),
    **dict.fromkeys(("kcal", "kcalmol"), ("meV", Fraction("43.3641042"))),
    **dict.fromkeys(("kJ", "kj", "kJmol"), ("meV", Fraction("10.3642697"))),
}  # fmt: skip
LIST = "lengths: Å, angstrom, nm, bohr; energies: eV, meV, Ha"


def describe(dimension: Dimension) -> str:
    """`a length`, `an energy`, `a plain number`, else the powers."""
    known = {NUMBER: "a plain number", LENGTH: "a length", ENERGY: "an energy"}
    if dimension in known:
        return known[dimension]
    powers = (("Å", dimension.length), ("eV", dimension.energy))
    return " ".join(f"{u}^{p}" if p != 1 else u for u, p in powers if p)


def example(dimension: Dimension) -> str:
    return {LENGTH: "Å", ENERGY: "eV"}.get(dimension, "")
