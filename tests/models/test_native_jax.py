"""Native kernels inside JAX programs: values, derivatives, transformations, caches and other devices."""

import json
import os
import stat
import subprocess
import sys
from functools import cache, partial
from pathlib import Path

import etace
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read
from cases import TEXTS
from etace.errors import PrecisionError, StructureError
from etace.inference.blocks import BlockGraph
from etace.loading import from_compilation
from etace.native import toolchain
from etace.native.graph import NativeGraph
from etacec import compile_file, compile_text

ROOT = Path(__file__).parents[2]
FOUND = toolchain.find()
needs_compiler = pytest.mark.skipif(
    FOUND is None or toolchain.find_cxx(FOUND) is None, reason="no C++ compiler here"
)


@pytest.fixture(autouse=True)
def kernels(monkeypatch, tmp_path_factory):
    """One cache for all tests of native kernels: they are built once."""
    folder = tmp_path_factory.getbasetemp() / "native-cache"
    monkeypatch.setenv("ETACE_CACHE_DIR", str(folder))
    return folder


@cache
def compiled(name, dtype):
    if name in TEXTS:
        return compile_text(TEXTS[name], name, dtype=dtype)
    return compile_file(ROOT / f"specs/{name}.etace", dtype=dtype)


def loaded(name="bonds", dtype="float64", backend="native", cores=None):
    done = compiled(name, dtype)
    made = from_compilation(done, next(iter(done.graph.models)))
    rng = np.random.default_rng(0)
    made.params = {
        b: {k: 0.3 * rng.normal(size=np.shape(v)).astype(dtype) for k, v in a.items()}
        for b, a in made.params.items()
    }
    made.backend, made.cores = backend, cores
    return made


def crystal(model, seed=0, n=2):
    atoms = bulk("Si", cubic=True) * (n, n, n)
    atoms.symbols[:] = [model.species[k % len(model.species)] for k in range(len(atoms))]
    atoms.rattle(0.1, seed=seed)
    return atoms


def evaluation(model):
    """With the model's parameters in it: its coefficients are those that the model itself uses."""
    return jax.jit(partial(model.potential.energy_forces_virial, model.params))


def near(found, expected, tolerance=1e-11):
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * (1 + np.abs(expected).max())


def is_what_the_kernel_gives(found, expected):
    np.testing.assert_array_equal(found.energies, expected.energies)
    np.testing.assert_array_equal(found.forces, expected.forces)
    scale = np.abs(expected.energies).sum() * np.finfo(expected.forces.dtype).eps * 10
    assert abs(float(found.energy) - expected.energy) <= scale  # summed in another order
    near(found.virial, expected.virial, 100 * np.finfo(expected.forces.dtype).eps)


@needs_compiler
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", ["bonds", "si_o", "zbl"])
def test_it_is_the_kernel_bit_for_bit(name, dtype):
    model = loaded(name, dtype)
    for n in (1, 4):  # 4: forces are summed in two parts
        atoms = crystal(model, n=n)
        with etace.precision.host_precision(dtype):
            graph = model.fast_graph(atoms)
            found = evaluation(model)(graph)
        assert isinstance(graph, NativeGraph)
        is_what_the_kernel_gives(found, model.evaluate(atoms))
    assert model.backend_in_jax.startswith("native")
    one = loaded(name, dtype, cores=1)
    with etace.precision.host_precision(dtype):
        alone = evaluation(one)(one.fast_graph(atoms))
    for a, b in zip(alone, found, strict=True):  # bits do not depend on the threads
        np.testing.assert_array_equal(a, b)


@needs_compiler
def test_it_is_the_inference_form(x64):
    native, plain = loaded(), loaded(backend="jax")
    atoms = crystal(native)
    found, expected = (
        m.potential.energy_forces_virial(m.params, m.fast_graph(atoms)) for m in (native, plain)
    )
    assert isinstance(plain.fast_graph(atoms), BlockGraph)
    for a, b in zip(found, expected, strict=True):
        near(a, b)


