"""Every example runs as it is, and the README's commands are those CI takes from it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("part*.py")), ids=lambda p: p.stem)
def test_the_example_runs(path, tmp_path):
    extra = [str(tmp_path / "model.safetensors")] if path.stem == "part6_fit" else []
    done = subprocess.run(
        [sys.executable, "-W", "error", path, *extra],
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    if extra:
        assert (tmp_path / "model.safetensors").exists()


BLOCKS = (ROOT / "README.md").read_text("utf8").split("<!-- python -->\n```python\n")[1:]


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_python_of_the_readme_runs_as_pasted(block, tmp_path):
    """In a fresh interpreter, in a folder with the checkout's examples and specs."""
    for folder in ("examples", "specs"):
        (tmp_path / folder).symlink_to(ROOT / folder)
    text = block.split("```")[0]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", text],
        capture_output=True,
        text=True,
        timeout=600,
        cwd=tmp_path,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    assert "-119.18" in done.stdout


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler here")
def test_the_c_program_of_the_page_on_native_kernels_runs_as_pasted(tmp_path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    page = (ROOT / "docs/native.md").read_text("utf8")
    block = page.split("## Use it in a C program\n\n```sh\n")[1].split("```")[0]
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-ec", block],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
        env={**os.environ, "PATH": path},
    )
    assert done.returncode == 0, done.stderr
    assert "-119.18" in done.stdout


def test_without_optax_the_example_says_what_to_install(tmp_path):
    (tmp_path / "optax.py").write_text("raise ImportError('no optax')\n")
    done = subprocess.run(
        [sys.executable, ROOT / "examples/part5_gradients.py"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines() == [
        "this example needs optax, which etace does not: pip install optax"
    ]


def test_the_first_example_shows_a_fitted_energy():
    done = subprocess.run(
        [sys.executable, ROOT / "examples/part1_model.py"], capture_output=True, text=True
    )
    assert "fitted:     E = -119.181 eV" in done.stdout, done.stderr


def test_the_readme_names_both_commands():
    text = (ROOT / "README.md").read_text()
    for mark in ("run", "test"):
        block = text.split(f"<!-- {mark} -->\n```sh\n")[1].split("```")[0]
        assert len(block.strip().splitlines()) == 1


def test_the_output_that_the_readme_shows_is_that_of_its_first_command():
    text = (ROOT / "README.md").read_text("utf8")
    command, _, shown = text.split("<!-- run -->\n```sh\n")[1].split("```")[:3]
    words = command.split("&&")[1].split()
    done = subprocess.run(
        [sys.executable, "-m", "etacec", *words[1:]],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "100"},
    )
    assert done.returncode == 0, done.stderr
    found = [line.split() for line in done.stdout.splitlines()]
    for line in shown.strip().splitlines():
        assert line.split() in found, line


@pytest.mark.parametrize(
    "page", ["README.md", "specs/language.md", *(f"docs/{p.name}" for p in sorted((ROOT / "docs").glob("*.md")))]
)  # fmt: skip
def test_links_lead_to_files_and_headings(page):
    text = (ROOT / page).read_text("utf8")
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        if "://" in target:
            continue
        path, _, heading = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if heading:
            found = re.findall(r"^#+ (.*)$", file.read_text("utf8"), re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in found]
