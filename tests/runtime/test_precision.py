"""A function compiled for one dtype refuses to work in another."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from etace.errors import PrecisionError
from etace.graph import AtomGraph
from etace.precision import host_precision, require


def test_float64_needs_the_64_bit_mode_also_while_tracing():
    def f(x):
        require("float64", x=x)
        return x

    with jax.enable_x64(False):
        with pytest.raises(PrecisionError, match=r"with jax.enable_x64\(True\):"):
            require("float64")
        with pytest.raises(PrecisionError, match="32-bit mode"):
            jax.jit(f)(np.ones(2))
    with jax.enable_x64(True):
        assert jax.jit(f)(np.ones(2)).dtype == np.float64
        assert jax.grad(lambda x: f(x).sum())(np.ones(2)).dtype == np.float64


def test_arrays_of_another_dtype_are_named():
    with jax.enable_x64(True):
        with pytest.raises(PrecisionError, match=r"positions has dtype float32.*for float64"):
            require("float64", positions=np.ones(2, np.float32))
        with pytest.raises(PrecisionError, match="cell has dtype int64"):
            jax.jit(lambda c: require("float32", cell=c))(jnp.ones(2, int))
        with pytest.raises(PrecisionError, match=r"params\['W'\] has dtype float64"):
            require("float32", params={"b": np.ones(2, np.float32), "W": np.ones(2)})
    require("float32", params={"W": np.ones(2, np.float32)}, x=jnp.ones(3, jnp.float32))


def test_of_a_graph_the_floating_arrays_count():
    g = AtomGraph.from_arrays(
        np.eye(3), ["O"] * 3, np.eye(3), False, ["O"], [[2.0]], dtype="float32"
    )
    require("float32", graph=g)
    with jax.enable_x64(True), pytest.raises(PrecisionError, match=r"graph\.positions"):
        require("float64", graph=g)


def test_the_host_context_leaves_no_trace():
    with jax.enable_x64(False):
        with host_precision("float64"):
            assert jnp.ones(1).dtype == np.float64
        with host_precision("float32"):
            assert jnp.ones(1).dtype == np.float32
        assert jnp.ones(1).dtype == np.float32
