"""What a user added to a file of etace makes it his own."""

import json
from pathlib import Path

from etace.io.ours import is_ours
from etacec.cli import app
from typer.testing import CliRunner

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "examples/si_o.safetensors"
FRAMES = ROOT / "examples/data/SiO2_EDI_test.xyz"


def invoke(*args):
    return CliRunner().invoke(app, [str(a) for a in args])


def test_results_with_remarks_of_their_user_are_kept(tmp_path):
    run, errors = tmp_path / "run.json", tmp_path / "eval.json"
    assert invoke("run", MODEL, f"{FRAMES}@:2", "-o", run).exit_code == 0
    assert invoke("eval", MODEL, f"{FRAMES}@:2", "--json", errors).exit_code == 0
    for file, call in ((run, ("run", "-o")), (errors, ("eval", "--json"))):
        assert is_ours(file)
        rows = json.loads(file.read_text())
        rows[0]["remark"] = "odd"
        file.write_text(json.dumps(rows))
        done = invoke(call[0], MODEL, f"{FRAMES}@:2", call[1], file)
        assert done.exit_code == 2
        assert "--force" in done.stderr
        assert json.loads(file.read_text()) == rows


def test_a_fit_keeps_a_checkpoint_that_is_none_of_its_own(tmp_path):
    foreign, spec = tmp_path / "m.checkpoint", tmp_path / "s.etace"
    spec.write_text("etace 1\nspecies Si\nlearnable onebody E0 { Si = 0 eV }\nmodel m = E0\n")
    foreign.write_text("of another program\n")
    done = invoke("fit", spec, "--train", FRAMES, "-o", tmp_path / "m.safetensors")
    assert done.exit_code == 2
    assert "m.checkpoint" in done.stderr
    assert foreign.read_text() == "of another program\n"


def test_a_module_that_its_user_changed_is_kept(tmp_path):
    out, spec = tmp_path / "m.py", ROOT / "specs/si_o.etace"
    for call in (("compile", spec, "-o", out), ("show", spec, "--stage", "module", "-o", out)):
        assert invoke(*call).exit_code == 0
        assert invoke(*call).exit_code == 0  # the same again
        compile(out.read_text(), "m.py", "exec")
        written = out.read_text()
        out.write_text(written.replace("import", "import  ", 1))
        done = invoke(*call)
        assert done.exit_code == 2
        assert "--force" in done.stderr
        assert out.read_text() != written
        out.write_text(written)
