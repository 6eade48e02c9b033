"""The ASE calculator: energy, forces, stress, what atoms have of them; neighbours reused within a skin."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase.calculators.calculator import (
    BaseCalculator,
    Parameters,
    PropertyNotImplementedError,
    all_changes,
)
from ase.calculators.calculator import Calculator as AseCalculator
from ase.calculators.mixing import SumCalculator
from ase.outputs import Properties, all_outputs
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import ArrayLike

from etace.arrays import reals
from etace.committee import CommitteeResult
from etace.errors import ParameterError, UnfittedWarning
from etace.loading import load
from etace.model import Model, Result
from etace.predictions import put
from etace.prepared import PreparedAtoms
from etace.rows import HostRows
from etace.structure import checked_skin

if TYPE_CHECKING:
    from ase import Atoms

UNCERTAINTIES = ("energy", "forces", "none")
OF_ENERGY = ("energy_std", "energy_bound95")  # without forces of the members


class Calculator(AseCalculator):
    """A model for ASE.

        atoms.calc = etace.Calculator("si_o.safetensors")
        atoms.get_potential_energy()             # eV

    model: an `etace.Model`, or the path of an `.etace` or model file
    skin: Å, 0 or more; neighbours are searched again only when an atom has moved by half of it, or the
        cell, the boundary conditions or the elements have changed. 0: every time
    uncertainty: "energy" (default: energy_std costs little), "forces" or "none"
    extrapolation: whether extrapolation_grade is always among the results; it is worked out with the design
        basis of every atom, which takes several times as long as the forces
    load_keywords: keywords of `etace.load`, if model is a path

    results of N atoms:
        energy, free_energy: eV; energies: [N], eV; forces: [N, 3], eV/Å; virial: [3, 3], eV
        stress: [6], eV/Å^3, ASE's sign and Voigt order (xx, yy, zz, yz, xz, xy), and stresses: [N, 6],
            of each atom's energy, which add up to it; both for a periodic cell of three vectors
        energy_std, eV: of a model with a committee; where they are asked for, or uncertainty is "forces",
            forces_std: [N, 3], eV/Å; virial_std: [3, 3], eV; stress_std: [6], eV/Å^3: 68 % of the errors are
            within them, if the committee is calibrated (`etace.uncertainty`)
        energy_bound95, eV, and forces_bound95: [N, 3], eV/Å, beside them: 95.4 % of the errors are within these
        extrapolation_grade: [N]; hardly an atom like those in the training data is above 1

    parameters: the model's name, its file and that file's sha256 (of a spec: the spec's, and that of the
    parameters). skin, uncertainty and extrapolation can be set at any time, also by `set`. Calculators can be
    pickled and copied. Threads need one each, as with all of ASE's; they can share the model.

    Raises ParameterError: a skin or an uncertainty that is none; EtaceError: as `etace.load`. A calculation
    raises StructureError, and PropertyNotImplementedError for what the model does not have.
    """

    name = "etace"
    implemented_properties = [  # noqa: RUF012 (as ASE declares it)
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
        "stresses",
        "virial",
        "energy_std",
        "forces_std",
        "virial_std",
        "stress_std",
        "energy_bound95",
        "forces_bound95",
        "extrapolation_grade",
    ]

    def __init__(
        self,
        model: Model | str | Path,
        *,
        skin: float = 0.5,
        uncertainty: str = "energy",
        extrapolation: bool = False,
        **load_keywords: Any,
    ):
        super().__init__()
        self._prepared: PreparedAtoms | None = None
        self._at: Any = None
        self._used: tuple[Model, int] | None = None  # what the last results are of
        self.uncertainty = uncertainty
        self.extrapolation = extrapolation
        self.skin = skin
        if isinstance(model, Model):
            if load_keywords:
                names = ", ".join(load_keywords)
                raise ParameterError(f"{names}: for a path, but here is a model, already loaded")
            self.model = model
        else:
            self.model = load(model, **load_keywords)
        if why := self.model.unfitted:
            warnings.warn(why, UnfittedWarning, stacklevel=2)
        self.parameters = Parameters(self.model.described())

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "skin":
            value = checked_skin(value)
            self._prepared = None  # listed for another skin
        elif name == "uncertainty" and value not in UNCERTAINTIES:
            raise ParameterError(f"uncertainty is energy, forces or none, not `{value}`")
        elif name == "model" and not isinstance(value, Model):
            raise ParameterError(f"an etace.Model is needed, not {type(value).__name__}")
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        return f"<etace.Calculator of {self.model!r}; skin {self.skin:g} Å>"

    def __getstate__(self) -> dict[str, Any]:
        """Without the list of neighbours, which is made again."""
        state = dict(self.__dict__)
        state["_used"] = self._current
        return {**state, "_prepared": None, "_at": None}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._used = (self.model, self.model.revision) if state["_used"] else None

    def set(self, **keywords: Any) -> dict[str, Any]:
        """skin, uncertainty and extrapolation. Returns what has changed. Raises ParameterError."""
        names = ("skin", "uncertainty", "extrapolation")
        for name in keywords:
            if name not in names:
                raise ParameterError(f"`{name}` cannot be set: there is {', '.join(names)}")
        changed = {k: v for k, v in keywords.items() if getattr(self, k) != v}
        for name, value in changed.items():
            setattr(self, name, value)
        if changed:
            self.reset()
        return changed

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """`parameters`, as ASE writes them into databases and trajectories."""
        return self.model.described()

    def export_properties(self) -> Properties:
        """Those results that ASE has a name for."""
        return _exported(self.results)

    def with_results(self, atoms: Atoms) -> Atoms:
        """A copy without a calculator that holds all results, for files: of the structure in `info`, of its
        atoms in `arrays`, as etace_energy, etace_forces, etace_energy_std and so on, in the units of `results`;
        stress and virial as 9 numbers.

            write("out.xyz", model.calculator().with_results(atoms))

        ASE's formats write of a calculator what ASE has names for: no spreads, no grades, no virial.
        """
        self.get_property("energy", atoms)
        found: Atoms = atoms.copy()
        put(found, self.results)
        return found

    @property
    def _current(self) -> bool:
        """Whether the results are those of the model as it is now."""
        used = self._used
        return used is not None and used[0] is self.model and used[1] == self.model.revision

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What has changed since the last results: the atoms, or the model's parameters."""
        if not self._current:
            return list(all_changes)
        changes: list[str] = super().check_state(atoms, tol)
        return changes

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Fills `results`, for ASE; see `Calculator`. Raises StructureError, PropertyNotImplementedError."""
        super().calculate(atoms, properties, system_changes)
        here: Any = self.atoms
        model = self.model
        graded = self.extrapolation or "extrapolation_grade" in properties
        if graded and model.extrapolation is None:
            raise PropertyNotImplementedError("the model has no extrapolation grades")
        asked = [p for p in properties if p.endswith(("_std", "_bound95"))]
        std = model.committee is not None and (bool(asked) or self.uncertainty != "none")
        if asked and not std:
            raise PropertyNotImplementedError("the model has no committee: no " + ", ".join(asked))
        revision, near = model.revision, self._neighbours(here)
        r: Result | CommitteeResult
        if std:
            forces = self.uncertainty == "forces" or any(p not in OF_ENERGY for p in asked)
            r = model.evaluate_committee_prepared(near, forces=forces)
        else:
            r = model.evaluate_prepared(near)
        if not self._current:
            self._used = (model, revision)
            self.parameters = Parameters(model.described())
        self.results = {
            "energy": r.energy,
            "free_energy": r.energy,
            "energies": r.energies,
            "forces": r.forces,
            "virial": r.virial,
        }
        if isinstance(r, CommitteeResult):
            self.results["energy_std"] = r.energy_std
            self.results["energy_bound95"] = r.bound("energy", 0.954)
            if forces:
                self.results["forces_std"] = r.forces_std
                self.results["forces_bound95"] = r.bound("forces", 0.954)
                self.results["virial_std"] = r.virial_std
        if graded:
            self.results["extrapolation_grade"] = next(model.extrapolation_grades([here]))
        if here.cell.rank == 3 and here.pbc.any():
            volume = here.get_volume()
            stress = -0.5 * (r.virial + r.virial.T) / volume
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress)
            self.results["stresses"] = -r.virials / volume
            if "virial_std" in self.results:
                std = self.results["virial_std"] / volume
                self.results["stress_std"] = full_3x3_to_voigt_6_stress(std)

    def _neighbours(self, atoms: Atoms) -> PreparedAtoms:
        near = self._prepared
        ours = near is not None and near.maker is self.model.evaluator
        if near is not None and ours and self.skin > 0 and self._still_near(atoms):
            return near.moved(atoms.positions)
        self._prepared = self.model.prepare(atoms, skin=self.skin)
        self._at = atoms.copy()
        return self._prepared

    def _still_near(self, atoms: Atoms) -> bool:
        old = self._at
        same = (
            len(old) == len(atoms)
            and np.array_equal(old.numbers, atoms.numbers)
            and np.array_equal(old.pbc, atoms.pbc)
            and np.array_equal(old.cell.array, atoms.cell.array)
        )
        if not same or not np.isfinite(atoms.positions).all():
            return False
        moved = np.linalg.norm(atoms.positions - old.positions, axis=1)
        return bool(moved.max(initial=0.0) < self.skin / 2)


class Stack(SumCalculator):
    """The sum of calculators, for example a model and a dispersion correction.

        atoms.calc = etace.Stack(model.calculator(), dispersion)

    Models of one file are better added in it (`model m = E0 + V2 + V`): one neighbour list, one call.
    Linear parameters and design rows are those of its etace calculators, in their order; any other
    calculator is fixed and has none. Results are those that all calculators have.

    calculators: ASE calculators, one or more
    """

    def __init__(self, *calculators: BaseCalculator):
        if not calculators or not all(isinstance(c, BaseCalculator) for c in calculators):
            raise ParameterError("a stack needs ASE calculators, one or more")
        super().__init__(list(calculators))

    def __repr__(self) -> str:
        return f"<etace.Stack of {', '.join(map(repr, self.mixer.calcs))}>"

    def todict(self, skip_default: bool = True) -> dict[str, Any]:
        """Of each calculator in turn: its name, and what it says of itself."""
        return {str(k): {"name": c.name, **c.todict()} for k, c in enumerate(self.mixer.calcs)}

    def export_properties(self) -> Properties:
        """Those results that ASE has a name for."""
        return _exported(self.results)

    @property
    def models(self) -> list[Model]:
        """Those of its etace calculators."""
        return [c.model for c in self.mixer.calcs if isinstance(c, Calculator)]

    @property
    def lengths(self) -> list[int]:
        """Linear parameters of each model."""
        return [m.length_basis for m in self.models]

    @property
    def length_basis(self) -> int:
        """Linear parameters of all models."""
        return sum(self.lengths)

    def check_state(self, atoms: Atoms, tol: float = 1e-15) -> list[str]:
        """What has changed since the last results: the atoms, or a model's parameters."""
        own = [c for c in self.mixer.calcs if isinstance(c, Calculator)]
        if any(not c._current for c in own):
            return list(all_changes)
        changes: list[str] = super().check_state(atoms, tol)
        return changes

    def get_linear_parameters(self) -> np.ndarray:
        """[P], a copy."""
        return np.concatenate([np.zeros(0), *(m.get_linear_parameters() for m in self.models)])

    def set_linear_parameters(self, values: ArrayLike) -> None:
        """values: [P]; copied. Raises ParameterError: another shape, or numbers that are not finite."""
        n = self.length_basis
        own, _ = reals(values, (n,), "the values", f"{n} linear parameters are needed")
        ends = np.cumsum(self.lengths)
        for model, part in zip(self.models, np.split(own, ends[:-1]), strict=True):
            model.set_linear_parameters(part)

    def energy_forces_virial_basis(self, atoms: Atoms) -> HostRows:
        """energy: [P], eV; forces: [N, 3, P], eV/Å; virial: [3, 3, P], eV, of all models.

        Raises StructureError; ParameterError: none of the calculators is one of etace.
        """
        parts = [m.energy_forces_virial_basis(atoms) for m in self.models]
        if not parts:
            raise ParameterError("no calculator of this stack has linear parameters")
        return HostRows(*(np.concatenate([p[k] for p in parts], axis=-1) for k in range(3)))


def _exported(results: Mapping[str, Any]) -> Properties:
    return Properties({name: value for name, value in results.items() if name in all_outputs})
