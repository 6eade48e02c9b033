"""The ASE calculator: energy, forces, stress, energies per atom; neighbours reused within a skin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase.calculators.calculator import Calculator as AseCalculator
from ase.calculators.calculator import PropertyNotImplementedError, all_changes
from ase.calculators.mixing import SumCalculator
from ase.stress import full_3x3_to_voigt_6_stress

from etace.errors import ParameterError
from etace.loading import load
from etace.model import Model
from etace.rows import HostRows


class Calculator(AseCalculator):
    """A model for ASE.

    model: an `etace.Model`, or the path of an `.etace` or model file (keywords as of `etace.load`)
    skin: Å; neighbours are searched again only when an atom has moved by half of it, or the cell,
        the boundary conditions or the elements have changed. 0: every time.

    results: energy and free_energy, eV; energies: [N], eV; forces: [N, 3], eV/Å; virial: [3, 3],
    eV; stress: [6], eV/Å^3, ASE's sign and Voigt order (xx, yy, zz, yz, xz, xy), for a periodic
    cell. With a committee in the model also energy_std, eV, and, where they are asked for or
    uncertainty is "forces", forces_std: [N, 3], eV/Å.

    uncertainty: "energy" (default: energy_std costs little), "forces" or "none"
    extrapolation: whether extrapolation_grade, [N], is always among the results; it is worked out
        with the design basis of every atom, which takes several times as long as the forces
    """

    implemented_properties = [  # noqa: RUF012 (as ASE declares it)
        "energy",
        "free_energy",
        "energies",
        "forces",
        "stress",
        "virial",
        "energy_std",
        "forces_std",
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
        if uncertainty not in ("energy", "forces", "none"):
            raise ParameterError(f"uncertainty is energy, forces or none, not `{uncertainty}`")
        self.uncertainty = uncertainty
        self.extrapolation = extrapolation
        self.model = model if isinstance(model, Model) else load(model, **load_keywords)
        self.skin = float(skin)
        self._prepared: Any = None
        self._at: Any = None
        self._used: Any = None  # the parameters of the last results

    def check_state(self, atoms: Any, tol: float = 1e-15) -> list[str]:
        """What has changed since the last results: the atoms, or the model's parameters."""
        if self.model.params is not self._used:
            return list(all_changes)
        changes: list[str] = super().check_state(atoms, tol)
        return changes

    def calculate(
        self,
        atoms: Any = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        super().calculate(atoms, properties, system_changes)
        atoms = self.atoms
        graded = self.extrapolation or "extrapolation_grade" in properties
        if graded and self.model.extrapolation is None:
            raise PropertyNotImplementedError("the model has no extrapolation grades")
        asked = [p for p in properties if p.endswith("_std")]
        std = self.model.committee is not None and (bool(asked) or self.uncertainty != "none")
        if asked and not std:
            raise PropertyNotImplementedError("the model has no committee: no " + ", ".join(asked))
        r: Any
        if std:
            forces = self.uncertainty == "forces" or "forces_std" in asked
            near = self._neighbours(atoms)
            r = self.model.evaluate_committee_prepared(near, forces=forces)
        else:
            r = self.model.evaluate_prepared(self._neighbours(atoms))
        self._used = self.model.params
        self.results = {
            "energy": r.energy,
            "free_energy": r.energy,
            "energies": r.energies,
            "forces": r.forces,
            "virial": r.virial,
        }
        if std:
            self.results["energy_std"] = r.energy_std
            if r.forces_std is not None:
                self.results["forces_std"] = r.forces_std
        if graded:
            self.results["extrapolation_grade"] = next(self.model.extrapolation_grades([atoms]))
        if atoms.cell.rank == 3 and atoms.pbc.any():
            stress = -0.5 * (r.virial + r.virial.T) / atoms.get_volume()
            self.results["stress"] = full_3x3_to_voigt_6_stress(stress)

    def _neighbours(self, atoms: Any) -> Any:
        if self.skin > 0 and self._prepared is not None and self._still_near(atoms):
            return self._prepared.moved(atoms.positions)
        self._prepared = self.model.prepare(atoms, skin=self.skin)
        self._at = atoms.copy()
        return self._prepared

    def _still_near(self, atoms: Any) -> bool:
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

    Models of one file are better added in it (`model m = E0 + V2 + V`): one neighbour list, one call.
    Linear parameters and design rows are those of its etace calculators, in their order; any other
    calculator is fixed and has none.
    """

    def __init__(self, *calculators: Any):
        super().__init__(list(calculators))

    @property
    def models(self) -> list[Model]:
        return [c.model for c in self.mixer.calcs if isinstance(c, Calculator)]

    @property
    def lengths(self) -> list[int]:
        """Linear parameters of each model."""
        return [m.length_basis for m in self.models]

    @property
    def length_basis(self) -> int:
        """Linear parameters of all models."""
        return sum(self.lengths)

    def get_linear_parameters(self) -> np.ndarray:
        """[P], a copy."""
        return np.concatenate([m.get_linear_parameters() for m in self.models])

    def set_linear_parameters(self, values: Any) -> None:
        """values: [P]; copied."""
        values = np.asarray(values)
        if values.shape != (self.length_basis,):
            raise ParameterError(
                f"{self.length_basis} linear parameters are needed, not {values.shape}"
            )
        ends = np.cumsum(self.lengths)
        for model, part in zip(self.models, np.split(values, ends[:-1]), strict=True):
            model.set_linear_parameters(part)
        for calculator in self.mixer.calcs:
            if isinstance(calculator, Calculator):
                calculator.reset()
        self.atoms, self.results = None, {}  # results of the old parameters are no results

    def energy_forces_virial_basis(self, atoms: Any) -> HostRows:
        """energy: [P], forces: [N, 3, P], virial: [3, 3, P] of all models."""
        parts = [m.energy_forces_virial_basis(atoms) for m in self.models]
        return HostRows(*(np.concatenate([p[k] for p in parts], axis=-1) for k in range(3)))
