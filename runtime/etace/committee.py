"""Committees: several sets of linear parameters, and how far apart their predictions are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class CommitteeResult:
    """The mean model's results, and those of M members about it.

    energy: eV; energies: [N], eV; forces: [N, 3], eV/Å; virial: [3, 3], eV; virials: [N, 6], eV, of the
    atoms' energies, in Voigt order: of the mean
    member_energies: [M], eV; member_forces: [M, N, 3], eV/Å, or None where not asked for
    """

    energy: float
    energies: np.ndarray
    forces: np.ndarray
    virial: np.ndarray
    virials: np.ndarray
    member_energies: np.ndarray
    member_forces: np.ndarray | None

    @property
    def energy_std(self) -> float:
        """eV; of the members about the mean."""
        return float(np.sqrt(np.mean((self.member_energies - self.energy) ** 2)))

    @property
    def forces_std(self) -> np.ndarray | None:
        """[N, 3], eV/Å, for each component."""
        if self.member_forces is None:
            return None
        std: np.ndarray = np.sqrt(np.mean((self.member_forces - self.forces) ** 2, axis=0))
        return std
