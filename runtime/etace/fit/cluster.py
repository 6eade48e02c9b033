"""The same assembly on a cluster: tasks as a Dask graph, their factors merged two by two.

Workers need etace installed. A model travels as what its file holds and is rebuilt once in each
process. The tree of merges depends on the number of tasks alone, not on which worker is done first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from etace.errors import RequestError
from etace.fit.assemble import Plan, Target, Task, merge_into, reduce_task
from etace.fit.factors import Factor, Key

TIMEOUT = 10  # seconds to wait for the scheduler


def assemble_on(
    scheduler: str,
    model: Any,
    targets: Sequence[Target],
    shape: Plan,
    done: Callable[[int], None] = lambda k: None,
) -> dict[Key, Factor]:
    """Factors of all tasks, made by the workers of a Dask scheduler.

    scheduler: its address, `tcp://host:8786`; done: called with the number of finished tasks

    Raises RequestError: Dask is not installed, or no scheduler answers.
    """
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise RequestError("a scheduler needs Dask: pip install 'etace[dask]'") from None
    try:
        client = Client(scheduler, timeout=TIMEOUT)
    except (OSError, ValueError, TimeoutError) as error:
        raise RequestError(f"no Dask scheduler answers at {scheduler} ({error})") from None
    with client:
        text = client.scatter(_Parcel(*model.content()), broadcast=True, hash=False)
        futures = []
        for task in shape.tasks:
            own, moved = _own(targets, task)
            futures.append(client.submit(_reduce, text, own, moved, shape, pure=False))
        first = list(futures)
        while len(futures) > 1:
            pairs = [futures[k : k + 2] for k in range(0, len(futures), 2)]
            futures = [client.submit(_merge, *p, pure=False) if p[1:] else p[0] for p in pairs]
        for k, _ in enumerate(as_completed(first)):
            done(k + 1)
        found: dict[Key, Factor] = futures[0].result()
        return found


class _Parcel:
    """A model's tensors and metadata on their way to the workers."""

    def __init__(self, tensors: Mapping[str, np.ndarray], metadata: Mapping[str, Any]):
        self.tensors, self.metadata = dict(tensors), dict(metadata)
        self.name = str(metadata.get("spec_sha256"))


@lru_cache(maxsize=2)
def _rebuilt(parcel: _Parcel) -> Any:
    from etace.loading import from_tensors

    return from_tensors(parcel.tensors, parcel.metadata, "the model sent to this worker")


def _own(targets: Sequence[Target], task: Task) -> tuple[list[Target], Task]:
    """The targets of a task alone, and the task with their new places."""
    places = [k for batch in task.batches for k in batch]
    new = {k: i for i, k in enumerate(places)}
    batches = tuple(tuple(new[k] for k in batch) for batch in task.batches)
    return [targets[k] for k in places], Task(batches, task.slots)


def _reduce(parcel: _Parcel, targets: list[Target], task: Task, shape: Plan) -> dict[Key, Factor]:
    return reduce_task(_rebuilt(parcel), targets, task, shape)


def _merge(a: dict[Key, Factor], b: dict[Key, Factor]) -> dict[Key, Factor]:
    total = {key: own.copy() for key, own in a.items()}
    merge_into(total, {key: own.copy() for key, own in b.items()})
    return total
