"""Worker for etace: everything that is timed on our side is called here, by the public interface.

native      energy, energies per atom, forces, virial by a native kernel; list given, positions new
native calculator   a step of MD through ASE with it
inference   the same by JAX
evaluate    the same, neighbour list made every time
calculator  a step of MD through ASE: atoms move by 0.001 Å, the list is kept within its skin
training    the differentiable form, all parameters live: energy, forces, virial; list given
energy, forces    of that form: energy alone; energy and forces
gradient    of that form: a loss of energy and forces, differentiated in every parameter
rows, native rows    design rows of energy, forces and virial, list made every time
md, npt, dataset, batch    many structures in a row: for the number of compilations
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import etace
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.case import Case
from benchmarks.meter import Meter
from benchmarks.serve import Prepared, serve

SPECS = Path(__file__).parent / "specs"
Run = Callable[[], tuple[float, Any]]


def load(case: Case, backend: str = "jax") -> etace.Model:
    """The model of a case, its linear parameters random and fixed."""
    if case.spec is None:
        name = "_".join(case.elements).lower() + ".etace"
        size = {"max_order": case.order, "max_level": case.level, "cutoff": f"{case.cutoff} Å"}
        overrides = {k: str(v) for k, v in size.items()}
        model = etace.load(SPECS / name, case.model, overrides=overrides, backend=backend)
    else:
        model = etace.load(SPECS / case.spec, case.model, backend=backend)
    rng = np.random.default_rng(0)
    model.set_linear_parameters(0.01 * rng.normal(size=model.length_basis))
    return model


def inference(model: etace.Model, atoms: Any) -> Run:
    prepared = model.prepare(atoms)

    def run() -> tuple[float, Any]:
        r = model.evaluate_prepared(prepared, atoms.positions)
        return r.energy, r.forces

    return run


def evaluate(model: etace.Model, atoms: Any) -> Run:
    def run() -> tuple[float, Any]:
        r = model.evaluate(atoms)
        return r.energy, r.forces

    return run


def calculator(model: etace.Model, atoms: Any) -> Run:
    atoms.calc = model.calculator()
    step = 0.001 * np.random.default_rng(1).choice([-1, 1], atoms.positions.shape)

    def run() -> tuple[float, Any]:
        nonlocal step
        step = -step
        atoms.positions += step
        return atoms.get_potential_energy(), atoms.get_forces()

    return run


def _live(function: Callable[..., Any]) -> Callable[[etace.Model, Any], Run]:
    """function(potential, params, graph) -> (energy, forces or None), jitted, its inputs on the device."""

    def prepare(model: etace.Model, atoms: Any) -> Run:
        n, potential = len(atoms), model.potential
        with jax.enable_x64(True):
            inputs = jax.device_put((model.params, model.graph(atoms)))
        compiled = jax.jit(lambda params, graph: function(potential, params, graph))

        def run() -> tuple[float, Any]:
            with jax.enable_x64(True):
                energy, forces = jax.block_until_ready(compiled(*inputs))
            return float(energy), None if forces is None else np.asarray(forces)[:n]

        return run

    return prepare


def _training(potential: Any, params: Any, graph: Any) -> Any:
    r = potential.energy_forces_virial(params, graph)
    return r.energy, r.forces


def _forces(potential: Any, params: Any, graph: Any) -> Any:
    of_positions = lambda x: potential.energy(params, graph.with_positions(x))  # noqa: E731
    energy, slope = jax.value_and_grad(of_positions)(jnp.asarray(graph.positions))
    return energy, -slope


def _gradient(potential: Any, params: Any, graph: Any) -> Any:
    def loss(params: Any) -> Any:
        energy, forces = _forces(potential, params, graph)
        return (energy / graph.n_atoms) ** 2 + (forces**2).mean()

    value, slopes = jax.value_and_grad(loss)(params)
    # one number that needs every gradient, so that none is dropped
    return value, jnp.array([[sum(jnp.vdot(g, g) for g in jax.tree.leaves(slopes))]])


def rows(model: etace.Model, atoms: Any) -> Run:
    def run() -> tuple[float, Any]:
        r = model.energy_forces_virial_basis(atoms)
        return float(r.energy.sum()), r.forces

    return run


def walk(kind: str, atoms: Any, steps: int) -> Iterator[Any]:
    """Structures as a run would visit them, from random numbers: the count must not depend on a model.

    md: atoms displaced by up to 0.3 Å, so that the numbers of neighbours vary; npt: cells too, by 3 %
    dataset: pieces of 8 to 400 atoms
    """
    rng = np.random.default_rng(2)
    for step in range(steps):
        a = atoms.copy()
        if kind == "dataset":
            keep = rng.choice(len(a), min(len(a), int(rng.integers(8, 400))), replace=False)
            a = a[np.sort(keep)]
        a.positions += 0.3 * step / steps * rng.normal(size=a.positions.shape)
        if kind == "npt":
            a.set_cell(a.cell.array * (1 + rng.uniform(-0.03, 0.03)), scale_atoms=True)
        yield a


def _walk(kind: str, batch: bool = False) -> Callable[[etace.Model, Any], Run]:
    def prepare(model: etace.Model, atoms: Any) -> Run:
        asked = model.calculator()

        def run() -> tuple[float, Any]:
            frames = list(walk(kind, atoms, 50 if kind == "dataset" else 200))
            if batch:
                return sum(r.energy for r in model.evaluate_batch(frames)), None
            return sum(asked.get_potential_energy(a) for a in frames), None

        return run

    return prepare


VARIANTS: dict[str, Callable[[etace.Model, Any], Run]] = {
    "native": inference,
    "native calculator": calculator,
    "inference": inference,
    "evaluate": evaluate,
    "calculator": calculator,
    "training": _live(_training),
    "energy": _live(lambda potential, params, graph: (potential.energy(params, graph), None)),
    "forces": _live(_forces),
    "gradient": _live(_gradient),
    "rows": rows,
    "native rows": rows,
    "md": _walk("md"),
    "npt": _walk("npt"),
    "dataset": _walk("dataset"),
    "batch": _walk("dataset", batch=True),
}


def prepare(case: Case, variant: str) -> Prepared:
    model, atoms = load(case, "native" if variant.startswith("native") else "jax"), case.atoms()
    run = VARIANTS[variant](model, atoms)
    facts = {
        "functions": model.length_basis // len(model.species),
        "neighbours": model.graph(atoms).n_edges / len(atoms),
    }
    return Prepared(run, facts)


if __name__ == "__main__":
    serve(prepare, Meter())
