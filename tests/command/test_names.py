"""Names of files and config types are printed as they are: no markup, no pictures."""

from pathlib import Path

import pytest
from etacec.cli import app
from typer.testing import CliRunner

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "examples/si_o.safetensors"
ODD = "a[red]b[i]:smile:[x]"


@pytest.fixture
def odd(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = (ROOT / "examples/data/SiO2_EDI_test.xyz").read_text().splitlines(keepends=True)[:34]
    text = "".join(lines).replace("config_type=edi", f'config_type="{ODD}"')
    Path(f"{ODD}.xyz").write_text(text)
    return f"{ODD}.xyz"


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["run", MODEL, "FILE"], [f"{ODD}.xyz:0", f"{ODD}.xyz:1"]),
        (["eval", MODEL, "FILE"], [ODD]),
        (["data", "FILE"], [f"{ODD}.xyz", ODD]),
    ],
    ids=["run", "eval", "data"],
)
def test_names_are_no_markup(odd, words, lines):
    done = CliRunner().invoke(app, [odd if w == "FILE" else str(w) for w in words])
    assert done.exit_code == 0, done.output
    for line in lines:
        assert line in done.output


@pytest.mark.parametrize("words", [["[/x]"], ["fit", "--committee", "[/x]"], ["run", "[/x]", "a"]])
def test_a_wrong_word_is_no_markup(words):
    done = CliRunner().invoke(app, words)
    assert done.exit_code in (1, 2)
    assert isinstance(done.exception, SystemExit)


@pytest.mark.parametrize(
    "words",
    [
        ["check", "long.etace"],
        ["check", "uses.etace"],
        ["fit", "long.etace", "--train", "a.xyz", "-o", "m.safetensors"],
        ["fit", "a.etace", "--train", "a.xyz", "-o", "m.safetensors", "--weights", "long.toml"],
        ["fit", "long.toml"],
    ],
)
def test_a_file_without_end_is_not_read_to_its_end(tmp_path, monkeypatch, words):
    """As /dev/zero is, or data under the name of a spec."""
    monkeypatch.chdir(tmp_path)
    Path("long.etace").write_bytes(b"#" * 10_000_100)
    Path("long.toml").symlink_to("/dev/zero")
    Path("uses.etace").write_text('etace 1\nuse "long.etace"\nspecies Si\n')
    done = CliRunner().invoke(app, words)
    assert done.exit_code in (1, 2)
    assert isinstance(done.exception, SystemExit), done.exception
    assert "longer than 10000000" in done.stderr
