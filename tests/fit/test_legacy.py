"""Files of etace 0.1 give the numbers they gave, with one note that they carry no digest."""

import json
import shutil
import warnings
from pathlib import Path

import etace
import numpy as np
import pytest
from ase.io import read
from etace.errors import NoDigestWarning
from etace.extrapolation import TRAINING
from etace.fit.checkpoint import Checkpoint
from etacec.cli import app
from typer.testing import CliRunner

LEGACY = Path(__file__).parents[1] / "legacy"
NUMBERS = json.loads((LEGACY / "numbers.json").read_text())
NO_DIGEST = "carries no digest, as all files of etace 0.1"


def close(found, expected, relative):
    expected = np.asarray(expected)
    np.testing.assert_allclose(found, expected, rtol=0, atol=relative * np.abs(expected).max())


def loaded(name):
    with pytest.warns(NoDigestWarning, match=NO_DIGEST) as notes:
        model = etace.load(LEGACY / f"{name}.safetensors")
    assert len(notes) == 1
    return model


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_a_model_of_the_first_format_gives_the_same_numbers(name, tmp_path):
    model, expected = loaded(name), NUMBERS[name]
    frames = read(LEGACY / "seen.xyz", ":2")
    relative = 1e-10 if model.potential.dtype == "float64" else 1e-5
    results = model.evaluate_batch(frames)
    for what in ("energy", "forces", "virial"):
        for own, old in zip(results, expected[what], strict=True):
            close(getattr(own, what), old, relative)
    if "member_energies" in expected:
        for own, old in zip(model.committee_many(frames), expected["member_energies"], strict=True):
            close(own.member_energies, old, relative)
        assert not model.calibration.scales
    if "grades" in expected:
        assert model.graded_by == TRAINING
        for own, old in zip(model.extrapolation_grades(frames), expected["grades"], strict=True):
            close(own, old, max(relative, 1e-8))
    model.save(tmp_path / "new.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = etace.load(tmp_path / "new.safetensors")
    for block, arrays in model.params.items():
        for key, array in arrays.items():
            np.testing.assert_array_equal(again.params[block][key], array)
    assert again.card == model.card


def test_a_command_says_it_in_a_line():
    done = CliRunner().invoke(app, ["info", str(LEGACY / "zbl.safetensors")])
    assert done.exit_code == 0
    assert [line for line in done.stderr.splitlines() if line] == [
        f"etace: note: {LEGACY / 'zbl.safetensors'} {NO_DIGEST}: whether it is whole cannot be checked"
    ]
    done = CliRunner().invoke(app, ["info", str(LEGACY / "zbl.safetensors"), "--json"])
    assert json.loads(done.stdout)["overrides"] == {"level": "3"}


def test_info_says_what_its_numbers_meant():
    shown = " ".join(
        CliRunner().invoke(app, ["info", str(LEGACY / "committee.safetensors")]).stdout.split()
    )
    assert "uncalibrated: the spread of the posterior" in shown
    assert "1: the oddest atom of its species in training, as versions before had it" in shown


@pytest.fixture
def copied(tmp_path):
    for name in ("committee.fit.toml", "small.etace", "data.xyz"):
        shutil.copy(LEGACY / name, tmp_path)
    return tmp_path


def test_a_settings_file_repeats_its_fit_without_the_old_checkpoint(copied):
    """Factors of another etace are never taken over: it is said, and all rows are made."""
    shutil.copy(LEGACY / "stopped.checkpoint", copied / "committee.checkpoint")
    settings = str(copied / "committee.fit.toml")
    done = CliRunner().invoke(app, ["fit", settings, "--no-report"])
    assert done.exit_code == 0, done.stderr
    said = " ".join(done.stderr.split())
    assert "the fit starts anew, without committee.checkpoint: it is of etace 0.1" in said
    assert "going on" not in said
    old, new = loaded("committee"), etace.load(copied / "committee.safetensors")
    for atoms in read(LEGACY / "seen.xyz", ":2"):
        assert new.energy(atoms) == pytest.approx(old.energy(atoms), rel=1e-7)
    close(new.get_linear_parameters(), old.get_linear_parameters(), 1e-4)


def test_the_old_checkpoint_gives_no_factors_to_any_fit():
    mark = Checkpoint(LEGACY / "stopped.checkpoint", "0" * 64)
    assert mark.load() == (0, {})
    assert "no digest" in mark.unused


OF_SETTINGS = json.loads((LEGACY / "settings.json").read_text())


@pytest.mark.parametrize("name", sorted(OF_SETTINGS))
def test_a_settings_file_draws_and_scales_as_it_did(tmp_path, name):
    """drawn: a solver chooses by the hold-out; scaled: a committee to the test, or the training errors."""
    for file in (f"{name}.fit.toml", "small.etace", "data.xyz", "seen.xyz"):
        shutil.copy(LEGACY / file, tmp_path)
    done = CliRunner().invoke(app, ["fit", str(tmp_path / f"{name}.fit.toml"), "--no-report"])
    assert done.exit_code == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if "as etace 0.1 did" in line]
    assert len(said) == 1
    assert "valid_fraction = " in said[0]
    model, expected = etace.load(tmp_path / f"{name}.safetensors"), OF_SETTINGS[name]
    frames = read(LEGACY / "seen.xyz", ":2")
    committee = expected["committee"]
    if (
        committee is not None
    ):  # members are other draws from the same posterior, so their scale differs a little
        assert model.card["committee"]["members"] == committee["members"]
        assert 0.5 < model.card["committee"]["scale"] / committee["scale"] < 2
    for own, old in zip(model.evaluate_batch(frames), expected["energy"], strict=True):
        assert own.energy == pytest.approx(old, rel=1e-7)
