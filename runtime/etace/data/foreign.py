"""What ASE's readers fill in, guess or pass over in silence: taken back, refused or said.

elements: of a LAMMPS file without elements or masses, ASE takes type 1 for hydrogen
energy: of a LAMMPS dump with forces, ASE says 0.0
units: of a LAMMPS dump, rarely stated
convergence: of VASP's electronic steps, not looked at
occupancy: of a CIF, the species with the largest share is taken for the whole site
ghosts: atoms with the number 0, which stand in for nothing
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from etace.errors import DataError

DUMPS = ("lammps-dump-text", "lammps-dump-binary")
NO_UNITS = "the LAMMPS dump does not state its units: taken as metal (Å, eV)"
OTHER_UNITS = "forces of a LAMMPS dump in units `{}`, not metal: set aside"
NO_ELEMENTS = "atoms have types and no elements: type 1 is shown as H, 2 as He, ..."
UNCONVERGED = "the electronic steps did not converge (NELM reached): its labels may be off"
END_OF_OUTCAR_STEP = "FREE ENERGIE OF THE ION-ELECTRON SYSTEM"


@dataclass(frozen=True)
class Known:
    """What a look at the file itself says. elements: the file names them; units: as LAMMPS states them
    unconverged: numbers of frames
    """

    elements: bool = True
    units: str | None = None
    unconverged: frozenset[int] = field(default_factory=frozenset)


def look(name: str, kind: str, short: str) -> Known:
    """kind: ASE's name of the format; short: the file's in messages. Raises DataError: a dump that is cut short."""
    if kind == "lammps-dump-binary":
        return Known(elements=False)
    scan = {"vasp-out": _outcar, "vasp-xml": _vasprun}.get(kind)
    if scan is not None:
        with _text(name) as file:
            return Known(unconverged=frozenset(scan(file)))
    if kind == "lammps-dump-text":
        with _text(name) as file:
            return _dump(file, short)
    if kind == "extxyz":
        with _text(name) as file:
            return Known(elements=not _types_in_xyz(file))
    if kind == "lammps-data":
        with _text(name) as file:
            sections = {line.split("#")[0].strip() for line in file}
        return Known(elements=bool(sections & {"Masses", "Atom Type Labels"}))
    return Known()


def distrust(atoms: Any, k: int, kind: str, known: Known, source: str) -> list[str]:
    """Take out of a frame what its file does not say. Returns what a user should know of it.

    Raises DataError: the structure cannot be meant as ASE shows it.
    """
    remarks = []
    if kind in DUMPS and atoms.calc is not None:
        atoms.calc.results.pop("energy", None)
        if known.units not in (None, "metal"):
            atoms.calc.results.pop("forces", None)
            remarks.append(OTHER_UNITS.format(known.units))
    if kind in DUMPS and known.units is None:
        remarks.append(NO_UNITS)
    if k in known.unconverged:
        remarks.append(UNCONVERGED)
    if known.elements and (ghosts := [n for n, z in enumerate(atoms.numbers) if z == 0]):
        raise DataError(
            f"{source}: atom {ghosts[0]} is a dummy or ghost atom (X): it has no element"
        )
    for site, shares in (atoms.info.get("occupancy") or {}).items():
        if isinstance(shares, dict) and (len(shares) > 1 or sum(shares.values()) < 1 - 1e-3):
            shown = ", ".join(f"{symbol} {share:g}" for symbol, share in shares.items())
            raise DataError(
                f"{source}: site {site} is occupied in part ({shown}): such a structure is an average; "
                "make an ordered one of it"
            )
    return remarks


def no_elements(source: str) -> DataError:
    return DataError(
        f"{source}: atoms have types and no elements: write them into the dump "
        "(dump_modify ID element Si O, with `element` among its columns)"
    )


def _text(name: str) -> IO[str]:
    from ase.io.formats import open_with_compression

    file: IO[str] = open_with_compression(name, "rt")
    file.reconfigure(errors="replace")  # type: ignore[attr-defined]
    return file


def _dump(file: IO[str], short: str) -> Known:
    """From the header of the first frame. Raises DataError: a frame has more or fewer atoms than it says."""
    units, elements, inside = None, False, False
    frames, stated, there = 0, "0", 0

    def whole() -> None:
        if stated != str(there):
            raise DataError(
                f"{short}: frame {frames - 1} has {there} of the {stated} atoms it says"
            )

    for line in file:
        if not line.startswith("ITEM:"):
            there += inside and bool(line.strip())
            continue
        inside = line.startswith("ITEM: ATOMS")
        if inside and frames == 1:
            elements = bool({"element", "mass"} & set(line.split()))
        elif line.startswith("ITEM: NUMBER OF ATOMS"):
            stated = next(file, "").strip()
        elif line.startswith("ITEM: UNITS") and frames <= 1:
            units = next(file, "").strip() or None
        elif line.startswith("ITEM: TIMESTEP"):
            whole()
            frames, stated, there = frames + 1, "many", 0
    whole()
    return Known(elements, units)


def _types_in_xyz(file: IO[str]) -> bool:
    """Whether LAMMPS wrote it (`dump xyz`), with types where elements should stand."""
    file.readline()
    return file.readline().startswith("Atoms. Timestep") and file.readline()[:1].isdecimal()


def _outcar(file: IO[str]) -> Iterator[int]:
    """Numbers of ionic steps that ended without a word of convergence."""
    step, reached = 0, False
    for line in file:
        if "aborting loop because EDIFF is reached" in line:
            reached = True
        elif END_OF_OUTCAR_STEP in line:
            if not reached:
                yield step
            step, reached = step + 1, False


def _vasprun(file: IO[str]) -> Iterator[int]:
    """Numbers of ionic steps with as many electronic steps as are allowed."""
    most, step, electronic = None, 0, 0
    for line in file:
        if most is None and (found := re.search(r'name="NELM"[^>]*>\s*(\d+)', line)):
            most = int(found[1])
        electronic += line.count("<scstep")
        if "</calculation>" in line:
            if most is not None and electronic >= most:
                yield step
            step, electronic = step + 1, 0
