"""A report is one page that needs nothing else, says what was found, and trusts no name in the data."""

import builtins
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from etace.errors import EtaceError
from etace.fit.calibration import coverage
from etace.fit.holes import of_dimers
from etace.fit.tables import Comparison, table
from etace.report import Report, errors, figures, page, style, terminal
from etace.report.curves import dimer_figure, threshold
from etace.report.dimers import Dimer, remarks
from rich.console import Console

HOSTILE = '<script>alert("1")</script>&$\\frac$\x1b[31m'


def comparison(rng, group, atoms=6, virial=True, source="x.xyz:0"):
    forces, six = rng.normal(size=(atoms, 3)), rng.normal(size=6)
    return Comparison(
        source,
        group,
        atoms,
        (-5.0, -5.0 + 0.003 * rng.normal()),
        (forces, forces + 0.1 * rng.normal(size=forces.shape)),
        (six, six + 0.02 * rng.normal(size=6)) if virial else None,
    )


def dimer(pair=("Si", "O"), wall=1.0):
    r = np.linspace(0.3, 5.5, 60)
    return Dimer(pair, r, wall / r**6 - 2 * np.exp(-((r - 2) ** 2)), 5.5, (1.4, 5.4))


@pytest.fixture(scope="module")
def report():
    rng = np.random.default_rng(0)
    names = ["bulk"] * 12 + ["surface"] * 5 + [HOSTILE]
    names_of = [SimpleNamespace(block=b) for b in ["V2"] * 10 + ["V"] * 20]
    return Report(
        title=f"Fit of {HOSTILE}",
        model=SimpleNamespace(potential=SimpleNamespace(linear_parameters=names_of)),
        card={"model": HOSTILE, "elements": ["Si", "O"], "cutoff": 5.5, "command": HOSTILE},
        train=[comparison(rng, g, virial=g != "surface", source=HOSTILE) for g in names],
        test=[comparison(rng, g) for g in names[:14]],
        gamma=np.r_[0.0, np.geomspace(1, 1e4, 29)],
        c=np.r_[3.0, rng.normal(size=29) / np.geomspace(1, 1e4, 29)],
        prior_scale=1.5,
        dimers=[dimer()],
        calibration=[
            coverage("energy", [rng.normal(size=400)], [np.full(400, 0.5)], of="test set")
        ],
        grades={
            "train": {"bulk": np.linspace(0.1, 1, 50), HOSTILE: np.ones(3)},
            "test": {"bulk": np.array([0.5, 0.9, 1.5, 12.0]), "odd": np.array([np.inf])},
        },
        seconds={"rows and QR": 2.0, HOSTILE: 0.1},
        notes={"rank": 30.0},
        settings_text=f'prior = "{HOSTILE}"',
        spec_text=f"etace 1\n# {HOSTILE}",
        warnings=[f"{HOSTILE} has no virial"],
    )


@pytest.fixture(scope="module")
def text(report):
    return page(report)


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "path", "use", "rect", "br", "image"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.open and self.open[-1] == tag:
            self.open.pop()

    def handle_startendtag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_the_page_needs_no_network_and_runs_no_script(text):
    tags = Tags(text)
    assert tags.open == []  # every element is closed, in order
    assert {t for t, _ in tags.found}.isdisjoint({"script", "link", "iframe", "object", "base"})
    for tag, attributes in tags.found:
        for name in ("src", "href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png")), tag
        assert not [a for a in attributes if a.startswith("on")]
    assert "http" not in re.sub("http-equiv", "", text)
    assert "url(" not in re.sub(r"url\(#", "", text)
    assert "default-src 'none'" in text


def test_names_from_the_data_are_text_and_nothing_else(text):
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 7  # title twice, card, table, legend, warning, settings


