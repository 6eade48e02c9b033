"""Labels that contradict each other: ten and more mistakes, each found and named; none where there is none."""

from dataclasses import replace
from functools import cache

import etace
import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from etace.data import Labelled, read
from etace.fit import odd
from etace.fit.contradictions import contradictions
from etace.fit.fitting import fit
from etace.fit.tables import compare

SPEC = """etace 1
species Cu
learnable onebody E0 { Cu = 0.06 eV }
use linear_ace as ace { max_order = 2, max_level = 8, max_l = 4, cutoff = 5.0 Å }
model m = E0 + ace.two_body + ace.many_body
"""
KBAR = 1602.1766


@cache
def copper(n=30):
    """Distorted fcc cells of eight atoms with the labels of an independent potential."""
    rng, out = np.random.default_rng(0), []
    for k in range(n):
        atoms = bulk("Cu", cubic=True) * (2, 1, 1)
        strain = (np.eye(3) + rng.normal(0, 0.015, (3, 3))) * (1 + rng.normal(0, 0.02))
        atoms.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        atoms.positions += rng.normal(0, 0.06, (len(atoms), 3))
        atoms.calc = EMT()
        virial = -atoms.get_volume() * atoms.get_stress(voigt=False)
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        atoms.calc = None
        out.append(Labelled(atoms, energy, forces, virial, source=f"cu.xyz:{k}"))
    return out


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("spec") / "cu.etace"
    path.write_text(SPEC)
    return etace.load(path)


def found_in(model, structures):
    fit(model, structures)
    compared = compare(model, structures)
    against = contradictions(model, structures, compared, cores=1)
    return against or [*odd.sentences(compared), *odd.zeros(compared)]


def reordered(virial, order):
    names = ["xx", "yy", "zz", "yz", "xz", "xy"]
    places = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
    six = [virial[places[names.index(name)]] for name in order.split()]
    out = np.zeros((3, 3))
    for value, (a, b) in zip(six, places, strict=True):
        out[a, b] = out[b, a] = value
    return out


def each(**change):
    return lambda own: [
        replace(s, **{kind: f(s) for kind, f in change.items()}) for s in own
    ]  # fmt: skip


def every(step, start, **change):
    """Every so many structures have something wrong."""
    mend = each(**change)
    return lambda own: [mend([s])[0] if k % step == start else s for k, s in enumerate(own)]


def grouped(step, start, **change):
    """One config type of several has something wrong."""
    wrong = every(step, start, **change)
    return lambda own: [
        replace(s, group="abcdef"[k % step]) for k, s in enumerate(wrong(own))
    ]  # fmt: skip


def moved(kind):
    return lambda own: [
        replace(s, **{kind: getattr(own[k - 1], kind)}) for k, s in enumerate(own)
    ]  # fmt: skip


def shuffled(own):
    order = np.random.default_rng(5).permutation(len(own))
    return [replace(s, forces=own[k].forces) for s, k in zip(own, order, strict=True)]


