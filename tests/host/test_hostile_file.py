"""A model file with whatever a hostile writer puts in it, its digest right: refused in a line, nothing runs.

The same for what comes to a Dask worker, which rebuilds models by the same function.
"""

import json
import os

import etace
import numpy as np
import pytest
from etace.errors import EtaceError, ModelFileError
from etace.fit.cluster import _Parcel, _rebuilt
from etace.io import schema
from etace.io.model_file import read_model, write_model
from etace.loading import from_tensors
from etacec.cli import app
from typer.testing import CliRunner

SPEC = """etace 1
species Si, O
onebody E0 { Si = -0.8 eV, O = -1.0 eV }
use linear_ace as ace { max_order = 1, max_level = 2, max_l = 1, cutoff = 4.5 Å }
model m = E0 + ace.two_body + ace.many_body
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(tensors, metadata) of a small model with a committee and grades."""
    path = tmp_path_factory.mktemp("spec") / "a.etace"
    path.write_text(SPEC, encoding="utf8")
    model = etace.load(path)
    P, (n, F) = model.length_basis, model.potential.site_columns.shape
    model.set_linear_parameters(np.linspace(-1, 1, P))
    model.set_committee(np.ones((2, P)))
    model.set_extrapolation(np.ones((n, F, F)))
    model.card = {"model": "m", "errors": [], "elements": ["Si", "O"]}
    tensors, metadata = model.content()
    return tensors, json.loads(json.dumps(metadata))


CODE = 'float64"\nopen("evil", "w")\nX = "'
DEEP = json.loads("[" * 100 + "]" * 100)
METADATA = [
    ({"dtype": ">f8"}, "dtype is '>f8', not float64 or float32"),
    ({"dtype": CODE}, "dtype is"),
    ({"dtype": None}, "dtype is None"),
    ({"dtype": ["float64"]}, "dtype is a list of 1"),
    ({"dtype": "float32"}, "has dtype float64, not float32"),
    ({"model": CODE}, "not a name"),
    ({"model": ""}, "not a name"),
    ({"model": "other"}, "there is no model `other`"),
    ({"model": "x" * 5000}, f"there is no model `{'x' * 60}...`"),
    ({"species": ["Si", CODE]}, "not a chemical symbol"),
    ({"species": ["Si", "Si"]}, "names the same twice"),
    ({"species": ["O", "Si"]}, "it says its species are O, Si"),
    ({"species": "Si"}, "species is 'Si', not a list"),
    ({"cutoff": "4.5"}, "cutoff is '4.5', not a finite number"),
    ({"cutoff": True}, "cutoff is True"),
    ({"cutoff": -1}, "not a finite number of at least 0"),
    ({"cutoff": 10**400}, "a very large number"),
    ({"cutoff": 4.6}, "it says its cutoff is 4.6"),
    ({"root": "none"}, "sources has no 'none'"),
    ({"root": "../\n/x"}, "not the name of a file"),
    ({"sources": {}}, "sources has no"),
    ({"sources": {"a.etace": 3}}, "not the text of a spec"),
    ({"overrides": {"max_order": "2"}}, "spec"),
    ({"overrides": {CODE: "2"}}, "not a name"),
    ({"overrides": {"a": 2}}, "not the text of a value"),
    ({"spec_sha256": "0" * 64}, "its spec is not the one its parameters belong to"),
    ({"spec_sha256": "0"}, "not a sha256"),
    ({"versions": {}}, "does not say which etace wrote it"),
    ({"versions": {"etace": "9.9"}}, "spec_sha256 is another"),
    ({"linear_parameters": ["a"]}, "another order"),
    ({"linear_parameters": [1]}, "an entry of linear_parameters is 1, not a label"),
    ({"card": DEEP}, "card is a list of 1, not a table"),
    ({"card": {"a": DEEP}}, "more than 12 in one another"),
    ({"domain": {"species": {"Xx": 3}}}, "the domain speaks of Xx"),
    ({"domain": {"species": {"Si": -3}}}, "not a whole number"),
    ({"domain": {"pairs": [["Si", "O", 0]]}}, "not a finite number above 0"),
    ({"domain": {"pairs": [["Si", "O"]]}}, "not a list of 3 entries"),
    ({"domain": {"pears": []}}, "'pears', which this etace does not know"),
    ({"format": 2}, "format is 2"),
    ({"more": 1}, "'more', which this etace does not know"),
]  # fmt: skip
NAN, INFINITE = np.array(np.nan), np.array(np.inf)
W = "params/ace.two_body/weights"
TENSORS = [
    (W, lambda a: a * NAN, f"'{W}' holds numbers that are not finite"),
    (W, lambda a: a + INFINITE, "not finite"),
    (W, lambda a: a * 1e31, "holds numbers above 1e+30"),
    (W, lambda a: a.astype(np.float32), f"'{W}' has dtype float32, not float64"),
    (W, lambda a: a.astype(np.int64), "has dtype int64"),
    (W, lambda a: a.reshape(-1), "has shape"),
    (W, lambda a: a[:-1], "has shape"),
    (W, lambda a: None, "is missing"),
    ("params/E1/energies", lambda a: np.zeros(2), "unknown parameter block `E1`"),
    ("params//x", lambda a: np.zeros(2), "not a name"),
    ("params/a\nb/x", lambda a: np.zeros(2), "not a name"),
    ("more", lambda a: np.zeros(2), "'more', which this etace does not know"),
    ("arrays/x.npy", lambda a: np.zeros(2, np.float32), "has dtype float32, not float64"),
    ("committee", lambda a: a * NAN, "'committee' holds numbers that are not finite"),
    ("committee", lambda a: a[:1], "a committee is"),
    ("committee", lambda a: a[0], "has 1 dimensions, not 2"),
    ("committee", lambda a: a[:, :-1], "a committee is"),
    ("extrapolation", lambda a: a * NAN.astype(np.float32), "not finite"),
    ("extrapolation", lambda a: a.astype(float), "has dtype float64, not float32"),
    ("extrapolation", lambda a: a[:1], "extrapolation needs"),
]  # fmt: skip


