"""Model: a compiled potential with its parameters, on the host: atoms in, numpy numbers out.

`etace.load` makes one from an `.etace` file or a model file.
"""

from __future__ import annotations

import hashlib
import types
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import ref

import jax
import numpy as np
from numpy.typing import ArrayLike

from etace import extrapolation
from etace.arrays import frozen, reals
from etace.backend import check_settings, choose_call, choose_evaluator, choose_rows
from etace.blocks import in_blocks
from etace.committee import CommitteeResult
from etace.domain import Domain, Gap
from etace.errors import DomainWarning, EtaceError, ParameterError, RequestError, StructureError
from etace.extrapolation import TRAINING
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
from etace.pickling import copied, reduced
from etace.potential import FixedPart, Linear, Potential
from etace.precision import host_precision
from etace.prepared import PreparedAtoms
from etace.rows import HostRows, Rows
from etace.searched import Searched, groups
from etace.store import Store
from etace.structure import Paired, paired_atoms
from etace.uncertainty import RAW, Calibration

if TYPE_CHECKING:
    from ase import Atoms

    from etace.calculator import Calculator


Told = Callable[[int, Gap], None]


class Result(NamedTuple):
    """What a model says of one structure of N atoms: numpy arrays, no padding.

    energy: eV
    energies: [N], eV, of the atoms; they add up to the energy
    forces: [N, 3], eV/Å
    virial: [3, 3], eV, -dE/dstrain; the stress is -virial / volume
    virials: [N, 6], eV, of each atom's energy, as xx, yy, zz, yz, xz, xy; they add up to the virial

        r = model.evaluate(bulk("Si"))
        r.energy, r.forces.shape             # -15.7, (2, 3)
    """

    energy: float
    energies: np.ndarray
    forces: np.ndarray
    virial: np.ndarray
    virials: np.ndarray


class File(NamedTuple):
    """A model file. sha256: of its bytes, in hexadecimal"""

    name: str
    sha256: str


