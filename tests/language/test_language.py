"""What the language means, construct by construct (specs/language.md)."""

from __future__ import annotations

from fractions import Fraction
from importlib.resources import files as resources
from itertools import combinations_with_replacement
from pathlib import Path

import etacec
import pytest
from etacec import Mistakes, compile_file, compile_text
from etacec.coupling import Pattern, multiplicity
from etacec.model.files import Files
from etacec.model.resolve import resolve
from etacec.model.spec import Basis, OneBody, Readout, Spec
from etacec.syntax import ast
from etacec.syntax.newlines import Newlines
from etacec.syntax.parse import completions, parse, parse_value
from etacec.syntax.source import expression, source
from lark import Lark

SPECS = Path(etacec.__file__).parents[2] / "specs"
PRESETS = Path(etacec.__file__).parent / "presets"
GOOD = sorted(SPECS.glob("*.etace")) + sorted(PRESETS.glob("*.etace"))

HEAD = "etace 1\nspecies Si, O\n"
RADIAL = """radial R[n in 1..3, l in 0..2] {
  transform   = agnesi(p = 2, q = 2)
  envelope(y) = (1 - y^2)^2
  polynomials = legendre(4)
}
angular Y[l in 0..2] { harmonics = solid }
"""
REST = "readout V { from = B }\nmodel m = V\n"
E0 = "onebody E0 { Si = 0 eV, O = 0 eV }\n"


def spec_of(text: str, folder: Path | None = None, **overrides: str) -> Spec:
    return resolve(parse(text, "t.etace"), Files(folder), overrides)[0]


def basis_of(fields: str, before: str = "") -> Basis:
    return spec_of(f"{HEAD}{before}{RADIAL}basis B {{ {fields} }}\n{REST}").bases[0]


def functions(basis: Basis) -> int:
    """How many invariants a basis has, counted without computing a coupling."""
    total = 0
    for block in basis.blocks:
        counts: dict[int, int] = {}
        for f in block:
            counts[f] = counts.get(f, 0) + 1
        pattern = tuple(sorted((basis.factors[f][1], count) for f, count in counts.items()))
        total += multiplicity(Pattern(pattern, 0))
    return total


# ---------------------------------------------------------------- grammar


def test_grammar_has_no_conflicts_and_no_colliding_terminals() -> None:
    pytest.importorskip("interegular")
    grammar = resources("etacec.syntax").joinpath("etace.lark").read_text("utf8")
    Lark(grammar, parser="lalr", lexer="basic", strict=True, postlex=Newlines())


def test_newlines_that_do_not_end_a_statement() -> None:
    one = parse("model m = f(a, b) + c * d\n", "t")
    many = parse("model m = f(\n  a,\n\n  b # why\n)\n  # a note\n  + c *\n  d\n", "t")
    assert one == many


def test_a_newline_does_end_one() -> None:
    assert len(parse("param a = 1\nparam b = 2", "t").declarations) == 2
    with pytest.raises(Mistakes):
        parse("param a = 1 param b = 2", "t")


def test_windows_line_ends_and_a_byte_order_mark() -> None:
    text = f"{HEAD}{E0}model m = E0\n"
    assert parse("\ufeff" + text.replace("\n", "\r\n"), "t") == parse(text, "t")


def test_indium_and_arsenic_are_no_keywords() -> None:
    (species,) = parse("species In, As", "t").declarations
    assert [n.name for n in species.names] == ["In", "As"]


def test_both_angstroms_are_one_unit() -> None:
    assert parse_value("5 \u212b", "t") == parse_value("5 \u00c5", "t")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("-x^2", "-(x^2)"),
        ("a^b^c", "a^(b^c)"),
        ("2^-x", "2^(-x)"),
        ("1 - 2 * r / c", "1 - ((2 * r) / c)"),
        ("a - b - c", "(a - b) - c"),
        ("a / b * c", "(a / b) * c"),
        ("not a < b and c < d or e < f", "((not (a < b)) and (c < d)) or (e < f)"),
        ("a + 1 <= b * 2", "(a + 1) <= (b * 2)"),
        ("-a * b", "(-a) * b"),
        ("a.b[1].c", "((a.b)[1]).c"),
    ],
)
def test_precedence(text: str, meant: str) -> None:
    assert parse_value(text, "t") == parse_value(meant, "t")
    assert parse_value(expression(parse_value(text, "t")), "t") == parse_value(text, "t")


