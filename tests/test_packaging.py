"""The lower bounds of pyproject.toml, as CI installs them."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf8"))["project"]


def lowest(*extras):
    return subprocess.run(
        [sys.executable, ROOT / ".ci/lowest.py", *extras], capture_output=True, text=True
    )


def test_every_requirement_has_a_lower_bound_that_ci_installs():
    extras = [name for name in PROJECT["optional-dependencies"] if name != "test"]
    done = lowest(*extras)
    assert done.returncode == 0, done.stderr
    pins = {r.name: r for r in map(Requirement, done.stdout.split())}
    asked = [*PROJECT["dependencies"]]
    for name in extras:
        asked += PROJECT["optional-dependencies"][name]
    assert set(pins) == {Requirement(line).name for line in asked}
    for line in asked:
        own = Requirement(line)
        (pin,) = pins[own.name].specifier
        assert pin.operator == "==" and own.specifier.contains(pin.version), line
        newer = pin.version + ".1"
        assert own.specifier.contains(newer), line  # it is the lowest, not the only one
        assert not own.specifier.contains("0.0.1"), line


@pytest.mark.parametrize("name", ["dask", "native", "plot"])
def test_an_extra_and_the_test_tools_agree_on_bounds(name):
    for line in PROJECT["optional-dependencies"][name]:
        own = Requirement(line)
        again = list(map(Requirement, PROJECT["optional-dependencies"]["test"]))
        assert all(r.specifier == own.specifier for r in again if r.name == own.name)


def test_classifiers_are_the_pythons_that_ci_runs():
    text = (ROOT / ".ci/run").read_text("utf8")
    minors = {line.split()[1] for line in text.splitlines() if line.startswith("try_on ")}
    said = {c.rpartition(".")[2] for c in PROJECT["classifiers"] if "Python :: 3." in c}
    assert said == minors
    assert PROJECT["requires-python"] == f">=3.{min(minors, key=int)}"
