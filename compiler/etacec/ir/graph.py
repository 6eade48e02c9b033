"""ModelGraph: a networkx DiGraph of operations with typed access. Never changed in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import networkx as nx

from etacec.ir.nodes import Op

T = TypeVar("T")


@dataclass(frozen=True)
class ModelGraph:
    """`network`: node name -> data `op` and `inputs` (names, in the order the op takes them).

    models: names, in the order written; species, name, doc: of the file, for headers and pictures.
    """

    name: str
    doc: str
    species: tuple[str, ...]
    models: tuple[str, ...]
    network: nx.DiGraph

    def op(self, node: str) -> Op:
        op: Op = self.network.nodes[node]["op"]
        return op

    def inputs(self, node: str) -> tuple[str, ...]:
        inputs: tuple[str, ...] = self.network.nodes[node]["inputs"]
        return inputs

    def outputs(self, node: str) -> list[str]:
        return sorted(self.network.successors(node))

    def nodes(self) -> list[str]:
        """Inputs first; among equals, by name: the same order every time."""
        return list(nx.lexicographical_topological_sort(self.network))

    def of(self, kind: type[T]) -> Iterator[tuple[str, T]]:
        """(node, op) of every node of one kind, in the order of `nodes`."""
        for node in self.nodes():
            op = self.op(node)
            if isinstance(op, kind):
                yield node, op

    def input_op(self, node: str, kind: type[T]) -> T:
        """The op of the one input of this kind."""
        (found,) = [self.op(i) for i in self.inputs(node) if isinstance(self.op(i), kind)]
        assert isinstance(found, kind)
        return found

    def mapped(self, change: Callable[[str, Op], Op]) -> ModelGraph:
        """The same wiring with changed operations."""
        return build(self, {n: (change(n, self.op(n)), self.inputs(n)) for n in self.nodes()})

    def without(self, nodes: set[str]) -> ModelGraph:
        return build(
            self, {n: (self.op(n), self.inputs(n)) for n in self.nodes() if n not in nodes}
        )


def build(like: ModelGraph, nodes: Mapping[str, tuple[Op, tuple[str, ...]]]) -> ModelGraph:
    return ModelGraph(like.name, like.doc, like.species, like.models, network(nodes))


def network(nodes: Mapping[str, tuple[Op, tuple[str, ...]]]) -> nx.DiGraph:
    graph = nx.DiGraph()
    for name, (op, inputs) in nodes.items():
        graph.add_node(name, op=op, inputs=inputs)
    for name, (_, inputs) in nodes.items():
        for source in inputs:
            graph.add_edge(source, name)
    return graph