class Model:
    """A potential with its parameters: structures in, numpy numbers out. `etace.load` makes one.

        model = etace.load("si_o.safetensors")
        model.energy(atoms)                      # eV
        model.evaluate(atoms).forces             # [N, 3], eV/Å
        atoms.calc = model.calculator()          # for ASE

    Models can be pickled, copied and used in several threads and processes. A process that is forked can go
    on with a native backend; JAX must not have been in use before.

    potential: the same as pure functions for JAX (`etace.Potential`)
    module: the generated module (its blocks, and all models of the file); source: its text
    origin: what a model file carries of the spec (texts, overrides, dtype); read-only
    arrays: those that the spec takes from files, by name; read-only
    cores: how many to use, 1 or more; None: all this process may run on
    splines: knots of splined radials, 2 or more; None: exact radials
    backend: what evaluates it: jax, native (a C kernel, built when it is first needed), or auto (default):
        native where it can be built, else jax; `backend_in_use` says which, `backend_in_jax` the same
        of `fast_graph`. Training and accelerators are always JAX's
    card: what is known of how its parameters were found (`etace.report.card`), or None
    domain: what the training data held (`etace.domain`), or None; what goes beyond it is warned of, once of each
        kind (DomainWarning)
    file: the model file it was read from, or None: there is none, or its parameters have been changed

    cores, splines and backend can be set at any time; RequestError: to what they cannot be.
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
        given: Iterable[str] = (),
    ):
        """kernel: makes the native kernel's program; rows: that of its design rows; given: blocks of parameters
        whose starts are numbers of the user's"""
        self.potential = potential
        self.module = module
        self.source = source
        self.origin = _read_only(origin)
        self.arrays = MappingProxyType({name: frozen(a) for name, a in arrays.items()})
        self.cores = cores
        self.splines = splines
        self.backend = backend
        self._kernel = kernel
        self._row_program = rows
        self._committee: np.ndarray | None = None
        self._calibration = RAW
        self._extrapolation: np.ndarray | None = None
        self._graded_by = TRAINING
        self._member_params: list[Any] = []
        self._revision = 0
        self._told: set[tuple[str, ...]] = set()
        self._searched: ref[Searched] | None = None
        self.file: File | None = None
        self._store = Store(potential, params, self._changed)
        self.card = card
        self.domain: Domain | None = None
        given = frozenset(given)
        self._starts = {
            t.block: self._current[t.block]["weights"]
            for t in potential.terms
            if isinstance(t, Linear) and t.learnable and t.block not in given
        }

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ("backend", "cores", "splines"):  # what evaluates is chosen anew
            check_settings(**{name: value})
            for made in ("evaluator", "_chosen_rows", "_chosen", "_call"):
                self.__dict__.pop(made, None)
        super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return reduced(self)

    def __copy__(self) -> Model:
        return copied(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Model:
        return copied(self)

    def __repr__(self) -> str:
        p = self.potential
        return (
            f"<etace.Model {p.name}: {', '.join(p.species)}; cutoff {p.cutoff_radius:g} Å; "
            f"{p.length_basis} linear parameters; {p.dtype}>"
        )

    @property
    def name(self) -> str:
        """Of the model in its `.etace` file."""
        return self.potential.name

    @property
    def species(self) -> tuple[str, ...]:
        """Chemical symbols, in the order of parameter arrays."""
        return self.potential.species

    @property
    def cutoff_radius(self) -> float:
        """The longest cutoff, Å."""
        return self.potential.cutoff_radius

    # ------------------------------------------------------------ parameters

    @property
    def params(self) -> dict[str, dict[str, np.ndarray]]:
        """All parameters: block -> name -> array, shapes as in `potential.blocks`. Arrays are read-only.

        Assign new ones, all or some, and everything follows at the next use:

            model.params = potential.init(seed=1)
            model.params["E0"]["energies"] = [-3.5, -8.0]
            model.set_params("E0", "energies", [-3.5, -8.0])        # the same

        Values are copied. Card, domain, committee and extrapolation, which are of the old ones, go. Raises
        ParameterError: blocks, names or shapes that are not the model's, or numbers that are not finite.
        """
        return self._store.shown

    @params.setter
    def params(self, values: Mapping[str, Mapping[str, ArrayLike]]) -> None:
        self._store.replace(values)

    def set_params(self, block: str, name: str, values: ArrayLike) -> None:
        """One array of parameters; see `params`. values: of the shape `potential.blocks[block][name]`"""
        params = self._current
        self.params = {**params, block: {**params.get(block, {}), name: values}}

    @property
    def revision(self) -> int:
        """Counts the changes of parameters, committee and extrapolation."""
        self._store.notice()
        return self._revision

    @property
    def _current(self) -> dict[str, dict[str, np.ndarray]]:
        """The parameters, in dicts that are others once anything has changed."""
        return self._store.current

    def _changed(self) -> None:
        """Drops what belonged to other parameters."""
        self.card = self.file = None
        self.domain = None
        self._committee, self._member_params, self._extrapolation = None, [], None
        self._calibration = RAW
        self._revision += 1

    @property
    def unfitted(self) -> str:
        """Why its numbers mean nothing yet: its linear parameters are all where they start; empty: they are not."""
        now = [self._current[block]["weights"] for block in self._starts]
        pairs = zip(self._starts.values(), now, strict=True)
        if not now or not all(np.array_equal(a, b) for a, b in pairs):
            return ""
        how = "random numbers" if any(w.any() for w in now) else "all zero"
        return f"`{self.name}` is not fitted: its linear parameters are {how}, as they start"

    # ------------------------------------------------------------ evaluation

    @cached_property
    def evaluator(self) -> Evaluator | NativeEvaluator:
        """What all evaluations use, by the backend. Raises BuildError: a native kernel was asked for and
        cannot be built."""
        return self._chosen[0]

    @property
    def backend_in_use(self) -> str:
        """Which backend that is, and why. Builds the kernel if needed."""
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
        found = inference.coefficients(self._current)
        return program, program.coefficients(found, inference.pieces)

    def paired(self, atoms: Atoms, *, skin: float = 0.0) -> Paired:
        """A structure with its neighbours within the cutoffs + skin, Å. Raises StructureError, ParameterError."""
        p, kept = self.potential, self.searched

        def make() -> Paired:
            return paired_atoms(atoms, p.species, p.cutoffs, skin, p.dtype)

        return make() if kept is None or skin else kept.paired(atoms, make)

    def search_once(self, searched: Searched) -> None:
        """Keep neighbours of structures there, as long as somebody holds it. They must not change meanwhile."""
        self._searched = ref(searched)

    def list_together(self, structures: Sequence[Paired]) -> None:
        """Search for the neighbours of several, as rows will, if what makes those is there already and nothing is
        wrong with any."""
        if "_chosen_rows" not in self.__dict__:  # nobody has asked for rows
            return
        with suppress(StructureError):
            if self.row_kernel is not None:
                self.row_kernel.listed(structures)
            else:
                for s in structures:
                    _ = s.pairs

    @property
    def searched(self) -> Searched | None:
        """Where neighbours are kept, or None."""
        return None if self._searched is None else self._searched()

    @property
    def batches(self) -> Searched | None:
        """The same, where native kernels take structures in its batches."""
        kept = self.searched
        return None if kept is None or self.row_kernel is None else kept

    def prepare(self, atoms: Atoms, *, skin: float = 0.0) -> PreparedAtoms:
        """One structure with its list of neighbours: what `evaluate_prepared` takes.

        skin: Å, 0 or more: neighbours are listed to the cutoffs + skin

        It serves this model until its backend, cores or splines are changed. Raises StructureError: a
        structure that cannot be evaluated; ParameterError: a skin that is none.
        """
        structure = self.paired(atoms, skin=skin)
        prepared = self.evaluator.prepare([structure])
        self._look([structure])
        return prepared

    def _look(self, structures: Sequence[Paired], first: int = 0, told: Told | None = None) -> None:
        """Say what they have and the training data had not. first: number of the first, for `told`"""
        if self.domain is None:
            return
        for k, structure in enumerate(structures, first):
            for gap in self.domain.gaps(self, structure):
                if told is not None:
                    told(k, gap)
                elif gap.names not in self._told:
                    self._told.add(gap.names)
                    warnings.warn(str(gap), DomainWarning, stacklevel=2)

    def evaluate(self, atoms: Atoms) -> Result:
        """Energy, energies per atom, forces and virial of one structure. Raises StructureError."""
        return self.evaluate_prepared(self.prepare(atoms))

    def evaluate_prepared(
        self,
        prepared: PreparedAtoms,
        positions: ArrayLike | None = None,
        cell: ArrayLike | None = None,
    ) -> Result:
        """The same with a list of neighbours in hand, of `prepare`.

            near = model.prepare(atoms, skin=0.5)
            model.evaluate_prepared(near, atoms.positions + 0.1).energy

        positions: [N, 3], Å, and cell: [3, 3], Å, vectors as rows; None: those of the list

        The list must hold: no atom may have moved by more than half its skin. Raises StructureError: arrays of
        another shape, or numbers that are not real and finite; RequestError: a list that is of a batch, of
        another model, or from before the backend was changed.
        """
        evaluator = self.evaluator
        near = _one(prepared).moved(positions, cell)
        r = evaluator(self._current, near)
        return Result(float(r.energy[0]), r.energies, r.forces, r.virial[0], r.virials)

    def energy(self, atoms: Atoms) -> float:
        """eV. Raises StructureError."""
        return self.evaluate(atoms).energy

    def forces(self, atoms: Atoms) -> np.ndarray:
        """[N, 3], eV/Å. Raises StructureError."""
        return self.evaluate(atoms).forces

    def virial(self, atoms: Atoms) -> np.ndarray:
        """[3, 3], eV: -dE/dstrain; stress = -virial / volume. Raises StructureError."""
        return self.evaluate(atoms).virial

    def evaluate_batch(
        self, structures: Sequence[Atoms], *, atoms_per_batch: int = 1024
    ) -> list[Result]:
        """As `evaluate`, for many structures, several in one call; results in their order.

        atoms_per_batch: 1 or more; structures are put together up to so many atoms
        """
        return list(self.evaluate_many(structures, atoms_per_batch=atoms_per_batch))

    def evaluate_many(
        self,
        structures: Sequence[Atoms],
        *,
        atoms_per_batch: int = 1024,
        told: Told | None = None,
    ) -> Iterator[Result]:
        """As `evaluate_batch`, one result after the other. A data set of many sizes costs a compilation
        or two: batches are of about one size.

        told: takes the number of a structure and what it has that the training data had not; default: a
            DomainWarning, once of each kind
        """
        for prepared in self._batches(structures, atoms_per_batch, told):
            yield from self._batch(prepared)

    def _batches(
        self, structures: Sequence[Atoms], atoms_per_batch: int, told: Told | None = None
    ) -> Iterator[PreparedAtoms]:
        if hasattr(structures, "positions"):
            raise RequestError("a list of structures is needed, not one structure")
        if not atoms_per_batch >= 1:
            raise RequestError(f"atoms_per_batch must be 1 or more, found {atoms_per_batch}")
        done = 0
        for group in groups(structures, atoms_per_batch, self.batches):
            yield self._batch_of([self.paired(a) for a in group], done, told)
            done += len(group)

    def _batch_of(self, group: list[Paired], first: int, told: Told | None) -> PreparedAtoms:
        prepared = self.evaluator.prepare(group, batch=True)
        self._look(group, first, told)
        return prepared

    def _batch(self, prepared: PreparedAtoms) -> Iterator[Result]:
        r = self.evaluator(self._current, prepared)
        start = 0
        for k, n in enumerate(prepared.counts):
            own = slice(start, start + n)
            yield Result(
                float(r.energy[k]), r.energies[own], r.forces[own], r.virial[k], r.virials[own]
            )
            start += n

    # ------------------------------------------------------------ inside JAX

    @property
    def backend_in_jax(self) -> str:
        """As `backend_in_use`, of `fast_graph`."""
        return self._call[1]

    @cached_property
    def _call(self) -> tuple[Call | None, str]:
        return choose_call(self.evaluator, self.backend_in_use, self.backend, self.cores)

    def fast_graph(
        self, atoms: Atoms | Sequence[Atoms], *, skin: float = 0.0
    ) -> BlockGraph | NativeGraph:
        """The graph with which `potential.energy` and `potential.energy_forces_virial` are fast: for use
        inside JAX programs, by the backend. Atoms are in their order, without padding.

        atoms: a structure, or a list of them for a batch; skin: see `prepare`

        Raises BuildError: a native kernel was asked for and cannot be called from JAX; StructureError.
        """
        batch = isinstance(atoms, list | tuple)
        each: Any = atoms if batch else [atoms]
        structures = [self.paired(a, skin=skin) for a in each]
        if not structures:
            raise RequestError("a batch needs at least one structure")
        self._look(structures)
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
        """Linear parameters of the members, [M, P], read-only, or None."""
        self._store.notice()
        return self._committee

    @property
    def calibration(self) -> Calibration:
        """From the spread of the committee to the size of errors; without scales where nobody found them."""
        self._store.notice()
        return self._calibration

    def set_committee(self, values: ArrayLike | None, calibration: Calibration = RAW) -> None:
        """values: [M, P], M of 2 or more, copied; None: no committee. The model's own parameters are its mean.

        calibration: of its spread; default: none

        Raises ParameterError: another shape, or numbers that are not finite.
        """
        params, made = self._current, None
        if values is not None:
            made, _ = reals(values, None, "a committee's parameters", dtype=self.potential.dtype)
            if made.ndim != 2 or len(made) < 2 or made.shape[1] != self.length_basis:
                raise ParameterError(
                    f"a committee is [members, {self.length_basis}], 2 members or more, not "
                    f"{list(made.shape)}"
                )
        own: Any = () if made is None else made
        self._member_params = [self.potential.set_linear_parameters(params, m) for m in own]
        self._committee = None if made is None else frozen(made)
        self._calibration = RAW if made is None else calibration
        self._revision += 1

    def evaluate_committee(self, atoms: Atoms, *, forces: bool = True) -> CommitteeResult:
        """Results of the mean and of all members. forces: whether the members' are wanted too

        Raises StructureError; RequestError: the model has no committee.
        """
        return next(self.committee_many([atoms], forces=forces))

    def evaluate_committee_prepared(
        self,
        prepared: PreparedAtoms,
        positions: ArrayLike | None = None,
        cell: ArrayLike | None = None,
        *,
        forces: bool = True,
    ) -> CommitteeResult:
        """The same with a list of neighbours in hand; see `evaluate_prepared`."""
        near = _one(prepared).moved(positions, cell)
        return next(self._of_members(near, forces))

    def committee_many(
        self,
        structures: Sequence[Atoms],
        *,
        forces: bool = True,
        atoms_per_batch: int = 1024,
        told: Told | None = None,
    ) -> Iterator[CommitteeResult]:
        """The same for many structures, several in one call; results in their order. told: see `evaluate_many`"""
        for prepared in self._batches(structures, atoms_per_batch, told):
            yield from self._of_members(prepared, forces)

    def _of_members(self, prepared: PreparedAtoms, forces: bool) -> Iterator[CommitteeResult]:
        params = self._current
        if self._committee is None:
            raise RequestError("this model has no committee: fit it with --committee N")
        r = self.evaluator(params, prepared, Members(self._member_params, forces))
        assert r.member_energy is not None
        start = 0
        for k, n in enumerate(prepared.counts):
            own = slice(start, start + n)
            yield CommitteeResult(
                float(r.energy[k]), r.energies[own], r.forces[own], r.virial[k], r.virials[own],
                r.member_energy[:, k],
                None if r.member_forces is None else r.member_forces[:, own],
                None if r.member_virial is None else r.member_virial[:, k],
                self._calibration,
            )  # fmt: skip
            start += n

    # ------------------------------------------------------------ extrapolation

    @property
    def extrapolation(self) -> np.ndarray | None:
        """[species, F + 1, F + 1] of `etace.extrapolation`, read-only, or None."""
        self._store.notice()
        return self._extrapolation

    @property
    def graded_by(self) -> str:
        """What a grade of 1 is measured by: held-out atoms (`etace.extrapolation`), or training atoms: the oddest one in the
        training data, in files of versions before."""
        return self._graded_by

    def set_extrapolation(self, values: ArrayLike | None, graded_by: str = TRAINING) -> None:
        """values: [species, F + 1, F + 1] ([species, F, F] in files of etace 0.1), copied; None: no grades.
        graded_by: see there

        Raises ParameterError: another shape, or numbers that are not finite.
        """
        self._store.notice()
        made = None
        if values is not None:
            species, functions = self.potential.site_columns.shape
            what = "extrapolation's numbers"
            own, _ = reals(values, None, what, dtype=self.potential.dtype)
            shapes = [(species, n, n) for n in (functions + 1, functions)]
            if own.shape not in shapes:
                raise ParameterError(
                    f"extrapolation needs {list(shapes[0])}, not {list(own.shape)}"
                )
            made = frozen(own)
        self._extrapolation, self._graded_by = made, graded_by
        self._revision += 1

    def extrapolation_grades(self, structures: Sequence[Atoms]) -> Iterator[np.ndarray]:
        """Of the atoms of each structure: [N]. 1: hardly an atom like those in the training data is
        beyond it (`graded_by`); see `etace.extrapolation`. Raises RequestError: the model has none."""
        if self.extrapolation is None:
            raise RequestError("this model has no extrapolation grades: `etace fit` makes them")
        return extrapolation.grades(self, self.extrapolation, structures)

    # ------------------------------------------------------------ the training form

    def graph(self, atoms: Atoms, *, skin: float = 0.0) -> AtomGraph:
        """The graph that the functions of `module` and `potential` take. Raises StructureError."""
        return AtomGraph.from_paired(self.paired(atoms, skin=skin), self.potential.dtype)

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

    def calculator(
        self, *, skin: float = 0.5, uncertainty: str = "energy", extrapolation: bool = False
    ) -> Calculator:
        """An ASE calculator of this model; keywords: see `etace.Calculator`."""
        from etace.calculator import Calculator

        return Calculator(self, skin=skin, uncertainty=uncertainty, extrapolation=extrapolation)

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
        return self.potential.get_linear_parameters(self._current)

    def set_linear_parameters(self, values: ArrayLike) -> None:
        """values: [P]; copied. Card, domain, committee and extrapolation, which are of the old ones, go.

        Raises ParameterError: another shape, or numbers that are not finite.
        """
        self.params = self.potential.set_linear_parameters(self._current, values)

    def energy_basis(self, atoms: Atoms) -> np.ndarray:
        """dE/dc: [P], eV. Terms without columns (a frozen onebody) are not in it. Raises StructureError."""
        with host_precision(self.potential.dtype):
            return np.asarray(self._energy_rows(self._current, self.graph(atoms)))

    def site_basis(self, graph: AtomGraph) -> jax.Array:
        """[N, functions] of `Potential.site_basis`, as JAX arrays in the caller's mode of JAX."""
        found: jax.Array = self._site_basis(self._current, graph)
        return found

    def energy_forces_virial_basis(self, atoms: Atoms) -> HostRows:
        """Derivatives of energy, forces and virial in the linear parameters: [P], eV; [N, 3, P], eV/Å;
        [3, 3, P], eV. Raises StructureError."""
        if self.row_kernel is not None:
            own = self.row_kernel.rows(self._current, [self.paired(atoms)])
            return HostRows(own.energy[0], own.forces, own.virial[0])
        with host_precision(self.potential.dtype):
            r = self.design_rows(self.graph(atoms))
        return HostRows(
            np.asarray(r.energy), np.asarray(r.forces)[: len(atoms)], np.asarray(r.virial)
        )

    def design_rows(self, graph: AtomGraph) -> Rows:
        """The same of a graph, also of a batch, as JAX arrays in the caller's mode of JAX."""
        rows: Rows = self._rows(self._current, graph)
        return rows

    def rows_and_fixed_part(self, graph: AtomGraph) -> tuple[Rows, FixedPart]:
        """The same with what no linear parameter changes, in one call."""
        found: tuple[Rows, FixedPart] = self._rows_and_fixed_part(self._current, graph)
        return found

    # ------------------------------------------------------------ files

    def described(self) -> dict[str, str]:
        """Where its numbers come from: a model file and its hash; or the spec and its hash, with one of the
        parameters."""
        self._store.notice()
        if self.file is not None:
            return {"model": self.name, "file": self.file.name, "sha256": self.file.sha256}
        found = {"model": self.name}
        if "root" in self.origin:
            found |= {"spec": self.origin["root"], "sha256": self.origin["spec_sha256"]}
        return {**found, "parameters_sha256": self._digest()}

    def _digest(self) -> str:
        made = hashlib.sha256()
        for block, arrays in sorted(self._current.items()):
            for name, values in sorted(arrays.items()):
                made.update(f"{block}/{name} {values.shape} {values.dtype}\n".encode())
                made.update(values.tobytes())
        return made.hexdigest()

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
            **_plain(self.origin),
            "model": self.name,
            "species": list(self.species),
            "cutoff": self.cutoff_radius,
            "linear_parameters": [str(p) for p in self.potential.linear_parameters],
        }
        if self._committee is not None:
            tensors["committee"] = self._committee
            if self._calibration.scales:
                metadata["calibration"] = self._calibration.as_json()
        if self._extrapolation is not None:
            tensors["extrapolation"] = self._extrapolation.astype(np.float32)
            if self._graded_by != TRAINING:
                metadata["graded_by"] = self._graded_by
        if self.domain is not None:
            metadata["domain"] = self.domain.as_json()
        if self.card is not None:
            metadata["card"] = dict(self.card)
        return tensors, metadata


def _one(prepared: PreparedAtoms) -> PreparedAtoms:
    """Raises RequestError: a batch, or something else."""
    if not isinstance(prepared, PreparedAtoms):
        found = type(prepared).__name__
        raise RequestError(f"what `Model.prepare` makes of a structure is needed, not {found}")
    if prepared.batch:
        raise RequestError(f"this list of neighbours is of a batch of {len(prepared.counts)}")
    return prepared


def _read_only(value: Any) -> Any:
    """Of mappings in mappings, a copy that cannot be changed."""
    if isinstance(value, Mapping):
        return MappingProxyType({k: _read_only(v) for k, v in value.items()})
    return value


def _plain(value: Any) -> Any:
    """Its inverse: dicts, as JSON takes them."""
    return {k: _plain(v) for k, v in value.items()} if isinstance(value, Mapping) else value
