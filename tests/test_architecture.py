"""Who may import whom (the architecture's one-way street), read off the sources."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LAYERS = [
    "diagnostics",
    "formula",
    "syntax",
    "model",
    "coupling",
    "ir",
    "passes",
    "codegen",
    "pipeline",
    "cli",
]
ALLOWED = {
    "formula": {"formula", "model"},
    "syntax": {"syntax", "diagnostics", "words"},
    "model": {"model", "syntax", "formula", "diagnostics", "words", "coupling"},
    "coupling": {"coupling"},
    "ir": {"ir", "model", "coupling", "diagnostics", "passes"},
    "passes": {"passes", "ir", "coupling", "diagnostics"},
    "codegen": {"codegen", "ir", "model", "formula", "coupling"},
}


def imports(path, top_only=False):
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("layer", sorted(ALLOWED))
def test_stages_import_only_what_stands_before_them(layer):
    for path in (ROOT / "compiler/etacec" / layer).rglob("*.py"):
        for name in imports(path):
            if name.startswith("etacec."):
                assert name.split(".")[1] in ALLOWED[layer], f"{path.name} imports {name}"


def test_the_runtime_does_not_know_the_compiler():
    for path in (ROOT / "runtime/etace").rglob("*.py"):
        assert not [n for n in imports(path, top_only=True) if n.startswith("etacec")], path
        if path.name != "loading.py":
            assert not [n for n in imports(path) if n.startswith("etacec")], path


def test_sympy_stays_where_roots_are_looked_for():
    users = {
        path.relative_to(ROOT / "compiler/etacec").as_posix()
        for path in (ROOT / "compiler/etacec").rglob("*.py")
        if "sympy" in {n.split(".")[0] for n in imports(path)}
    }
    assert users == {"formula/roots.py"}


def test_most_specs_do_not_wait_for_sympy():
    code = (
        "import sys; from etacec import compile_file\n"
        "for name in sys.argv[1:]: compile_file(name)\n"
        "print('sympy' in sys.modules)"
    )
    specs = [str(ROOT / f"specs/{name}.etace") for name in ("si_o", "si_zbl", "preset", "scratch")]
    command = [sys.executable, "-c", code, *specs]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_importing_etace_costs_nothing():
    code = (
        "import sys, etace; print([m for m in ('jax', 'ase', 'numpy', 'lark') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
