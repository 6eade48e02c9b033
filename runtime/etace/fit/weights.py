"""How much every row counts: energies w / sqrt(N), forces w, virials w / sqrt(N).

The meaning of ACEpotentials.jl: one triple of numbers for each config type, "default" for those that
are not named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from etace.errors import RequestError
from etace.fit import table

DEFAULT = {"energy": 30.0, "forces": 1.0, "virial": 1.0}


@dataclass(frozen=True)
class Weights:
    """groups: config type -> kind -> weight; what is not named has that of "default"."""

    groups: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        table.WEIGHTS.check("weights", self.groups)

    def __call__(self, group: str, kind: str) -> float:
        default = {**DEFAULT, **self.groups.get("default", {})}
        return float(self.groups.get(group, {}).get(kind, default[kind]))

    def resolved(self) -> dict[str, dict[str, float]]:
        """All numbers, for a settings file."""
        default = {**DEFAULT, **self.groups.get("default", {})}
        named = {g: {**default, **own} for g, own in sorted(self.groups.items()) if g != "default"}
        return {"default": default, **named}

    def check(self, groups: set[str]) -> None:
        """Raises RequestError: weights for a config type that no structure has."""
        unknown = sorted(set(self.groups) - groups - {"default"})
        if unknown:
            raise RequestError(
                f"weights name the config types {', '.join(unknown)}, which no structure has; "
                f"there are: {', '.join(sorted(groups))}"
            )
