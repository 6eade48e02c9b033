"""Any one word of a good file deleted, doubled or swapped: it compiles, or is explained."""

from __future__ import annotations

import random
import time
from pathlib import Path

import etacec
import pytest
from etacec import Mistakes, render_all
from etacec.model.files import Files
from etacec.model.resolve import resolve
from etacec.syntax.parse import parse, parser

SPECS = Path(etacec.__file__).parents[2] / "specs"
PRESETS = Path(etacec.__file__).parent / "presets"
GOOD = sorted(SPECS.glob("*.etace")) + sorted(PRESETS.glob("*.etace"))
SAMPLE = 40  # changed texts per file in the quick run


def changed(text: str) -> list[str]:
    """Every word deleted, doubled, and swapped with the next."""
    words = list(parser().lex(text))
    out = []
    for word, following in zip(words, [*words[1:], None], strict=True):
        start, end = word.start_pos or 0, word.end_pos or 0
        out.append(text[:start] + text[end:])
        out.append(text[:end] + " " + str(word) + text[end:])
        if following is not None:
            a, b = following.start_pos or 0, following.end_pos or 0
            out.append(text[:start] + text[a:b] + text[end:a] + text[start:end] + text[b:])
    return out


def is_explained(mistakes: Mistakes, sources: dict[str, str]) -> None:
    """Every diagnostic points at a place that exists, and all of them render."""
    assert mistakes.diagnostics
    for d in mistakes.diagnostics:
        assert d.span.file in sources
        assert d.span.line <= sources[d.span.file].count("\n") + 1
        assert d.span.column >= 1
        assert d.span.width >= 1
    assert "^" in render_all(mistakes.diagnostics, sources)


def holds_up(text: str) -> None:
    """Parses and resolves, or every diagnostic points at something and renders."""
    files = Files()
    try:
        resolve(parse(text, "fuzz.etace"), files)
    except Mistakes as mistakes:
        is_explained(mistakes, {"fuzz.etace": text, **files.texts})


@pytest.mark.parametrize("path", GOOD, ids=lambda p: p.stem)
def test_a_sample_of_slips(path: Path) -> None:
    texts = changed(path.read_text("utf8"))
    started = time.monotonic()
    for text in random.Random(path.stem).sample(texts, min(SAMPLE, len(texts))):
        holds_up(text)
        if time.monotonic() - started > 5:
            break


@pytest.mark.slow
@pytest.mark.parametrize("path", GOOD, ids=lambda p: p.stem)
def test_every_slip(path: Path) -> None:
    for text in changed(path.read_text("utf8")):
        holds_up(text)


@pytest.mark.parametrize("path", GOOD, ids=lambda p: p.stem)
def test_any_two_slips_parse_or_are_explained(path: Path) -> None:
    """Two at once, to the parser only."""
    draw = random.Random(path.stem)
    text = path.read_text("utf8")
    for _ in range(40):
        once = draw.choice(changed(text))
        try:
            twice = draw.choice(changed(once))
        except Exception:  # the lexer itself refuses what the first slip left
            twice = once
        try:
            parse(twice, "fuzz.etace")
        except Mistakes as mistakes:
            is_explained(mistakes, {"fuzz.etace": twice})


@pytest.mark.parametrize("seed", range(40))
def test_noise_is_explained(seed: int) -> None:
    """Random sequences of the language's own words."""
    draw = random.Random(seed)
    words = [str(w) for path in GOOD for w in parser().lex(path.read_text("utf8"))]
    holds_up("etace 1\n" + " ".join(draw.choice(words) for _ in range(60)))