@needs_compiler
def test_a_batch_and_lonely_atoms(x64):
    model = loaded()
    frames = [crystal(model, seed=k, n=1 + k % 2) for k in range(3)]
    frames += [Atoms(model.species[0]), Atoms([model.species[1]] * 2, [[0, 0, 0], [0, 0, 9.0]])]
    graph = model.fast_graph(frames)
    found = jax.jit(model.potential.energy_forces_virial)(model.params, graph)
    each = model.evaluate_batch(frames)
    near(found.energy, [r.energy for r in each])
    near(found.forces, np.concatenate([r.forces for r in each]))
    near(found.virial, [r.virial for r in each])
    single = model.fast_graph(frames[3])
    near(model.potential.energy(model.params, single), each[3].energy)


@needs_compiler
@pytest.mark.parametrize("batch", [False, True], ids=["single", "batch"])
def test_derivatives_first_and_second_are_those_of_the_training_form(batch, x64):
    model = loaded("zbl" if batch else "scratch")
    p, params = model.potential, jax.tree.map(jnp.asarray, model.params)
    atoms = [crystal(model, seed=k, n=1) for k in range(2)] if batch else crystal(model, n=1)
    graph = model.fast_graph(atoms, skin=0.3)
    plain = graph.atom_graph(len(p.species))
    x0, cell0 = jnp.asarray(graph.positions), jnp.asarray(graph.cell)

    def fast(params, x, cell):
        return jnp.sum(p.energy(params, graph.with_positions(x, cell)))

    def slow(params, x, cell):
        return jnp.sum(p.energy(params, plain.with_positions(x).with_cell(cell)))

    mine, theirs = (
        jax.jit(jax.grad(f, argnums=(0, 1, 2)))(params, x0, cell0) for f in (fast, slow)
    )
    for a, b in zip(jax.tree.leaves(mine), jax.tree.leaves(theirs), strict=True):
        near(a, b, 1e-10)
    own = p.energy_forces_virial(params, graph)
    near(mine[1], -own.forces)
    # a strain moves the cell and the atoms with it
    if not batch:
        near(-(x0.T @ mine[1] + cell0.T @ mine[2]), own.virial, 1e-10)
    step = jnp.asarray(np.random.default_rng(0).normal(size=x0.shape))
    products = [
        jax.jit(jax.jvp, static_argnums=0)(
            lambda x, f=f: jax.grad(f, argnums=1)(params, x, cell0), (x0,), (step,)
        )[1]
        for f in (fast, slow)
    ]
    near(*products, 1e-9)


@needs_compiler
def test_gradients_in_positions_leave_the_training_form_out(x64):
    model = loaded()
    atoms = crystal(model, n=1)
    graph = model.fast_graph(atoms)

    def energy(x):
        return model.potential.energy(model.params, graph.with_positions(x))

    slope = jax.jit(jax.grad(energy))(graph.positions)
    np.testing.assert_array_equal(slope, -model.evaluate(atoms).forces)
    program = str(jax.make_jaxpr(jax.value_and_grad(energy))(graph.positions))
    assert program.count("ffi_call[") == 1
    assert len(program.splitlines()) < 60


@needs_compiler
def test_vmap_goes_one_after_the_other(x64):
    model = loaded()
    graph = model.fast_graph(crystal(model, n=1))
    shifts = np.random.default_rng(1).normal(size=(3, *graph.positions.shape), scale=0.02)
    many = graph.positions + shifts

    def energy(x):
        return model.potential.energy(model.params, graph.with_positions(x))

    values, slopes = jax.jit(jax.vmap(jax.value_and_grad(energy)))(many)
    for x, e, g in zip(many, values, slopes, strict=True):
        one = jax.value_and_grad(energy)(x)
        assert e == one[0]
        np.testing.assert_array_equal(g, one[1])


