"""The passes, in order. Each is `ModelGraph -> ModelGraph`; the graph is verified after each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from etacec.ir.graph import ModelGraph
from etacec.ir.verify import verify
from etacec.passes.couple import couple
from etacec.passes.prune import drop_dead, prune_factors


@dataclass(frozen=True)
class Pass:
    name: str
    what: str
    why_here: str
    run: Callable[[ModelGraph, Path | None], ModelGraph]


PASSES = (
    Pass(
        "drop_dead",
        "remove nodes that neither a model nor a basis of the file reads",
        "first, so that nothing later works for nothing",
        lambda g, _: drop_dead(g),
    ),
    Pass(
        "couple",
        "give every product its exact coupling coefficients; products without an invariant go",
        "before pruning, which asks what the couplings need",
        couple,
    ),
    Pass(
        "prune_factors",
        "remove A-functions, radial channels and harmonics no coupling reads",
        "last: parameters keep their declared shapes, only work is saved",
        lambda g, _: prune_factors(g),
    ),
)


def run(graph: ModelGraph, cache: Path | None = None) -> list[tuple[str, ModelGraph]]:
    """(name of the pass, graph after it), starting with the graph as lowered."""
    stages = [("lower", verify(graph, "lower"))]
    for p in PASSES:
        stages.append((p.name, verify(p.run(stages[-1][1], cache), p.name)))
    return stages