def hostile(value):
    """The same shape with every text, key and value, by somebody who wants to get out of it."""
    if isinstance(value, dict):
        return {f"{k}{HOSTILE}": hostile(v) for k, v in value.items()} | {
            k: hostile(v) for k, v in value.items()
        }
    if isinstance(value, list):
        return [hostile(v) for v in value]
    return f"\"' onload=x>{HOSTILE}" if isinstance(value, str) else value


def test_a_hostile_card_stays_text(report):
    card = {
        "model": "m", "elements": ["Si"], "cutoff": 5.5, "date": "2026", "command": "etace", "seed": 1,
        "parameters": {"linear": "9", "other": 3}, "functions": "9", "settings_sha256": "0",
        "committee": {"members": "8", "scale": 1.0}, "versions": {"etace": "0", "jax": "1"},
        "data": {"train": {"files": [{"name": "x", "sha256": "y"}], "labels": {"energy": "1"}}},
        "units": {"energy": "meV"}, "errors": [{"set": "train", "group": "g", "kind": "energy"}],
    }  # fmt: skip
    text = page(replace(report, card=hostile(card)), figures=False)
    assert "<script" not in text
    for tag, attributes in Tags(text).found:
        assert "onload" not in attributes, tag
    for odd in (5, [], "x"):
        for key in card:
            page(Report("odd", card={**card, key: odd}), figures=False)


def test_the_page_has_every_section_and_its_ids_are_unique(text):
    ids = [a["id"] for _, a in Tags(text).found if "id" in a]
    assert len(ids) == len(set(ids))
    names = "card errors-table parity errors forces dimers spectrum grades calibration solution time settings spec"
    assert set(names.split()) <= set(ids)
    links = [a["href"][1:] for t, a in Tags(text).found if t == "a"]
    assert set(links) <= set(ids)


def cells(text, section, row):
    """What stands in a row of the table of a section."""
    own = text[text.index(f'<section id="{section}">') :]
    line = re.search(rf"<tr[^>]*><th>{row}</th>(.*?)</tr>", own).group(1)
    return re.findall(r"<td[^>]*>(.*?)</td>", line)


def test_what_is_not_there_has_no_section():
    rng = np.random.default_rng(0)
    bare = page(Report("bare", test=[comparison(rng, "bulk", virial=False)]))
    ids = {a["id"] for t, a in Tags(bare).found if t == "section"}
    assert ids == {"errors-table", "parity", "errors", "forces"}
    assert "virial, " not in bare
    assert page(Report("empty")).count("<section") == 0


def test_the_solution_has_its_own_section(text):
    assert cells(text, "solution", "rank") == ["30"]
    assert (
        "rank"
        not in text[text.index('<section id="time">') : text.index('<section id="settings">')]
    )


def test_every_config_type_of_the_test_set_has_a_row():
    """Also where the test set has one config type and the training set several, or no label of it."""
    rng = np.random.default_rng(0)
    train = [comparison(rng, g) for g in ("bulk", "bulk", "slab")]
    bare = Comparison("x.xyz:1", "odd", 6, None, None, None)
    sets = {"train": train, "test": [comparison(rng, "slab"), bare]}
    text = page(Report("rows", **sets), figures=False)
    for group, counts in {
        "bulk": ["2", "0"],
        "slab": ["1", "1"],
        "odd": ["0", "0"],
        "all": ["3", "1"],
    }.items():
        found = cells(text, "errors-table", group)
        assert found[:2] == counts
        assert (found[3] == "–") == (counts[1] == "0")
    one = errors.rows({"train": train, "test": [comparison(rng, "slab")]})
    assert [set(r.found) for r in one if r.kind == "energy" and r.group == "slab"] == [
        {"train", "test"}
    ]
    kept = [(e["set"], e["group"]) for e in errors.as_json(sets) if e["kind"] == "energy"]
    assert ("test", "slab") in kept


