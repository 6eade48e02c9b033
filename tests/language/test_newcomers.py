"""What people write who know other programs: each kind of slip at every place where it can stand."""

from __future__ import annotations

import pytest
from etacec import Mistakes, compile_text, render_all

GOOD = """etace 1
species Si, O
param weight = 0.5
bond *-* { rcut = 5.5 Å, r0 = 2.5 Å }
onebody E0 { Si = -0.5 eV, O = -1.5 eV }
zbl core { inner = 0.5 Å, outer = 1.5 Å }
radial R[n in 1..3, l in 0..2] {
  where n + 1.5 * l <= 4
  transform   = agnesi(p = 2, q = 4)
  envelope(y) = (1 - y^2)^2 * max(1.5, 0.5 * y)
  polynomials = jacobi(4, 1.5, 0.5)
  weights     = learnable(init = normal(0.5)) per pair
}
angular Y[l in 0..2] { harmonics = solid }
basis B {
  factors = R * Y
  order   = 1..2
  where sum(n + 1.5 * l) <= 5.5
}
readout V { from = B }
model m = E0 + 0.5 * V + core * weight
"""


def found(text: str, **keywords: object) -> Mistakes:
    with pytest.raises(Mistakes) as caught:
        compile_text(text, **keywords)  # type: ignore[arg-type]
    return caught.value


def test_the_good_one_is_good() -> None:
    assert not compile_text(GOOD).warnings


@pytest.mark.parametrize("place", range(GOOD.count(".5") - GOOD.count("..5")))
def test_a_decimal_comma_anywhere(place: int) -> None:
    parts = GOOD.split(".5")
    text = ".5".join(parts[: place + 1]) + ",5" + ".5".join(parts[place + 1 :])
    line = text[: len(".5".join(parts[: place + 1]))].count("\n") + 1
    mistakes = found(text)
    said = render_all(mistakes.diagnostics, mistakes.sources)
    assert "decimals take a point" in said, said
    assert {d.span.line for d in mistakes.diagnostics} == {line}


def test_a_decimal_comma_on_the_command_line() -> None:
    (only,) = found(GOOD, overrides={"weight": "0,5"}).diagnostics
    assert "decimals take a point" in only.message


def test_lists_keep_their_commas() -> None:
    text = GOOD.replace("param weight = 0.5", "param weight = max([0,5])")
    assert compile_text(text).spec.models


@pytest.mark.parametrize("unit", ["Angstrom", "A", "pm", "Bohr", "xyz", "ev", "Hartree", "Ry"])
def test_an_unknown_unit_is_said_once(unit: str) -> None:
    """Whatever reads the param: other params, bonds, formulas, conditions, blocks, models."""
    text = GOOD.replace(
        "param weight = 0.5", f"param weight = 0.5 {unit}\nparam other = weight / 2"
    )
    text = text.replace("rcut = 5.5 Å", "rcut = 10 * other").replace(
        "(1 - y^2)^2", "(1 - y^2)^2 * other"
    )
    text = text.replace("n + 1.5 * l <= 4", "n + weight <= 4").replace("Si = -0.5 eV", "Si = other")
    text = text.replace("outer = 1.5 Å", "outer = 2 * weight").replace(
        "normal(0.5)", "normal(weight)"
    )
    (only,) = found(text).diagnostics
    assert only.code == "E302" and only.span.line == 3
    assert "did you mean" in only.help or "write `" in only.help or unit == "xyz"


@pytest.mark.parametrize(
    "block", ["bond *-*", "onebody E0", "zbl core", "radial R", "angular Y", "basis B", "readout V"]
)
def test_a_missing_brace_is_of_its_own_block(block: str) -> None:
    start = GOOD.index(f"\n{block}")
    end = GOOD.index("}", start)
    (only,) = found(GOOD[:end] + GOOD[end + 1 :]).diagnostics
    assert only.code == "E104" and f"`{block}`" in only.message
    assert only.span.line == GOOD[: start + 1].count("\n") + 1


@pytest.mark.parametrize(
    ("ours", "theirs", "meant"),
    [
        ("species Si", "elements Si", "species"),
        ("species Si", "chemical_symbols = Si", "species"),
        ("readout V", "potential V", "readout"),
        ("basis B {", "descriptors B {", "basis"),
        ("angular Y", "spherical_harmonics Y", "angular"),
        ("rcut =", "cutoff_radius =", "rcut"),
        ("rcut =", "r_max =", "rcut"),
        ("r0 =", "r_0 =", "r0"),
        ("order   =", "correlation_order =", "order"),
        ("order   =", "max_order =", "order"),
        ("factors =", "product =", "factors"),
        ("envelope(y) =", "cutoff_function(y) =", "envelope"),
        ("transform   =", "distance_transform =", "transform"),
        ("harmonics =", "kind =", "harmonics"),
        ("outer =", "r_out =", "outer"),
        ("{ from = B }", "{ basis = B }", "from"),
        ("{ from = B }", "{ source = B }", "from"),
    ],
)
def test_words_of_other_programs(ours: str, theirs: str, meant: str) -> None:
    assert ours in GOOD
    helps = [d.help for d in found(GOOD.replace(ours, theirs, 1)).diagnostics]
    assert f"did you mean `{meant}`?" in helps


@pytest.mark.parametrize(
    ("written", "help"),
    [("D", "`H`"), ("Cu1", "`Cu`"), ("29", "`Cu`"), ("cu", "`Cu`"), ("CU", "`Cu`"), ("copper", "`Cu`"), ("Fe_up", "`Fe`")],
)  # fmt: skip
def test_a_species_that_is_no_symbol(written: str, help: str) -> None:
    (only,) = found(
        f"etace 1\nspecies {written}\nonebody E {{ H = 0 eV }}\nmodel m = E\n"
    ).diagnostics
    assert only.code == "E221" and help in only.help


@pytest.mark.parametrize("mark", ["\ufeff", ""])
def test_a_byte_order_mark_is_no_part_of_the_text(mark: str, tmp_path) -> None:
    from etacec import compile_file

    (tmp_path / "used.etace").write_text(mark + "etace 1\nzbl core { }\n", encoding="utf8")
    path = tmp_path / "a.etace"
    path.write_text(mark + GOOD + 'use "used.etace" as u\nmodel n = u.core\n', encoding="utf8")
    marked = compile_file(path)
    assert marked.spec.doc == "" and len(marked.spec.models) == 2


@pytest.mark.parametrize(
    ("more", "unread"),
    [
        ("param a = 1", {"a"}),
        ("param Si = 1", {"Si"}),  # an element is no reading of a param
        ("param a = 1\nparam b = a", {"b"}),
        ("param a = 3\nradial Q[n in 1..a] { transform = agnesi(2, 2), envelope = two_sided, polynomials = legendre(a) }\npair P { from = Q }\nmodel o = P", set()),
        ("param a = 3\nuse linear_ace as ace { max_order = a }\nmodel o = ace.two_body", set()),
        ("param a = 2\nmodel o = V / a", set()),
    ],
)  # fmt: skip
def test_params_that_nothing_reads(more: str, unread: set[str]) -> None:
    warnings = [d for d in compile_text(GOOD + more + "\n").warnings if d.code == "W610"]
    assert {d.message.split("`")[1] for d in warnings} == unread


def test_presets_are_not_blamed_for_their_pair_columns() -> None:
    for preset in ("linear_ace", "ace1"):
        text = (
            f"etace 1\nspecies Si, O\nuse {preset} as a {{ max_order = 1 }}\nmodel m = a.two_body\n"
        )
        assert not compile_text(text).warnings
