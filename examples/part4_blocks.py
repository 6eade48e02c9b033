"""Part 4: the blocks of a generated module, put together by hand with one's own JAX."""

from pathlib import Path

import etace
import jax
import jax.numpy as jnp
from ase.io import read

here = Path(__file__).parent
model = etace.load(here / "../specs/scratch.etace", "scratch")
module, params = model.module, model.params
graph = model.graph(read(here / "data/SiO2_EDI_test.xyz"))

with jax.enable_x64(True):
    R = module.R(params, graph)  # [atoms, neighbours, 30]
    Y = module.Y(graph)  # [atoms, neighbours, 25]
    B = module.B(params, graph)  # [atoms, 6]
    print("R", R.shape, "Y", Y.shape, "B", B.shape)

    # A layer of one's own on top: a small network instead of the linear readout.
    key = jax.random.key(0)
    w = jax.random.normal(key, (6, 8), dtype="float64")

    def energy(positions):
        features = module.B(params, graph.with_positions(positions))
        return graph.per_structure(jnp.tanh(features @ w).sum(axis=1))

    positions = jnp.asarray(graph.positions)
    print(
        "E =", float(energy(positions)), "max |F| =", float(abs(jax.grad(energy)(positions)).max())
    )