def test_validation_errors_stand_beside_the_others():
    rng = np.random.default_rng(0)
    sets = {
        name: [comparison(rng, "bulk") for _ in range(n)]
        for name, n in (("train", 4), ("validation", 3), ("test", 2))
    }
    text = page(Report("parts", **sets), figures=False)
    found = cells(text, "errors-table", "all")
    each = [
        next(r for r in errors.by_set({k: v})[k] if r.kind == "energy") for k, v in sets.items()
    ]
    assert found[:3] == ["4", "3", "2"]
    assert found[3:6] == [errors.figure(e.rmse, e.count) for e in each]
    assert all(errors.figure(e.largest) in terminal_text(sets) for e in each)


def terminal_text(sets):
    out = Console(width=200, record=True, file=io.StringIO())
    out.print(terminal.error_table(sets))
    return out.export_text()


@pytest.mark.parametrize("size", [1e160, 1e300])
def test_squares_of_errors_do_not_overflow(size):
    """Only a number that is itself out of range is one, and says so in words."""
    whole = Comparison("a.xyz:0", "bulk", 2, None, (np.zeros((2, 3)), np.full((2, 3), size)), None)
    (row,) = errors.table([whole])
    assert (row.rmse, row.mae, row.largest) == pytest.approx((size, size, size), rel=1e-12)
    over = Comparison("a.xyz:1", "bulk", 2, (0.0, 1e306), None, None)
    assert "out of range" in terminal_text({"train": [over]})
    assert "inf" not in terminal_text({"train": [over]})


@pytest.mark.parametrize(
    ("value", "count", "text"),
    [
        (3.4567, 10, "3.5"), (3.4567, 100, "3.46"), (14.62, 2, "14.6"), (143.106, 23, "143"),
        (0.02183, 6, "0.022"), (0.99961, 9, "1.00"), (999.6, 500, "1000"), (25.6, 8, "26"),
        (0.0, 5, "0"), (float("nan"), 5, "nan"), (float("inf"), 5, "out of range"), (123456789.0, 5, "1.23e+08"), (2.6e-9, 5, "2.6e-09"),
    ],
)  # fmt: skip
def test_numbers_have_the_digits_that_mean_something(value, count, text):
    assert errors.figure(value, count) == text


def test_an_evaluation_does_not_call_its_data_a_test():
    rng = np.random.default_rng(0)
    text = page(Report("e", data=[comparison(rng, "bulk")]))
    assert "RMSE energy, data" in text
    assert "test" not in re.sub(r"<style>.*?</style>", "", text, flags=re.DOTALL)


def test_a_repulsive_pair_and_a_well_within_the_data_are_remarked():
    r = np.linspace(0.3, 5.5, 200)
    bound = Dimer(("Si", "Si"), r, 50 * np.exp(-3 * r) - np.exp(-((r - 2.4) ** 2)), 5.5, (2.1, 5.4))
    repulsive = Dimer(("O", "O"), r, 50 * np.exp(-r), 5.5, (2.1, 5.4))
    deep = Dimer(("Si", "O"), r, -40 * np.exp(-((r - 2.0) ** 2)), 5.5, (1.5, 5.4))
    silent = Dimer(("O", "O"), r, 50 * np.exp(-r), 5.5)
    flat = Dimer(("O", "O"), r, 0 * r, 5.5, (2.1, 5.4))
    assert remarks([bound, silent, flat]) == []
    first, second = remarks([bound, repulsive, deep])
    assert first.startswith(
        "the dimer O-O is repulsive at all distances in the data (2.10 to 5.40 Å)"
    )
    assert second.startswith("the dimer Si-O has a well of -40 eV at 2.")
    text = page(Report("r", dimers=[bound, repulsive, deep]))
    assert f'<ul class="remarks"><li>{first}</li><li>{second}</li></ul>' in text


