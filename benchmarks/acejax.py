"""Worker for ace-jax. Runs in the environment of that peer only.

Its own linear basis of the total degree whose number of functions comes nearest to what is asked
for, with fixed random coefficients. Variants: `default` and `table` (its tabulated radials) by its
ASE calculator with a kept skin list: energy, forces, virial and the copies a step of MD makes;
`kernel`: its C++ kernel for LAMMPS, called through jit as its export does, on owned and ghost atoms,
with the forces of ghosts brought home and the virial formed inside.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

jax.config.update("jax_enable_x64", True)  # before ace_jax makes its first array

import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from ace_jax import ACECalculator, sparse_graph  # noqa: E402
from ace_jax.basis.model import BasisSpec, build_basis  # noqa: E402
from ace_jax.basis.spec import build_spec  # noqa: E402
from ace_jax.eval import ffi  # noqa: E402
from ace_jax.eval.model import fold_readout, lean  # noqa: E402

from benchmarks.case import Case  # noqa: E402
from benchmarks.meter import Meter  # noqa: E402
from benchmarks.serve import Prepared, serve  # noqa: E402


def degree(case: Case) -> int:
    """Total degree; it is also the number of pair functions."""
    sizes: dict[int, int] = {}
    for level in range(3, 30):
        sizes[level] = len(build_spec(len(case.elements), case.order, level)[0]) + level
        if sizes[level] >= case.functions:
            break
    return min(sizes, key=lambda level: abs(sizes[level] - case.functions))


def potential(case: Case) -> tuple[Any, dict[str, Any]]:
    basis = build_basis(
        BasisSpec(
            order=case.order, max_degree=degree(case), elements=case.elements, rcut=case.cutoff
        )
    )
    model, meta = basis.eval_pair()
    rng = np.random.default_rng(0)
    random = {k: 0.01 * rng.normal(size=getattr(model, k).shape) for k in ("WB", "Wpair")}
    model = dataclasses.replace(model, **{k: jnp.asarray(v) for k, v in random.items()})
    return fold_readout(model), meta


def prepare(case: Case, variant: str) -> Prepared:
    model, meta = potential(case)
    atoms = case.atoms()
    graph = sparse_graph(atoms.positions, atoms.cell.array, atoms.pbc, case.cutoff)
    facts = {
        "functions": meta["n_B"] + meta["n_pair"],
        "neighbours": len(graph.senders) / len(atoms),
    }
    if variant == "kernel":
        return Prepared(kernel(model, meta, atoms, graph, case.cutoff), facts)
    calculator = ACECalculator(model, meta, radial_table=True if variant == "table" else None)

    def run() -> tuple[float, Any]:
        calculator.calculate(atoms)
        return calculator.results["energy"], calculator.results["forces"]

    return Prepared(run, facts)


def kernel(model: Any, meta: Any, atoms: Any, graph: Any, cutoff: float) -> Any:
    """One jitted call of the C++ kernel: x -> energy, forces, virial."""
    ffi.register(ffi.library())
    attributes, constants = ffi.kernel_inputs(lean(model, radial_table=True))
    owner, shift, matrix, counts = ghosts(atoms, graph)
    elements = [int(e) for e in meta["elements"]]
    z = jnp.asarray([elements.index(number) for number in atoms.numbers[owner]], jnp.int32)
    n, f64 = len(atoms), jnp.float64

    @jax.jit
    def call(x: Any) -> Any:
        everywhere = x[owner] + shift
        result = (jax.ShapeDtypeStruct(z.shape, f64), jax.ShapeDtypeStruct((*z.shape, 3), f64))
        energies, forces = jax.ffi.ffi_call(ffi.TARGET, result)(
            everywhere, z, matrix, counts, jnp.ones(z.shape, f64), *constants,
            **attributes, rc2=np.float64(cutoff**2),
        )  # fmt: skip
        home = jax.ops.segment_sum(forces, owner, n)
        return energies[:n].sum(), home, everywhere.T @ forces

    x = jnp.asarray(atoms.positions)

    def run() -> tuple[float, Any]:
        energy, forces, _ = jax.block_until_ready(call(x))
        return energy, forces

    return run


def ghosts(atoms: Any, graph: Any) -> tuple[Any, Any, Any, Any]:
    """Periodic images as atoms of their own, the real ones first.

    result: owner [M], shift [M, 3] Å, matrix [K, N] of indices into M (M where empty), counts [N]
    """
    n = len(atoms)
    sender, receiver = np.asarray(graph.senders), np.asarray(graph.receivers)
    images = np.rint(np.asarray(graph.shifts) @ np.linalg.inv(atoms.cell.array)).astype(int)
    outside = images.any(axis=1)
    keys = np.column_stack([receiver, images])
    found, where = np.unique(keys[outside], axis=0, return_inverse=True)
    target = receiver.copy()
    target[outside] = n + where.reshape(-1)
    owner = np.concatenate([np.arange(n), found[:, 0]])
    shift = np.concatenate([np.zeros((n, 3)), found[:, 1:] @ atoms.cell.array])
    counts = np.bincount(sender, minlength=n)
    slot = np.arange(len(sender)) - (np.cumsum(counts) - counts)[sender]
    matrix = np.full((counts.max(), n), len(owner), np.int32)
    matrix[slot, sender] = target
    return jnp.asarray(owner), jnp.asarray(shift), jnp.asarray(matrix), jnp.int32(counts)


if __name__ == "__main__":
    serve(prepare, Meter())
