"""Standard deviations and bounds that cross-validation finds: on errors that are known, and on a fit."""

import math
from pathlib import Path

import etace
import numpy as np
import pytest
from ase.io import read
from etace.committee import CommitteeResult
from etace.data.memory import from_atoms
from etace.errors import RequestError
from etace.fit.assemble import assemble, plan
from etace.fit.crossvalidation import heldout
from etace.fit.fitting import solve, targets
from etace.fit.folds import ALWAYS, folds, with_folds
from etace.fit.priors import Prior
from etace.fit.scales import FEW, Errors, scale
from etace.fit.solvers import solver
from etace.fit.tables import compare
from etace.fit.weights import Weights
from etace.uncertainty import LEVELS, Calibration, Scale

ROOT = Path(__file__).parents[2]
TRAIN, TEST = (ROOT / f"examples/data/SiO2_EDI_{name}.xyz" for name in ("train", "test"))
SPEC = """etace 1
species Si, O
learnable onebody E0 { Si = -0.8 eV, O = -1.0 eV }
use linear_ace as ace { max_order = 2, max_level = 6, max_l = 2, cutoff = 4.5 Å }
model m = E0 + ace.two_body + ace.many_body
"""


def drawn(n, spread, misfit, seed=0, tails=None):
    rng = np.random.default_rng(seed)
    s, f = rng.uniform(0.01, 0.1, n), rng.uniform(0, 2, n)
    z = rng.normal(size=n) if tails is None else rng.standard_t(tails, size=n)
    return Errors(np.abs(z) * np.hypot(spread * s, misfit * f), s, f)


def within(x, found, k):
    return np.mean(x.e <= k * np.hypot(found.spread * x.s, found.misfit * x.f))


@pytest.mark.parametrize(("spread", "misfit"), [(7.0, 0.0), (4.0, 0.3), (0.0, 0.2)])
def test_both_parts_are_found_and_others_like_them_covered(spread, misfit):
    found = scale(drawn(4000, spread, misfit), 1.0)
    assert found.spread == pytest.approx(spread, rel=0.25, abs=0.6)
    assert found.misfit == pytest.approx(misfit, rel=0.25, abs=0.05)
    fresh = drawn(4000, spread, misfit, seed=1)
    for k, expected in ((1, 0.683), (2, 0.954), (3, 0.997)):
        assert within(fresh, found, k) == pytest.approx(expected, abs=0.03)


def test_bounds_hold_where_errors_have_long_tails():
    found = scale(drawn(4000, 5.0, 0.1, tails=3), 1.0)
    fresh = drawn(20_000, 5.0, 0.1, seed=1, tails=3)
    for p, bound in zip(LEVELS, found.bounds, strict=True):
        assert within(fresh, found, bound) == pytest.approx(p, abs=0.015)
    assert found.bounds[-1] > 3.5  # a normal distribution's is 3


def test_few_errors_have_no_far_bound():
    found = scale(drawn(FEW - 1, 5.0, 0.1), 1.0)
    assert found.misfit == 0 and found.bounds[0] == 1
    assert math.isfinite(found.bounds[1]) and found.bounds[2:] == (math.inf,) * 3
    alone = scale(drawn(1, 5.0, 0.1), 1.0)
    assert alone.spread > 0 and alone.bounds == (math.inf,) * 5


def test_units_do_not_matter():
    x = drawn(500, 5.0, 0.1)
    one, other = scale(x, 1.0), scale(Errors(1e3 * x.e, x.s, 1e-4 * x.f), 1.0)
    assert other.spread == pytest.approx(1e3 * one.spread, rel=1e-2)
    assert other.misfit == pytest.approx(1e7 * one.misfit, rel=1e-2)


def result(calibration):
    members = np.array([[[0.1, 0, 0]], [[-0.1, 0, 0]]])
    return CommitteeResult(
        1.0, np.ones(1), np.zeros((1, 3)), np.zeros((3, 3)), np.zeros((1, 6)),
        np.array([1.5, 0.5]), members, np.array([[1.0] * 6, [-1.0] * 6]), calibration,
    )  # fmt: skip


