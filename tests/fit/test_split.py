"""Training, validation and test: drawn alike, apart, and the test set has no say in anything."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read as read_frames
from ase.io import write
from etace.data import Dataset, Labelled
from etace.errors import RequestError
from etace.fit.calibration import judge
from etace.fit.job import run
from etace.fit.progress import Progress
from etace.fit.settings import Settings
from etace.fit.split import divided
from etace.io.model_file import read_model
from etacec.cli import app
from typer.testing import CliRunner

TRAIN = Path(__file__).parents[2] / "examples/data/SiO2_EDI_train.xyz"
SPEC = """etace 1
species Si, O
onebody E0 { Si = -0.8 eV, O = -1.0 eV }
use linear_ace as ace { max_order = 2, max_level = 5, max_l = 2, cutoff = 4.5 Å }
model m = E0 + ace.two_body + ace.many_body
"""


def pairs(n, groups=("a", "a", "a", "b")):
    return tuple(
        Labelled(
            Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2 + 0.01 * k]]),
            float(k), np.zeros((2, 3)), None, groups[k % len(groups)], source=f"x:{k}",
        )
        for k in range(n)
    )  # fmt: skip


def test_every_config_type_gives_its_part():
    parts = divided(Dataset(pairs(80), ()), None, 0.1, 0.25, 0)
    assert Counter(s.group for s in parts.test.structures) == {"a": 6, "b": 2}
    assert Counter(s.group for s in parts.valid.structures) == {"a": 14, "b": 4}
    every = [s.source for own in parts.sets.values() for s in own.structures]
    assert len(every) == len(set(every)) == 80
    again = divided(Dataset(pairs(80), ()), None, 0.1, 0.25, 0)
    other = divided(Dataset(pairs(80), ()), None, 0.1, 0.25, 1)
    names = [[s.source for s in p.test.structures] for p in (parts, again, other)]
    assert names[0] == names[1] != names[2]


def test_copies_stay_together_and_atoms_alone_in_training():
    first = pairs(20)
    atom = replace(first[0], atoms=Atoms("Cu"), source="atom")
    data = Dataset((*first, *first, atom), ())
    for seed in range(5):
        parts = divided(data, None, 0.3, 0, seed)
        energies = [
            {s.energy for s in own.structures if len(s.atoms) > 1} for own in parts.sets.values()
        ]
        assert not energies[0] & energies[1]
        assert "atom" not in [s.source for s in parts.test.structures]


def test_a_part_of_nothing_or_all_is_refused():
    for fraction, words in ((0.001, "takes no structure"), (0.999, "leaves none to fit")):
        with pytest.raises(RequestError, match=words):
            divided(Dataset(pairs(10), ()), None, fraction, 0, 0)


def outcome(folder, train, **more):
    settings = Settings(
        spec=str(folder / "small.etace"), output=str(folder / "m.safetensors"), train=(str(train),),
        kinds=("energy", "forces"), extrapolation=False, **more,
    )  # fmt: skip
    return run(settings, Progress(), cores=1)


def test_labels_of_the_test_set_change_nothing_but_its_errors(tmp_path):
    """The same model to the bit, whatever the test labels say: committee, scale, choices of a path too."""
    (tmp_path / "small.etace").write_text(SPEC)
    frames = read_frames(TRAIN, ":24")
    train = tmp_path / "few.xyz"
    write(train, frames)
    ways = (
        {"committee": 4, "calibrate": "validation", "tune_prior": True},
        {"committee": 4},
        {"solver": "omp", "solver_options": {"within": 1.5}},
    )
    for more in ways:
        more = {"test_fraction": 0.25, "valid_fraction": 0.25, **more}
        first = outcome(tmp_path, train, **more)
        places = [int(s.source.rpartition(":")[2]) for s in first.data.test.structures]
        other = [f.copy() for f in frames]
        for k, f in enumerate(other):
            wrong = k in places
            f.info["REF_energy"] = frames[k].get_potential_energy() + 5.0 * wrong
            f.arrays["REF_forces"] = frames[k].get_forces() * (-3 if wrong else 1)
        changed = tmp_path / "other.xyz"
        write(changed, other)
        second = outcome(tmp_path, changed, **more)
        np.testing.assert_allclose(second.solved.c, first.solved.c, rtol=1e-6, atol=1e-9)
        if first.scale is not None:
            assert second.scale == pytest.approx(first.scale, rel=1e-6)
            forces = judge(first.model, first.data.valid.structures)[-1]
            assert forces.one == pytest.approx(0.683, abs=0.01)
        a, b = (o.model.calibration for o in (first, second))
        by_folds = "committee" in more and "calibrate" not in more
        assert set(a.scales) == ({"energy", "forces"} if by_folds else set())
        for kind, own in a.scales.items():
            assert own.spread == pytest.approx(b.scales[kind].spread, rel=1e-3)
        assert (len(first.test) == 6 and len(first.valid) == 4) or len(first.valid) == 5
        a, b = (np.abs([c.errors("energy") for c in o.test]).max() for o in (first, second))
        assert b > a + 100


def test_the_command_says_and_records_the_split(tmp_path):
    (tmp_path / "small.etace").write_text(SPEC)
    few, out = tmp_path / "few.xyz", tmp_path / "m.safetensors"
    write(few, read_frames(TRAIN, ":20"))
    done = CliRunner().invoke(
        app,
        ["fit", str(tmp_path / "small.etace"), "--train", str(few), "-o", str(out), "--no-report",
         "--no-virial", "--test-fraction", "0.1", "--valid-fraction", "0.1", "--split-seed", "3"],
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    assert "test set: 2 structures of the training files, drawn with split seed 3" in done.stderr
    assert "validation set: 2 structures" in done.stderr
    text = (tmp_path / "m.fit.toml").read_text()
    assert "test_fraction = 0.1" in text and "split_seed = 3" in text
    _, metadata = read_model(out)
    split = metadata["card"]["split"]
    assert split["structures"] == {"train": 16, "validation": 2, "test": 2} and split["seed"] == 3
    assert {e["set"] for e in metadata["card"]["errors"]} == {"train", "validation", "test"}
