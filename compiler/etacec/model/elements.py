"""Nearest-neighbour lengths of the elements, Å: the default r0 of a bond is the mean of two.

Source: the table of ACEpotentials.jl / EquivariantTensors.jl ("NB VASP auto_length_scale", an
automatic survey by N. Bernstein) with the nine crystal distances EquivariantTensors.jl adds from
AtomsBuilder. For elements in neither table: twice the covalent radius of Cordero et al., Dalton
Trans. (2008) 2832, as shipped with ASE.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

_SURVEY = """
H 1.2 Li 3.0 Be 2.2 B 1.8 C 1.4 N 1.6 O 1.7 F 2.1 Na 3.7 Mg 3.2 Al 2.9 Si 2.4 P 2.5 S 2.3 Cl 2.6
K 4.6 Ca 3.8 Sc 3.2 Ti 2.9 V 2.6 Cr 2.5 Fe 2.5 Co 2.5 Ni 2.5 Cu 2.6 Zn 2.8 Ga 3.0 Ge 2.5 As 2.7
Se 2.8 Br 2.8 Rb 4.7 Sr 4.2 Y 3.6 Zr 3.2 Nb 2.9 Mo 2.7 Tc 2.7 Ru 2.7 Rh 2.7 Pd 2.8 Ag 2.9 Cd 3.2
In 3.4 Sn 2.9 Sb 3.1 Te 3.2 I 3.2 Ba 4.3 La 3.7 Ce 3.4 Pr 3.7 Nd 3.7 Pm 3.6 Sm 3.6 Gd 3.6 Tb 3.6
Dy 3.5 Tm 3.5 Yb 3.8 Hf 3.2 Ta 2.9 W 2.8 Re 2.8 Os 2.7 Ir 2.7 Pt 2.8 Au 2.9 Hg 3.3 Tl 3.4 Pb 3.5
Bi 3.3 Po 3.3 Ac 4.0 Th 3.6 Pa 3.3
Ne 3.13248 Ar 3.71938 Kr 4.04465 Xe 4.38406 Cs 5.23945 Eu 3.99238 Ho 3.48854 Er 3.46905 Lu 3.44157
""".split()
SURVEY: dict[str, Fraction] = {
    _SURVEY[i]: Fraction(_SURVEY[i + 1]) for i in range(0, len(_SURVEY), 2)
}

SYMBOLS: tuple[str, ...] = tuple(
    """
H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr
Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm Yb
Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No Lr Rf
Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og
""".split()
)


def other_name(written: str) -> str:
    """Help for a species that is written by mass, number, site or name; empty if it is none of these."""
    if written in ("D", "T"):
        return "isotopes of hydrogen have the same energy: write `H`"
    if written.isdecimal():
        number = int(written) if len(written) < 4 else 0
        known = f": write `{SYMBOLS[number - 1]}`" if 1 <= number <= len(SYMBOLS) else ""
        return f"elements are written by their symbols, not numbers{known}"
    letters = written.rstrip("0123456789").split("_")[0]
    if letters != written and letters.capitalize() in SYMBOLS:
        return f"all atoms of an element are one species: write `{letters.capitalize()}`"
    if written.capitalize() in SYMBOLS:
        return f"did you mean `{written.capitalize()}`?"
    from ase.data import atomic_names

    names = {n.lower(): k for k, n in enumerate(atomic_names) if k}
    names |= {"aluminum": 13, "sulphur": 16, "cesium": 55}
    number = names.get(written.lower(), 0)
    return f"did you mean `{SYMBOLS[number - 1]}`?" if number else ""


def closest(a: str, b: str) -> Fraction | None:
    """A length no longer than any bond of two elements, Å: the shorter of the mean of their
    nearest-neighbour lengths and the sum of their covalent radii; None where no table has one.

    Nearest neighbours of crystals are too long for hydrogen's bonds, covalent radii for metals.
    """
    x, y = nearest_neighbour(a), nearest_neighbour(b)
    p, q = _covalent_radius(a), _covalent_radius(b)
    found = [] if x is None or y is None else [(x + y) / 2]
    found += [] if p is None or q is None else [p + q]
    return min(found, default=None)


def nearest_neighbour(symbol: str) -> Fraction | None:
    """Nearest-neighbour length of an element, Å; None where no table has it."""
    if symbol in SURVEY:
        return SURVEY[symbol]
    radius = _covalent_radius(symbol)
    return None if radius is None else 2 * radius


def _covalent_radius(symbol: str) -> Fraction | None:
    """Å, in ASE's table (Cordero et al.); None where it has none."""
    from ase.data import atomic_numbers, covalent_radii, missing

    radius = float(covalent_radii[atomic_numbers[symbol]])
    if radius == missing:
        return None
    return Fraction(Decimal(repr(radius)))
