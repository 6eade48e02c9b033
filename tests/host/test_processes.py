"""Models and calculators in other threads and processes: pickled, copied, spawned, forked."""

import copy
import multiprocessing
import os
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import etace
import numpy as np
import pytest
from etace.errors import RequestError
from etace.parallel import Threads, ordered
from small import crystal, energy_of, small_model, with_everything

SECONDS = 60  # within which a process that does not hang has answered


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """With a committee, grades and all cores."""
    return with_everything(small_model(tmp_path_factory.mktemp("spec"), cores=2))


@pytest.fixture
def atoms(model):
    atoms = crystal()
    atoms.calc = model.calculator(uncertainty="forces", extrapolation=True)
    return atoms


def round_trip(thing):
    return pickle.loads(pickle.dumps(thing))


WAYS = [round_trip, copy.copy, copy.deepcopy]


@pytest.mark.parametrize("way", [round_trip, copy.deepcopy])
def test_a_list_of_neighbours_stays_where_it_was_made(model, way):
    near = model.prepare(crystal())
    with pytest.raises(RequestError, match="prepare the atoms again"):
        way(near)


@pytest.mark.parametrize("way", WAYS)
def test_a_model_comes_back_whole(model, way):
    for cores, splines, backend in ((2, None, "native"), (None, 50, "jax"), (1, None, "auto")):
        own = copy.copy(model)
        own.cores, own.splines, own.backend = cores, splines, backend
        found = way(own)
        assert (found.cores, found.splines, found.backend) == (cores, splines, backend)
    found = way(model)
    assert found is not model
    for name in ("name", "species", "source", "origin", "card", "file", "backend_in_use"):
        assert getattr(found, name) == getattr(model, name), name
    for name in ("committee", "extrapolation"):
        np.testing.assert_array_equal(getattr(found, name), getattr(model, name))
    for a, b in ((found.evaluate(crystal()), model.evaluate(crystal())),):
        assert a.energy == b.energy
        np.testing.assert_array_equal(a.forces, b.forces)
        np.testing.assert_array_equal(a.virials, b.virials)
    ours, theirs = (next(m.extrapolation_grades([crystal()])) for m in (model, found))
    np.testing.assert_array_equal(ours, theirs)
    std = [m.evaluate_committee(crystal()).energy_std for m in (model, found)]
    assert std[0] == std[1] > 0


@pytest.mark.parametrize("way", WAYS)
def test_what_comes_back_is_its_own(model, way):
    before, found = model.energy(crystal()), way(model)
    block, key = next((b, k) for b, a in found.params.items() for k in a)
    found.params[block][key] = 2 * found.params[block][key]
    assert found.energy(crystal()) != before
    assert model.energy(crystal()) == before
    assert model.committee is not None
    with pytest.raises(ValueError, match="read-only"):
        way(model).params[block][key][...] = 0


def test_a_spec_in_float32_and_a_model_file_come_back(tmp_path):
    single = small_model(tmp_path, dtype="float32")
    assert round_trip(single).potential.dtype == "float32"
    assert round_trip(single).energy(crystal()) == single.energy(crystal())
    path = tmp_path / "m.safetensors"
    small_model(tmp_path).save(path)
    kept = etace.load(path)
    path.unlink()
    (tmp_path / "small.etace").unlink()
    again = round_trip(kept)
    assert again.described() == kept.described()
    again.save(tmp_path / "again.safetensors")
    assert etace.load(tmp_path / "again.safetensors").energy(crystal()) == kept.energy(crystal())


def test_a_potential_says_what_to_pickle(model):
    with pytest.raises(TypeError, match="pickle its Model"):
        pickle.dumps(model.potential)


@pytest.mark.parametrize("way", WAYS)
def test_atoms_with_a_calculator_come_back_with_their_results(atoms, way):
    atoms.get_forces()
    found = way(atoms)
    if way is copy.copy:
        found.calc = copy.copy(atoms.calc)
    assert found.calc is not atoms.calc
    assert found.calc.check_state(found) == []
    assert sorted(found.calc.results) == sorted(atoms.calc.results)
    assert found.calc.parameters == atoms.calc.parameters
    for a in (atoms, found):
        a.rattle(0.1, seed=4)
    assert found.get_potential_energy() == atoms.get_potential_energy()
    assert found.calc.uncertainty == "forces"


def test_results_of_other_parameters_do_not_come_back_as_new(model):
    own = copy.deepcopy(model)
    atoms = crystal()
    atoms.calc = own.calculator()
    atoms.get_forces()
    own.set_linear_parameters(2 * own.get_linear_parameters())
    found = round_trip(atoms)
    assert found.get_potential_energy() == own.energy(crystal())


def test_a_stack_comes_back(model):
    atoms = crystal()
    atoms.calc = etace.Stack(model.calculator(), model.calculator())
    energy = atoms.get_potential_energy()
    for way in (round_trip, copy.deepcopy):
        found = way(atoms)
        assert found.get_potential_energy() == energy == pytest.approx(2 * model.energy(crystal()))


# ---------------------------------------------------------------- processes


def expected(model):
    atoms = crystal(6)
    atoms.rattle(0.1, seed=7)
    return model.energy(atoms)


def large(model):
    """Of several parts: threads are at work. The model has been in use."""
    atoms = crystal(6)
    atoms.calc = model.calculator()
    atoms.get_forces()
    return atoms


def test_spawned_processes_evaluate(model):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.map_async(energy_of, [large(model)] * 2).get(SECONDS)
    assert found == [expected(model)] * 2


