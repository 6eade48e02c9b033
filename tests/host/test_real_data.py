"""Every frame of the real sets can be evaluated, and gives one answer by all ways."""

import gzip
from pathlib import Path

import etace
import numpy as np
import pytest
from ase.io import read

SPECS = Path(__file__).parents[2] / "specs"
SETS = [
    ("siox/SiO2_EDI_train.xyz.gz", "si_o", "si_o"),
    ("siox/SiO2_EDI_test.xyz.gz", "si_o", "si_o"),
    ("mlearn/Si_train.xyz.gz", "si_ace_small", None),
    ("mlearn/Si_test.xyz.gz", "si_ace_small", None),
    ("mlearn/Mo_train.xyz.gz", "mo_ace_small", None),
    ("mlearn/Mo_test.xyz.gz", "mo_ace_small", None),
]


@pytest.mark.parametrize(("name", "spec", "model"), SETS, ids=lambda x: str(x).split("/")[-1])
def test_all_frames_run_and_agree(shared, name, spec, model):
    with gzip.open(shared / "data" / name, "rt") as file:
        frames = read(file, index=":", format="extxyz")
    loaded = etace.load(SPECS / f"{spec}.etace", model)
    loaded.set_linear_parameters(np.random.default_rng(0).normal(size=loaded.length_basis))
    results = loaded.evaluate_batch(frames)
    assert len(results) == len(frames)
    assert all(np.isfinite(r.energy) and np.isfinite(r.forces).all() for r in results)
    for k in (0, len(frames) // 2, len(frames) - 1):
        single, scale = loaded.evaluate(frames[k]), np.abs(results[k].energies).sum()
        assert abs(single.energy - results[k].energy) <= 1e-12 * scale
        assert (
            abs(loaded.calculator().get_potential_energy(frames[k]) - single.energy)
            <= 1e-12 * scale
        )
