"""A barrier that XLA on a CPU respects.

XLA computes cheap producers again inside each of their consumers. Where the producer is a slice of a
loop's input or a concatenation, that turns the consumer's loop into one of single entries, without
vector instructions; `lax.optimization_barrier` does not stop it, a matrix product does.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp


def apart(x: jax.Array, rows: int) -> jax.Array:
    """x itself, computed before what reads it; its derivatives likewise.

    x: [a multiple of rows, ...]. What is not finite spreads to the other rows at its place: let these
    belong to the same atom.
    """
    if jax.default_backend() != "cpu":
        return x
    one = jnp.eye(rows, dtype=x.dtype)
    return jnp.matmul(one, x.reshape(rows, -1), precision=jax.lax.Precision.HIGHEST).reshape(
        x.shape
    )
