"""The generated text: the same every time, well formed, and light to import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cases import ROOT, SPECS, TEXTS
from etacec import compile_file, compile_text

GOLDEN = Path(__file__).parent / "golden"


def python(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["si_o", pytest.param("si_ace_small", marks=pytest.mark.slow)])
def test_the_same_bytes_whatever_the_hash_seed(name):
    code = f"import etacec; print(etacec.compile_file('specs/{name}.etace').module)"
    texts = {python(code, PYTHONHASHSEED=str(seed)) for seed in (0, 1, 12345)}
    assert texts == {compile_file(SPECS[name]).module + "\n"}


@pytest.mark.parametrize("name", [*SPECS, *TEXTS])
def test_ruff_has_nothing_to_format_and_finds_no_mistake(name, tmp_path):
    done = compile_text(TEXTS[name], name) if name in TEXTS else compile_file(SPECS[name])
    path = tmp_path / f"{name}.py"
    path.write_text(done.module)
    for command in (
        ["format", "--diff", "--line-length", "100"],
        ["check", "--select", "E9,F", "--isolated"],
    ):
        found = subprocess.run(
            [sys.executable, "-m", "ruff", *command, path], capture_output=True, text=True
        )
        assert found.returncode == 0, found.stdout


def test_importing_a_module_needs_no_compiler(tmp_path):
    (tmp_path / "model.py").write_text(compile_file(SPECS["si_o"]).module)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import model; print([m for m in ('lark', 'networkx', 'sympy', 'etacec') if m in sys.modules])"
    assert python(code).strip() == "[]"


def test_the_module_of_scratch_is_the_recorded_one(rewrite):
    recorded, text = GOLDEN / "scratch.py.txt", compile_file(SPECS["scratch"]).module
    if rewrite:
        GOLDEN.mkdir(exist_ok=True)
        recorded.write_text(text)
    assert text == recorded.read_text()
