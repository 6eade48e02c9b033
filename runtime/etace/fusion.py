"""A barrier that XLA on a CPU respects.

XLA computes cheap producers again inside each of their consumers. Where the producer is a slice of a
loop's input or a concatenation, that turns the consumer's loop into one of single entries, without
vector instructions; `lax.optimization_barrier` does not stop it, a matrix product does.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

ROWS = 4


def apart(x: jax.Array) -> jax.Array:
    """x itself, computed before what reads it; its derivatives likewise."""
    if jax.default_backend() != "cpu" or x.size % ROWS:
        return x
    one = jnp.eye(ROWS, dtype=x.dtype)
    return jnp.matmul(one, x.reshape(ROWS, -1), precision=jax.lax.Precision.HIGHEST).reshape(
        x.shape
    )
