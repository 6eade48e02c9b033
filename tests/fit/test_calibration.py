"""Coverage of a committee whose errors are known."""

import numpy as np
import pytest
from etace.fit.calibration import coverage, rescaled


def test_a_good_spread_is_recognised_and_a_small_one_scaled():
    rng = np.random.default_rng(0)
    spread = rng.uniform(0.5, 2, 20000)
    error = spread * rng.normal(size=20000)
    good = coverage("forces", [error], [spread])
    assert good.one == pytest.approx(0.683, abs=0.01) and good.two == pytest.approx(0.954, abs=0.01)
    assert not good.off and good.scale == pytest.approx(1, abs=0.02)
    small = coverage("forces", [error], [spread / 5])
    assert small.off and small.scale == pytest.approx(5, rel=0.02)
    assert not coverage("forces", [error], [small.scale * spread / 5]).off
    assert "off" in str(small) and "as it should be" in str(good)


def test_long_tails_are_called_off_where_there_are_enough_errors():
    rng = np.random.default_rng(1)
    error = rng.normal(size=4000)
    error[:400] = 3  # 14 % beyond 2 sd
    many = coverage("forces", [error], [np.ones(4000)])
    assert many.two < 0.88 and "longer tails" in many.verdict
    few = coverage("energy", [np.r_[np.zeros(13), np.full(5, 1.5), np.full(2, 3)]], [np.ones(20)])
    assert few.two == 0.9 and not few.off  # 2 of 20 may be chance


def test_members_keep_their_mean_when_scaled():
    mean, members = np.array([1.0, 2.0]), np.array([[1.5, 2.0], [0.5, 2.0]])
    np.testing.assert_allclose(rescaled(mean, members, 3.0), [[2.5, 2.0], [-0.5, 2.0]])
