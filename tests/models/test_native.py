"""Native kernels against the other forms, and what happens where there is no compiler."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import etace
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from cases import ONE_HOT, TEXTS, some
from etace.inference.evaluator import Members
from etace.inference.form import full
from etace.loading import from_compilation
from etace.native import toolchain
from etace.native.build import BuildError, library
from etace.native.kernel import Kernel
from etace.native.layout import layout
from etacec import compile_file, compile_text
from etacec.codegen.native import products

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "specs").glob("*.etace"))
FOUND = toolchain.find()
needs_compiler = pytest.mark.skipif(FOUND is None, reason="no C compiler here")
# vector length by flags: what runs on every x86-64, and what the CPU has
FLAGS = [
    ("-DLANES=2",),
    pytest.param(("-DLANES=4",), marks=pytest.mark.slow),
    pytest.param(("-O1", "-DLANES=16"), marks=pytest.mark.slow),
]


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    """One for all tests of this file: kernels are built once."""
    folder = tmp_path_factory.getbasetemp() / "native-cache"
    monkeypatch.setenv("ETACE_CACHE_DIR", str(folder))
    return folder / "native"


def models(dtype="float64"):
    """(name, compilation, name of the model) of everything."""
    for path in SPECS:
        done = compile_file(path, dtype=dtype)
        yield from ((f"{path.stem}/{m}", done, m) for m in done.graph.models)
    for name, text in {**TEXTS, "one_hot": ONE_HOT}.items():
        done = compile_text(text, name, dtype=dtype)
        yield from ((f"{name}/{m}", done, m) for m in done.graph.models)


BIG = ("mo_ace_large/mo_ace_large", "si_ace_large/si_ace_large", "mo_ace_small/mo_ace_small")
LATER = (*BIG, "preset/si_o", "scratch/scratch", "si_o/many_body")  # with --slow
ALL = {name: (done, model) for name, done, model in models()}


def loaded(name, dtype="float64", backend="native", cores=2):
    done, model = ALL[name] if dtype == "float64" else {
        n: (d, m) for n, d, m in models(dtype)
    }[name]  # fmt: skip
    made = from_compilation(done, model)
    rng = np.random.default_rng(0)
    scale = 0.3 if "learnable" in str(done.spec.radials) else 1.0
    made.params = {
        b: {k: scale * rng.normal(size=np.shape(v)) for k, v in a.items()}
        for b, a in made.params.items()
    }
    made.backend, made.cores = backend, cores
    return made


def crystal(species, seed=0, n=2):
    atoms = bulk("Si", cubic=True) * (n, n, n)
    atoms.symbols[:] = [species[k % len(species)] for k in range(len(atoms))]
    atoms.rattle(0.15, seed=seed)
    atoms.set_cell(
        atoms.cell @ (np.eye(3) + np.array([[0, 0.03, 0], [0, 0, -0.02], [0, 0, 0.05]])), True
    )
    return atoms


def agree(found, expected, tolerance):
    scale = max(np.abs(expected.energies).max(), np.abs(expected.forces).max(), 1e-3)
    for what in ("energies", "forces"):
        gap = np.abs(getattr(found, what) - getattr(expected, what)).max()
        assert gap <= tolerance * scale, what
    assert abs(found.energy - expected.energy) <= tolerance * np.abs(expected.energies).sum()
    size = np.abs(expected.virial).max() + len(expected.energies) * scale
    assert np.abs(found.virial - expected.virial).max() <= tolerance * size


@needs_compiler
@pytest.mark.parametrize("name", some(ALL, [n for n in ALL if n not in LATER]))
def test_it_is_the_inference_form(name):
    native, jax_ = loaded(name), loaded(name, backend="jax")
    atoms = crystal(native.species)
    agree(native.evaluate(atoms), jax_.evaluate(atoms), 1e-11)
    assert native.backend_in_use.startswith("native")


@needs_compiler
@pytest.mark.parametrize("flags", FLAGS, ids=lambda f: " ".join(f) or "as it is")
@pytest.mark.parametrize(
    "name",
    [
        "bonds/bonds",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("zbl/m", "si_o/si_o", "one_hot/m")),
    ],
)
def test_lanes_and_threads_change_nothing(name, flags):
    model = loaded(name, backend="jax")
    program = ALL[name][0].native(ALL[name][1])
    kernels = [Kernel(program, FOUND, cores, *flags) for cores in (1, 2)]
    W, inference = kernels[0].lanes, model.potential.inference
    v = program.coefficients(inference.coefficients(model.params), inference.pieces)
    whole = crystal(model.species, n=4)
    model.backend = "native"  # the kernel with the CPU's own lanes, which is tested above
    for n in (1, W - 1, W, W + 1, len(whole)):
        atoms = whole[:n] if n else whole
        graph = layout([model.paired(atoms)], len(model.species), W, False)
        one, two = (k(graph, atoms.positions, np.asarray(atoms.cell), v) for k in kernels)
        expected = model.evaluate(atoms)
        if n == W + 1:
            agree(expected, loaded(name, backend="jax").evaluate(atoms), 1e-11)
        scale = max(np.abs(expected.energies).max(), np.abs(expected.forces).max(), 1e-3)
        assert np.abs(one.energies - expected.energies).max() <= 1e-11 * scale
        assert np.abs(one.forces - expected.forces).max() <= 1e-11 * scale
        for what in ("energies", "forces", "virials"):
            np.testing.assert_array_equal(getattr(one, what), getattr(two, what))


@needs_compiler
@pytest.mark.parametrize("name", ["si_o/si_o"])
def test_single_precision_is_near(name):
    single, double = loaded(name, "float32"), loaded(name)
    atoms = crystal(double.species)
    agree(single.evaluate(atoms), double.evaluate(atoms), 2e-4)


@needs_compiler
@pytest.mark.parametrize("written", [0, 10**6])
@pytest.mark.parametrize("name", ["si_zbl/si_zbl", "si_o/si_o", "si_o/pair_only"])
def test_members_come_with_the_mean(name, written, monkeypatch):
    """Written out or by tables: what the members read is there in both."""
    monkeypatch.setattr(products, "WRITTEN_OUT", written)
    native = loaded(name)
    atoms = close(native.species)
    found = committees(native, atoms, 7)
    native.set_committee(None)
    plain = native.evaluate(atoms)
    for f in found:
        assert f.energy == plain.energy
        np.testing.assert_array_equal(f.forces, plain.forces)
        np.testing.assert_array_equal(f.virial, plain.virial)


@needs_compiler
@pytest.mark.parametrize("count", [2, 5, 6])
@pytest.mark.parametrize(
    "name", some([n for n in ALL if n not in BIG], ["bonds/bonds", "zbl/m", "one_hot/m"])
)
def test_members_are_evaluations_of_their_own(name, count):
    """Full tiles of members and others."""
    native = loaded(name)
    committees(native, close(native.species), count)


@needs_compiler
def test_members_in_single_precision():
    native = loaded("si_o/si_o", "float32")
    committees(native, close(native.species), 3, 2e-5)


def close(species):
    atoms = crystal(species, seed=3, n=2)
    atoms.positions[0] += 0.6  # close enough for a core, if there is one
    return atoms


def committees(native, atoms, count, tolerance=1e-11):
    """Results without forces of the members, and with them, which are those of each evaluated alone."""
    rng = np.random.default_rng(1)
    mean = rng.normal(size=native.length_basis)
    each = mean + 0.1 * rng.normal(size=(count, native.length_basis))
    native.set_linear_parameters(mean)
    native.set_committee(each)
    found = [native.evaluate_committee(atoms, forces=f) for f in (False, True)]
    assert found[0].member_forces is None
    for m, c in enumerate(each):
        native.set_linear_parameters(c)
        expected = native.evaluate(atoms)
        for f in found:
            gap = abs(f.member_energies[m] - expected.energy)
            assert gap <= tolerance * np.abs(expected.energies).sum()
        gap = np.abs(found[1].member_forces[m] - expected.forces).max()
        assert gap <= tolerance * np.abs(expected.forces).max()
        gap = np.abs(full(found[1].member_virials[m]) - expected.virial).max()
        assert gap <= 10 * tolerance * max(np.abs(expected.virials).sum(axis=0).max(), 1e-3)
    native.set_linear_parameters(mean)
    return found


@needs_compiler
def test_members_do_not_hang_on_the_number_of_cores():
    found = []
    for cores in (1, 2):
        native = loaded("bonds/bonds", cores=cores)
        atoms = crystal(native.species, n=4)  # of several parts
        rng = np.random.default_rng(2)
        native.set_committee(rng.normal(size=(3, native.length_basis)))
        found.append(native.evaluate_committee(atoms))
    for what in ("forces", "member_energies", "member_forces"):
        np.testing.assert_array_equal(getattr(found[0], what), getattr(found[1], what))


@needs_compiler
@pytest.mark.parametrize("forces", [True, False])
def test_members_with_radials_of_their_own_are_evaluated_one_by_one(forces):
    native = loaded("si_o/si_o")
    prepared, rng = native.prepare(crystal(native.species)), np.random.default_rng(3)
    program = native.evaluator.program
    assert any(p.kind == "radial" for p in program.parts)
    others = [
        {
            b: {k: v * (1 + 0.01 * rng.normal()) for k, v in a.items()}
            for b, a in native.params.items()
        }
        for _ in range(2)
    ]
    found = native.evaluator(native.params, prepared, Members(others, forces))
    for m, params in enumerate(others):
        expected = native.evaluator(params, prepared)
        np.testing.assert_array_equal(found.member_energy[m], expected.energy)
        if forces:
            np.testing.assert_array_equal(found.member_forces[m], expected.forces)
            np.testing.assert_allclose(full(found.member_virial[m]), expected.virial)
    assert (found.member_forces is None) is not forces


@needs_compiler
def test_batches_calculators_and_committees():
    native, jax_ = loaded("scalar/scalar"), loaded("scalar/scalar", backend="jax")
    frames = [crystal(native.species, seed=k, n=1 + k % 2) for k in range(5)]
    frames += [Atoms("O"), Atoms("Si2", [[0, 0, 0], [0, 0, 9.0]])]
    for a, b in zip(native.evaluate_batch(frames), jax_.evaluate_batch(frames), strict=True):
        agree(a, b, 1e-11)
    members = np.random.default_rng(1).normal(size=(3, native.length_basis))
    for m in (native, jax_):
        m.set_committee(members)
    for forces in (True, False):
        found, expected = (
            list(m.committee_many(frames, forces=forces)) for m in (native, jax_)
        )  # fmt: skip
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(
                a.member_energies, b.member_energies, atol=1e-9 * np.abs(b.member_energies).max()
            )
            if forces:
                scale = max(1e-3, np.abs(b.member_forces).max())
                assert np.abs(a.member_forces - b.member_forces).max() <= 1e-10 * scale
                scale = max(1e-3, np.abs(b.member_virials).max())
                assert np.abs(a.member_virials - b.member_virials).max() <= 1e-10 * scale
    atoms = frames[1].copy()
    atoms.calc = native.calculator(skin=0.6)
    for step in range(3):  # the list is kept while atoms move
        atoms.positions += 0.05
        atoms.positions[0, 0] += 0.05 * step
        expected = jax_.evaluate(atoms)
        assert (
            abs(atoms.get_potential_energy() - expected.energy)
            <= 1e-11 * abs(expected.energies).sum()
        )
        assert np.abs(atoms.get_forces() - expected.forces).max() <= 1e-11 * np.abs(
            expected.forces
        ).max() + 1e-12  # fmt: skip


def test_one_hot_radials_need_no_weights():
    """Where all channels have a polynomial; those beyond are 0 by their weights."""
    done, model = ALL["one_hot/m"]
    assert [p.key for p in done.native(model).parts if p.kind == "radial"] == ["C"]
    short = compile_text(ONE_HOT.replace("legendre(4)", "legendre(1)"), "short")
    assert [p.key for p in short.native("m").parts if p.kind == "radial"] == ["C", "B"]


@needs_compiler
@pytest.mark.parametrize("species", ["Si", "Si, O"])
def test_one_hot_channels_beyond_the_polynomials_are_zero(species):
    zeros = ", ".join(f"{s} = 0 eV" for s in species.split(", "))
    done = compile_text(
        f"""etace 1
