"""Columns that data cannot tell apart: said of single atoms and of what a user wrote, not of presets."""

import etace
import numpy as np
import pytest
from ase import Atoms
from etace.data import Labelled
from etace.fit.compositions import undetermined
from etace.fit.nullspace import from_preset, line_of
from etacec.cli import app
from typer.testing import CliRunner


def structures(*formulas):
    return [
        Labelled(Atoms(f, positions=2.0 * np.arange(3 * len(Atoms(f))).reshape(-1, 3)), 1.0, None, None)
        for f in formulas
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("species", "formulas", "words"),
    [
        ("Si O", ["SiO2", "Si2O4"], "E0 of Si, O is not determined by the data: only the sum "
         "E0[Si] + 2 E0[O] is known"),
        ("Si O", ["SiO2", "SiO"], None),
        ("Si O", ["SiO2", "Si"], None),
        ("Si O", ["Si", "Si2"], None),  # no O at all is another matter
        ("Si", ["Si"], None),
        ("H C O", ["CH4", "C2H8O2", "CO"], None),
        ("H C O", ["CH4", "C2H8O2"], "E0 of H, C is not determined by the data: only the sum 4 E0[H] + E0[C]"),
        ("H C O", ["CO", "CO2", "H2O", "CH4"], None),
        ("H C O", ["C2H6", "C2H6O"], "E0 of H, C is not determined by the data: only the sum"),
        ("Ga As N", ["GaAs", "GaN", "GaAsGaN"], "only the sums E0[Ga] + E0[N], E0[Ga] + E0[As] are known"),
    ],
)  # fmt: skip
def test_energies_of_single_atoms_that_are_not_determined(species, formulas, words):
    found = undetermined(species.split(), structures(*formulas), "E0")
    assert found is None if words is None else words in (found or ""), found


SPEC = """etace 1
species Si, O
{e0}
use linear_ace as ace {{ max_order = 2, max_level = 5, max_l = 2, cutoff = 4.5 Å }}
model m = E0 + ace.two_body + ace.many_body
"""
OWN = """etace 1
species Si, O
bond *-* { rcut = 4.5 Å }
onebody E0 { Si = -0.8 eV, O = -1.0 eV }

radial R[n in 1..6, l in 0..2] {
  transform(r) = 1 - 2 * r / bond.rcut
  envelope(y) = (1 - y^2)^2
  polynomials = chebyshev(3)
  weights = learnable per pair
}
angular Y[l in 0..2] { harmonics = spherical }
basis B {
  factors = R * Y
  order = 1
  L = 0
}
readout V {
  from = B
  weights = learnable per species
}
model m = E0 + V
"""


def silica(path, n=4):
    from ase.io import write

    rng, out = np.random.default_rng(0), []
    for _ in range(n):
        atoms = Atoms("SiO2", 1.6 * np.eye(3) + rng.normal(0, 0.1, (3, 3)), cell=[6] * 3, pbc=True)
        atoms.info["REF_energy"] = float(rng.normal())
        atoms.arrays["REF_forces"] = rng.normal(size=(3, 3)) * [[1], [-0.5], [-0.5]]
        out.append(atoms)
    write(path, out)
    return path


def fit_of(tmp_path, text, *more):
    (tmp_path / "m.etace").write_text(text)
    done = CliRunner().invoke(
        app,
        ["fit", str(tmp_path / "m.etace"), "--train", str(silica(tmp_path / "d.xyz")), "--no-report",
         "--no-extrapolation", "-o", str(tmp_path / "f.safetensors"), *more],
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    return done.stderr


def test_presets_are_silent_and_single_atoms_are_not(tmp_path):
    said = fit_of(tmp_path, SPEC.format(e0="onebody E0 { Si = -0.8 eV, O = -1.0 eV }"))
    assert "cannot tell apart" not in said and "not determined" not in said
    said = fit_of(tmp_path, SPEC.format(e0="learnable onebody E0 { Si = -0.8 eV, O = -1.0 eV }"))
    assert "E0 of Si, O is not determined by the data: only the sum E0[Si] + 2 E0[O]" in said
    assert "cannot tell apart" not in said


def test_the_same_words_for_a_default_spec(tmp_path):
    data = silica(tmp_path / "d.xyz")
    for e0, expected in (("auto", True), ("lsq", True), ("zero", False), ("Si=-1,O=-2", False)):
        done = CliRunner().invoke(
            app,
            ["fit", "--elements", "Si,O", "--size", "small", "--e0", e0, "--train", str(data),
             "--no-report", "--no-extrapolation", "--allow-holes", "-o", str(tmp_path / f"{e0[:2]}.safetensors")],
        )  # fmt: skip
        assert done.exit_code == 0, done.stderr
        words = "E0 of O, Si is not determined by the data: only the sum 2 E0[O] + E0[Si] is known"
        assert (words in done.stderr) == expected, done.stderr


def test_what_a_user_wrote_is_named_with_its_line(tmp_path):
    said = fit_of(tmp_path, OWN)
    assert "columns that the data cannot tell apart: " in said
    assert "(V in line 18)" in said
    model = etace.load(tmp_path / "m.etace")
    assert not from_preset(model.origin, "V") and line_of(model.origin, "V") == 18
    (tmp_path / "p.etace").write_text(SPEC.format(e0="onebody E0 { Si = 0 eV, O = 0 eV }"))
    assert from_preset(etace.load(tmp_path / "p.etace").origin, "ace.many_body")
