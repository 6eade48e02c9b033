"""Options and JAX's strict mode, shared by all tests."""

import gc
from pathlib import Path

import jax
import pytest

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared"

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_nans", True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the exhaustive sweeps too")
    parser.addoption(
        "--rewrite", action="store_true", help="rewrite golden files (then review them)"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="a slow sweep: run with --slow")
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def room_for_compiled_code():
    """XLA aborts when a process has used up its memory maps (vm.max_map_count, 65530 by default), and
    every compiled function takes some: forget them in time. They are compiled again where needed."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > 30_000:
        jax.clear_caches()
        gc.collect()


@pytest.fixture(autouse=True)
def short_md(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test MD of a fit takes a few steps: most tests of fits are about something else."""
    monkeypatch.setattr("etace.fit.dynamics.trial.PICOSECONDS", 0.04)


@pytest.fixture
def rewrite(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--rewrite"))


@pytest.fixture
def x64():
    """JAX in 64-bit mode, for this test only."""
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The large real data sets; tests that want them skip where they are absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip("the large data sets are not beside this checkout")
    return SHARED