def test_comparisons_chain() -> None:
    value = parse_value("1 <= n < 3", "t")
    assert isinstance(value, ast.Compare)
    assert value.operators == ("<=", "<")
    chained = basis_of("factors = R * Y, order = 2, where 3 <= sum(n) <= 4")
    both = basis_of("factors = R * Y, order = 2, where sum(n) >= 3 and sum(n) <= 4")
    assert chained.blocks == both.blocks


def test_editors_are_told_what_may_come_next() -> None:
    assert completions("readout V { weights = ") == ["frozen", "learnable"]
    assert completions("readout V { weights = learnable per ") == ["pair", "species"]


@pytest.mark.parametrize("path", GOOD, ids=lambda p: p.stem)
def test_source_of_a_tree_is_that_tree(path: Path) -> None:
    tree = parse(path.read_text("utf8"), "t")
    again = parse(source(tree), "t")
    assert again == tree
    assert source(again) == source(tree)


# ---------------------------------------------------------------- defaults


def test_default_lengths_of_bonds() -> None:
    spec = spec_of(f"{HEAD}{E0}model m = E0\n")
    assert spec.bond_names() == ["Si-Si", "Si-O", "O-O"]
    r0 = [Fraction("2.4"), Fraction("2.05"), Fraction("1.7")]
    assert [(b.rin, b.r0, b.rcut) for b in spec.bonds] == [(0, x, x * 5 / 2) for x in r0]


def test_default_weights() -> None:
    spec = spec_of(f"{HEAD}{RADIAL}basis B {{ factors = R * Y, order = 1 }}\n{REST}")
    (readout,) = spec.potentials
    assert isinstance(readout, Readout)
    assert str(spec.radials[0].weights) == "learnable(glorot_normal)"
    assert str(readout.weights) == "learnable(glorot_normal)"
    assert spec.bases[0].L == (0,)


def test_onebody_is_frozen_unless_said() -> None:
    spec = spec_of(f"{HEAD}{E0}learnable {E0.replace('E0', 'E1')}model m = E0 + E1\n")
    assert [p.learnable for p in spec.potentials if isinstance(p, OneBody)] == [False, True]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("inverse_power", "inverse_power(p = 1)"),
        ("inverse_power_shifted", "inverse_power_shifted(p = 2)"),
        ("two_sided", "two_sided(p_in = 2, p_out = 2)"),
    ],
)
def test_defaults_of_envelopes(name: str, shown: str) -> None:
    radial = RADIAL.replace("envelope(y) = (1 - y^2)^2", f"envelope = {name}")
    spec = spec_of(f"{HEAD}{radial}basis B {{ factors = R * Y, order = 1 }}\n{REST}")
    assert spec.radials[0].envelope.text == shown


# ---------------------------------------------------------------- bonds


def lengths(lines: str, folder: Path | None = None) -> dict[str, tuple[float, float, float]]:
    spec = spec_of(f"{HEAD}{lines}\n{E0}model m = E0\n", folder)
    return {
        n: (float(b.rin), float(b.r0), float(b.rcut))
        for n, b in zip(spec.bond_names(), spec.bonds, strict=True)
    }


def test_the_more_specific_bond_wins_key_by_key() -> None:
    found = lengths(
        "bond O-Si { rcut = 7 Å }\nbond *-* { rcut = 5 Å, r0 = 2 Å, rin = 0.5 Å }\nbond O-* { r0 = 3 Å }"
    )
    assert found == {"Si-Si": (0.5, 2, 5), "Si-O": (0.5, 3, 7), "O-O": (0.5, 3, 5)}


def test_bonds_are_symmetric() -> None:
    assert lengths("bond Si-O { rcut = 7 Å }") == lengths("bond O-Si { rcut = 7 Å }")


