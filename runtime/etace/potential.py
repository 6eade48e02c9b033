"""Potential: what a generated module defines for each of its models. Pure functions on pytrees.

All functions take `params`, a dict block -> arrays as `init` makes it, and an `AtomGraph`; all can be
jitted, differentiated and vmapped. float64 needs JAX in 64-bit mode (`with jax.enable_x64(True):`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import ArrayLike

from etace import derive, rows
from etace.arrays import held, reals
from etace.blocks import in_blocks
from etace.derive import Results
from etace.errors import ParameterError
from etace.graph import AtomGraph
from etace.inference import Inference, derivatives
from etace.inference.derivatives import FastGraph
from etace.jacobian import OrderJacobian, jacobian
from etace.precision import require
from etace.rows import Rows
from etace.tensor import ProductTable

Params = Mapping[str, Mapping[str, Any]]
SiteEnergies = Callable[[Params, AtomGraph], jax.Array]


@dataclass(frozen=True, eq=False)
class Linear:
    """A readout or pair term: E_i = factor * sum_k W[k; Z_i] B[k](i).

    sites: (params, graph) -> [N], eV, before the factor
    edges: (params, graph) -> [N, K, F], whose sum over neighbours is A
    basis: A [N, F] -> B [N, functions]
    labels: one text per function, such as `(n=1, l=0)(n=2, l=0)`; a `; 1` at the end counts couplings

    What both are made of, for the design rows:
    radial: (params, graph, channels) -> R [N, K, channels], functions of the distance alone
    harmonics: (r, lmax) -> Y [N, K, (lmax + 1)^2] and their gradients [N, K, 3, (lmax + 1)^2];
        None where A is a sum of radials
    products: what makes B of A; None for a pair, whose B is A
    one_hot: radial function n reads polynomial ceil(n / species) of one neighbour species alone
    """

    block: str
    factor: float
    sites: SiteEnergies
    learnable: bool
    labels: Sequence[str]
    edges: Callable[[Params, AtomGraph], jax.Array]
    basis: Callable[[jax.Array], jax.Array]
    radial: Callable[..., jax.Array]
    harmonics: Callable[[jax.Array, int], tuple[jax.Array, jax.Array]] | None = None
    products: ProductTable | None = None
    one_hot: bool = False

    @cached_property
    def jacobian(self) -> tuple[OrderJacobian, ...]:
        """Tables of dB/dA; none for a pair."""
        return () if self.products is None else jacobian(self.products)


@dataclass(frozen=True)
class Constant:
    """A onebody term: E_i = factor * E0[Z_i]; learnable: one column per species."""

    block: str
    factor: float
    sites: SiteEnergies
    learnable: bool


@dataclass(frozen=True)
class Fixed:
    """A term without parameters, such as a zbl: no columns, all of it in what is fixed."""

    block: str
    factor: float
    sites: SiteEnergies
    learnable: ClassVar[bool] = False


class FixedPart(NamedTuple):
    """What no linear parameter changes. alone: scalar, or [S], eV, of atoms without neighbours;
    bound: all the rest"""

    alone: jax.Array
    bound: Results


@dataclass(frozen=True)
class LinearParameter:
    """One linear parameter: its place is its index in `Potential.linear_parameters`."""

    block: str
    species: str
    function: str

    def __str__(self) -> str:
        return f"{self.block}[{self.species}{'; ' + self.function if self.function else ''}]"


@dataclass(frozen=True, eq=False)
class Potential:
    """One model of a generated module: pure functions of parameters and a graph, for JAX.

        potential = model.potential
        with jax.enable_x64(True):
            E = jax.jit(potential.energy)(model.params, model.graph(atoms))     # eV

    Params: a dict block -> name -> array. Functions can be jitted, differentiated and vmapped; jit them: eager
    calls are slow. All raise ParameterError: arrays of other shapes than `blocks` says; PrecisionError: dtypes
    that are not the model's, or float64 while JAX is in 32-bit mode.

    species: in the order of the parameter arrays; cutoffs: [species, species], Å
    blocks: parameter blocks this model reads, with the shape of every array
    inference: the same energies with parameters frozen into tables, much faster
    """

    name: str
    species: tuple[str, ...]
    cutoffs: np.ndarray
    dtype: str
    terms: tuple[Linear | Constant | Fixed, ...]
    blocks: Mapping[str, Mapping[str, tuple[int, ...]]]
    starts: Callable[[int], dict[str, dict[str, np.ndarray]]]
    sites: Callable[[Params, AtomGraph], jax.Array]
    inference: Inference
    doc: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        self.cutoffs.setflags(write=False)

    def __reduce__(self) -> Any:
        raise TypeError("a Potential is made of functions: pickle its Model")

    # ------------------------------------------------------------ parameters

    def init(self, seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
        """Learnable parameters at their starts: numpy arrays in the model's dtype."""
        every = self.starts(seed)
        return {block: every[block] for block in self.blocks}

    def check(self, params: Params) -> None:
        """Raises ParameterError: a block or array is missing, unknown or of another shape."""
        if not isinstance(params, Mapping) or not all(
            isinstance(arrays, Mapping) for arrays in params.values()
        ):
            raise ParameterError("parameters are a dict of blocks, each a dict of arrays")
        for block, arrays in params.items():
            if block not in self.blocks:
                raise ParameterError(
                    f"unknown parameter block `{block}`; there is: {_list(self.blocks)}"
                )
            for name in arrays:
                if name not in self.blocks[block]:
                    raise ParameterError(
                        f"unknown parameter `{block}.{name}`; there is: {_list(self.blocks[block])}"
                    )
        self.check_shapes(params)

    def check_shapes(self, params: Params) -> None:
        """Raises ParameterError: a block or array that is read is missing or of another shape."""
        for block, arrays in self.blocks.items():
            if block not in params:
                raise ParameterError(f"parameter block `{block}` is missing")
            for name, shape in arrays.items():
                if name not in params[block]:
                    raise ParameterError(f"parameter `{block}.{name}` is missing")
                found = _shape(params[block][name])
                if found != shape:
                    raise ParameterError(
                        f"parameter `{block}.{name}` has shape {found}, not {shape}"
                    )

    def check_graph(self, graph: AtomGraph | FastGraph) -> None:
        """Raises RequestError: it was made for other species or shorter cutoffs."""
        if graph.bonds is not None:
            graph.bonds.check(self.species, self.cutoffs)

    @cached_property
    def linear_parameters(self) -> tuple[LinearParameter, ...]:
        """Names of the linear parameters: terms in the order written, species-major inside."""
        out = []
        for term in self.terms:
            if not term.learnable:
                continue
            labels = term.labels if isinstance(term, Linear) else [""]
            out += [LinearParameter(term.block, s, label) for s in self.species for label in labels]
        return tuple(out)

    @property
    def length_basis(self) -> int:
        """Number of linear parameters P."""
        return sum(self.lengths.values())

    @cached_property
    def lengths(self) -> dict[str, int]:
        """Number of linear parameters of each term; 0 for a frozen one."""
        n = len(self.species)
        sizes = {t.block: len(t.labels) if isinstance(t, Linear) else 1 for t in self.terms}
        return {t.block: sizes[t.block] * n if t.learnable else 0 for t in self.terms}

    def get_linear_parameters(self, params: Params) -> np.ndarray:
        """[P], a copy, in the order of `linear_parameters`."""
        parts = [
            np.asarray(params[t.block][_array(t)]).T.ravel() for t in self.terms if t.learnable
        ]
        return np.concatenate(parts) if parts else np.zeros(0, self.dtype)

    def set_linear_parameters(
        self, params: Params, values: ArrayLike
    ) -> dict[str, dict[str, np.ndarray]]:
        """New params with these linear parameters; values: [P]. The old ones are left as they are.

        Raises ParameterError: another shape, or numbers that are not finite.
        """
        n = self.length_basis
        values, _ = reals(
            values, (n,), "the values", f"{n} linear parameters are needed", dtype=self.dtype
        )
        out = held(params)
        start = 0
        for t in self.terms:
            size = self.lengths[t.block]
            if size:
                shape = self.blocks[t.block][_array(t)]
                part = values[start : start + size].reshape(shape[::-1]).T
                out[t.block][_array(t)] = np.ascontiguousarray(part, self.dtype)
            start += size
        return out

    @property
    def cutoff_radius(self) -> float:
        """The longest cutoff of any bond, Å."""
        return float(self.cutoffs.max())

    # ------------------------------------------------------------ evaluation

    def site_energies(self, params: Params, graph: AtomGraph) -> jax.Array:
        """E_i: [N], eV."""
        self._require(params, graph)
        return in_blocks(lambda block: self.sites(params, block), graph)

    def energy(self, params: Params, graph: AtomGraph | FastGraph) -> jax.Array:
        """E: scalar, or [S] for a batch, eV. By a fast form for its graph (`Model.fast_graph`)."""
        if not isinstance(graph, AtomGraph):
            return derivatives.energy(self, params, graph)
        return graph.per_structure(self.site_energies(params, graph))

    def energy_forces_virial(self, params: Params, graph: AtomGraph | FastGraph) -> Results:
        """Energy, energies per atom, forces and virial. By a fast form for its graph."""
        if not isinstance(graph, AtomGraph):
            return derivatives.energy_forces_virial(self, params, graph)
        self._require(params, graph)
        return derive.energy_forces_virial(self.sites, params, graph)

    def site_basis(self, params: Params, graph: AtomGraph) -> jax.Array:
        """B[k](i) of all learnable readouts and pairs, one after the other: [N, functions].

        The same functions serve every centre species; `design_rows` resolves them by species.
        """
        self._require(params, graph)
        parts = [
            t.factor * t.basis(jnp.sum(t.edges(params, graph), axis=1))
            for t in self.terms
            if isinstance(t, Linear) and t.learnable
        ]
        if not parts:
            return jnp.zeros((graph.n_atoms, 0), self.dtype)
        mask = jnp.asarray(graph.atom_mask)[:, None]
        return jnp.where(mask, jnp.concatenate(parts, axis=-1), 0)

    def energy_rows(self, params: Params, graph: AtomGraph) -> jax.Array:
        """dE / d(linear parameters): [P], or [S, P] for a batch."""
        self._require(params, graph)
        return jnp.concatenate([self._energy_part(t, params, graph) for t in self._open], axis=-1)

    def design_rows(self, params: Params, graph: AtomGraph) -> Rows:
        """Energy, forces and virial per linear parameter; frozen terms have no columns.

        E = fixed + energy @ c with c the linear parameters, and the same for forces and virial.
        """
        self._require(params, graph)
        sums, first = rows.empty(graph, self.length_basis, self.dtype), 0
        for term in self._open:
            if isinstance(term, Linear):
                sums = rows.add_linear(sums, term, first, params, graph)
            else:
                sums = rows.add_constant(sums, term.factor, first, self._own(graph), graph)
            first += self.lengths[term.block]
        return rows.finish(sums, graph)

    def fixed_part(self, params: Params, graph: AtomGraph) -> FixedPart:
        """Energy, forces and virial of the frozen terms."""
        self._require(params, graph)
        frozen = [t for t in self.terms if not t.learnable]
        alone = [t for t in frozen if isinstance(t, Constant)]
        bound = [t for t in frozen if not isinstance(t, Constant)]

        def total(terms: list[Any], block: AtomGraph) -> jax.Array:
            zero = jnp.zeros(block.n_atoms, self.dtype)
            return sum((t.factor * t.sites(params, block) for t in terms), start=zero)

        return FixedPart(
            graph.per_structure(total(alone, graph)),
            derive.energy_forces_virial(lambda _, block: total(bound, block), params, graph),
        )

    @cached_property
    def site_columns(self) -> np.ndarray:
        """[species, functions]: the linear parameter of each function of `site_basis`, by species."""
        parts, first = [], 0
        for t in self.terms:
            if t.learnable and isinstance(t, Linear):
                n = self.lengths[t.block]
                parts.append(first + np.arange(n).reshape(len(self.species), -1))
            first += self.lengths[t.block]
        return np.concatenate([np.zeros((len(self.species), 0), int), *parts], axis=1)

    @cached_property
    def columns_alone(self) -> np.ndarray:
        """[P], bool: which linear parameters are energies of atoms without neighbours."""
        open_ = [t for t in self.terms if t.learnable]
        parts = [np.full(self.lengths[t.block], isinstance(t, Constant)) for t in open_]
        return np.concatenate(parts) if parts else np.zeros(0, bool)

    def _require(self, params: Params, graph: AtomGraph) -> None:
        self.check_shapes(params)
        self.check_graph(graph)
        require(self.dtype, params=params, graph=graph)

    @property
    def _open(self) -> list[Linear | Constant]:
        found = [t for t in self.terms if not isinstance(t, Fixed) and t.learnable]
        if not found:
            raise ParameterError(f"model `{self.name}` has no linear parameters")
        return found

    def _own(self, graph: AtomGraph) -> jax.Array:
        kinds = jnp.arange(len(self.species), dtype=jnp.int32)
        own = jnp.asarray(graph.species)[:, None] == kinds[None, :]
        return (own & jnp.asarray(graph.atom_mask)[:, None]).astype(self.dtype)

    def _energy_part(self, term: Linear | Constant, params: Params, graph: AtomGraph) -> jax.Array:
        own = self._own(graph)
        if isinstance(term, Constant):
            return term.factor * graph.per_structure(own)
        B = term.basis(jnp.sum(term.edges(params, graph), axis=1))
        columns = jnp.einsum("is,ib->isb", own, B).reshape(B.shape[0], -1)
        return term.factor * graph.per_structure(columns)


def _array(term: Linear | Constant | Fixed) -> str:
    return "weights" if isinstance(term, Linear) else "energies"


def _shape(value: Any) -> tuple[int, ...] | None:
    """None: of no array."""
    try:
        return tuple(np.shape(value))
    except ValueError:
        return None


def _list(names: Mapping[str, Any]) -> str:
    return ", ".join(sorted(names)) if names else "none"
