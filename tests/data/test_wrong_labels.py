"""Labels that are wrong are found before any fit, and right ones are let alone."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from etace.data import Dataset, Labelled, warnings
from etace.data.work import steps


def by_emt(atoms, k):
    atoms = atoms.copy()
    atoms.calc = EMT()
    virial = -atoms.get_volume() * atoms.get_stress(voigt=False) if atoms.pbc.all() else None
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    return Labelled(Atoms(atoms), energy - 3.5 * len(atoms), forces, virial, source=f"a.xyz:{k}")


def walk(n=24):
    """Frames each a little off the one before, in one cell."""
    rng = np.random.default_rng(0)
    atoms, out = bulk("Cu", cubic=True) * (2, 1, 1), []
    atoms.numbers[0] = 79
    for k in range(n):
        atoms.positions += rng.normal(scale=0.03, size=atoms.positions.shape)
        out.append(by_emt(atoms, k))
    return out


def rattled(n=16):
    """Frames that all are near one crystal, in one cell."""
    rng = np.random.default_rng(1)
    crystal = bulk("Cu", cubic=True) * (2, 1, 1)
    return [by_emt(moved(crystal, rng, 0.05), k) for k in range(n)]


def strained(n=20, size=0.015, rattle=0.06):
    """Rattled in cells of many shapes."""
    rng, out = np.random.default_rng(3), []
    for k in range(n):
        atoms = bulk("Cu", cubic=True) * (2, 1, 1)
        strain = (np.eye(3) + rng.normal(0, size, (3, 3))) * (1 + rng.normal(0, 0.02))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        out.append(by_emt(moved(atoms, rng, rattle), k))
    return out


def sheared(n=24):
    """Crystals in sheared cells."""
    rng, out = np.random.default_rng(5), []
    for k in range(n):
        shear = np.zeros((3, 3))
        shear[[0, 0, 1], [1, 2, 2]] = rng.normal(0, [0.04, 0.01, 0.02])
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + shear + shear.T), scale_atoms=True)
        out.append(by_emt(atoms, k))
    return out


def volumes(n=9):
    """One crystal at several volumes, where symmetry leaves no forces."""
    out = []
    for k, a in enumerate(np.linspace(3.4, 3.85, n)):
        out.append(by_emt(bulk("Cu", a=a, cubic=True), k))
    return [replace(s, forces=np.zeros((4, 3))) for s in out]


def sizes(n=12):
    """Rattled cells of 4, 8 and 16 atoms."""
    rng = np.random.default_rng(7)
    cells = [bulk("Cu", cubic=True) * (2**m, 1, 1) for m in range(3)]
    return [by_emt(moved(cells[k % 3], rng, 0.1), k) for k in range(n)]


def slabs(n=8):
    rng = np.random.default_rng(9)
    slab = fcc111("Cu", (1, 2, 3), vacuum=5)
    return [by_emt(moved(slab, rng, 0.1), k) for k in range(n)]


def moved(atoms, rng, size):
    atoms = atoms.copy()
    atoms.positions += rng.normal(0, size, atoms.positions.shape)
    return atoms


SETS = {f.__name__: f for f in (walk, rattled, strained, sheared, volumes, sizes, slabs)}


@pytest.fixture(scope="module")
def right():
    return {name: make() for name, make in SETS.items()}


def said(structures):
    return warnings(Dataset(tuple(structures), ()))


@pytest.mark.parametrize("name", SETS)
def test_right_labels_are_let_alone(right, name):
    assert said(right[name]) == []
    assert said([replace(s, virial=None) for s in right[name]]) == []
    assert said([replace(s, energy=None) for s in right[name]]) == []
    assert said([replace(s, forces=None) for s in right[name]]) == []


def each(**change):
    """change: label -> a function of the structure"""
    return lambda frames: [replace(s, **{k: f(s) for k, f in change.items()}) for s in frames]


def other(label, by):
    """The label of the frame that stands so many later."""
    return lambda frames: [
        replace(s, **{label: getattr(frames[(k + by) % len(frames)], label)})
        for k, s in enumerate(frames)
    ]


def of_vasp(s):
    """xx yy zz xy yz zx, read as xx yy zz yz xz xy"""
    v = s.virial
    out = np.diag(np.diag(v))
    for (i, j), place in zip(((1, 2), (0, 2), (0, 1)), ((0, 1), (1, 2), (0, 2)), strict=True):
        out[i, j] = out[j, i] = v[place]
    return out


def mixed_up(s):
    return s.forces[np.random.default_rng(len(s.atoms)).permutation(len(s.atoms))]


WRONG = [
    ("sizes", each(energy=lambda s: s.energy / len(s.atoms)), "are they per atom"),
    ("walk", each(energy=lambda s: s.energy / len(s.atoms)), "(energies per atom would do that)"),
    ("volumes", each(energy=lambda s: s.energy / len(s.atoms)), "(energies per atom would do that)"),
    ("strained", each(energy=lambda s: s.energy / len(s.atoms)), "(energies per atom would do that)"),
    ("sizes", each(energy=lambda s: 0.0), "energies of exactly 0 eV"),
    ("slabs", each(energy=lambda s: -7.123456), "the same energy to the last digit in 8 structures"),
    ("sizes", each(forces=lambda s: 0 * s.forces), "all exactly zero"),
    ("slabs", each(forces=lambda s: 0 * s.forces), "all exactly zero"),
    ("volumes", each(virial=lambda s: 0 * s.virial), "virials or stresses of exactly zero"),
    ("rattled", each(virial=lambda s: 0 * s.virial), "virials or stresses of exactly zero"),
    ("walk", other("forces", 1), "of the previous frame"),
    ("rattled", other("forces", -1), "of the next frame"),
    ("walk", other("energy", 7), "do not follow the forces"),
    ("rattled", each(forces=mixed_up), "do not follow the forces"),
    ("strained", each(forces=lambda s: -s.forces), "gradients, of the wrong sign"),
    ("volumes", each(virial=lambda s: -s.virial), "(the sign would do that)"),
    ("strained", each(virial=lambda s: -s.virial), "(the sign would do that)"),
    ("sheared", each(virial=lambda s: -s.virial), "(the sign would do that)"),
    ("volumes", each(virial=lambda s: 160.2177 * s.virial), "(stresses in GPa would do that)"),
    ("sheared", each(virial=lambda s: -1602.177 * s.virial), "positive under compression"),
    ("slabs", each(virial=lambda s: 1602.177 * np.eye(3) * len(s.atoms)), "GPa or kbar"),
    ("volumes", each(virial=lambda s: s.virial / len(s.atoms)), "(virials per atom would do that)"),
    ("strained", each(virial=lambda s: s.virial / s.atoms.get_volume()), "virials per volume"),
    ("sheared", each(virial=of_vasp), "whose last three numbers are read as xy yz xz"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "change", "words"), WRONG)
def test_wrong_labels_are_found(right, name, change, words):
    frames = change(right[name])
    if name == "slabs":
        frames = [replace(s, atoms=Atoms(s.atoms, pbc=True)) for s in frames]
    found = said(frames)
    assert any(words in line for line in found), found
    assert all("\n" not in line for line in found)


def test_energies_may_be_relative_to_the_lowest(right):
    lowest = min(s.energy for s in right["strained"])
    assert said([replace(s, energy=s.energy - lowest) for s in right["strained"]]) == []


def test_forces_of_zero_that_symmetry_explains_are_sound():
    crystals = [by_emt(bulk("Cu", a=a, cubic=True), k) for k, a in enumerate((3.5, 3.6, 3.7))]
    dimer = by_emt(Atoms("Cu2", [[0, 0, 0], [0, 0, 2.2]]), 3)
    zero = [replace(s, forces=0 * s.forces) for s in crystals]
    assert said(zero) == []
    assert "a.xyz:3" in said([*zero, replace(dimer, forces=0 * dimer.forces)])[0]


def test_the_work_along_a_step_is_the_change_of_energy():
    """To third order in the step, for forces and virials together."""
    rng = np.random.default_rng(2)
    crystal = bulk("Cu", cubic=True) * (2, 1, 1)
    start = moved(crystal, rng, 0.1)
    strain, dx = rng.normal(0, 1, (3, 3)), rng.normal(0, 3, start.positions.shape)
    rest = []
    for size in (0.008, 0.004):
        end = start.copy()
        end.set_cell(start.cell.array @ (np.eye(3) + size * strain), scale_atoms=True)
        end.positions += size * dx + 5 * end.cell[1]  # an image of each atom will do
        pair = [by_emt(start, 0), by_emt(end, 1)]
        (step,) = steps(pair)
        energies = [s.energy for s in pair]
        change = step.change(energies)
        rest.append(change - step.by_forces(pair) - step.by_virials(pair).sum())
        assert abs(rest[-1]) < 0.05 * abs(change)
    assert abs(rest[1]) < abs(rest[0]) / 6