def test_units_are_converted_exactly() -> None:
    found = lengths("bond *-* { r0 = 0.2 nm, rcut = 10 bohr }")
    assert found["Si-O"] == (0, 2, 5.29177210903)
    spec = spec_of(f"{HEAD}onebody E0 {{ Si = 1 Ha, O = 1500 meV }}\nmodel m = E0\n")
    (onebody,) = spec.potentials
    assert isinstance(onebody, OneBody)
    assert onebody.energies == (Fraction("27.211386245988"), Fraction(3, 2))


def test_bond_length_and_its_largest() -> None:
    found = lengths("bond *-* { r0 = 0.9 * bond_length, rcut = 2 * max_bond_length }")
    assert found["Si-O"] == pytest.approx((0, 1.845, 4.8))
    assert found["O-O"] == pytest.approx((0, 1.53, 4.8))


def test_the_callers_bonds_win_even_where_less_specific() -> None:
    own = "bond Si-O { rcut = 5 Å }\n"
    used = (
        f"{HEAD}use linear_ace as ace {{ max_level = 4, cutoff = 6 Å }}\nmodel m = ace.two_body\n"
    )
    assert [float(b.rcut) for b in spec_of(used).bonds] == [6, 6, 6]
    both = used.replace("use ", own + "use ")
    assert [float(b.rcut) for b in spec_of(both).bonds] == [6, 5, 6]


def test_a_less_specific_line_of_the_caller_beats_the_used_file(tmp_path: Path) -> None:
    (tmp_path / "u.etace").write_text(
        f"{HEAD}bond Si-O {{ rcut = 6 Å, r0 = 2.2 Å }}\n{E0}model m = E0\n"
    )
    text = f'{HEAD}bond *-* {{ rcut = 5 Å }}\nuse "u.etace" as u\nmodel m = u.E0\n'
    bond = spec_of(text, tmp_path).bonds[1]
    assert (float(bond.rcut), float(bond.r0)) == (5, 2.2)


# ---------------------------------------------------------------- parameters


def test_params_by_use_and_by_override() -> None:
    text = f"{HEAD}param level = 6\nuse linear_ace as ace {{ max_level = level, max_l = 2 }}\nmodel m = ace.many_body\n"
    assert len(spec_of(text).radials[1].channels) == 6 + 4 + 3
    assert len(spec_of(text, level="4").radials[1].channels) == 4 + 2 + 1
    compiled = compile_text(text, overrides={"level": "4"})
    assert compiled.overrides == {"level": "4"}
    assert "level" in compiled.module


def test_an_override_may_have_a_unit_and_use_earlier_params() -> None:
    text = f"{HEAD}param a = 1 Å\nparam b = 2 Å\nbond *-* {{ rcut = b }}\n{E0}model m = E0\n"
    assert spec_of(text, b="6 * a").bonds[0].rcut == 6
    assert spec_of(text, b="0.5 nm").bonds[0].rcut == 5


def test_a_param_of_the_caller_is_not_seen_inside_the_used_file(tmp_path: Path) -> None:
    (tmp_path / "u.etace").write_text(
        f"{HEAD}param a = 1\n{E0}onebody E1 {{ Si = a * 1 eV, O = 0 eV }}\nmodel m = E0\n"
    )
    text = f'{HEAD}param a = 2\nuse "u.etace" as u\nmodel m = u.E1\n'
    energies = {
        p.name: p.energies for p in spec_of(text, tmp_path).potentials if isinstance(p, OneBody)
    }
    assert energies["u.E1"] == (1, 0)


# ---------------------------------------------------------------- bases


def test_levels_per_order() -> None:
    listed = basis_of(
        "factors = R * Y, order = 1..2, where sum(n + 1.5 * l) <= levels[order]",
        "param levels = [2, 4]\n",
    )
    apart = [
        b
        for order, level in ((1, 2), (2, 4))
        for b in basis_of(
            f"factors = R * Y, order = {order}, where sum(n + 1.5 * l) <= {level}"
        ).blocks
    ]
    assert list(listed.blocks) == apart
    number = basis_of(
        "factors = R * Y, order = 1..2, where sum(n + 1.5 * l) <= levels[order]",
        "param levels = 4\n",
    )
    assert len(number.blocks) > len(listed.blocks)


