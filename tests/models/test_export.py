"""Exported C: the program against the model, and what it says of mistakes."""

import ctypes
import platform
import subprocess

import etace
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read, write
from etacec.cli import app
from test_native import FOUND, ROOT, crystal, loaded, needs_compiler
from typer.testing import CliRunner

MODEL = ROOT / "examples/si_o.safetensors"
FRAMES = ROOT / "examples/data/SiO2_EDI_test.xyz"
STRICT = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic")
pytestmark = needs_compiler


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("ETACE_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "export"))


def exported(path, folder, *more):
    done = CliRunner().invoke(app, ["export", str(path), "--to", "c", "-o", str(folder), *more])
    assert done.exit_code == 0, done.output
    return folder


def built(folder, name, *flags):
    out = folder / "program"
    made = subprocess.run(
        [*FOUND.command, *flags, str(folder / f"{name}.c"), str(folder / "main.c"), "-lm", "-o", str(out)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert not made.stderr
    return out


def ran(program, path):
    """(energy, virial [6], forces) of every frame."""
    done = subprocess.run([str(program), str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:2000]
    frames = []
    for line in done.stdout.splitlines():
        first, *numbers = line.split()
        if first == "energy":
            frames.append((float(numbers[0]), [], []))
        elif first == "virial":
            frames[-1][1].extend(map(float, numbers[:6]))
        else:
            frames[-1][2].append([float(x) for x in numbers[:3]])
    return frames


def same(program, model, frames, path, tolerance=1e-11):
    write(path, frames, format="extxyz")
    found = ran(program, path)
    assert len(found) == len(frames)
    frames = read(path, ":")
    results = model.evaluate_batch(frames, atoms_per_batch=10_000)
    for (energy, virial, forces), atoms, r in zip(found, frames, results, strict=True):
        scale = max(np.abs(r.energies).max(), np.abs(r.forces).max(), 1e-3)
        assert abs(energy - r.energy) <= tolerance * max(np.abs(r.energies).sum(), 1e-3)
        assert np.abs(np.array(forces) - r.forces).max() <= tolerance * scale
        voigt = r.virial[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
        size = np.abs(r.virial).max() + len(atoms) * scale
        assert np.abs(np.array(virial) - voigt).max() <= tolerance * size


def labels_off(atoms):
    atoms = atoms.copy()
    atoms.calc = None
    for name in [n for n in atoms.arrays if n not in ("numbers", "positions")]:
        del atoms.arrays[name]
    atoms.info.clear()
    return atoms


def structures(species):
    """Data, a crystal, a cell smaller than the cutoff, slabs, wires, a molecule, one atom, none."""
    frames = [crystal(species, n=k) for k in (1, 2)]
    tiny = bulk("Si")
    tiny.symbols[:] = [species[0], species[-1]]
    tiny.rattle(0.05, seed=3)
    frames += [tiny, crystal(species, n=1), crystal(species, n=1), crystal(species, n=2)[:7]]
    frames[3].pbc, frames[4].pbc, frames[5].pbc = [True, True, False], [False, True, False], False
    frames[3].positions[::2] += 3 * frames[3].cell[0]  # not wrapped
    frames += [Atoms(species[0]), Atoms(species[-1], cell=[2.3] * 3, pbc=True)]
    return frames


def potential(name, folder):
    """A model of the tests with parameters drawn at random, saved and read again."""
    loaded(name, backend="jax").save(folder / "model.safetensors")
    return folder / "model.safetensors"


@pytest.mark.parametrize(
    "flags",
    [
        ("-O1", "-march=native", "-ffp-contract=fast"),
        pytest.param(("-O1", "-msse2"), marks=pytest.mark.slow),
        pytest.param(("-O1", "-mavx2"), marks=pytest.mark.slow),
    ],
    ids=" ".join,
)
def test_the_program_is_the_model(flags, tmp_path):
    if flags[-1] != "-ffp-contract=fast" and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("flags of x86-64")
    model = etace.load(MODEL)
    program = built(exported(MODEL, tmp_path / "a"), "si_o", *STRICT, *flags)
    frames = [labels_off(a) for a in read(FRAMES, ":")] + structures(model.species)
    same(program, model, frames, tmp_path / "frames.xyz")


@pytest.mark.parametrize("name", ["zbl/m", "scratch/scratch", "bonds/bonds"])
def test_so_it_is_with_repulsion_and_other_species(name, tmp_path):
    path = potential(name, tmp_path)
    program = built(exported(path, tmp_path / "a", "--name", "P"), "P", *STRICT, "-O1")
    model = etace.load(path)
    same(program, model, structures(model.species), tmp_path / "frames.xyz")


def test_a_large_cell_in_single_precision(tmp_path):
    exported(MODEL, tmp_path / "a", "--dtype", "float32")
    program = built(tmp_path / "a", "si_o", *STRICT, "-O1")
    model = etace.load(MODEL)
    same(program, model, [crystal(model.species, n=6)], tmp_path / "frames.xyz", 1e-4)


def test_potentials_can_be_linked_together_and_called_from_threads(tmp_path):
    folder = exported(MODEL, tmp_path / "a", "--name", "one")
    exported(MODEL, folder, "--name", "two")
    out = folder / "both.so"
    made = subprocess.run(
        [*FOUND.command, "-std=c11", "-O1", "-shared", "-fPIC", str(folder / "one.c"),
         str(folder / "two.c"), "-lm", "-o", str(out)], capture_output=True, text=True,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    c = ctypes.CDLL(str(out))
    c.one_message.restype = ctypes.c_char_p
    assert c.two_species(b"O") == 1
    assert c.two_species(b"Xe") == -1
    atoms = read(FRAMES)
    x, cell = np.array(atoms.positions), np.array(atoms.cell)
    z = np.array([c.one_species(s.encode()) for s in atoms.symbols], np.int32)
    pbc, energy, n = np.ones(3, np.int32), np.full(1, np.nan), len(atoms)
    given = [ctypes.c_void_p(a.ctypes.data) for a in (z, x, cell, pbc, energy)]
    assert c.one_evaluate(n, *given, None, None, None) == 0
    assert energy[0] == pytest.approx(etace.load(MODEL).evaluate(atoms).energy, rel=1e-12)
    energy[0] = 7
    z[3] = 2
    assert c.one_evaluate(n, *given, None, None, None) == 2
    assert c.one_message(2) == b"a species the potential does not know"
    z[3], x[0, 0] = 0, np.inf
    assert c.one_evaluate(n, *given, None, None, None) == 1
    assert energy[0] == 7
    assert c.one_message(99) == c.one_message(-1) == b"unknown error"
    assert c.one_evaluate(0, *given, None, None, None) == 0
    assert energy[0] == 0


def test_mistakes_in_files_are_said_in_a_line(tmp_path):
    program = built(exported(MODEL, tmp_path / "a"), "si_o", *STRICT, "-O0")
    good = '1\nLattice="9 0 0 0 9 0 0 0 9"\nSi 0 0 0\n'
    texts = {
        "1: the number of atoms": "Si\n",
        "2: the file ends before the comment": "1\n",
        "2: Lattice is not nine numbers": good.replace("9 0 0 0", "9 x 0 0"),
        "2: pbc is not three": good.replace('9"', '9" pbc="T"'),
        "2: Properties have no species": good.replace('9"', '9" Properties=symbol:S:1:pos:R:3'),
        "3: the potential does not know this species": good.replace("Si", "Xe"),
        "3: this is not a number": good.replace("Si 0 0", "Si 0 a"),
        "3: a species and three coordinates": good.replace("0 0 0\n", "0 0\n"),
        "3: the file ends before the last atom": good.replace("1\n", "2\n", 1).replace("Si 0 0 0\n", ""),
        "3: a position or a periodic cell vector is not finite": good.replace("Si 0 0", "Si 0 nan"),
        "3: a periodic cell vector is zero": good.replace("0 0 9", "0 0 0"),
    }  # fmt: skip
    for message, text in texts.items():
        path = tmp_path / "wrong.xyz"
        path.write_text(text)
        done = subprocess.run([str(program), str(path)], capture_output=True, text=True)
        assert done.returncode == 1, message
        assert done.stderr.startswith(f"{path}:{message}"), (message, done.stderr)
        assert done.stderr.count("\n") == 1
    done = subprocess.run([str(program), str(tmp_path / "no")], capture_output=True, text=True)
    assert done.returncode == 2
    other = good.replace("Si 0 0 0\n", "7 0.5 0 0 Si\n")
    other = other.replace('9"\n', '9" Properties=id:I:1:pos:R:3:species:S:1 pbc="F F F"\n')
    path.write_text(other + "\n")
    assert ran(program, path)[0][0] == pytest.approx(etace.load(MODEL).evaluate(Atoms("Si")).energy)


def test_the_command_says_what_is_wrong(tmp_path):
    def said(*args):
        done = CliRunner().invoke(app, ["export", *map(str, args)])
        return done.exit_code, done.output.strip()

    code, text = said(MODEL, "--to", "lammps", "-o", tmp_path)
    assert (code, text) == (2, "etace: --to is one of c, not `lammps`")
    code, text = said(MODEL, "-o", tmp_path, "--name", "main")
    assert code == 2
    assert "--name" in text
    blocked = tmp_path / "file"
    blocked.write_text("")
    code, text = said(MODEL, "-o", blocked)
    assert code == 2
    assert text == f"etace: cannot write to {blocked}: File exists"
    assert said(tmp_path / "no.safetensors", "-o", tmp_path)[0] == 2
    start = tmp_path / "start"
    code, text = said(ROOT / "specs/si_o.etace", "--model", "si_o", "-o", start)
    assert code == 0
    assert "is not fitted: its linear parameters are all zero" in text
    first = (start / "si_o.c").read_bytes()
    said(ROOT / "specs/si_o.etace", "--model", "si_o", "-o", start)
    assert (start / "si_o.c").read_bytes() == first
