"""The command does what it says, and answers mistakes in one line with the right exit code."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ase import Atoms
from ase.io import read, write
from etacec.cli import app
from etacec.cli.show import STAGES
from typer.testing import CliRunner

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "specs"
MODEL = ROOT / "examples/si_o.safetensors"
FRAMES = ROOT / "examples/data/SiO2_EDI_test.xyz"


def invoke(*args):
    return CliRunner().invoke(app, [str(a) for a in args])


def etace(*args, **environment):
    """The real command in a process of its own."""
    call = [sys.executable, "-W", "error", "-m", "etacec", *map(str, args)]
    return subprocess.run(
        call, capture_output=True, text=True, timeout=300, env={**os.environ, **environment}
    )


@pytest.mark.parametrize("spec", sorted(SPECS.glob("*.etace")), ids=lambda p: p.stem)
def test_every_spec_checks_and_is_proved_complete(spec):
    result = invoke("check", spec, "--prove")
    assert result.exit_code == 0, result.output
    assert "complete:" in result.output
    assert "C1 at r_cut" in result.output


def test_check_reports_everything_at_once_with_exit_code_1(tmp_path):
    bad = tmp_path / "bad.etace"
    bad.write_text(
        "etace 1\nspecies Si\nparam a = 5 parsec\nonebody E0 { Si = 1 Å }\nmodel m = E9\n"
    )
    result = invoke("check", bad)
    assert result.exit_code == 1
    assert {"error[E302]", "error[E301]", "error[E217]"} <= set(
        result.output.replace(":", " ").split()
    )
    found = json.loads(invoke("check", bad, "--format", "json").output)
    assert [d["line"] for d in found] == [3, 4, 5]
    assert {"code", "severity", "message", "file", "column", "width", "help"} <= set(found[0])


def test_compile_writes_the_module_and_nothing_half(tmp_path):
    out = tmp_path / "si_o.py"
    assert invoke("compile", SPECS / "si_o.etace", "-o", out).exit_code == 0
    first = out.read_bytes()
    assert invoke("compile", SPECS / "si_o.etace", "-o", out, "-D", "max_order=2").exit_code == 0
    assert out.read_bytes() != first
    assert os.listdir(tmp_path) == ["si_o.py"]
    assert (
        invoke("compile", SPECS / "si_o.etace", "-o", tmp_path / "no/such/folder.py").exit_code == 2
    )


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_prints(stage):
    result = invoke("show", SPECS / "scratch.etace", "--stage", stage)
    assert result.exit_code == 0
    assert "B" in result.output
    assert result.output == invoke("show", SPECS / "scratch.etace", "--stage", stage).output


def test_the_graph_as_dot_and_as_a_picture(tmp_path):
    assert "digraph" in invoke("show", SPECS / "si_o.etace", "--format", "dot").output
    import xml.etree.ElementTree as ET

    picture = tmp_path / "graph.svg"
    assert invoke("show", SPECS / "si_o.etace", "--format", "svg", "-o", picture).exit_code == 0
    titles = [e.text for e in ET.parse(picture).iter() if e.tag.endswith("}text")]
    assert {"R", "Y", "B", "V", "V2", "E0", "model si_o"} <= set(titles)


def test_info_counts_as_the_tutorial_prints_them():
    facts = json.loads(invoke("info", SPECS / "si_o.etace", "--json").output)
    linear = {m: row["linear_parameters"] for m, row in facts["models"].items()}
    assert linear == {"si_o": 240, "many_body": 220, "pair_only": 20}
    scratch = json.loads(invoke("info", SPECS / "scratch.etace", "--json").output)["blocks"]
    assert scratch["R"] == {
        "kind": "radial",
        "functions": 30,
        "linear_parameters": 0,
        "other_parameters": 720,
    }
    assert scratch["Y"]["functions"] == 25
    assert scratch["B"]["functions"] == 6
    assert scratch["V"]["linear_parameters"] == 12


def test_info_of_a_model_file():
    facts = json.loads(invoke("info", MODEL, "--json").output)
    assert facts["linear_parameters"] == 240
    assert facts["species"] == ["Si", "O"]


def test_explain_knows_its_codes_and_says_so_when_not():
    assert "E301" in invoke("explain", "e301").output
    assert invoke("explain", "E999").exit_code == 2
    assert invoke("explain").exit_code == 0


@pytest.mark.parametrize(
    ("args", "code", "word"),
    [
        (["check", "nowhere.etace"], 2, "no such file"),
        (["check", SPECS], 2, "directory"),
        (["compile", SPECS / "si_o.etace", "-D", "max_order"], 2, "NAME=VALUE"),
        (["compile", SPECS / "si_o.etace", "-D", "max_ordr=2"], 1, "max_order"),
        (["compile", SPECS / "si_o.etace", "--dtype", "float16"], 2, "float32"),
        (["show", SPECS / "si_o.etace", "--stage", "grph"], 2, "graph"),
        (["info", FRAMES], 1, "error"),
        (["run", MODEL, "nowhere.xyz"], 2, "no such file"),
        (["run", MODEL, FRAMES, "-o", "out.pdf"], 2, ".json"),
        (["run", MODEL, FRAMES, "--cores", "0"], 2, "--cores"),
        (["run", MODEL, FRAMES, "--splines", "1"], 2, "--splines"),
    ],
)
def test_wrong_commands_are_answered_in_words(args, code, word):
    result = invoke(*args)
    assert result.exit_code == code, result.output
    assert word in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    "args",
    [("run", "NO", FRAMES), ("eval", "NO", FRAMES), ("info", "NO"), ("plot", "dimers", "NO"), ("plot", "graph", "NO")],
)  # fmt: skip
def test_a_model_file_that_is_not_there_is_said_once(args):
    done = invoke(*("nowhere.safetensors" if a == "NO" else a for a in args))
    assert done.exit_code == 2
    assert done.stderr == "etace: nowhere.safetensors: no such file\n"


def test_run_prints_energies_and_writes_them(tmp_path):
    out = tmp_path / "out.xyz"
    result = etace("run", MODEL, FRAMES, "-o", out)
    assert result.returncode == 0, result.stderr
    assert "-119.180575" in result.stdout
    back = read(out, index=":")
    assert len(back) == 10
    assert back[0].info["etace_energy"] == pytest.approx(-119.180575, abs=1e-6)
    assert back[0].arrays["etace_forces"].shape == (15, 3)
    assert back[0].info["etace_stress"].shape == (9,)
    assert back[0].get_potential_energy() == pytest.approx(-119.212616)  # the label


def test_run_with_splines_prints_how_far_off_they_are():
    result = invoke("run", MODEL, FRAMES, "--splines", 60, "--cores", 1)
    assert result.exit_code == 0, result.output
    assert "B: splines with 60 knots are off by" in result.output


@pytest.fixture(scope="module")
def wrong(tmp_path_factory):
    folder = tmp_path_factory.mktemp("structures")
    write(folder / "iron.xyz", Atoms("FeO", [[0, 0, 0], [2, 0, 0]]))
    write(folder / "far.xyz", Atoms("SiO", [[0, 0, 0], [1e300, 0, 0]]))
    write(folder / "same.xyz", Atoms("SiO", [[0, 0, 0], [0, 0, 0]]))
    (folder / "nan.xyz").write_text("2\nProperties=species:S:1:pos:R:3\nSi 0 0 0\nO nan 0 0\n")
    (folder / "none.xyz").write_text("0\n\n")
    (folder / "empty.xyz").write_text("")
    (folder / "text.xyz").write_text("this is no structure\n")
    return folder


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("iron.xyz", "Fe"),
        ("far.xyz", "far.xyz"),
        ("same.xyz", "same"),
        ("nan.xyz", "nan.xyz"),
        ("none.xyz", "no atoms"),
        ("empty.xyz", "empty.xyz"),
        ("text.xyz", "line 1: here should stand a number of atoms"),
    ],
)
def test_wrong_structures_are_one_line_and_exit_code_1(wrong, name, word):
    result = invoke("run", MODEL, wrong / name)
    assert result.exit_code == 1, result.output
    lines = result.output.strip().splitlines()
    assert len(lines) == 1
    assert word in lines[0]


def test_several_models_need_a_choice(wrong):
    result = invoke("run", SPECS / "si_o.etace", FRAMES)
    assert result.exit_code == 2
    assert "si_o, many_body, pair_only" in result.output
    assert invoke("run", SPECS / "si_o.etace", FRAMES, "--model", "V").exit_code == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
@pytest.mark.parametrize("args", [("data", FRAMES), ("info", MODEL), ("explain", "E301")])
def test_an_output_that_is_full_is_said_in_a_line(args):
    call = [sys.executable, "-m", "etacec", *map(str, args)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(call, stdout=full, stderr=subprocess.PIPE, text=True, timeout=300)
    assert done.returncode == 1
    assert done.stderr == "etace: cannot write the output: no space left on device\n"


def test_a_cache_that_cannot_be_used_is_no_trouble(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    result = etace(
        "run",
        SPECS / "scratch.etace",
        FRAMES,
        "--model",
        "combined",
        ETACE_CACHE_DIR=str(blocker / "x"),
    )
    assert result.returncode == 0, result.stderr


def test_run_takes_files_as_a_fit_does(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder / "x.xyz", read(FRAMES, ":3"))
    found = invoke("run", MODEL, f"{FRAMES}@4:6").output
    assert "SiO2_EDI_test.xyz:4" in found
    assert "SiO2_EDI_test.xyz:6" not in found
    pattern = os.path.relpath(tmp_path) + "/*/x.xyz"
    names = [line.split()[0] for line in invoke("run", MODEL, pattern).stdout.splitlines()[1:]]
    assert [name.split("/")[-2:] for name in names] == [
        [folder, f"x.xyz:{k}"] for folder in "ab" for k in range(3)
    ]
    twice = invoke("run", MODEL, FRAMES, FRAMES)
    assert twice.exit_code == 2
    assert "named twice" in twice.output


@pytest.mark.parametrize(
    "call",
    [
        ("run", MODEL, FRAMES, "-o", "no/such/a.xyz"),
        ("eval", MODEL, FRAMES, "-o", "no/such/a.html"),
        ("eval", MODEL, FRAMES, "--json", "no/such/a.json"),
        ("data", FRAMES, "--plot", "no/such/a.png"),
        ("plot", "dimers", MODEL, "-o", "no/such/a.png"),
    ],
)
def test_a_place_that_cannot_be_written_is_said_before_the_work(call, monkeypatch):
    import etace.loading

    monkeypatch.setattr(etace.loading, "load", None)  # no work gets by
    result = invoke(*call)
    assert result.exit_code == 2, result.output
    assert "cannot write no/such/a." in result.output


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_second_ctrl_c_changes_nothing(tmp_path):
    """The command ends as after one, with 130 and one line."""
    out = tmp_path / "m.safetensors"
    data = ROOT / "examples/data/SiO2_EDI_train.xyz"
    call = [sys.executable, "-m", "etacec", "fit", SPECS / "si_o.etace", "--model", "si_o"]
    call += ["--train", data, "-o", out]
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's job may ignore it
    try:
        process = subprocess.Popen([*map(str, call)], stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    log = tmp_path / "m.progress.jsonl"
    for _ in range(3000):
        if process.poll() is not None or (log.exists() and '"start"' in log.read_text()):
            break
        time.sleep(0.01)
    for _ in range(20):
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130, said
    assert "stopped" in said
    assert "Traceback" not in said
    assert not out.exists()
