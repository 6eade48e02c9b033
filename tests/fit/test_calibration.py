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


def test_members_keep_their_mean_when_scaled():
    mean, members = np.array([1.0, 2.0]), np.array([[1.5, 2.0], [0.5, 2.0]])
    np.testing.assert_allclose(rescaled(mean, members, 3.0), [[2.5, 2.0], [-0.5, 2.0]])
