"""Design rows by native kernels against those of JAX."""

import jax
import numpy as np
import pytest
from ase import Atoms
from cases import some
from etace import design
from etace.fit.assemble import Target, plan, rows_of
from etace.graph import AtomGraph
from etace.native import toolchain
from etace.native.build import BuildError
from etace.native.rows import RowKernel
from test_native import ALL, COMPILERS, FLAGS, FOUND, cache, crystal, loaded, needs_compiler  # noqa: F401
from test_rows import compare

pytestmark = pytest.mark.usefixtures("x64")
QUICK = ("bonds/bonds", "one_hot/m", "order5/order5", "scalar/scalar", "si_zbl/si_zbl", "si_o/si_o")
SLOW = ("zbl/m", "si_o/si_o", "preset/si_o")


def structures(species):
    """A crystal, part of one, an atom alone and two of which one is out of reach."""
    atoms = crystal(species)
    lone = Atoms(species[:1], cell=[20, 20, 20], pbc=True)
    pair = Atoms([species[0], species[-1]], [[0, 0, 0], [50, 0, 0]])
    return [atoms, atoms[:3], lone, pair]


def by_jax(model, frames):
    batch = AtomGraph.batch([model.graph(a) for a in frames])
    rows = jax.tree.map(np.asarray, model.design_rows(batch))
    B = np.asarray(model.site_basis(batch))
    n = sum(map(len, frames))
    return (rows.energy[: len(frames)], rows.forces[:n], rows.virial[: len(frames)]), B[:n]


def close(found, expected, tolerance=1e-11):
    compare(found, expected, tolerance)


@needs_compiler
@pytest.mark.parametrize("name", some(ALL, QUICK))
def test_they_are_those_of_jax(name):
    model = loaded(name)
    if not model.length_basis:
        pytest.skip("no linear parameters")
    frames = structures(model.species)
    kernel, paired = model.row_kernel, [model.paired(a) for a in frames]
    rows, B = by_jax(model, frames)
    close(kernel.rows(model.params, paired), rows)
    basis = kernel.site_basis(model.params, paired)
    assert basis.shape == B.shape
    assert np.abs(basis - B).max(initial=0) <= 1e-11 * np.abs(B).max(initial=0)
    one = model.energy_forces_virial_basis(frames[0])
    close(one, (rows[0][0], rows[1][: len(frames[0])], rows[2][0]))


@needs_compiler
@pytest.mark.parametrize("flags", FLAGS, ids=" ".join)
@pytest.mark.parametrize(
    "name", ["one_hot/m", *(pytest.param(n, marks=pytest.mark.slow) for n in SLOW)]
)
def test_lanes_change_nothing(name, flags):
    model = loaded(name, backend="jax")
    done, which = ALL[name]
    kernel = RowKernel(done.native_rows(which), model.potential, model.module, FOUND, *flags)
    whole = crystal(model.species)
    for n in (1, kernel.lanes - 1, kernel.lanes, kernel.lanes + 1):
        frames = [whole[:n], whole]
        rows, _ = by_jax(model, frames)
        close(kernel.rows(model.params, [model.paired(a) for a in frames]), rows)


@pytest.mark.parametrize("command", COMPILERS, ids=("gcc", "clang", "ziglang"))
def test_any_compiler_does(command, monkeypatch):
    monkeypatch.setenv(toolchain.VARIABLE, command)
    if toolchain.find() is None:
        pytest.skip(f"`{command}` does not work here")
    model = loaded("scalar/scalar")
    frames = structures(model.species)
    found = model.row_kernel.rows(model.params, [model.paired(a) for a in frames])
    close(found, by_jax(model, frames)[0])
    assert toolchain.find().name in model.rows_in_use


@needs_compiler
def test_single_precision_is_near():
    single, double = loaded("si_o/si_o", "float32"), loaded("si_o/si_o")
    frames = structures(double.species)
    found = single.row_kernel.rows(single.params, [single.paired(a) for a in frames])
    assert found.forces.dtype == np.float32
    compare(found, by_jax(double, frames)[0], 5e-4)


@needs_compiler
@pytest.mark.parametrize("name", ["si_zbl/si_zbl", "si_o/si_o", "bonds/bonds"])
def test_what_no_parameter_changes_is_that_of_jax(name):
    native, plain = loaded(name), loaded(name, backend="jax")
    frames = structures(native.species)
    size = (64, 128), 4
    (_, found), (_, expected) = (
        design.rows_and_fixed_part(m, frames, *size) for m in (native, plain)
    )
    np.testing.assert_allclose(found.alone, expected.alone, rtol=1e-12)
    n, bound = sum(map(len, frames)), expected.bound
    scale = max(1.0, np.abs(bound.forces).max())
    for what, count in (("energy", 4), ("forces", n), ("virial", 4)):
        gap = getattr(found.bound, what) - getattr(bound, what)[:count]
        assert np.abs(gap).max() <= 1e-10 * scale


@needs_compiler
def test_rows_of_a_fit_need_no_graph_of_jax(monkeypatch):
    model = loaded("si_o/si_o")
    atoms = crystal(model.species)
    forces, virial = np.zeros((len(atoms), 3)), np.eye(3)
    target = Target(atoms, 1.0, forces, virial, "bulk", 1.0, "train", "frame 0")
    monkeypatch.setattr(AtomGraph, "batch", None)
    shape = plan(model, [target])
    found = dict(rows_of(model, [target], [0], 1, shape))
    assert [len(a) for a in found.values()] == [1, 3 * len(atoms), 6]


def test_without_a_compiler_they_are_those_of_jax(monkeypatch):
    monkeypatch.setenv("ETACE_CC", "")
    model = loaded("si_o/si_o", backend="auto")
    assert model.row_kernel is None
    frames = structures(model.species)
    rows, _ = design.rows_and_fixed_part(model, frames, (64, 128), 4)
    assert rows.forces.shape[2] == model.length_basis
    model.backend = "native"
    with pytest.raises(BuildError, match="no native kernel"):
        _ = model.row_kernel