def test_a_result_has_bounds():
    bounds = (1.0, 1.5, 2.5, 3.5, math.inf)
    own = result(Calibration({"energy": Scale(4.0, 0.0, bounds, 100)}, 5, 100))
    assert own.energy_std == pytest.approx(2.0)
    assert own.bound("energy", 0.954) == pytest.approx(5.0)
    assert own.bound("energy", 0.997) == math.inf
    # no label told of forces: the scale of energies, and a normal distribution
    assert own.forces_std[0, 0] == pytest.approx(0.4)
    assert own.bound("forces", 0.954)[0, 0] == pytest.approx(0.8)
    np.testing.assert_allclose(own.virial_std, 4.0)
    plain = result(Calibration())
    assert plain.energy_std == pytest.approx(0.5)
    for kind, p in (("energy", 0.5), ("dipole", 0.954)):
        with pytest.raises(RequestError, match="there are bounds of"):
            own.bound(kind, p)


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "m.etace"
    path.write_text(SPEC)
    return path


def test_what_is_left_out_is_not_fitted(spec):
    """The prediction of a structure by the factors of the other folds is that of a fit of the others."""
    model = etace.load(spec)
    data = from_atoms(read(TRAIN, ":15"), want=("energy", "forces")).structures
    of = folds(data)
    weights, prior, chosen = Weights({}), Prior(), solver("blr", noise=0.05, prior_scale=100.0)

    def factors(structures, own):
        goals = with_folds(targets(structures, ("energy", "forces"), weights), own)
        return assemble(model, goals, plan(model, goals), 1)

    found = heldout(model, factors(data, of), weights, prior, chosen, data, of, members=4)
    assert all(h is not None and h.spread.energy > 0 for h in found)
    k = 2
    rest = [j for j, f in enumerate(of) if f != k]
    part = solve(model, factors([data[j] for j in rest], [0] * len(rest)), weights, prior, chosen)
    model.set_linear_parameters(part.c)
    own = [j for j, f in enumerate(of) if f == k]
    for j, c in zip(own, compare(model, [data[j] for j in own]), strict=True):
        np.testing.assert_allclose(found[j].found.forces[1], c.forces[1], atol=1e-6)
        assert found[j].found.energy[1] == pytest.approx(c.energy[1], abs=1e-7)
    of[3] = ALWAYS
    again = heldout(model, factors(data, of), weights, prior, chosen, data, of)
    assert again[3] is None and again[4].spread is None


def test_a_fit_covers_the_errors_of_structures_it_never_saw(spec, tmp_path):
    """The posterior alone does not: that is what calibration is for. The model file keeps it."""
    out = tmp_path / "m.safetensors"
    given = {
        "spec": spec,
        "train": f"{TRAIN}@:80",
        "test": str(TEST),
        "kinds": ("energy", "forces"),
    }
    found = etace.fit_model(
        **given, committee=12, output=out, write_report=False, extrapolation=False
    )
    coverage = {(c.of, c.kind): c for c in found.report.outcome.coverage}
    assert {of for of, _ in coverage} == {"cross-validation", "test set"}
    forces = coverage["test set", "forces"]
    assert abs(forces.one - 0.683) < 0.08 and abs(forces.two - 0.954) < 0.05
    assert abs(forces.bound - 0.954) < 0.05
    again = etace.load(out)
    assert again.calibration == found.model.calibration
    atoms = read(TEST, "0")
    one, other = (m.evaluate_committee(atoms) for m in (found.model, again))
    np.testing.assert_array_equal(one.forces_std, other.forces_std)
    assert one.energy_std > 1.5 * one.spread.energy
    again.set_committee(again.committee)
    assert not again.calibration.scales
    assert again.evaluate_committee(atoms).energy_std == pytest.approx(one.spread.energy)