FORKED = """
import multiprocessing, sys
sys.path.insert(0, {here!r})
from pathlib import Path
from small import crystal, small_model
from jax._src import xla_bridge

model = small_model(Path({folder!r}), {backend!r}, cores=2)
atoms = crystal(6)
before = model.energy(atoms)
assert xla_bridge.backends_are_initialized() == ({backend!r} == "jax")

def child(queue):
    try:
        one = model.energy(atoms)
        second = small_model(Path({folder!r}), "native", cores=2).energy(atoms)
        queue.put((one == before, second == before, xla_bridge.backends_are_initialized()))
    except Exception as error:
        queue.put(repr(error))

context = multiprocessing.get_context("fork")
queue = context.SimpleQueue()
process = context.Process(target=child, args=(queue,))
process.start()
process.join({seconds})
if process.exitcode is None:
    process.kill()
    sys.exit("the child hangs")
print(queue.get())
assert model.energy(atoms) == before
"""


def forked(tmp_path, backend):
    text = FORKED.format(
        here=str(Path(__file__).parent), folder=str(tmp_path), backend=backend, seconds=SECONDS
    )
    command = [sys.executable, "-W", "ignore", "-c", text]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=2 * SECONDS,
        env={**os.environ, "JAX_PLATFORMS": ""},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_goes_on_with_native_kernels_and_without_jax(tmp_path):
    assert forked(tmp_path, "native") == "(True, True, False)"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_forked_process_is_told_that_jax_was_in_use(tmp_path):
    assert "JAX was in use before this process was forked" in forked(tmp_path, "jax")


def answered(process_id):
    _, status = os.waitpid(process_id, 0)
    return os.waitstatus_to_exitcode(status)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
def test_threads_are_made_anew_in_a_forked_process():
    threads = Threads(2)
    assert threads.submit(int, "3").result(SECONDS) == 3
    child = os.fork()
    if child == 0:
        try:
            right = threads.submit(int, "4").result(10) == 4
            right = right and list(ordered(int, "567", 2)) == [5, 6, 7]
        except BaseException:
            right = False
        os._exit(0 if right else 1)
    assert answered(child) == 0
    assert threads.submit(int, "5").result(SECONDS) == 5


def test_joblib_takes_models(model):
    joblib = pytest.importorskip("joblib", reason="joblib is not installed")
    found = joblib.Parallel(2)(joblib.delayed(energy_of)(large(model)) for _ in range(2))
    assert found == [expected(model)] * 2


def test_dask_takes_models(model):
    protocol = pytest.importorskip("distributed.protocol", reason="distributed is not installed")
    found = protocol.deserialize(*protocol.serialize(large(model)))
    assert energy_of(found) == expected(model)


# ---------------------------------------------------------------- threads


def in_threads(function, items, threads=6):
    with ThreadPoolExecutor(threads) as pool:
        return [f.result(SECONDS) for f in [pool.submit(function, i) for i in items]]


def agree(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        assert one.energy == pytest.approx(other.energy, abs=1e-9)
        assert np.allclose(one.forces, other.forces, rtol=0, atol=1e-10)


def test_threads_share_a_model(model):
    structures = [crystal(6 if k % 3 == 0 else 1, seed=k) for k in range(9)]
    wanted = [model.evaluate(a) for a in structures]
    agree(in_threads(model.evaluate, structures * 3), wanted * 3)
    committee = [model.evaluate_committee(a) for a in structures[1:3]]
    agree(in_threads(model.evaluate_committee, structures[1:3] * 3), committee * 3)


def test_threads_share_a_model_whose_parts_wait_for_each_other(tmp_path):
    model = small_model(tmp_path, "jax", cores=3)
    structures = [crystal(5, seed=k) for k in range(3)]  # of three parts
    wanted = [model.evaluate(a) for a in structures]
    agree(in_threads(model.evaluate, structures * 4), wanted * 4)


def test_threads_with_models_of_their_own_numbers_get_them(model):
    """Copies share what was compiled."""
    models = []
    for factor in (1, 2, 3, 4):
        own = copy.deepcopy(model)
        own.set_linear_parameters(factor * model.get_linear_parameters())
        models.append(own)
    atoms = crystal(2)
    wanted = [m.energy(atoms) for m in models]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda m: m.energy(atoms), models * 10))
    assert found == wanted * 10
    assert len(set(wanted)) == 4


# ---------------------------------------------------------------- JAX where it cannot start


PLATFORM = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
from small import crystal, small_model
from etace.errors import EtaceError
from jax._src import xla_bridge
model = small_model(Path({folder!r}), {backend!r})
atoms = crystal()
atoms.calc = model.calculator()
try:
    print(atoms.get_potential_energy(), xla_bridge.backends_are_initialized())
    print(model.energy_forces_virial_basis(atoms).energy.shape)
except EtaceError as error:
    print(error)
"""


@pytest.mark.parametrize("platform", ["cuda", "nothing_of_the_kind"])
def test_a_platform_that_is_not_there(tmp_path, platform):
    def run(backend):
        text = PLATFORM.format(
            here=str(Path(__file__).parent), folder=str(tmp_path), backend=backend
        )
        environment = {**os.environ, "JAX_PLATFORMS": platform}
        done = subprocess.run(
            [sys.executable, "-c", text],
            capture_output=True,
            text=True,
            env=environment,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    if platform == "cuda" and sys.platform == "linux" and Path("/dev/nvidiactl").exists():
        pytest.skip("there is a GPU")
    energy, started = run("native").split("\n")[0].split()
    assert float(energy) == small_model(tmp_path).energy(crystal())
    assert started == "False"
    assert run("jax") == f"JAX_PLATFORMS asks for {platform}, and there is none here"