def test_panels_of_dimers_have_the_same_axes():
    r = np.linspace(0.3, 5.5, 200)
    short = np.linspace(0.3, 4.0, 200)
    weak = Dimer(
        ("Si", "Si"), r, 50 * np.exp(-3 * r) - 0.2 * np.exp(-((r - 2.4) ** 2)), 5.5, (2.1, 5.4)
    )
    strong = Dimer(
        ("O", "O"), short, 5e4 * np.exp(-6 * short) - 5 * np.exp(-((short - 1.2) ** 2)), 4.0
    )
    panels = [a for a in dimer_figure([weak, strong]).axes if a.get_visible()]
    for what in ("get_xlim", "get_ylim", "get_yticks"):
        first, second = (list(getattr(a, what)()) for a in panels)
        assert first == second, what
    low, high = panels[0].get_ylim()
    assert low <= -4.9 and high >= 8000


def test_many_warnings_are_folded_and_a_hole_comes_first():
    holes = of_dimers([dimer(wall=-1.0)])
    text = page(Report("w", holes=holes, warnings=[f"w{k}" for k in range(20)]))
    body = text[text.index('<ul class="warnings">') :]
    assert body.index("falls to") < body.index("w0<") < body.index("<details>") < body.index("w19<")
    assert "<details>" not in page(Report("w", warnings=["one"]))


def test_no_table_makes_the_page_wider_than_the_screen(text):
    """Every table and every figure stands in a box that scrolls by itself."""
    for at in (m.start() for m in re.finditer(r"<table|<figure>", text)):
        inside = text[at : at + 30].startswith("<figure>")
        around = text[at + 8 : at + 30] if inside else text[at - 30 : at]
        assert '<div class="wide' in around


def test_the_whole_time_is_said_once():
    text = page(Report("t", seconds={"rows": 2.0, "solve": 1.25}))
    (caption,) = re.findall(r"<figcaption>(.*?)</figcaption>", text)
    assert caption.startswith("3.25 s for these steps")
    assert "in all" not in text


def test_grades_and_coverage_are_counted_below_their_figures(text, report):
    assert cells(text, "grades", "bulk") == ["50", "0", "1", "4", "2", "12"]
    assert cells(text, "grades", "odd") == ["–", "–", "–", "1", "1", "inf"]
    assert cells(text, "grades", "all") == ["53", "0", "1", "5", "3", "inf"]
    of, count, one, two, three, bound, verdict = cells(text, "calibration", "energy")
    assert (of, count, bound, verdict) == (
        "test set",
        "400",
        "–",
        report.calibration[0].verdict,
    ) and "off" in verdict
    shares = [float(x.split()[0]) for x in (one, two, three)]
    assert 30 < shares[0] < 46 and 60 < shares[1] < 76 and 80 < shares[2] < 95


def test_the_same_report_gives_the_same_page(report, text):
    assert page(report) == text


def test_a_hundred_thousand_forces_make_a_small_page_that_says_what_it_left_out():
    rng = np.random.default_rng(0)
    big = page(Report("big", train=[comparison(rng, "bulk", atoms=4000) for _ in range(9)]))
    assert len(big) < 1.5e6
    assert "108\u202f000 components" in big


def test_the_points_chosen_keep_the_largest_errors_and_are_the_same_every_time():
    d = np.random.default_rng(0).normal(size=5000)
    k = figures.choice(d, 500)
    assert len(k) == len(set(k)) == 500
    assert set(np.argsort(-np.abs(d))[:50]) <= set(k)
    assert (k == figures.choice(d, 500)).all()
    assert (figures.choice(d[:10], 500) == np.arange(10)).all()


def test_odd_numbers_do_not_stop_a_figure():
    n = np.zeros((2, 3))
    odd = [
        Comparison("a", "a", 2, (1.0, 1.0), (n, n), None),
        Comparison("b", "b", 2, (1.0, np.nan), (n, np.full((2, 3), np.inf)), None),
    ]
    flat = Dimer(("Si", "Si"), np.linspace(0.3, 5, 9), np.zeros(9), 5.0)
    wild = Dimer(("Si", "Si"), np.linspace(0.3, 5, 9), np.geomspace(1e30, 1e-30, 9), 5.0)
    with np.errstate(all="ignore"):
        made = figures.drawn(Report("odd", test=odd, dimers=[flat, wild], seconds={"x": 0.0}))
    assert [d.name for d in made] == ["parity", "errors", "forces", "dimers", "timings"]