species {species}
bond *-* {{ rcut = 4.4 Å }}
radial R[n in 1..6] {{
  transform   = agnesi(p = 2, q = 4)
  envelope(y) = (1 - y^2)^2
  polynomials = legendre(2)
  weights     = frozen(init = one_hot) per pair
}}
basis B {{ factors = R, order = 1..2
  where sum(n) <= 7 }}
readout V {{ from = B, weights = learnable(init = normal(0.3)) per species }}
onebody E0 {{ {zeros} }}
model m = E0 + V
""",
        "beyond",
    )
    native, jax_ = (from_compilation(done, "m") for _ in range(2))
    native.backend, jax_.backend = "native", "jax"
    atoms = crystal(native.species)
    expected = jax_.evaluate(atoms)
    assert np.abs(expected.forces).max() > 1e-3
    agree(native.evaluate(atoms), expected, 1e-11)


@needs_compiler
def test_forces_and_virial_are_slopes_of_the_energy():
    model = loaded("zbl/m")
    atoms = crystal(model.species, n=2)
    atoms.positions[1] = atoms.positions[0] + [0.9, 0.2, 0.1]
    r, h = model.evaluate(atoms), 1e-5
    for i, d in ((0, 0), (1, 2), (7, 1)):
        e = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[i, d] += sign * h
            e.append(model.energy(moved))
        assert -(e[0] - e[1]) / (2 * h) == pytest.approx(r.forces[i, d], rel=1e-5, abs=1e-5)
    for a, b in ((0, 0), (1, 2)):
        e = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += sign * h
            bent = atoms.copy()
            bent.set_cell(atoms.cell @ strain, scale_atoms=True)
            e.append(model.energy(bent))
        assert -(e[0] - e[1]) / (2 * h) == pytest.approx(r.virial[b, a], rel=1e-4, abs=1e-3)


@needs_compiler
def test_same_text_every_time_and_no_warnings(tmp_path):
    for name in ("si_o/si_o", "order5/order5", "zbl/m"):
        done, model = ALL[name]
        program = done.native(model)
        assert program.text == done.native(model).text
        assert str(ROOT) not in program.text
        source = tmp_path / "k.c"
        source.write_text(program.text)
        checked = subprocess.run(
            [*FOUND.command, "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Wno-psabi",
             "-Wno-unused-function" if "clang" in FOUND.version else "-Wno-maybe-uninitialized", "-O1", "-c", str(source), "-o", str(tmp_path / "k.o")],
            capture_output=True, text=True,
        )  # fmt: skip
        assert checked.returncode == 0, checked.stderr


@needs_compiler
def test_kept_objects_are_checked_before_they_are_loaded(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("ETACE_CACHE_DIR", str(tmp_path / "own"))
    text = "int answer(void) { return 42; }\n"
    assert library(text, FOUND).answer() == 42
    (kept,) = (tmp_path / "own/native").glob("*.so")
    kept.unlink()
    kept.write_bytes(b"nonsense")
    assert library(text, FOUND).answer() == 42
    assert kept.read_bytes() != b"nonsense"
    assert {p.suffix for p in kept.parent.iterdir()} == {".so", ".sha256"}
    with pytest.raises(BuildError, match="does not compile"):
        library("this is no C", FOUND)
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    monkeypatch.setenv("ETACE_CACHE_DIR", str(blocked))
    made = library(text, FOUND)  # built, not kept
    assert made.answer() == 42
    assert "cannot be made (not a directory)" in made.unkept


COMPILERS = ("gcc", "clang", f"{sys.executable} -m ziglang cc")


@pytest.mark.parametrize("command", COMPILERS, ids=("gcc", "clang", "ziglang"))
def test_any_compiler_does(command, monkeypatch):
    monkeypatch.setenv(toolchain.VARIABLE, command)
    if toolchain.find() is None:
        pytest.skip(f"`{command}` does not work here")
    native, jax_ = loaded("zbl/m"), loaded("zbl/m", backend="jax")
    atoms = crystal(native.species, n=1)
    agree(native.evaluate(atoms), jax_.evaluate(atoms), 1e-11)
    assert toolchain.find().name in native.backend_in_use


@needs_compiler
def test_a_compiler_without_a_library_is_passed_over(monkeypatch, tmp_path):
    real = shutil.which(FOUND.command[0])
    for name, more in (("cc", "-nostdinc"), ("gcc", "")):
        script = tmp_path / name
        script.write_text(f'#!/bin/sh\nexec {" ".join([real, *FOUND.command[1:]])} {more} "$@"\n')
        script.chmod(0o755)
    monkeypatch.delenv(toolchain.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert toolchain.find().command == (str(tmp_path / "gcc"),)


def test_without_a_compiler_everything_still_works(monkeypatch):
    monkeypatch.setenv(toolchain.VARIABLE, "")
    auto, jax_ = loaded("scratch/scratch", backend="auto"), loaded("scratch/scratch", backend="jax")
    atoms = crystal(auto.species, n=1)
    assert auto.evaluate(atoms).energy == jax_.evaluate(atoms).energy
    assert auto.backend_in_use.startswith("jax (there is no C compiler")
    assert "etace[native]" in auto.backend_in_use
    with pytest.raises(etace.EtaceError, match="no native kernel: there is no C compiler"):
        loaded("scratch/scratch").evaluate(atoms)


@needs_compiler
def test_the_backend_in_use_is_known_before_anything_is_evaluated():
    for backend in ("native", "auto"):
        model = loaded("scratch/combined", backend=backend)
        assert model.backend_in_use == model.evaluator.name
    model.backend = "jax"  # also after a kernel was made
    assert model.backend_in_use == "jax"
    model.backend = "native"
    assert model.backend_in_use == model.evaluator.name != "jax"


def test_a_broken_compiler_is_said(monkeypatch, tmp_path):
    broken = tmp_path / "cc"
    broken.write_text(
        f"#!{sys.executable}\nimport sys\n"
        "print('broken cc 1.0\\n#define __STDC__ 1')\nsys.exit(0 if '-dM' in sys.argv or '--version' in sys.argv else 1)\n"
    )
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv(toolchain.VARIABLE, os.fspath(broken))
    model = loaded("scratch/combined", backend="auto")
    assert np.isfinite(model.evaluate(crystal(model.species, n=1)).energy)
    assert "broken cc 1.0 does not compile the kernel" in model.backend_in_use
