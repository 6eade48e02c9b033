"""Every example runs as it is, and the README's commands are those CI takes from it."""

import os
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


def test_the_readme_names_both_commands():
    text = (ROOT / "README.md").read_text()
    for mark in ("run", "test"):
        block = text.split(f"<!-- {mark} -->\n```sh\n")[1].split("```")[0]
        assert len(block.strip().splitlines()) == 1
