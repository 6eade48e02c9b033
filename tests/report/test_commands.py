"""The card in a model file, `etace eval` and `etace plot`, on the fitted example and its data."""

import json
import os
import re
from pathlib import Path

import etace
import numpy as np
import pytest
from ase.io import read, write
from etace.data import read as read_data
from etace.domain import ranges
from etace.fit.tables import compare
from etace.io.model_file import read_model, write_model
from etace.io.ours import sealed
from etace.report.card import card, lines
from etace.report.dimers import dimers
from etace.report.errors import figure
from etace.report.radials import radials
from etacec.cli import app
from typer.testing import CliRunner

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "examples/si_o.safetensors"
FRAMES = ROOT / "examples/data/SiO2_EDI_test.xyz"


def invoke(*args):
    return CliRunner().invoke(app, [str(a) for a in args])


@pytest.fixture(scope="module")
def model():
    return etace.load(MODEL)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The example's spec without its many-body part, which takes seconds to compile."""
    path = tmp_path_factory.mktemp("spec") / "small.etace"
    text = (ROOT / "specs/si_o.etace").read_text()
    cut = text[: text.index("radial R[")] + "model small = E0 + V2\n"
    path.write_text(cut)
    return path


@pytest.fixture(scope="module")
def made(model):
    data = read_data([FRAMES])
    return card(
        model,
        train=compare(model, data.structures),
        train_files=[FRAMES],
        train_digest=data.digest,
        command=["etace", "fit", "a b.etace"],
        settings="p = 4",
        date="2026-01-02",
    )


@pytest.fixture
def carrying(model, made, tmp_path):
    path = tmp_path / "model.safetensors"
    model.card = made
    model.save(path)
    model.card = None
    return path


def test_a_card_says_what_the_model_is_and_comes_from(made):
    assert made["elements"] == ["Si", "O"]
    assert made["parameters"] == {"linear": 240, "other": 37 * 15 * 4 + 10 * 15 * 4}
    assert made["functions"] == 120
    train = made["data"]["train"]
    assert (train["structures"], train["atoms"]) == (10, 150)
    assert train["labels"] == {"energy": 10, "forces": 450, "virial": 0}
    assert [f["name"] for f in train["files"]] == [FRAMES.name]
    assert len(train["files"][0]["sha256"]) == 64
    assert made["command"] == "etace fit 'a b.etace'"
    assert {e["kind"] for e in made["errors"]} == {"energy", "forces"}
    assert str(ROOT) not in json.dumps(made)
    assert set(made["versions"]) == {"etace", "jax", "numpy"}


def test_a_card_is_saved_and_loaded_and_goes_when_parameters_change(carrying, made, tmp_path):
    back = etace.load(carrying)
    assert back.card == made
    again = tmp_path / "again.safetensors"
    back.save(again)
    assert again.read_bytes() == carrying.read_bytes()
    assert etace.load(MODEL, params=carrying).card is None
    back.set_linear_parameters(np.zeros(back.length_basis))
    assert back.card is None


def test_files_without_a_card_are_what_they_were(model, tmp_path):
    assert model.card is None
    model.save(tmp_path / "model.safetensors")
    assert "card" not in read_model(tmp_path / "model.safetensors")[1]


def test_a_database_or_a_part_of_a_file_is_named_without_secrets(model):
    files = ["postgresql://me:secret@host/db", f"{FRAMES}@0:3", f"{FRAMES.parent}/*_test.xyz"]
    text = json.dumps(card(model, train=compare(model, []), train_files=files))
    assert "secret" not in text
    call = ["etace", "fit", "a.etace", "--train", files[0]]
    assert (
        card(model, command=call)["command"] == "etace fit a.etace --train postgresql://me@host/db"
    )
    found = card(model, train=compare(model, read_data([FRAMES]).structures), train_files=files)
    names = [f["name"] for f in found["data"]["train"]["files"]]
    assert names == ["postgresql database", f"{FRAMES.name}@0:3", FRAMES.name]
    digests = [f["sha256"] for f in found["data"]["train"]["files"]]
    assert digests[0] is None
    assert digests[1] == digests[2]


def test_numbers_that_json_has_not_become_null(model):
    (one,) = compare(model, read_data([f"{FRAMES}@0:1"]).structures)
    object.__setattr__(one, "energy", (np.nan, 1.0))
    rows = card(model, train=[one])["errors"]
    assert next(r for r in rows if r["kind"] == "energy")["rmse"] is None
    json.dumps(rows, allow_nan=False)


