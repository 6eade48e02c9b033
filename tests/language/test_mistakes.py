"""Every wrong file in `bad/` gets the message recorded beside it, and never a traceback.

A line `# -D name=value` in a file is an override given on the command line.
`pytest tests/language --rewrite` records anew; read the difference before committing it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from etacec import Mistakes, compile_file, compile_text, render_all

BAD = Path(__file__).parent / "bad"
OVERRIDE = re.compile(r"^# -D (\w+)=(.*)$", re.MULTILINE)


def explained(path: Path) -> str:
    """What the user sees: errors, or the warnings of a file that compiles."""
    text = path.read_bytes().decode("utf8")
    overrides = {name: value.replace("\\n", "\n") for name, value in OVERRIDE.findall(text)}
    try:
        done = compile_file(path, overrides=overrides)
    except Mistakes as mistakes:
        return render_all(mistakes.diagnostics, mistakes.sources)
    return render_all(done.warnings, done.sources)


@pytest.mark.parametrize("path", sorted(BAD.glob("*.etace")), ids=lambda p: p.stem)
def test_message_is_the_recorded_one(path: Path, rewrite: bool) -> None:
    shown = explained(path)
    assert shown, "a wrong file is not wrong"
    recorded = path.with_suffix(".expected")
    if rewrite:
        recorded.write_text(shown, encoding="utf8", newline="\n")
    assert recorded.is_file(), f"no {recorded.name}: record it with --rewrite, and read it"
    assert shown == recorded.read_bytes().decode("utf8")
