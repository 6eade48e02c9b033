"""What a report is made from: data, nothing drawn yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from etace.fit.calibration import Coverage
from etace.fit.dynamics.results import Trial
from etace.fit.holes import Hole
from etace.fit.size.choose import Choice
from etace.fit.tables import Comparison
from etace.report.dimers import Dimer
from etace.report.grades import Grades


@dataclass(frozen=True, eq=False)
class Report:
    """All that a page shows; what is None or empty has no section.

    model: `etace.Model`, for names of parameters; card: as of `card.card`
    train, validation, test: as of `fit.tables.compare`; data: of an evaluation, where nobody knows whether the fit
        saw these structures
    gamma, c: [P], of the prior and the linear parameters; prior_scale: standard deviation of gamma c
    dimers: as of `dimers.dimers`
    holes: where atoms pull together, as of `fit.holes`
    structures_of_holes: the file that shows them, if there is one
    calibration: how the spread of a committee covers the errors; grades: of extrapolation, by set
    trial: of the model in molecular dynamics
    seconds: by step, in the order of the work; notes: figures of the fit, by name
    settings_text, spec_text: as they are, all defaults spelled out
    warnings: one sentence each, for the top of the page
    choice: how the size of a default model was chosen
    """

    title: str
    model: Any = None
    card: Mapping[str, Any] | None = None
    train: Sequence[Comparison] | None = None
    validation: Sequence[Comparison] | None = None
    test: Sequence[Comparison] | None = None
    data: Sequence[Comparison] | None = None
    gamma: np.ndarray | None = None
    c: np.ndarray | None = None
    prior_scale: float | None = None
    dimers: Sequence[Dimer] = ()
    holes: Sequence[Hole] = ()
    structures_of_holes: str | None = None
    calibration: Sequence[Coverage] = ()
    grades: Mapping[str, Grades] = field(default_factory=dict)
    trial: Trial | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: Mapping[str, float] = field(default_factory=dict)
    settings_text: str | None = None
    spec_text: str | None = None
    warnings: Sequence[str] = ()
    choice: Choice | None = None

    @property
    def sets(self) -> dict[str, Sequence[Comparison]]:
        """Those that there are, by name; the last is the one to judge a model by."""
        every = {
            "train": self.train,
            "validation": self.validation,
            "test": self.test,
            "data": self.data,
        }
        return {name: found for name, found in every.items() if found}
