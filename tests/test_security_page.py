"""The security page names a test for each claim, and these tests are there."""

import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs/security.md").read_text(encoding="utf8")


def test_every_test_that_is_named_is_there():
    files = {p.name: p for p in TESTS.rglob("*.py")}
    checked, last = 0, ""
    for brackets in re.findall(r"\[([^\]]*`[^\]]*)\]", PAGE):
        for name in re.findall(r"`([^`]+)`", brackets):
            file, _, function = name.partition("::")
            last = Path(file).name or last
            assert last in files, name
            if "/" in file:
                assert (TESTS.parent / file).is_file(), name
            if function:
                assert f"def {function}(" in files[last].read_text(encoding="utf8"), name
            checked += 1
    assert checked > 20