def changed(whole, metadata=None, tensor=None, how=None):
    tensors, described = dict(whole[0]), {**whole[1], **(metadata or {})}
    if tensor is not None:
        new = how(tensors.get(tensor))
        tensors = {k: v for k, v in tensors.items() if k != tensor}
        if new is not None:
            tensors[tensor] = new
    return tensors, described


def refused(made, why, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_model("m.safetensors", *made)
    for rebuild in (lambda: etace.load("m.safetensors"), lambda: _rebuilt(_Parcel(*made))):
        with pytest.raises(EtaceError) as caught:
            rebuild()
        assert why in str(caught.value)
        assert "\n" not in str(caught.value)
    done = CliRunner().invoke(app, ["info", "m.safetensors"])
    assert isinstance(done.exception, SystemExit | None)
    assert not (tmp_path / "evil").exists()


def test_the_file_itself_is_good(whole):
    loaded = from_tensors(*whole, "here")
    assert loaded.committee is not None and loaded.extrapolation is not None
    tensors, metadata = loaded.content()
    metadata.pop("domain", None)  # grades of a file without one stand for species that were seen
    assert json.loads(json.dumps(metadata)) == whole[1]
    assert set(tensors) == set(whole[0])
    covered = {"species": {"Si": 3, "O": 0}, "pairs": [["O", "Si", 1.6]]}
    from_tensors(whole[0], {**whole[1], "domain": covered}, "here")


@pytest.mark.parametrize(("change", "why"), METADATA, ids=lambda x: str(x)[:40])
def test_metadata_that_we_do_not_write(whole, change, why, tmp_path, monkeypatch):
    refused(changed(whole, change), why, tmp_path, monkeypatch)


@pytest.mark.parametrize("key", ["sources", "root", "overrides", "dtype", "spec_sha256", "versions", "model", "species", "cutoff", "linear_parameters"])  # fmt: skip
def test_metadata_that_is_missing(whole, key, tmp_path, monkeypatch):
    tensors, metadata = changed(whole)
    del metadata[key]
    refused((tensors, metadata), f"its description has no {key}", tmp_path, monkeypatch)


@pytest.mark.parametrize(("tensor", "how", "why"), TENSORS)
def test_tensors_that_we_do_not_write(whole, tensor, how, why, tmp_path, monkeypatch):
    refused(changed(whole, None, tensor, how), why, tmp_path, monkeypatch)


def test_a_text_changed_with_the_digest_of_the_file_made_again(whole, tmp_path):
    tensors, metadata = changed(whole)
    (root,) = [metadata["root"]]
    metadata["sources"] = {**metadata["sources"]}
    metadata["sources"][root] = metadata["sources"][root].replace("4.5 Å", "4.4 Å")
    path = tmp_path / "m.safetensors"
    write_model(path, tensors, metadata)
    with pytest.raises(ModelFileError, match="its spec is not the one its parameters belong to"):
        etace.load(path)


@pytest.mark.parametrize(
    "line", ['use "other.etace" as b', 'use "/etc/other.etace" as b', "use si_o as b"]
)
def test_a_model_file_reads_no_other_file(whole, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.etace").write_text(SPEC, encoding="utf8")
    text = whole[1]["sources"][whole[1]["root"]] + line + "\n"
    sources = {**whole[1]["sources"], whole[1]["root"]: text}
    with pytest.raises(ModelFileError, match="does not compile") as caught:
        from_tensors(whole[0], {**whole[1], "sources": sources}, "here")
    assert "does not carry it" in str(caught.value)


def test_arrays_with_objects_are_not_unpickled(tmp_path):
    """`load = "..."` of a spec takes plain numbers."""

    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "evil"),)

    np.save(tmp_path / "a.npy", np.array([Evil()], object))
    text = (
        SPEC
        + """radial R[n in 1..2] {
  transform(r) = 1 - 2 * r / bond.rcut
  envelope(y)  = (1 - y^2)^2
  polynomials  = chebyshev(2)
}
bond *-* { rcut = 4 Å }
pair V { from = R, weights = learnable(load = "a.npy") }
model n = V
"""
    )
    (tmp_path / "a.etace").write_text(text, encoding="utf8")
    with pytest.raises(EtaceError, match="plain numbers"):
        etace.load(tmp_path / "a.etace")
    assert not (tmp_path / "evil").exists()