WRONG = {
    "virials of the wrong sign": (each(virial=lambda s: -s.virial),
        "virials contradict energies and forces: they seem to have the wrong sign"),
    "virials in kbar": (each(virial=lambda s: KBAR * s.virial), "be in kbar (30"),
    "virials in kbar, VASP's sign": (each(virial=lambda s: -KBAR * s.virial),
        "be in kbar, and have the wrong sign"),
    "virials in GPa": (each(virial=lambda s: KBAR / 10 * s.virial), "be in GPa"),
    "stresses under the name of virials": (
        each(virial=lambda s: -s.virial / s.atoms.get_volume()),
        "be stresses without the volume, and have the wrong sign"),
    "virials per atom": (each(virial=lambda s: s.virial / len(s.atoms)), "virials contradict"),
    "VASP's order": (each(virial=lambda s: reordered(s.virial, "xx yy zz xy yz xz")),
        "have their numbers in the order xx yy zz xy yz xz"),
    "rows of a triangle": (each(virial=lambda s: reordered(s.virial, "xx xy xz yy yz zz")),
        "have their numbers in the order xx xy xz yy yz zz"),
    "gradients": (each(forces=lambda s: -s.forces),
        "forces contradict energies and virials: they seem to have the wrong sign"),
    "forces per bohr": (each(forces=lambda s: 0.529177 * s.forces), "be in eV/bohr"),
    "energies in Hartree": (each(energy=lambda s: s.energy / 27.2114),
        "energies contradict forces and virials: they seem to be in Hartree"),
    "energies per atom": (each(energy=lambda s: s.energy / len(s.atoms)), "be per atom"),
    "energies of the frame before": (moved("energy"), "energies contradict"),
    "virials of the frame before": (moved("virial"), "virials contradict"),
    "forces of other frames": (shuffled, "forces contradict energies and virials"),
    "forces of other atoms": (each(forces=lambda s: s.forces[[3, 1, 0, 2, 7, 5, 4, 6]]),
        "belong to other atoms"),
    "columns of forces": (each(forces=lambda s: s.forces[:, [1, 2, 0]]),
        "have their columns in the order"),
    "a config type with another zero": (
        grouped(2, 1, energy=lambda s: s.energy + 3.2 * len(s.atoms)),
        "energies of b contradict the other labels: they seem to have another zero"),
    "a config type with gradients": (grouped(5, 2, forces=lambda s: -s.forces), "cu.xyz:2)"),
    "a config type in kbar": (grouped(5, 2, virial=lambda s: KBAR * s.virial),
        "(6 structures, such as cu.xyz:2)"),
    "some frames with gradients": (every(5, 1, forces=lambda s: -s.forces),
        "some forces contradict the other labels: they seem to have the wrong sign (6"),
    "zeros of virials": (every(6, 1, virial=lambda s: 0 * s.virial), "are all 0, where the fit"),
    "zeros of forces": (every(6, 1, forces=lambda s: 0 * s.forces), "are all 0, where the fit"),
    "one energy": (every(30, 7, energy=lambda s: s.energy + 0.5),
        "energy of cu.xyz:7: off by"),
    "one virial": (every(30, 7, virial=lambda s: -s.virial), "virial of cu.xyz:7"),
    "forces of one frame": (every(30, 7, forces=lambda s: s.forces[::-1]), "(cu.xyz:7)"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_label_is_found_and_named(model, name):
    wrong, words = WRONG[name]
    found = found_in(model, wrong(copper()))
    assert words in "\n".join(found), found
    if "contradict" in words:
        assert len(found) == 1, found


def test_files_are_told_apart(model):
    """One wrong file among five of the same config type."""
    own = [replace(s, source=f"{'abcde'[k % 5]}.xyz:{k // 5}") for k, s in enumerate(copper())]
    wrong = every(5, 3, virial=lambda s: -s.virial)(own)
    (found,) = found_in(model, wrong)
    assert "virials" in found and "wrong sign" in found and "6 structures, such as d.xyz:0" in found


def test_two_mistakes_are_both_found(model):
    wrong = each(forces=lambda s: -s.forces, virial=lambda s: KBAR * s.virial)
    found = found_in(model, wrong(copper()))
    assert len(found) == 2
    assert {f.split()[0] for f in found} <= {"energies", "forces", "virials"}


@pytest.mark.parametrize("n", [5, 10, 30])
def test_sound_labels_pass(model, n):
    assert found_in(model, copper()[:n]) == []


@pytest.mark.parametrize(
    ("file", "species", "e0"),
    [
        ("data/mlearn/Si_train.xyz.gz", "Si", "Si = -5.12 eV"),
        ("data/mlearn/Mo_train.xyz.gz", "Mo", "Mo = -10.45 eV"),
        ("data/siox/SiO2_EDI_train.xyz.gz", "Si, O", "Si = -4.75 eV, O = -9.5 eV"),
    ],
)
def test_sound_sets_and_parts_of_them_pass(shared, tmp_path, file, species, e0):
    text = SPEC.replace("learnable onebody E0 { Cu = 0.06 eV }", f"onebody E0 {{ {e0} }}")
    path = tmp_path / "m.etace"
    path.write_text(text.replace("species Cu", f"species {species}"))
    model = etace.load(path)
    every_one = read([shared / file]).structures
    rng = np.random.default_rng(0)
    for n in (4, 8, 16, 40):
        places = sorted(rng.choice(len(every_one), n, replace=False))
        assert found_in(model, [every_one[k] for k in places]) == []
