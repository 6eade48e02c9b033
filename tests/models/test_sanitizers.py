"""Kernels compiled to look for memory errors and undefined behaviour, where the compiler can."""

import os
import subprocess
import sys
from pathlib import Path

import etace
import pytest
from test_export import built, exported, potential, ran, same, structures
from test_native import FOUND, ROOT, crystal, needs_compiler

SANITIZED = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")
pytestmark = needs_compiler


@pytest.fixture(scope="session")
def sanitized(tmp_path_factory):
    """Skips where the compiler has no sanitizers."""
    folder = tmp_path_factory.mktemp("sanitizers")
    (folder / "a.c").write_text("int main(void) { return 0; }\n")
    out = str(folder / "a")
    made = subprocess.run(
        [*FOUND.command, *SANITIZED, str(folder / "a.c"), "-o", out], capture_output=True
    )
    if made.returncode or subprocess.run([out], capture_output=True).returncode:
        pytest.skip("the C compiler has no sanitizers here")
    return SANITIZED


@pytest.mark.parametrize(
    "name",
    ["bonds/bonds", *(pytest.param(n, marks=pytest.mark.slow) for n in ("zbl/m", "si_o/si_o"))],
)
def test_they_find_nothing_in_a_program(name, sanitized, tmp_path):
    path = potential(name, tmp_path)
    model = etace.load(path)
    program = built(
        exported(path, tmp_path / "a", "--name", "P"), "P", "-O1", "-march=native", *sanitized
    )
    whole = crystal(model.species)
    frames = [whole[:n] for n in (1, 2, 3, 4, 5, 7, 8, 9)]  # about lanes of 2, 4 and 8
    frames += structures(model.species)
    same(program, model, frames, tmp_path / "frames.xyz")
    (tmp_path / "none.xyz").write_text('0\nLattice="9 0 0 0 9 0 0 0 9"\n')
    assert ran(program, tmp_path / "none.xyz") == [(0.0, [0.0] * 6, [])]


BATCHES = """
import etace
import numpy as np
from ase.build import bulk

model = etace.load("examples/si_o.safetensors", backend="native", cores=2)
atoms = bulk("Si", cubic=True) * (2, 2, 2)
atoms.symbols[::2] = "O"
atoms.rattle(0.1, seed=1)
frames = [*(atoms[:n] for n in (1, 2, 3, 4, 5, 7, 8, 9)), atoms]
results = [*model.evaluate_batch(frames), *map(model.evaluate, frames), model.evaluate(atoms * 2)]
model.set_committee(np.random.default_rng(0).normal(size=(6, model.length_basis)))
for atoms_ in frames:
    model.energy_forces_virial_basis(atoms_)
for forces in (False, True):
    results += model.committee_many([*frames, atoms * 2], forces=forces)
print(model.backend_in_use, len(results))
"""


@pytest.mark.slow
def test_they_find_nothing_in_the_runtimes_calls(sanitized, tmp_path):
    """The same in Python, the sanitizers' libraries loaded before it."""
    paths = []
    for name in ("libasan.so", "libubsan.so"):
        asked = subprocess.run(
            [*FOUND.command, f"-print-file-name={name}"], capture_output=True, text=True
        )
        paths.append(asked.stdout.strip())
    if not all(Path(p).is_absolute() for p in paths):
        pytest.skip("the sanitizers' libraries are not beside the compiler")
    environment = {
        **os.environ,
        "LD_PRELOAD": " ".join(paths),
        "ASAN_OPTIONS": "detect_leaks=0",  # Python's are not ours
        "ETACE_CC": " ".join([*FOUND.command, *sanitized]),
        "ETACE_CACHE_DIR": str(tmp_path / "cache"),
    }
    done = subprocess.run(
        [sys.executable, "-c", BATCHES], capture_output=True, text=True, cwd=ROOT, env=environment
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.startswith("native")
    assert done.stdout.split()[-1] == "39"