def test_what_would_not_load_is_not_saved(whole, tmp_path):
    model = from_tensors(*whole, "here")
    model.card = {"energy": float("nan")}
    with pytest.raises(ModelFileError, match="a value in card is nan, not a finite number"):
        model.save(tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


HOSTILE = "</td><script>alert(1)</script>\x1b[31m[bold]\u202e"
CARDS = [
    {"model": HOSTILE, "elements": [HOSTILE], "command": HOSTILE, "date": HOSTILE, HOSTILE: 1},
    {"data": {HOSTILE: {"files": [{"name": HOSTILE, "sha256": HOSTILE}], "labels": {HOSTILE: 1}}}},
    {"data": {"train": {"structures": "many", "atoms": [], "files": 3, "labels": 3}}},
    {"errors": [{"set": HOSTILE, "kind": "energy", "group": HOSTILE, "count": 1, "rmse": 1, "mae": 1, "largest": 1}]},
    {"errors": [3], "parameters": [1], "committee": {"scale": "x"}, "cutoff": {}, "versions": []},
    {"errors": {"a": 1}, "parameters": {"x": {}}, "committee": 3, "functions": HOSTILE, "seed": [[]]},
    {"pruned_from": HOSTILE, "extrapolation_grades": HOSTILE, "settings_sha256": 10**300},
]  # fmt: skip


@pytest.mark.parametrize("card", CARDS)
def test_a_hostile_card_breaks_nothing(whole, card, tmp_path):
    from etace.report.contents import Report
    from etace.report.html import page

    path = tmp_path / "m.safetensors"
    write_model(path, whole[0], {**whole[1], "card": card})
    assert read_model(path)[1]["card"] == card
    for more in ([], ["--json"]):
        done = CliRunner().invoke(app, ["info", str(path), *more])
        assert done.exit_code == 0, done.output
        if not more:
            assert "\x1b" not in done.output and "\u202e" not in done.output
    model = etace.load(path)
    text = page(Report(title="t", model=model, card=model.card, train=[]))
    assert "<script>alert" not in text


def test_a_card_has_a_limit():
    with pytest.raises(schema.Wrong, match="more than 10 values"):
        schema.plain(10)({"a": [0] * 10}, "card")
    schema.plain(10)({"a": (0, "b", None, True, 1.5)}, "card")


def test_messages_are_short_and_harmless(whole):
    for value in ("x" * 10_000, "\x1b[31m", "\u202e", list(range(10_000)), {"a" * 999: 1}):
        with pytest.raises(ModelFileError) as caught:
            schema.model(whole[0], {**whole[1], "cutoff": value}, "here")
        assert len(str(caught.value)) < 300
        assert str(caught.value).isprintable()
