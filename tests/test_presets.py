"""The page on presets names every param of every preset, with its default, and its example compiles."""

import re
from pathlib import Path

import etacec.presets
import pytest
from etacec import compile_text

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/presets.md").read_text("utf8")
PRESETS = {
    p.stem: p.read_text("utf8") for p in Path(etacec.presets.__file__).parent.glob("*.etace")
}


def test_every_preset_has_a_section():
    assert set(re.findall(r"<!-- preset: (\w+) -->", PAGE)) == set(PRESETS)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_the_params_of_a_preset_are_those_of_the_page(name):
    lines = re.findall(r"^param (\w+)\s*= (.*?)\s*(?:#.*)?$", PRESETS[name], re.MULTILINE)
    table = PAGE.split(f"<!-- preset: {name} -->\n")[1].split("\n\n")[0].splitlines()[2:]
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table]
    assert [(row[0], row[1]) for row in rows] == [(f"`{p}`", f"`{value}`") for p, value in lines]
    for _, default, unit, meaning in rows:
        assert (unit == "length") == ("Å" in default)
        assert len(meaning.split()) >= 4


@pytest.mark.parametrize("page", ["docs/presets.md", "README.md"])
def test_specs_on_the_page_compile(page):
    specs = re.findall(r"```etace\n(.*?)```", (ROOT / page).read_text("utf8"), re.DOTALL)
    assert specs
    for text in specs:
        assert "ace1" in text, "the spec we show first is the one we recommend"
        compile_text(text)
