"""Model: a compiled potential with its parameters, on the host: atoms in, numpy numbers out.

`etace.load` makes one from an `.etace` file or a model file.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from etace import extrapolation
from etace.backend import choose_call, choose_evaluator, choose_rows
from etace.blocks import in_blocks
from etace.committee import CommitteeResult
from etace.errors import EtaceError, ParameterError, RequestError
from etace.graph import AtomGraph
from etace.inference.blocks import BlockGraph, Capacity, pack
from etace.inference.evaluator import Evaluator, Members
from etace.io import schema
from etace.io.model_file import write_model
from etace.native import Program, RowProgram
from etace.native.evaluator import NativeEvaluator
from etace.native.ffi import Call
from etace.native.graph import NativeGraph
from etace.native.listing import lister
from etace.native.rows import RowKernel
from etace.potential import FixedPart, Potential
from etace.precision import host_precision
from etace.rows import HostRows, Rows
from etace.structure import Paired, paired


class Result(NamedTuple):
    """energy: eV; energies: [N], eV; forces: [N, 3], eV/Å; virial: [3, 3], eV. numpy, no padding."""

    energy: float
    energies: np.ndarray
    forces: np.ndarray
    virial: np.ndarray


class Model:
    """A potential with parameters and where it came from.

    potential: pure functions (`etace.Potential`); params: dict block -> arrays
    module: the generated module (its blocks, and all models of the file); source: its text
    origin: what a model file carries of the spec (texts, overrides, dtype)
    cores: how many to use; default: all this process may run on
    splines: knots of splined radials; default: exact radials
    backend: what evaluates it: jax, native (a C kernel, built when it is first needed), or auto (default):
        native where it can be built, else jax; `backend_in_use` says which, `backend_in_jax` the same
        of `fast_graph`. Training and accelerators are always JAX's
    kernel: makes the native kernel's program; rows: that of its design rows
    card: what is known of how its parameters were found (`etace.report.card`); set anew, they have none
    """

    def __init__(
        self,
        potential: Potential,
        params: Mapping[str, Mapping[str, Any]],
        module: types.ModuleType,
        source: str,
        origin: Mapping[str, Any],
        arrays: Mapping[str, np.ndarray],
        cores: int | None = None,
        splines: int | None = None,
        card: Mapping[str, Any] | None = None,
        backend: str = "auto",
        kernel: Callable[[], Program] | None = None,
        rows: Callable[[], RowProgram] | None = None,
    ):
        potential.check(params)
        self.potential = potential
        self.params = {
            b: {k: np.array(v, potential.dtype) for k, v in a.items()} for b, a in params.items()
        }
        self.module = module
        self.source = source
        self.origin = origin
        self.arrays = arrays
        self.cores = cores
        self.splines = splines
        self.card = card
        self.backend = backend
        self._kernel = kernel
        self._row_program = rows
        self._committee: np.ndarray | None = None
        self._extrapolation: np.ndarray | None = None
        self._member_params: list[Any] = []

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("backend", "cores", "splines"):  # what evaluates is chosen anew
            for made in ("evaluator", "_chosen_rows", "_chosen", "_call"):
                self.__dict__.pop(made, None)
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        p = self.potential
        return (
            f"<etace.Model {p.name}: {', '.join(p.species)}; cutoff {p.cutoff_radius:g} Å; "
            f"{p.length_basis} linear parameters; {p.dtype}>"
        )

    @property
    def name(self) -> str:
        return self.potential.name

    @property
    def species(self) -> tuple[str, ...]:
        return self.potential.species

    @property
    def cutoff_radius(self) -> float:
        """The longest cutoff, Å."""
        return self.potential.cutoff_radius

    # ------------------------------------------------------------ evaluation

    @cached_property
    def evaluator(self) -> Evaluator | NativeEvaluator:
        """What all evaluations use, by the backend. Raises BuildError: a native kernel was asked for and
        cannot be built."""
        return self._chosen[0]

    @property
    def backend_in_use(self) -> str:
        """Which backend that is, and why; what has not been built is built to know it."""
        return self._chosen[1]

    @cached_property
    def _chosen(self) -> tuple[Evaluator | NativeEvaluator, str]:
        return choose_evaluator(
            self.potential.inference, self._kernel, self.backend, self.cores, self.splines
        )

    @property
    def row_kernel(self) -> RowKernel | None:
        """What makes design rows of structures, by the backend; None: JAX. Raises BuildError: as `evaluator`."""
        return self._chosen_rows[0]

    @property
    def rows_in_use(self) -> str:
        """As `backend_in_use`, of design rows."""
        return self._chosen_rows[1]

    @cached_property
    def _chosen_rows(self) -> tuple[RowKernel | None, str]:
        return choose_rows(self.potential, self.module, self._row_program, self.backend)

    def build(self) -> None:
        """Build now what rows and evaluations wait for when they are first asked for. Raises BuildError."""
        if self.row_kernel is not None:
            lister(self.row_kernel.toolchain)
        _ = self.evaluator

    def native_program(self) -> tuple[Program, np.ndarray]:
        """The native kernel's program, and its coefficients at the model's parameters."""
        if self._kernel is None:
            raise EtaceError("this model was not made by the compiler: it has no native kernel")
        program, inference = self._kernel(), self.potential.inference
        found = inference.coefficients(self.params)
        return program, program.coefficients(found, inference.pieces)

    def paired(self, atoms: Any, *, skin: float = 0.0) -> Paired:
        """An `ase.Atoms` with its neighbours within the cutoffs + skin, Å. Raises StructureError."""
        p = self.potential
        cell = np.asarray(atoms.cell)
        where = (atoms.positions, atoms.numbers, cell, atoms.pbc)
        return paired(*where, p.species, p.cutoffs, skin, p.dtype)

    def prepare(self, atoms: Any, *, skin: float = 0.0) -> Any:
        """What `evaluate_prepared` takes: one structure with its list of neighbours."""
        return self.evaluator.prepare([self.paired(atoms, skin=skin)])

    def evaluate(self, atoms: Any) -> Result:
        """Energy, energies per atom, forces and virial of one structure."""
        return self.evaluate_prepared(self.prepare(atoms))

    def evaluate_prepared(self, prepared: Any, positions: Any = None, cell: Any = None) -> Result:
        """The same with a list of neighbours in hand, at other positions [n, 3] or in another cell, Å.

        The list must hold: no atom may have moved by more than half its skin.
        """
        r = self.evaluator(self.params, prepared.moved(positions, cell))
        return Result(float(r.energy[0]), r.energies, r.forces, r.virial[0])

    def energy(self, atoms: Any) -> float:
        """eV."""
        return self.evaluate(atoms).energy

    def forces(self, atoms: Any) -> np.ndarray:
        """[N, 3], eV/Å."""
        return self.evaluate(atoms).forces

    def virial(self, atoms: Any) -> np.ndarray:
        """[3, 3], eV: -dE/dstrain; stress = -virial / volume."""
        return self.evaluate(atoms).virial

    def evaluate_batch(
        self, structures: Sequence[Any], *, atoms_per_batch: int = 1024
    ) -> list[Result]:
        """The same for many structures, several in one call; results in their order."""
        return list(self.evaluate_many(structures, atoms_per_batch=atoms_per_batch))

    def evaluate_many(
        self, structures: Sequence[Any], *, atoms_per_batch: int = 1024
    ) -> Iterator[Result]:
        """As `evaluate_batch`, one result after the other. A data set of many sizes costs a compilation
        or two: batches are of about one size."""
        for prepared in self._batches(structures, atoms_per_batch):
            yield from self._batch(prepared)

    def _batches(self, structures: Sequence[Any], atoms_per_batch: int) -> Iterator[Any]:
        groups: list[list[Any]] = [[]]
        for atoms in structures:
            if groups[-1] and sum(map(len, groups[-1])) + len(atoms) > atoms_per_batch:
                groups.append([])
            groups[-1].append(atoms)
        for group in groups:
            if group:
                yield self.evaluator.prepare([self.paired(a) for a in group], batch=True)

    def _batch(self, prepared: Any) -> Iterator[Result]:
        r = self.evaluator(self.params, prepared)
        start = 0
        for k, n in enumerate(prepared.counts):
            stop = start + n
            yield Result(
                float(r.energy[k]), r.energies[start:stop], r.forces[start:stop], r.virial[k]
            )
            start = stop

    # ------------------------------------------------------------ inside JAX

    @property
    def backend_in_jax(self) -> str:
        """As `backend_in_use`, of `fast_graph`."""
        return self._call[1]

    @cached_property
    def _call(self) -> tuple[Call | None, str]:
        return choose_call(self.evaluator, self.backend_in_use, self.backend, self.cores)

    def fast_graph(self, atoms: Any, *, skin: float = 0.0) -> BlockGraph | NativeGraph:
        """The graph with which `potential.energy` and `potential.energy_forces_virial` are fast: for use
        inside JAX programs, by the backend. Atoms are in their order, without padding.

        atoms: an `ase.Atoms`, or a list of them for a batch

        Raises BuildError: a native kernel was asked for and cannot be called from JAX.
        """
        batch = isinstance(atoms, list | tuple)
        structures = [self.paired(a, skin=skin) for a in (atoms if batch else [atoms])]
        n = len(self.species)
        call = self._call[0]
        if call is not None:
            return NativeGraph.of(structures, call, n, batch)

        def capacity(need: Capacity) -> Capacity:
            return replace(need.rounded(), atoms=need.atoms, structures=need.structures)

        return pack(structures, n, self.potential.dtype, capacity, batch=batch)

    # ------------------------------------------------------------ committees

    @property
    def committee(self) -> np.ndarray | None:
        """Linear parameters of the members, [M, P], or None."""
        return self._committee

    def set_committee(self, values: Any) -> None:
        """values: [M, P], copied; None: no committee. The model's own parameters are its mean."""
        if values is None:
            self._committee, self._member_params = None, []
            return
        values = np.array(values, self.potential.dtype)
        if values.ndim != 2 or len(values) < 2 or values.shape[1] != self.length_basis:
            raise ParameterError(
                f"a committee is [members, {self.length_basis}], 2 members or more, not "
                f"{list(values.shape)}"
            )
        if not np.isfinite(values).all():
            raise ParameterError("a committee's parameters must be finite numbers")
        self._committee = values
        self._member_params = [
            self.potential.set_linear_parameters(self.params, own) for own in values
        ]

    def evaluate_committee(self, atoms: Any, *, forces: bool = True) -> CommitteeResult:
        """Results of the mean and of all members. forces: whether the members' are wanted too"""
        return next(self.committee_many([atoms], forces=forces))

    def evaluate_committee_prepared(
        self, prepared: Any, positions: Any = None, *, forces: bool = True
    ) -> CommitteeResult:
        """The same with a list of neighbours in hand; see `evaluate_prepared`."""
        return next(self._of_members(prepared.moved(positions), forces))

    def committee_many(
        self, structures: Sequence[Any], *, forces: bool = True, atoms_per_batch: int = 1024
    ) -> Iterator[CommitteeResult]:
        """The same for many structures, several in one call; results in their order."""
        for prepared in self._batches(structures, atoms_per_batch):
            yield from self._of_members(prepared, forces)

    def _of_members(self, prepared: Any, forces: bool) -> Iterator[CommitteeResult]:
        if self._committee is None:
            raise RequestError("this model has no committee: fit it with --committee N")
        r = self.evaluator(self.params, prepared, Members(self._member_params, forces))
        assert r.member_energy is not None
        start = 0
        for k, n in enumerate(prepared.counts):
            own = slice(start, start + n)
            yield CommitteeResult(
                float(r.energy[k]), r.energies[own], r.forces[own], r.virial[k],
                r.member_energy[:, k],
                None if r.member_forces is None else r.member_forces[:, own],
            )  # fmt: skip
            start += n

    # ------------------------------------------------------------ extrapolation

    @property
    def extrapolation(self) -> np.ndarray | None:
        """[species, F, F] of `etace.extrapolation`, or None."""
        return self._extrapolation

    def set_extrapolation(self, values: Any) -> None:
        """values: [species, F, F], copied; None: no grades."""
        if values is not None:
            values = np.array(values, self.potential.dtype)
            species, functions = self.potential.site_columns.shape
            if values.shape != (species, functions, functions):
                raise ParameterError(
                    f"extrapolation needs [{species}, {functions}, {functions}], not "
                    f"{list(values.shape)}"
                )
            if not np.isfinite(values).all():
                raise ParameterError("the factors of extrapolation grades must be finite numbers")
        self._extrapolation = values

    def extrapolation_grades(self, structures: Sequence[Any]) -> Iterator[np.ndarray]:
        """Of the atoms of each structure: [N]. 1: as far from what is known as the farthest atom that
        was fitted; see `etace.extrapolation`."""
        if self._extrapolation is None:
            raise RequestError("this model has no extrapolation grades: `etace fit` makes them")
        return extrapolation.grades(self, self._extrapolation, structures)

    # ------------------------------------------------------------ the training form

    def graph(self, atoms: Any, *, skin: float = 0.0) -> AtomGraph:
        """The graph that the functions of `module` and `potential` take. Raises StructureError."""
        p = self.potential
        return AtomGraph.from_atoms(atoms, p.species, p.cutoffs, skin=skin, dtype=p.dtype)

    @cached_property
    def _rows(self) -> Any:
        return jax.jit(self.potential.design_rows)

    @cached_property
    def _rows_and_fixed_part(self) -> Any:
        p = self.potential
        return jax.jit(lambda *x: (p.design_rows(*x), p.fixed_part(*x)))

    @cached_property
    def _site_basis(self) -> Any:
        return jax.jit(lambda *x: in_blocks(lambda b: self.potential.site_basis(x[0], b), x[1]))

    @cached_property
    def _energy_rows(self) -> Any:
        return jax.jit(self.potential.energy_rows)

    def calculator(self, **keywords: Any) -> Any:
        """An ASE calculator of this model; keywords as of `etace.Calculator`."""
        from etace.calculator import Calculator

        return Calculator(self, **keywords)

    # ------------------------------------------------------------ linear parameters

    @property
    def length_basis(self) -> int:
        """Number of linear parameters P."""
        return self.potential.length_basis

    @property
    def lengths(self) -> dict[str, int]:
        """Linear parameters per term."""
        return self.potential.lengths

    def get_linear_parameters(self) -> np.ndarray:
        """[P], a copy, named by `potential.linear_parameters`."""
        return self.potential.get_linear_parameters(self.params)

    def set_linear_parameters(self, values: Any) -> None:
        """values: [P]; copied. Card, committee and extrapolation, which are of the old ones, go."""
        self.params = self.potential.set_linear_parameters(self.params, values)
        self.card = None
        self.set_committee(None)
        self.set_extrapolation(None)

    def energy_basis(self, atoms: Any) -> np.ndarray:
        """dE/dc: [P]. Terms without columns (a frozen onebody) are not in it."""
        with host_precision(self.potential.dtype):
            return np.asarray(self._energy_rows(self.params, self.graph(atoms)))

    def site_basis(self, graph: AtomGraph) -> Any:
        """[N, functions] of `Potential.site_basis`, as JAX arrays in the caller's mode of JAX."""
        return self._site_basis(self.params, graph)

    def energy_forces_virial_basis(self, atoms: Any) -> HostRows:
        """Derivatives of energy, forces and virial in the linear parameters."""
        if self.row_kernel is not None:
            own = self.row_kernel.rows(self.params, [self.paired(atoms)])
            return HostRows(own.energy[0], own.forces, own.virial[0])
        with host_precision(self.potential.dtype):
            r = self.design_rows(self.graph(atoms))
        return HostRows(
            np.asarray(r.energy), np.asarray(r.forces)[: len(atoms)], np.asarray(r.virial)
        )

    def design_rows(self, graph: AtomGraph) -> Rows:
        """The same of a graph, also of a batch, as JAX arrays in the caller's mode of JAX."""
        rows: Rows = self._rows(self.params, graph)
        return rows

    def rows_and_fixed_part(self, graph: AtomGraph) -> tuple[Rows, FixedPart]:
        """The same with what no linear parameter changes, in one call."""
        found: tuple[Rows, FixedPart] = self._rows_and_fixed_part(self.params, graph)
        return found

    # ------------------------------------------------------------ files

    def save(self, path: str | Path) -> None:
        """Write one `.safetensors` file from which `etace.load` rebuilds this model, and nothing else.

        It carries the texts of the spec and of all it uses, `load = ...` arrays, parameters and
        their names, versions, and the card if there is one. Same model, same bytes. Raises
        ModelFileError; never a half file.
        """
        tensors, metadata = self.content()
        schema.model(tensors, metadata, f"cannot write {path}")
        write_model(path, tensors, metadata)

    def content(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """(tensors, metadata) of its file; `etace.loading.from_tensors` is the inverse."""
        tensors = {
            f"params/{b}/{k}": np.asarray(v) for b, a in self.params.items() for k, v in a.items()
        }
        tensors |= {f"arrays/{name}": np.asarray(a) for name, a in self.arrays.items()}
        metadata = {
            **self.origin,
            "model": self.name,
            "species": list(self.species),
            "cutoff": self.cutoff_radius,
            "linear_parameters": [str(p) for p in self.potential.linear_parameters],
        }
        if self._committee is not None:
            tensors["committee"] = self._committee
        if self._extrapolation is not None:
            tensors["extrapolation"] = self._extrapolation.astype(np.float32)
        if self.card is not None:
            metadata["card"] = dict(self.card)
        return tensors, metadata
