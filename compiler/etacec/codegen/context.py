"""What the writers of a generated module share: the graph, names, tables, and how text is laid out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from etace import dtypes

from etacec.codegen.breaking import broken
from etacec.codegen.comments import comment
from etacec.codegen.names import Names, quoted
from etacec.ir import nodes as op
from etacec.ir.graph import ModelGraph
from etacec.model.spec import Weights


@dataclass(frozen=True)
class Header:
    """What the first lines say: no path, no date."""

    source: str
    digest: str
    version: str
    gauge: int
    overrides: tuple[tuple[str, str], ...]
    smoothness: tuple[str, ...]


class Context:
    """One module in the making. `tables` grows as blocks are written; they stand behind the functions.

    arrays: of `load = ...`, by block; n: number of species; bonds: unordered pairs.
    """

    def __init__(self, graph: ModelGraph, arrays: Mapping[str, np.ndarray], dtype: str):
        self.graph = graph
        self.arrays = arrays
        self.dtype = dtypes.known(dtype)
        self.n = len(graph.species)
        blocks = [n for n in graph.nodes() if getattr(graph.op(n), "block", None) is not None]
        found = {o.model: (n, o) for n, o in graph.of(op.Total)}
        self.models = [found[m] for m in graph.models]
        self.names = Names([*blocks, *(o.model for _, o in self.models)])
        self.tables: list[str] = []
        every = [o.bonds for _, o in graph.of(op.Transform)] + [
            o.bonds for _, o in graph.of(op.Zbl)
        ]
        self.bonds = every[0] if every else ()

    def weights(self, node: str, w: Weights) -> str:
        """Where a function finds the weights of a block."""
        return (
            f'params[{quoted(node)}]["weights"]'
            if w.learnable
            else self.names.derived(node, "WEIGHTS")
        )

    def select(self, node: str) -> op.SelectLinear:
        """The radial of this name."""
        o = self.graph.op(node)
        assert isinstance(o, op.SelectLinear)
        return o


def section(title: str, doc: str) -> list[str]:
    return ["", "", f"# --- {title}", *comment(doc)]


def call(start: str, function: str, arguments: Sequence[str]) -> list[str]:
    """`start function(arguments)`, in a function's body."""
    return broken(f"{start}{function}({', '.join(arguments)})", "    ")


def floats(values: Iterable[object]) -> str:
    items = [repr(float(v)) for v in values]  # type: ignore[arg-type]
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def strings(values: Iterable[str]) -> str:
    items = [quoted(v) for v in values]
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"