def test_the_legend_of_long_names_stays_on_the_figure():
    rng = np.random.default_rng(0)
    names = [f"a long config type, the {k}th" for k in range(9)]
    sets = {"test": [comparison(rng, name, virial=False) for name in names]}
    with style.styled():
        fig, _ = figures.parity(sets)
        fig.canvas.draw()
        (legend,) = fig.legends
        box, whole = legend.get_window_extent(), fig.bbox
    assert whole.x0 <= box.x0 and box.x1 <= whole.x1
    assert not any(a.yaxis.get_offset_text().get_text() for a in fig.axes)


def test_many_config_types_share_a_colour():
    rng = np.random.default_rng(0)
    sets = {"test": [comparison(rng, f"_type {k}") for k in range(12)]}
    (parity, *_) = figures.drawn(Report("many", **sets))
    assert "4 others" in parity.svg
    assert parity.svg.count("_type") == 8


def test_a_dimer_without_a_wall_is_named():
    assert of_dimers([dimer()]) == []
    (hole,) = of_dimers([dimer(wall=-1.0)])
    assert str(hole).startswith("the dimer Si-O falls to -")
    body = page(Report("hole", dimers=[dimer(wall=-1.0)], holes=[hole]))
    assert f'<ul class="warnings"><li>{hole}</li></ul>' in body and 'id="holes"' not in body
    body = page(Report("hole", holes=[hole], structures_of_holes="si.holes.xyz"))
    assert "The structures are in si.holes.xyz." in body


def test_the_axis_of_a_dimer_suits_its_well_and_no_tail():
    r = np.linspace(0.3, 5.5, 240)

    def of(energy, data=None):
        return threshold(Dimer(("Si", "O"), r, energy, 5.5, data))

    well = -3.1 * np.exp(-((r - 2.5) ** 2))
    assert of(50 * np.exp(-3 * r) + well) == of(well, (2.0, 5.4)) == 5
    assert of(-0.012 * np.exp(-((r - 3.7) ** 2)), (3.0, 5.4)) == 0.02
    for tail in (0 * r, np.where(r < 2, 50 / r, 0), 50 * np.exp(-5 * r), -1e-12 / r):
        assert of(tail) == of(tail, (2.2, 5.4)) == 0.1
    flat = figures.drawn(Report("flat", dimers=[Dimer(("Si", "O"), r, 0 * r, 5.5)]))
    assert "0.001" not in flat[0].svg


def test_the_terminal_shows_train_and_test_side_by_side(report):
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        console.print(terminal.error_table(report.sets))
    shown = console.export_text()
    assert "\x1b" not in shown
    total = [line.split() for line in shown.split("\n") if line.startswith("all")]
    assert len(total) == 3
    assert all(len(line) == 9 for line in total)
    rmse = next(e.rmse for e in table(report.train) if (e.group, e.kind) == ("all", "energy"))
    assert total[0][1:3] == ["18", errors.figure(rmse, 18)]
    assert "[italic" not in shown


def test_errors_go_to_json_and_back(report):
    back = errors.from_json(errors.as_json(report.sets))
    assert back == {name: table(found) for name, found in report.sets.items()}
    assert errors.from_json([{"set": 1}, 7, None]) == errors.from_json("x") == {}


def test_without_matplotlib_the_message_says_what_to_install(report, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **keywords):
        if name.split(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *args, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EtaceError, match=re.escape("pip install 'etace[plot]'")):
        page(report)
    assert "<figure" not in page(report, figures=False)
    with pytest.raises(EtaceError, match="matplotlib"):
        style.figure(1, 1)
