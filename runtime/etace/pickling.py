"""Models as pickles and copies.

A pickle holds what a model file holds, the numbers to their last bit, and the settings; whoever reads it
compiles the spec's text again, once for the same pickle in one process.
"""

from __future__ import annotations

import pickle
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from etace.arrays import held

if TYPE_CHECKING:
    from etace.model import Model

KEPT = 4  # models, for the next of the same pickles


def reduced(model: Model) -> tuple[Any, ...]:
    """As of `object.__reduce__`. Raises PicklingError: a model that was not made by the compiler."""
    if "sources" not in model.origin:
        raise pickle.PicklingError(
            "this model was not made from a spec: it cannot be rebuilt from one"
        )
    state = {
        "params": held(model.params),
        "committee": model.committee,
        "calibration": model.calibration,
        "extrapolation": model.extrapolation,
        "graded_by": model.graded_by,
    }
    settings = {
        name: getattr(model, name)
        for name in ("card", "domain", "file", "cores", "splines", "backend")
    }
    return rebuilt, (pickle.dumps((*model.content(), state, settings)),)


def rebuilt(data: bytes) -> Model:
    """The inverse of `reduced`."""
    return copied(_made(data))


def copied(model: Model) -> Model:
    """Shares what was compiled and what cannot be changed: all but the dicts that others may change."""
    made = object.__new__(type(model))
    made.__dict__.update(model.__dict__)
    made._store = model._store.copied(made._changed)
    if model.card is not None:
        made.card = dict(model.card)
    return made


@lru_cache(maxsize=KEPT)
def _made(data: bytes) -> Model:
    from etace.loading import from_tensors

    tensors, metadata, state, settings = pickle.loads(data)
    model = from_tensors(tensors, metadata, "the pickled model")
    model.params = state["params"]
    model.set_committee(state["committee"], state["calibration"])
    model.set_extrapolation(state["extrapolation"], state["graded_by"])
    for name, value in settings.items():
        setattr(model, name, value)
    return model
