"""`etace bench` runs, its numbers can be, and the backends agree. No time is asserted."""

import json
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from etace.bench.measure import Measured
from etace.bench.operations import Operations
from etace.bench.peak import SOURCE
from etace.bench.structure import crystal
from etace.native import toolchain
from etacec.cli import app
from etacec.cli.bench import _operations, _print_operations
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
        if counted["fraction_of_peak"] is None:  # of a machine that is busy, and so it says
            assert counted["peak_gflops"] is None and counted["stages"] == {}
            return
        assert 0 < counted["peak_gflops"] < float("inf")
        assert counted["fraction_of_peak"] == pytest.approx(
            counted["gflops"] / counted["peak_gflops"]
        )
        assert all(0 < x <= 1 for x in counted["stages"].values())
        assert set(counted["stages"]) == {"edges forward", "products", "edges backward"}


@pytest.mark.skipif(toolchain.find() is None, reason="no C compiler here")
def test_operations_are_counted_or_that_they_are_not_is_said(monkeypatch):
    tiny = ROOT / "specs/scratch.etace", "--model", "scratch", "--atoms", "8"
    if toolchain.find_cxx(toolchain.find()) is not None:
        said = bench(*tiny).output
        assert "% of use" in said
        assert "measured here" in said or "the peak could not be measured" in said
        assert all(int(x) <= 100 for x in re.findall(r"(\d+) %", said))
    monkeypatch.setenv(toolchain.VARIABLE_CXX, "")
    done = bench(*tiny)
    assert done.exit_code == 0, done.output
    assert "operations not counted: there is no C++ compiler" in done.output


def timed(peak, evaluation=1e-3, stage=5e-4):
    """What 10^6 operations look like that took so many seconds, beside such a peak."""
    kinds = {
        "edges forward": {"additions": 600_000},
        "products": {"additions": 400_000},
        "none": {},
    }
    result = SimpleNamespace()
    spent = {"edges forward": stage, "products": stage, "none": 0.0}
    return Measured(
        "native", 1.0, 9, result, fastest={"evaluation": evaluation}, spent=spent, peak=peak,
        operations=Operations(kinds, 1e6, 1.0, 1.0),
    )  # fmt: skip


def test_a_part_of_the_peak_is_a_part_or_is_not_given():
    assert timed(2e9).fractions(1) == {None: 0.5, "edges forward": 0.6, "products": 0.4}
    assert timed(2e9).fractions(2)[None] == 0.25
    slow = timed(0.9e9), timed(1.1e9), timed(2e9, stage=2e-4)  # one stage is enough
    for measured in slow:
        assert measured.fractions(1) is None
        found = _operations(measured, 8, 1)
        assert found["fraction_of_peak"] is found["peak_gflops"] is None
        said = []
        _print_operations({**found, "lanes_in_use": {"edges": 1, "blocks": 1}}, 1, said.append)
        assert "1 GFLOP/s; the peak could not be measured" in said[-1]
        assert "of the" not in said[-1]


def test_a_stage_is_timed_by_itself_and_not_by_the_slowest_first_call():
    """One round: the first evaluation, which is slow around its stages, has no say in their rates."""
    measured = timed(2e9)
    measured.stages = {"edges forward": 1e-6, "products": 1e-6}
    assert measured.rate("products") == pytest.approx(8e8)


@pytest.mark.skipif(toolchain.find() is None, reason="no C compiler here")
def test_the_loop_of_the_peak_stays_in_registers(tmp_path):
    """Its multiply-adds read no memory; a compiler keeps an array of chains there."""
    c = toolchain.find()
    flags = [f for f in c.flags if f != "-shared"]
    for lanes in (2, 4, 8):
        out = tmp_path / f"{lanes}.s"
        own = [*c.command, *flags, "-DREAL=double", f"-DLANES={lanes}", "-S", "-o", out, SOURCE]
        subprocess.run(own, check=True, capture_output=True)
        text = out.read_text()
        fused = re.findall(r"^\s+v?fn?madd\w*\s.*$|^\s+fmla\s.*$", text, re.MULTILINE)
        if not fused:
            pytest.skip("a processor without fused multiply-adds")
        assert len(fused) >= 12
        assert not [line for line in fused if "(" in line]


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