def test_info_prints_the_card(carrying, made, tmp_path):
    assert json.loads(invoke("info", carrying, "--json").output)["card"] == made
    shown = invoke("info", carrying).output
    assert "etace fit 'a b.etace'" in shown
    assert "RMSE" in shown
    assert "card" not in invoke("info", MODEL).output
    tensors, metadata = read_model(carrying)
    odd = {"data": {"train": 3}, "errors": [1, {}], "elements": 4, "model": "\x1b[31m[bold]"}
    write_model(tmp_path / "odd.safetensors", tensors, {**metadata, "card": odd})
    result = invoke("info", tmp_path / "odd.safetensors")
    assert result.exit_code == 0
    assert "\x1b" not in result.output
    assert "[bold]" in result.output
    assert lines({}) == []


def test_eval_prints_and_writes_what_compare_says(model, tmp_path):
    page, numbers = tmp_path / "report.html", tmp_path / "errors.json"
    result = invoke("eval", MODEL, FRAMES, "-o", page, "--json", numbers)
    assert result.exit_code == 0, result.output
    assert sorted(os.listdir(tmp_path)) == ["errors.json", "report.html"]
    (c,) = [r for r in json.loads(numbers.read_text()) if r["kind"] == "energy"]
    d = [x.errors("energy")[0] for x in compare(model, read_data([FRAMES]).structures)]
    assert c["count"] == 10
    assert c["rmse"] == pytest.approx(np.sqrt(np.mean(np.square(d))), rel=1e-12)
    assert figure(c["rmse"], 10) in result.output
    text = page.read_text()
    for name in ("card", "errors-table", "parity", "dimers", "spec"):
        assert f'<section id="{name}">' in text
    assert str(ROOT) not in text


def test_eval_takes_keys_and_names_what_is_wrong(small, tmp_path):
    frames = read(FRAMES, index=":2", format="extxyz")
    for k, atoms in enumerate(frames):
        atoms.info = {
            "dft": atoms.get_potential_energy(),
            "kind": f"a rather long config type, number {k}",
        }
        atoms.arrays["dft_forces"] = atoms.get_forces()
        atoms.calc = None
    path = tmp_path / "renamed.xyz"
    write(path, frames, format="extxyz")
    given = ("--energy-key", "dft", "--forces-key", "dft_forces", "--group-key", "kind")
    result = invoke("eval", small, path, *given)
    assert result.exit_code == 0, result.output
    assert "a rather long config type, number 1" in result.output
    assert "; 1 structure, " not in result.output and "2 structures, 30 atoms;" in result.output
    one = invoke("eval", small, f"{path}@0:1", *given)
    assert "1 structure, 15 atoms;" in one.output
    assert invoke("eval", small, path).exit_code == 1
    assert invoke("eval", small, FRAMES, "-o", "report.pdf").exit_code == 2
    assert invoke("eval", small, "no such.xyz").exit_code == 2


def test_eval_says_what_its_data_were_to_the_fit(carrying, tmp_path):
    """The card was made for `FRAMES` as training data: also a copy is known, and a part is named."""
    copy = tmp_path / "copy.xyz"
    copy.write_bytes(FRAMES.read_bytes())
    out = tmp_path / "e.html"
    for file in (FRAMES, copy):
        result = invoke("eval", carrying, file, "-o", out)
        assert "training data of this model: their errors are no test" in result.output
        assert result.output.count("RMSE") and " train " in result.output
        text = out.read_text()
        assert "RMSE energy, train" in text and "their errors are no test" in text
    other = tmp_path / "other.xyz"
    write(other, read(FRAMES, index=":3", format="extxyz"), format="extxyz")
    result = invoke("eval", carrying, other, "-o", out)
    assert "no test" not in result.output and "RMSE energy, data" in out.read_text()
    both = invoke("eval", carrying, copy, other)
    assert "copy.xyz is training data of this model" in both.output


@pytest.mark.parametrize(
    ("what", "suffix", "start"),
    [
        ("dimers", "svg", b"<"),
        ("dimers", "pdf", b"%PDF"),
        ("radial", "png", b"\x89PNG"),
        ("graph", "svg", b"<svg"),
        ("graph", "png", b"\x89PNG"),
        ("graph", "pdf", b"%PDF"),
    ],
)
def test_plot_writes_the_picture(what, suffix, start, tmp_path):
    out = tmp_path / f"picture.{suffix}"
    result = invoke("plot", what, MODEL, "-o", out)
    assert result.exit_code == 0, result.output
    assert out.read_bytes().startswith(start)
    assert os.listdir(tmp_path) == [out.name]


