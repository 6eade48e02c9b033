"""Committees: several sets of linear parameters, how far apart their predictions are, and what errors that tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from etace.errors import RequestError
from etace.inference.form import full
from etace.uncertainty import RAW, Calibration


@dataclass(frozen=True, eq=False)
class Spread:
    """Standard deviations of the members about the mean. energy: eV; forces: [N, 3], eV/Å; virial: [3, 3], eV;
    the last two None where the members' forces were not asked for"""

    energy: float
    forces: np.ndarray | None
    virial: np.ndarray | None


@dataclass(frozen=True)
class CommitteeResult:
    """The mean model's results, those of M members about it, and how sure they are.

    energy: eV; energies: [N], eV; forces: [N, 3], eV/Å; virial: [3, 3], eV; virials: [N, 6], eV, of the
    atoms' energies, in Voigt order: of the mean
    member_energies: [M], eV; member_forces: [M, N, 3], eV/Å, and member_virials: [M, 6], eV, in Voigt order, or
    None where not asked for
    calibration: of the standard deviations; that of a model which nobody calibrated changes nothing

        r = model.evaluate_committee(atoms)
        r.energy_std                          # eV: 68 % of the errors are within it
        r.bound("forces", 0.954)              # [N, 3], eV/Å: 95.4 % are within that
    """

    energy: float
    energies: np.ndarray
    forces: np.ndarray
    virial: np.ndarray
    virials: np.ndarray
    member_energies: np.ndarray
    member_forces: np.ndarray | None
    member_virials: np.ndarray | None = None
    calibration: Calibration = RAW

    @property
    def spread(self) -> Spread:
        """As it is, without a calibration."""
        six = self.member_virials
        virial = None if six is None else _about(full(six), self.virial)
        forces = None if self.member_forces is None else _about(self.member_forces, self.forces)
        return Spread(float(_about(self.member_energies, self.energy)), forces, virial)

    @property
    def energy_std(self) -> float:
        """eV."""
        s = _about(self.member_energies, self.energy)
        return float(self.calibration.sigma("energy", s, self.forces))

    @property
    def forces_std(self) -> np.ndarray | None:
        """[N, 3], eV/Å, for each component."""
        return self._sigma("forces", self.spread.forces)

    @property
    def virial_std(self) -> np.ndarray | None:
        """[3, 3], eV, for each component. Of a stress: this over the volume."""
        return self._sigma("virial", self.spread.virial)

    def bound(self, kind: str, probability: float) -> Any:
        """What bounds the error of energy, forces or virial with this probability: as `energy_std`, `forces_std`,
        `virial_std`, units and shape too.

        probability: 0.683, 0.9, 0.954, 0.99 or 0.997. Of a calibrated committee it is so for structures like the
        training data, whatever the distribution of errors; infinite where too few structures were there to tell. Else
        it is the multiple of a normal distribution.

        Raises RequestError: another kind or probability, or members' forces that were not asked for.
        """
        stds: dict[str, Callable[[], Any]] = {
            "energy": lambda: self.energy_std,
            "forces": lambda: self.forces_std,
            "virial": lambda: self.virial_std,
        }
        if kind not in stds:
            raise RequestError(f"there are bounds of energy, forces and virial, not of `{kind}`")
        factor, sigma = self.calibration.bound(kind, probability), stds[kind]()
        if sigma is None:
            raise RequestError(f"bounds of {kind} need the members' forces: forces=True")
        return factor * sigma

    def _sigma(self, kind: str, s: np.ndarray | None) -> np.ndarray | None:
        return None if s is None else self.calibration.sigma(kind, s, self.forces)


def _about(members: np.ndarray, mean: Any) -> np.ndarray:
    """Standard deviation of the first axis about a mean."""
    found: np.ndarray = np.sqrt(np.mean((members - mean) ** 2, axis=0))
    return found
