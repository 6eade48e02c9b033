"""Part 5: gradients in the parameters: train the radial weights too, with optax."""

import sys
from pathlib import Path

import etace
import jax
import jax.numpy as jnp
import numpy as np
from ase.io import read

try:
    import optax
except ImportError:
    sys.exit("this example needs optax, which etace does not: pip install optax")

here = Path(__file__).parent
model = etace.load(here / "../specs/scratch.etace", "combined")
frames = read(here / "data/SiO2_EDI_train.xyz", index=":4")
graphs = etace.AtomGraph.batch([model.graph(a) for a in frames])
targets = np.array([a.get_potential_energy() for a in frames])
shift = targets.mean() / 15 - (5 * -0.846 + 10 * -1.023) / 15  # per atom, beyond the one-body part

with jax.enable_x64(True):

    def loss(params):
        energies = model.potential.energy(params, graphs)[: len(frames)]
        return jnp.mean(((energies - targets) / 15 + shift) ** 2)

    step = jax.jit(jax.value_and_grad(loss))
    params = jax.tree.map(jnp.asarray, model.params)
    optimiser = optax.adam(1e-2)
    state = optimiser.init(params)
    for k in range(31):
        value, gradient = step(params)
        if k % 10 == 0:
            print(f"step {k:2d}: loss {float(value):.3e} eV^2")
        updates, state = optimiser.update(gradient, state)
        params = optax.apply_updates(params, updates)
