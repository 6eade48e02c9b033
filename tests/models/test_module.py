"""The generated text: the same every time, well formed, and light to import."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cases import ONE_HOT, ROOT, SPECS, TEXTS
from etacec import compile_file, compile_text
from etacec.codegen.breaking import broken

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


@pytest.mark.parametrize("name", [*SPECS, *TEXTS, "one_hot"])
def test_ruff_has_nothing_to_format_and_finds_no_mistake(name, tmp_path):
    texts = {**TEXTS, "one_hot": ONE_HOT}
    done = compile_text(texts[name], name) if name in texts else compile_file(SPECS[name])
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


def test_lines_are_broken_as_ruff_breaks_them():
    lengths = ", ".join(f"{n / 7!r}" for n in range(1, 5))
    statements = [
        "x = f(a, b)",
        f"CUTOFFS = bonds.by_pair(({lengths}), 4, 'float64').reshape(4, 4)",
        f"CUTOFFS = bonds.by_pair(({lengths}, {lengths}), 4, 'float64').reshape(4, 4)",
        f"f = add(f, gradients({', '.join(f'argument_{n}' for n in range(6))}))",
        f"f = add(f, gradients({', '.join(f'argument_{n}' for n in range(12))}))",
        f"names = ({', '.join(f'name_{n}' for n in range(20))})",
        f"d = g('a text, with ( a bracket', {', '.join(f'argument_{n}' for n in range(8))})",
    ]
    text = "\n".join(statements).replace("'", '"')
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length", "100", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    assert [line for s in text.split("\n") for line in broken(s)] == done.stdout.split("\n")[:-1]


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