@needs_compiler
def test_another_list_of_neighbours_compiles_nothing(x64):
    model = loaded()
    evaluate = evaluation(model)
    counts = set()
    for k in range(4):
        atoms = crystal(model, n=2)
        atoms.positions += np.random.default_rng(k).normal(scale=0.1, size=(len(atoms), 3))
        graph = model.fast_graph(atoms)
        counts.add((int(graph.rows[-1]), int(graph.images[-1])))
        is_what_the_kernel_gives(evaluate(graph), model.evaluate(atoms))
    assert len(counts) > 1
    assert evaluate._cache_size() == 1


@needs_compiler
def test_dynamics_in_a_scan_keep_the_energy(x64):
    model = etace.load(ROOT / "examples/si_o.safetensors", backend="native")
    atoms = read(ROOT / "examples/data/SiO2_EDI_test.xyz", index=0)
    graph = model.fast_graph(atoms, skin=1.0)
    mass = jnp.asarray(atoms.get_masses())[:, None]

    def energy(x):
        return model.potential.energy(model.params, graph.with_positions(x))

    def step(state, _):
        x, v, f = state
        v = v + 0.05 / 2 * f / mass
        x = x + 0.05 * v
        e, g = jax.value_and_grad(energy)(x)
        v = v - 0.05 / 2 * g / mass
        return (x, v, -g), e + 0.5 * jnp.sum(mass * v * v)

    x = jnp.asarray(graph.positions)
    start = (x, jnp.zeros_like(x), -jax.grad(energy)(x))
    (x, _, forces), total = jax.jit(lambda s: jax.lax.scan(step, s, length=100))(start)
    assert float(energy(start[0]) - energy(x)) > 0.2  # eV, which became kinetic
    assert float(jnp.abs(total - energy(start[0])).max()) < 0.01
    near(forces, model.evaluate_prepared(model.prepare(atoms, skin=1.0), x).forces)


@needs_compiler
def test_double_precision_is_never_lost_silently():
    model = loaded()
    graph = model.fast_graph(crystal(model, n=1))
    with pytest.raises(PrecisionError, match="enable_x64"):
        model.potential.energy(model.params, graph)
    with pytest.raises(PrecisionError, match="enable_x64"):
        jax.jit(model.potential.energy)(model.params, graph)
    with pytest.raises(StructureError, match=r"needs an array of shape \[8, 3\], found \[7, 3\]"):
        graph.with_positions(graph.positions[:7])


SCRIPT = """
import json, os, sys
import etace, jax, numpy as np
from ase.build import bulk
model = etace.load("{root}/specs/scratch.etace", "combined", backend="{backend}")
atoms = bulk("Si", cubic=True)
atoms.symbols[::2] = "O"
atoms.rattle(0.1, seed=0)
try:
    graph = model.fast_graph(atoms)
except etace.EtaceError as error:
    sys.exit(f"EtaceError: {{error}}")
energy = jax.jit(model.potential.energy)
with jax.enable_x64(True):
    {body}
    print(json.dumps([float(energy(model.params, graph)), model.backend_in_jax]))
"""


def run(body="pass", backend="native", **environment):
    code = SCRIPT.format(root=ROOT, backend=backend, body=body)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr.strip()