def allowed(ls: tuple[int, ...]) -> bool:
    return sum(ls) % 2 == 0 and 2 * max(ls) <= sum(ls)


@pytest.mark.parametrize("level", ["4", "4.5", "sqrt(13)"])
def test_euclidean_degree_against_brute_force(level: str) -> None:
    where = f"sqrt(sum(n^2 + (1.5 * l)^2)) <= {level}"
    basis = basis_of(f"factors = R * Y, order = 1..3, where {where}")
    bound = {"4": Fraction(16), "4.5": Fraction(81, 4), "sqrt(13)": Fraction(13)}[level]
    factors = [(n, l) for n in (1, 2, 3) for l in (0, 1, 2)]
    expected = [
        p
        for order in (1, 2, 3)
        for p in combinations_with_replacement(factors, order)
        if sum(n * n + Fraction(9, 4) * l * l for n, l in p) <= bound
        and allowed(tuple(l for _, l in p))
    ]
    assert [tuple(basis.values[f] for f in b) for b in basis.blocks] == expected


@pytest.mark.parametrize(
    ("where", "same"),
    [
        ("max(n) <= 2 and sum(l) <= 2", "count(n > 2) == 0 and not sum(l) > 2"),
        ("sum(n) < 5", "5 > sum(n)"),
        ("sum(n) + sum(l) <= 5", "sum(n + l) <= 5"),
        ("min(n) >= 2", "count(n < 2) < 1"),
        ("sum(n) == 3 or sum(n) == 4", "3 <= sum(n) <= 4"),
        ("sum(n) != 4", "sum(n) < 4 or sum(n) > 4"),
    ],
)
def test_conditions_that_mean_the_same(where: str, same: str) -> None:
    a, b = (basis_of(f"factors = R * Y, order = 1..3, where {w}") for w in (where, same))
    assert a.blocks == b.blocks
    assert a.blocks


def test_several_wheres_all_hold() -> None:
    two = basis_of("factors = R * Y, order = 2, where sum(n) <= 4, where max(l) <= 1")
    assert (
        two.blocks
        == basis_of("factors = R * Y, order = 2, where sum(n) <= 4 and max(l) <= 1").blocks
    )


def test_only_lists_products_in_any_order() -> None:
    a = basis_of("factors = R * Y, only = [[(n = 2, l = 1), (l = 1, n = 1)], [(n = 1, l = 0)]]")
    b = basis_of("factors = R * Y, only = [[(n = 1, l = 0)], [(n = 1, l = 1), (n = 2, l = 1)]]")
    assert a.blocks == b.blocks
    assert functions(a) == 2


def linear(species: str, order: int, level: int, max_l: int) -> Basis:
    params = f"max_order = {order}, max_level = {level}, max_l = {max_l}"
    return spec_of(
        f"etace 1\nspecies {species}\nuse linear_ace as ace {{ {params} }}\nmodel m = ace.many_body\n"
    ).bases[0]


@pytest.mark.parametrize(
    ("species", "order", "level", "max_l", "count"),
    [
        ("Si, O", 3, 10, 6, 110),
        ("Si, O", 3, 10, 4, 110),
        ("Si, O", 2, 8, 4, 31),
        ("Si", 3, 12, 6, 211),
        ("Si", 4, 16, 8, 1445),
    ],
)
def test_published_counts_of_total_degree(
    species: str, order: int, level: int, max_l: int, count: int
) -> None:
    assert functions(linear(species, order, level, max_l)) == count


# ---------------------------------------------------------------- models and names


def terms(model: str) -> list[tuple[Fraction, str]]:
    blocks = E0 + E0.replace("E0", "V").replace("0 eV", "1 eV")
    return list(spec_of(f"{HEAD}{blocks}model m = {model}\n").models[0].terms)