def test_the_graph_of_a_fitted_model_shows_what_it_has(tmp_path):
    path = tmp_path / "m.etace"
    path.write_text(
        "etace 1\nspecies Si, O\nlearnable onebody E0 { Si = -0.8 eV, O = -1.0 eV }\n"
        "use linear_ace as ace { max_order = 2, max_level = 5, max_l = 4, cutoff = 4.5 Å }\n"
        "zbl core { }\nmodel m = core + E0 + ace.two_body + ace.many_body\n"
    )
    model = etace.load(path)
    model.set_linear_parameters(np.arange(model.length_basis) / 4)
    model.save(tmp_path / "m.safetensors")
    energies = model.params["E0"]["energies"]
    invoke("plot", "graph", tmp_path / "m.safetensors", "-o", tmp_path / "g.svg")
    shown = (tmp_path / "g.svg").read_text()
    assert f">learnable {energies[0]:g}, {energies[1]:g} eV<" in shown
    assert "learnable(zeros)" not in shown and "learnable(from the file)" in shown
    assert "l ≤ 4; only l ≤ 1 needed<" in shown
    (core,) = re.findall(r">(ZBL repulsion[^<]*)<", shown)
    assert re.fullmatch(r"ZBL repulsion, 0 beyond [\d.]+ to [\d.]+ Å", core)


def test_plot_takes_specs_and_names_what_is_wrong(tmp_path):
    spec = ROOT / "specs/si_o.etace"
    assert invoke("plot", "graph", spec, "-o", tmp_path / "g.svg").exit_code == 0
    shown = invoke("show", spec, "--format", "svg").output.encode()
    assert (tmp_path / "g.svg").read_bytes() == sealed(shown, ".svg")
    assert "not `phonons`" in invoke("plot", "phonons", spec).output
    assert invoke("plot", "dimers", spec, "-o", tmp_path / "g.jpg").exit_code == 2
    assert "which model" in invoke("plot", "dimers", spec, "-o", tmp_path / "d.svg").output


def test_a_dimer_is_the_energy_of_two_atoms_less_that_of_each(small):
    from ase import Atoms

    model = etace.load(small)
    model.set_linear_parameters(np.random.default_rng(0).normal(size=model.length_basis))
    found = dimers(model, ranges(model, [read(FRAMES, index=0, format="extxyz")]), points=5)
    assert [d.pair for d in found] == [("Si", "Si"), ("Si", "O"), ("O", "O")]
    d = found[1]
    pair = Atoms("SiO", positions=[[0, 0, 0], [0, d.r[2], 0]])
    alone = model.energy(Atoms("Si")) + model.energy(Atoms("O"))
    assert alone == pytest.approx(-0.846 - 1.023)
    assert d.energy[2] == pytest.approx(model.energy(pair) - alone, abs=1e-10)
    assert abs(d.energy[-1]) < 1e-9  # at the cutoff
    assert d.r[-1] == d.cutoff
    assert d.data == ranges(model, [read(FRAMES, index=0, format="extxyz")])[d.pair]


def test_the_ranges_are_those_of_the_distances(model):
    atoms = read(FRAMES, index=0, format="extxyz")
    distances = atoms.get_all_distances(mic=True)
    silicon, oxygen = atoms.numbers == 14, atoms.numbers == 8
    least, most = ranges(model, [atoms])[("Si", "O")]
    assert least == pytest.approx(distances[silicon][:, oxygen].min(), abs=1e-10)
    assert most < 5.5
    assert ranges(model, [])[("Si", "O")] is None


def test_radials_are_those_of_the_generated_module(model):
    found = {(f.name, f.bond): f for f in radials(model, points=7)}
    assert {name for name, _ in found} == {"R", "R2"}
    f = found["R", "O ← Si"]
    read = model.module.B_POOL.used  # of the 37 channels some are in no function
    assert f.values.shape == (7, len(read))
    assert f.channels == tuple(model.module.R_CHANNELS[k] for k in read)
    assert found["R2", "Si-Si"].channels == model.module.R2_CHANNELS
    assert np.abs(f.values[-1]).max() < 1e-9
    assert not np.allclose(f.values, found["R", "Si ← O"].values)
    R2 = found["R2", "Si-Si"].values
    assert np.isfinite(R2).all()
    assert np.abs(R2).max() > 0