@needs_compiler
def test_a_kept_program_serves_a_new_process(tmp_path):
    """JAX's persistent cache: the second process finds all it needs, wherever the kernel is loaded."""
    kept = {
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    first = run(**kept)
    files = {p.name for p in tmp_path.iterdir() if p.name.endswith("-cache")}
    assert any("energy" in name for name in files)
    assert run("x = [bytearray(10**6 + k) for k in range(30)]", **kept) == first
    assert {p.name for p in tmp_path.iterdir() if p.name.endswith("-cache")} == files


@needs_compiler
def test_an_unknown_kernel_and_other_atoms_are_said():
    body = (
        "import dataclasses\n"
        "    graph = dataclasses.replace(graph, call=dataclasses.replace(graph.call, key='other'))\n"
        "    try: energy(model.params, graph).block_until_ready()\n"
        "    except Exception as error: sys.exit(str(error))"
    )
    assert "the native kernel other is not registered in this process" in run(body)
    wrong = "call=dataclasses.replace(graph.call, key='other')"
    assert "not those of the graph's atoms" in run(
        body.replace(wrong, "positions=np.zeros((7, 3))")
    )


@needs_compiler
def test_arrays_on_several_devices():
    """Atoms dealt out to devices, and frames: by `jit` and by `shard_map`."""
    body = """
    from jax.sharding import Mesh, NamedSharding, PartitionSpec as P
    mesh = Mesh(np.array(jax.devices()), ("d",))
    assert len(jax.devices()) == 2
    both = jax.jit(lambda x: model.potential.energy_forces_virial(model.params, graph.with_positions(x)))
    expected = both(graph.positions)
    found = both(jax.device_put(graph.positions, NamedSharding(mesh, P("d"))))
    frames = np.stack([graph.positions, graph.positions + 0.1 * np.sin(graph.positions)])
    split = jax.device_put(frames, NamedSharding(mesh, P("d")))
    one = lambda x: both(x[0]).forces[None]
    mapped = jax.jit(jax.shard_map(one, mesh=mesh, in_specs=P("d"), out_specs=P("d"), check_vma=False))(split)
    for a, b in zip(found, expected):
        assert np.array_equal(a, b)
    forces = [both(x).forces for x in frames]
    assert np.array_equal(mapped, forces)
    assert np.array_equal(jax.jit(jax.vmap(lambda x: both(x).forces))(split), forces)
"""
    flags = "--xla_force_host_platform_device_count=2"
    assert run(body.strip(), XLA_FLAGS=flags)[1].startswith("native")


def pretends(path):
    """A compiler that says it is one, and compiles nothing."""
    path.write_text(
        f"#!{sys.executable}\nimport sys\nprint('broken {path.name} 1.0')\n"
        "print('#define __STDC__ 1')\n"
        "sys.exit(0 if '-dM' in sys.argv or '--version' in sys.argv else 1)\n"
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize(
    ("c", "cxx"), [("gcc-12", "g++-12"), ("x-linux-clang", "x-linux-clang++"), ("cc", "c++")]
)
def test_the_cxx_compiler_is_the_one_beside_the_c_compiler(c, cxx, tmp_path, monkeypatch):
    monkeypatch.setenv(toolchain.VARIABLE, pretends(tmp_path / c))
    expected = (pretends(tmp_path / cxx),)
    found = toolchain.find()
    assert toolchain.find_cxx(found).command == expected
    monkeypatch.setenv(toolchain.VARIABLE_CXX, pretends(tmp_path / "own"))
    assert toolchain.find_cxx(found).name == "broken own 1.0"
    monkeypatch.setenv(toolchain.VARIABLE_CXX, "")
    assert toolchain.find_cxx(found) is None


@needs_compiler
def test_without_a_cxx_compiler_jax_goes_on(tmp_path):
    nothing, bad = {"ETACE_CXX": ""}, {"ETACE_CXX": pretends(tmp_path / "c++")}
    expected, why = run(backend="auto", **nothing)
    assert why.startswith("jax (there is no C++ compiler (pip install")
    value, why = run(backend="auto", **bad)
    assert value == expected
    assert "broken c++ 1.0 does not compile the wrapper for JAX" in why
    said = run(**nothing)
    assert said.startswith("EtaceError: no native kernel in JAX: there is no C++ compiler (pip")


@needs_compiler
def test_the_page_runs():
    code = (ROOT / "docs/native.md").read_text().split("```python\n")[1].split("```")[0]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, cwd=ROOT, env=os.environ,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("native")
    assert float(done.stdout.split()[-2]) < 0.01
