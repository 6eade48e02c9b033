"""The reference page says what the compiler does."""

from __future__ import annotations

import re
from pathlib import Path

import etacec
import pytest
from etacec import compile_text
from etacec.codes import CODES
from etacec.coupling import Pattern, couple
from etacec.formula.curves import ENVELOPES, POLYNOMIALS, TRANSFORMS
from etacec.model.entries import KEYS
from etacec.model.units import UNITS
from etacec.model.values import WORDS
from etacec.syntax.mistakes import KEYWORDS

PAGE = (Path(etacec.__file__).parents[2] / "specs" / "language.md").read_text("utf8")
EXAMPLES = re.findall(r"```etace\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_examples_compile(text: str) -> None:
    done = compile_text(text)
    assert not done.warnings
    compile(done.module, "module", "exec")


@pytest.mark.parametrize(
    ("factors", "groups"),
    [
        ("l = 0", ((0, 1),)),
        ("l = 1, 1, different n", ((1, 1), (1, 1))),
        ("l = 1, 1, equal n", ((1, 2),)),
        ("l = 2, 2, equal n", ((2, 2),)),
        ("l = 1, 1, 2, first two equal", ((1, 2), (2, 1))),
    ],
)
def test_couplings(factors: str, groups: tuple[tuple[int, int], ...]) -> None:
    found = couple(Pattern(groups, 0))
    texts = []
    for _, _, c, x in found.entries:
        texts.append(f"({', '.join(map(str, found.classes[c]))}): {x}")
    assert f"| {factors} | {', '.join(texts)} |" in PAGE


def test_every_word_is_named() -> None:
    words = [*KEYWORDS, *WORDS, *TRANSFORMS, *ENVELOPES, *POLYNOMIALS, *UNITS]
    words += [key for keys in KEYS.values() for key in keys]
    missing = [w for w in words if not re.search(rf"(?<!\w){re.escape(w)}(?!\w)", PAGE)]
    assert not missing


def test_every_code_is_listed_with_its_first_line() -> None:
    rows = dict(re.findall(r"^\| ([EW]\d{3}) \| (.*) \|$", PAGE, re.MULTILINE))
    assert rows == {code: text.split("\n")[0] for code, text in CODES.items()}


def test_the_message_is_a_recorded_one() -> None:
    message = re.findall(r"```text\n(error.*?)```", PAGE, re.DOTALL)[0]
    bad = Path(__file__).parent / "bad" / "e301_bare_length.expected"
    assert message == bad.read_text("utf8")
