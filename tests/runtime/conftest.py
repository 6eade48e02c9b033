"""JAX as strict as it can be, and in 64-bit mode, for the tests that ask for it."""

from collections.abc import Iterator

import jax
import pytest


@pytest.fixture
def strict() -> Iterator[None]:
    with (
        jax.enable_x64(True),
        jax.numpy_rank_promotion("raise"),
        jax.numpy_dtype_promotion("strict"),
        jax.debug_nans(True),
    ):
        yield
