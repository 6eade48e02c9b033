"""The parameters of a model: read-only arrays in dicts, of which every change is noticed and checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from etace.arrays import frozen, held, reals, unchanged
from etace.errors import ParameterError

if TYPE_CHECKING:
    from etace.potential import Potential

Arrays = dict[str, dict[str, np.ndarray]]


class Store:
    """potential: says which arrays there must be; changed: called after every change."""

    def __init__(
        self,
        potential: Potential,
        values: Mapping[str, Mapping[str, Any]],
        changed: Callable[[], None],
    ):
        self._potential, self._called = potential, changed
        self._kept = self._checked(values)
        self._shown = held(self._kept)

    def copied(self, changed: Callable[[], None]) -> Store:
        """Shares the arrays, not the dicts."""
        self.notice()
        made = object.__new__(Store)
        made._potential, made._called = self._potential, changed
        made._kept, made._shown = self._kept, held(self._kept)
        return made

    @property
    def shown(self) -> Arrays:
        """For others, who may put new arrays into these dicts."""
        self.notice()
        return self._shown

    @property
    def current(self) -> Arrays:
        """The parameters, in dicts that are others once anything has changed."""
        self.notice()
        return self._kept

    def replace(self, values: Mapping[str, Mapping[str, Any]]) -> None:
        """Values are copied. Raises ParameterError: not those of the potential, or not finite."""
        self._kept = self._checked(values)
        self._shown = held(self._kept)
        self._called()

    def notice(self) -> None:
        """Takes over what was put into the dicts of `shown`; what is wrong is taken out again."""
        if unchanged(self._shown, self._kept):
            return
        try:
            made = self._checked(self._shown)
        except ParameterError:
            self._show(self._kept)
            raise
        self._kept = made
        self._show(made)
        self._called()

    def _show(self, params: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        """In the dicts that are there: who holds them goes on with them."""
        before = dict(self._shown)
        self._shown.clear()
        for block, arrays in params.items():
            own = before.get(block)
            if not isinstance(own, dict) or any(own is d for d in self._shown.values()):
                own = {}
            own.clear()
            own.update(arrays)
            self._shown[block] = own

    def _checked(self, values: Mapping[str, Mapping[str, Any]]) -> Arrays:
        self._potential.check(values)
        return {
            b: {k: frozen(self._array(f"{b}.{k}", v)) for k, v in a.items()}
            for b, a in values.items()
        }

    def _array(self, name: str, value: Any) -> np.ndarray:
        return reals(value, None, f"the values of `{name}`", dtype=self._potential.dtype)[0]