@pytest.mark.parametrize(
    ("model", "factors"),
    [
        ("E0 + V", (1, 1)),
        ("E0 - V", (1, -1)),
        ("E0 + 0.5 * V", (1, Fraction(1, 2))),
        ("E0 + V * 0.5", (1, Fraction(1, 2))),
        ("E0 + V / 2", (1, Fraction(1, 2))),
        ("-E0 - 2 * -V", (-1, 2)),
        ("2 * (E0 - V / 4)", (2, Fraction(-1, 2))),
        ("E0 + (1 / 3) * V", (1, Fraction(1, 3))),
    ],
)
def test_model_arithmetic(model: str, factors: tuple[Fraction, ...]) -> None:
    assert terms(model) == list(zip(factors, ("E0", "V"), strict=True))


def test_a_model_may_stand_in_a_model() -> None:
    spec = spec_of(f"{HEAD}{E0}{E0.replace('E0', 'E1')}model a = E0 + E1\nmodel b = 2 * a\n")
    assert spec.models[1].terms == ((2, "E0"), (2, "E1"))


def test_species_and_blocks_do_not_share_names() -> None:
    text = "etace 1\nspecies Y, B, V\nonebody V { Y = 0 eV, B = 1 eV, V = 2 eV }\nmodel B = V\n"
    assert spec_of(text).models[0].terms == ((1, "V"),)


def test_names_in_any_script() -> None:
    text = f"{HEAD}{RADIAL}basis Βάση {{ factors = R * Y, order = 1 }}\nreadout потенциал {{ from = Βάση }}\nmodel 模型 = потенциал\n"
    module = compile_text(text).module
    compile(module, "module", "exec")
    assert "def потенциал(" in module
    assert "模型 = Potential(" in module


def test_doc_comments_reach_the_module() -> None:
    text = f"etace 1\n\n## The whole file.\n\nspecies Si, O\n## About energies.\n## Two lines.\n{E0}# a note\nmodel m = E0\n"
    module = compile_text(text).module
    for doc in ("# The whole file.", "# About energies.", "# Two lines."):
        assert doc in module
    assert "a note" not in module


def test_order_of_blocks_is_free() -> None:
    a = f"{RADIAL}basis B {{ factors = R * Y, order = 1 }}\n"
    one, other = spec_of(HEAD + a + REST), spec_of(HEAD + REST + a)
    assert (one.radials[0].channels, one.bases[0].blocks) == (
        other.radials[0].channels,
        other.bases[0].blocks,
    )
    assert one.models[0].terms == other.models[0].terms


def test_the_preset_is_the_tutorial_written_out() -> None:
    """Equal graphs up to names: the generated modules differ in names and comments only."""
    preset, full = (compile_file(SPECS / f"{n}.etace") for n in ("preset", "si_o"))

    def shape(spec: Spec) -> tuple[object, ...]:
        return (
            spec.species,
            spec.bonds,
            [(r.channels, r.transform, r.envelope, r.polynomials, r.weights) for r in spec.radials],
            [(a.lmin, a.lmax, a.harmonics) for a in spec.angulars],
            [(b.factors, b.values, b.blocks, b.L) for b in spec.bases],
            sorted(
                str(getattr(p, "weights", p)) for p in spec.potentials if isinstance(p, Readout)
            ),
        )

    assert shape(preset.spec) == shape(full.spec)
    names = {
        "ace.R": "R",
        "ace.R2": "R2",
        "ace.Y": "Y",
        "ace.B": "B",
        "ace.two_body": "V2",
        "ace.many_body": "V",
    }
    edges = {tuple(renamed(n, names) for n in e) for e in preset.graph.network.edges()}
    whole = {e for e in full.graph.network.edges() if not e[1].startswith("model ")}
    assert {e for e in edges if not e[1].startswith("model ")} == whole


def renamed(node: str, names: dict[str, str]) -> str:
    for old in sorted(names, key=len, reverse=True):
        if node == old or node.startswith(f"{old}."):
            return names[old] + node[len(old) :]
    return node


def test_warnings_do_not_stop_a_compilation() -> None:
    done = compile_text(f"{HEAD}{RADIAL}{E0}model m = E0\n")
    assert [d.code for d in done.warnings] == ["W604", "W604"]
