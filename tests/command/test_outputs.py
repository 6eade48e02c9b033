"""What commands write: predictions under names of their own, nothing that somebody else wrote replaced unasked,
names of files shown as they are, JSON that is JSON."""

import json
import os
import zlib
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from etace.io.jsontext import as_text
from etace.io.ours import is_ours, sealed
from etace.io.replace import replacing
from etacec.cli import app
from typer.testing import CliRunner

SPEC = """etace 1
species Cu
learnable onebody E0 { Cu = 0.06 eV }
use linear_ace as ace { max_order = 2, max_level = 5, max_l = 2, cutoff = 4.5 Å }
model m = E0 + ace.two_body + ace.many_body
"""
OWN = "# my own\n"


def call(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def frames(n):
    draw, out = np.random.default_rng(0), []
    for _ in range(n):
        a = bulk("Cu", cubic=True)
        a.positions += draw.normal(0, 0.1, (len(a), 3))
        a.calc = EMT()
        found = {
            "energy": a.get_potential_energy(),
            "forces": a.get_forces(),
            "stress": a.get_stress(),
        }
        a.calc = SinglePointCalculator(a, **found)
        out.append(a)
    return out


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with data and a fitted model."""
    folder = tmp_path_factory.mktemp("outputs")
    (folder / "m.etace").write_text(SPEC)
    write(folder / "d.xyz", frames(8))
    done = call(
        "fit",
        folder / "m.etace",
        "--train",
        folder / "d.xyz",
        "-o",
        folder / "m.safetensors",
        "--no-report",
    )
    assert done.exit_code == 0, done.stderr
    return folder


@pytest.fixture
def here(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("m.etace", "d.xyz", "m.safetensors", "m.fit.toml"):
        Path(name).write_bytes((made / name).read_bytes())
    return tmp_path


def test_predictions_have_names_of_their_own_beside_the_labels(here):
    assert call("run", "m.safetensors", "d.xyz", "-o", "out.xyz").exit_code == 0
    for before, after in zip(read("d.xyz", ":"), read("out.xyz", ":"), strict=True):
        assert after.get_potential_energy() == pytest.approx(
            before.get_potential_energy(), abs=1e-7
        )
        np.testing.assert_allclose(after.get_forces(), before.get_forces(), atol=1e-7)
        assert {"etace_energy", "etace_virial", "etace_stress"} <= after.info.keys()
        assert {"etace_forces", "etace_energies"} <= after.arrays.keys()
        assert after.info["etace_energy"] != before.get_potential_energy()
    counted = json.loads(call("data", "out.xyz", "--json").stdout)
    assert counted["digest"] == json.loads(call("data", "d.xyz", "--json").stdout)["digest"]
    judged = call("eval", "m.safetensors", "out.xyz", "--json", "e.json")
    assert judged.exit_code == 0 and all(
        row["rmse"] > 0 for row in json.loads(Path("e.json").read_text())
    )


def test_predictions_of_bare_structures_are_no_labels(here):
    write("bare.xyz", bulk("Cu", cubic=True))
    assert call("run", "m.safetensors", "bare.xyz", "-o", "out.xyz").exit_code == 0
    refused = call("eval", "m.safetensors", "out.xyz")
    assert refused.exit_code == 1 and "no structure has an energy" in refused.stderr
    assert (
        call("run", "m.safetensors", "bare.xyz", "-o", "plain.xyz", "--plain-names").exit_code == 0
    )
    plain, own = read("plain.xyz"), read("out.xyz")
    assert plain.get_potential_energy() == pytest.approx(own.info["etace_energy"])
    np.testing.assert_allclose(plain.get_forces(), own.arrays["etace_forces"], atol=1e-7)


@pytest.mark.parametrize("way", ["itself", "symbolic link", "hard link", "a part of it"])
def test_an_input_is_never_an_output(here, way):
    before, target = Path("d.xyz").read_bytes(), Path("d.xyz")
    if way == "symbolic link":
        target = Path("s.xyz")
        target.symlink_to("d.xyz")
    elif way == "hard link":
        target = Path("h.xyz")
        os.link("d.xyz", target)
    given = "d.xyz@0:2" if way == "a part of it" else "d.xyz"
    refused = call("run", "m.safetensors", given, "-o", target)
    assert refused.exit_code == 2 and "one of the inputs" in refused.stderr
    assert Path("d.xyz").read_bytes() == before
    assert call("run", "m.safetensors", given, "-o", target, "--force").exit_code == 0
    if way != "hard link":  # of which the other name stays as it was
        assert Path("d.xyz").read_bytes() != before


FIT = ("--train", "d.xyz", "--no-extrapolation", "--size", "small", "--allow-holes")
WRITES = {
    "run": (("run", "m.safetensors", "d.xyz", "-o", "o.xyz"), "o.xyz"),
    "run json": (("run", "m.safetensors", "d.xyz", "-o", "o.json"), "o.json"),
    "eval": (("eval", "m.safetensors", "d.xyz", "--json", "o.json"), "o.json"),
    "compile": (("compile", "m.etace"), "m.py"),
    "show": (("show", "m.etace", "--stage", "module", "-o", "o.py"), "o.py"),
    "show svg": (("show", "m.etace", "--format", "svg", "-o", "o.svg"), "o.svg"),
    "plot": (("plot", "radial", "m.etace", "-o", "o.png"), "o.png"),
    "plot pdf": (("plot", "graph", "m.etace", "-o", "o.pdf"), "o.pdf"),
    "export": (("export", "m.safetensors", "--to", "c", "-o", ".", "--name", "pot"), "pot.h"),
    "export example": (("export", "m.safetensors", "--to", "c", "-o", ".", "--name", "pot"), "main.c"),
    "prune": (("prune", "m.safetensors", "-o", "p.safetensors"), "p.etace"),
    "data": (("data", "d.xyz", "--plot", "o.svg"), "o.svg"),
    "fit": (("fit", "m.etace", *FIT[:3], "-o", "f.safetensors"), "f.html"),
    "fit settings": (("fit", "m.etace", *FIT[:3], "-o", "f.safetensors", "--no-report"), "f.fit.toml"),
    "fit log": (("fit", "m.etace", *FIT[:3], "-o", "f.safetensors", "--no-report"), "f.progress.jsonl"),
    "default spec": (("fit", "--elements", "Cu", *FIT, "-o", "f.safetensors", "--no-report"), "f.etace"),
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(WRITES))
def test_what_somebody_else_wrote_stays(here, what):
    command, name = WRITES[what]
    Path(name).write_text(OWN)
    refused = call(*command)
    assert refused.exit_code == 2 and name in refused.stderr and "--force" in refused.stderr
    assert Path(name).read_text() == OWN
    forced = call(*command, "--force")
    assert forced.exit_code == 0, forced.stderr
    assert Path(name).read_bytes() != OWN.encode()
    again = call(*command)  # ours now
    assert again.exit_code == 0, again.stderr


def test_a_spec_of_ours_that_was_edited_is_somebodys(here):
    command = ("fit", "--elements", "Cu", *FIT, "-o", "f.safetensors", "--no-report")
    assert call(*command).exit_code == 0
    edited = Path("f.etace").read_text().replace("max_order", "max_order ", 1)
    Path("f.etace").write_text(edited)
    refused = call(*command)
    assert refused.exit_code == 2 and "not as etace wrote it" in refused.stderr
    assert Path("f.etace").read_text() == edited


def test_settings_that_were_edited_are_repeated_and_stay(here):
    edited = Path("m.fit.toml").read_text().replace("seed = 0", "seed = 0  # mine")
    Path("m.fit.toml").write_text(edited)
    assert call("fit", "m.fit.toml", "--no-report").exit_code == 0
    assert Path("m.fit.toml").read_text() == edited


@pytest.mark.parametrize("what", sorted(set(WRITES) - {"run json", "eval", "fit log"}))
def test_what_its_user_changed_stays(here, what):
    """One character more, one less, or another, anywhere in the file."""
    command, name = WRITES[what]
    assert call(*command).exit_code == 0
    written = Path(name).read_bytes()
    assert is_ours(name)
    digit = next(k for k in range(len(written) // 2, len(written)) if written[k] in b"012345678")
    other = written[:digit] + bytes([written[digit] + 1]) + written[digit + 1 :]
    for edited in (written + b"\n", written[:-1], other, written[: len(written) // 2]):
        Path(name).write_bytes(edited)
        assert not is_ours(name)
    Path(name).write_bytes(other)
    refused = call(*command)
    assert refused.exit_code == 2 and name in refused.stderr and "--force" in refused.stderr
    assert Path(name).read_bytes() == other


def test_labels_that_their_user_put_among_predictions_stay(here):
    command = ("run", "m.safetensors", "d.xyz@:2", "-o", "o.xyz")
    assert call(*command).exit_code == 0
    one = Path("o.xyz").read_bytes()
    assert call(*command).exit_code == 0  # ours
    assert Path("o.xyz").read_bytes() == one  # the same bytes for the same input
    added = read("o.xyz", ":")
    added[1].info["dft_energy"] = -1.0
    write("o.xyz", added, format="extxyz")
    mine = Path("o.xyz").read_bytes()
    assert call(*command).exit_code == 2
    assert Path("o.xyz").read_bytes() == mine
    Path("o.xyz").write_bytes(
        one
    )  # and predictions on predictions have one seal, and nothing of an earlier run
    assert call("run", "m.safetensors", "o.xyz", "-o", "p.xyz").exit_code == 0
    assert Path("p.xyz").read_bytes().count(b"etace_sha256=") == 1
    assert is_ours("p.xyz")
    assert [a.get_potential_energy() for a in read("p.xyz", ":")] == [
        a.get_potential_energy() for a in read("d.xyz", ":2")
    ]


def test_a_failed_fit_brings_the_spec_back(here):
    fit = ("fit", "--elements", "Cu", *FIT, "-o", "f.safetensors", "--no-report")
    assert call(*fit).exit_code == 0
    before = Path("f.etace").read_bytes()
    assert call(*fit, "--e0", "zero", "--solver", "omp", "--committee", "4").exit_code == 2
    assert Path("f.etace").read_bytes() == before
    assert is_ours("f.etace")


def test_training_data_is_no_place_for_a_default_spec(here):
    Path("f.etace").write_bytes(Path("d.xyz").read_bytes())
    done = call("fit", "--elements", "Cu", "--train", "f.etace", "-o", "f.safetensors")
    assert done.exit_code == 2 and "f.etace is one of the inputs" in done.stderr


@pytest.mark.parametrize("suffix", [".py", ".etace", ".html", ".svg", ".c", ".dot", ".pdf"])
def test_a_seal_is_of_the_whole_file(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    inner = sealed("a text within\n", ".py")
    path.write_bytes(sealed(inner, suffix))
    assert is_ours(path) and path.read_bytes() == sealed(inner, suffix)
    path.write_bytes(path.read_bytes().replace(b"within", b"inside"))
    assert not is_ours(path)
    assert not is_ours(tmp_path / "none.etace")


def test_a_sealed_picture_is_a_picture(here):
    from matplotlib.image import imread

    assert call("plot", "radial", "m.etace", "-o", "o.png").exit_code == 0
    assert imread("o.png").ndim == 3
    png = Path("o.png").read_bytes()
    at = png.index(b"tEXtComment") - 4
    size = int.from_bytes(png[at : at + 4], "big")
    body, check = png[at + 4 : at + 8 + size], png[at + 8 + size : at + 12 + size]
    assert zlib.crc32(body) == int.from_bytes(check, "big")


def test_an_unfitted_spec_says_so_and_a_fitted_one_does_not(here):
    for command in (("run", "m.etace", "d.xyz"), ("eval", "m.etace", "d.xyz")):
        assert "`m` is not fitted: its linear parameters are all zero" in call(*command).stderr
        assert "not fitted" not in call(command[0], "m.safetensors", "d.xyz").stderr
    Path("r.etace").write_text(
        SPEC.replace("cutoff = 4.5 Å", "cutoff = 4.5 Å, init = glorot_normal")
    )


NAMES = (
    "[red]x[bold].xyz",
    "[b].xyz",
    ":smile:.xyz",
    "a\nb.xyz",
    "\x1b[31mred.xyz",
    "\u202etxt.xyz",
)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_name_is_never_markup(here, name):
    write("bare.xyz", bulk("Cu", cubic=True))
    os.rename("bare.xyz", name)
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    done = call("run", "m.safetensors", name)
    assert done.exit_code == 0 and shown in done.stdout
    missing = call("run", "m.safetensors", "no" + name)
    assert (
        missing.exit_code == 2 and "no" + shown in missing.stderr and "\x1b" not in missing.stderr
    )
    os.rename(name, "bare.xyz")
    os.rename("d.xyz", name)
    for command in (("eval", "m.safetensors", name), ("data", name)):
        done = call(*command)
        assert done.exit_code == 0, done.stderr
        assert shown in done.stdout + done.stderr and "\x1b" not in done.stdout + done.stderr


LYING = "x\netace: all is well"


@pytest.mark.parametrize(
    "command",
    [
        ("run", LYING + ".safetensors", "d.xyz"), ("run", "m.safetensors", LYING + ".xyz"), ("check", LYING),
        ("run", "m.safetensors", "d.xyz", "-o", LYING + "/o.xyz"), ("run", LYING + ".etace", "d.xyz"),
        ("run", "wrong" + LYING + ".etace", "d.xyz"), ("check", "wrong" + LYING + ".etace"),
        ("run", "m.safetensors", "d.xyz", "-o", LYING + "o.xyz"), ("compile", "m.etace", "-o", LYING + ".py"),
        ("eval", "m.safetensors", LYING), ("data", LYING), ("info", LYING), ("prune", LYING, "-o", "p.safetensors"),
        ("plot", "radial", LYING), ("plot", "radial", "m.etace", "-o", LYING + ".svg"), ("export", LYING, "-o", "."),
        ("fit", LYING + ".fit.toml"), ("fit", "m.etace", "--train", LYING, "-o", "q.safetensors"),
    ],
    ids=lambda c: " ".join(c).replace(LYING, "LYING"),
)  # fmt: skip
def test_a_file_name_begins_no_line(here, command):
    Path("wrong" + LYING + ".etace").write_text("etace 1\nspecies Xx\n")
    done = call(*command)
    assert not any(line.startswith("etace: all") for line in done.output.splitlines())
    assert done.exit_code == 0 or "all is well" in done.stderr


def test_json_has_no_numbers_that_are_none():
    text = as_text(
        {"a": [1.0, float("nan"), np.inf], "b": np.array([1.0, -np.inf]), "\udc80": "\udcff"}
    )
    assert json.loads(text, parse_constant=lambda x: pytest.fail(x)) == {
        "a": [1.0, None, None], "b": [1.0, None], "\udc80": "\udcff",
    }  # fmt: skip
    text.encode("utf8")


def test_lone_atoms_in_json(here):
    write("alone.xyz", Atoms("Cu"))
    assert (
        call("run", "m.safetensors", "alone.xyz", "--extrapolation", "-o", "o.json").exit_code == 0
    )
    json.loads(Path("o.json").read_text(), parse_constant=lambda x: pytest.fail(x))


@pytest.mark.parametrize("way", ["itself", "a link to it"])
def test_what_is_no_ordinary_file_is_not_replaced(here, way):
    os.mkfifo("pipe.xyz")
    Path("link.xyz").symlink_to("pipe.xyz")
    target = {"itself": "pipe.xyz", "a link to it": "link.xyz"}[way]
    for more in ((), ("--force",)):
        refused = call("run", "m.safetensors", "d.xyz", "-o", target, *more)
        assert refused.exit_code == 2 and "it is no ordinary file" in refused.stderr
    assert Path("pipe.xyz").is_fifo() and Path(target).is_symlink() == (way != "itself")
    with pytest.raises(OSError, match="no ordinary file"), replacing(target) as beside:
        beside.write_text("a file")
    assert Path("pipe.xyz").is_fifo()
