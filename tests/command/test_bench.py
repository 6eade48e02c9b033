"""`etace bench` runs, its numbers can be, and the backends agree. No time is asserted."""

import json
from pathlib import Path

import numpy as np
import pytest
from etace.bench.structure import crystal
from etace.native import toolchain
from etacec.cli import app
from typer.testing import CliRunner

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "examples/si_o.safetensors"
FRAMES = ROOT / "examples/data/SiO2_EDI_test.xyz"


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("ETACE_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "bench"))


def bench(*args):
    return CliRunner().invoke(app, ["bench", *map(str, args), "--rounds", "2"])


@pytest.mark.skipif(toolchain.find() is None, reason="no C compiler here")
def test_backends_are_timed_and_agree():
    done = bench(MODEL, FRAMES, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.output)
    assert found["atoms"] == 15
    assert found["neighbours"] > 10
    assert not found["drawn_parameters"]
    assert set(found["backends"]) == {"jax", "native"}
    for b in found["backends"].values():
        assert set(b["us_per_atom"]) == {"evaluation", "list", "step"}
        assert all(x > 0 for x in b["us_per_atom"].values())
        assert all(0 < x <= b["us_per_atom"][k] for k, x in b["fastest"].items())
        assert b["build_seconds"] > 0
        assert b["disagreement"]["energy"] < 1e-11
        assert b["disagreement"]["forces"] < 1e-11
    native = found["backends"]["native"]
    assert native["name"].startswith("native")
    assert native["lines"] > 100
    assert sum(native["shares"].values()) == pytest.approx(1)
    assert all(x > 0 for x in native["shares"].values())
    assert found["backends"]["jax"]["operations"] is None
    if toolchain.find_cxx(toolchain.find()) is not None:
        counted = native["operations"]
        assert counted["per_atom"] > 1000
        assert 0 < counted["lanes_in_use"]["edges"] <= 1
        assert 0 < counted["useful"] <= 1
        assert 0 < counted["peak_gflops"] < float("inf")
        assert counted["fraction_of_peak"] == pytest.approx(
            counted["gflops"] / counted["peak_gflops"]
        )
        assert set(counted["stages"]) == {"edges forward", "products", "edges backward"}


@pytest.mark.skipif(toolchain.find() is None, reason="no C compiler here")
def test_operations_are_counted_or_that_they_are_not_is_said(monkeypatch):
    tiny = ROOT / "specs/scratch.etace", "--model", "scratch", "--atoms", "8"
    if toolchain.find_cxx(toolchain.find()) is not None:
        said = bench(*tiny).output
        assert "% of use" in said
        assert "measured here" in said
    monkeypatch.setenv(toolchain.VARIABLE_CXX, "")
    done = bench(*tiny)
    assert done.exit_code == 0, done.output
    assert "operations not counted: there is no C++ compiler" in done.output


def test_without_a_compiler_jax_is_timed_and_that_is_said(monkeypatch):
    monkeypatch.setenv(toolchain.VARIABLE, "")
    done = bench(ROOT / "specs/scratch.etace", "--model", "scratch", "--atoms", "8", "--seed", "3")
    assert done.exit_code == 0, done.output
    assert "(seed 3): 8 atoms" in done.output
    assert "native: no native kernel: there is no C compiler" in done.output


def test_mistakes_are_one_line():
    done = bench(ROOT / "specs/no.etace")
    assert done.exit_code == 2
    assert done.output.count("\n") == 1
    assert bench(MODEL, ROOT / "no.xyz").exit_code == 2
    done = bench(MODEL, "--dtype", "float16")
    assert done.exit_code == 2
    assert "--dtype" in done.output


@pytest.mark.parametrize("species", [("Si",), ("Cu",), ("Mo",), ("Mg",), ("Si", "O"), ("H",)])
def test_the_crystal_is_one_and_always_the_same(species):
    atoms = crystal(species, 1, 64)
    assert 32 <= len(atoms) <= 128
    assert set(atoms.symbols) == set(species)
    assert atoms.pbc.all()
    near = atoms.get_all_distances(mic=True)[~np.eye(len(atoms), dtype=bool)]
    assert near.min() > 0.4
    assert near.min() < 3.2
    np.testing.assert_array_equal(atoms.positions, crystal(species, 1, 64).positions)
    assert (atoms.positions != crystal(species, 2, 64).positions).any()
