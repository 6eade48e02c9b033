"""What the edges of a kernel carry, and where it stands in memory."""

from __future__ import annotations

from collections.abc import Sequence

from etacec.codegen.native.terms import Energy, PairTerm, Shell


class Edges:
    """All shells and terms of a kernel. tables: those their formulas read, in the order met"""

    def __init__(
        self,
        shells: Sequence[Shell],
        pairs: Sequence[PairTerm],
        energies: Sequence[Energy],
        n_species: int,
    ):
        self.shells, self.pairs, self.energies, self.n = shells, pairs, energies, n_species
        self.along = bool(pairs or energies)
        self.base: list[dict[int, int]] = []  # of each shell: where each pooled l starts
        self.sums = 0
        for s in shells:
            own = {}
            for l in sorted(set(s.l)):
                if s.pooled(l):
                    own[l] = self.sums
                    self.sums += s.curves.count * (2 * l + 1)
            self.base.append(own)
        # of each pair term: where its functions start among those of all, which a committee's members sum
        self.alone = [sum(t.curves.count for t in pairs[:k]) for k in range(len(pairs))]
        self.tables: list[str] = []

    @property
    def functions(self) -> int:
        """Of all pair terms."""
        return sum(t.curves.count for t in self.pairs)

    @property
    def geometry(self) -> int:
        """Vectors that are kept of every row of edges."""
        return 4 + self.along + 4 * len(self.shells)

    def operands(self, j: int, l: int) -> tuple[str, int, list[str]]:
        """(array, start, radials): where the sums of radials times Y_l stand, [radials][2 l + 1].

        radials: `f3` is P_3 e, `R3` the radial of factor 3, mixed by weights edge by edge
        """
        s = self.shells[j]
        if s.pooled(l):
            return "pooled", self.base[j][l], [f"f{q}" for q in range(s.curves.count)]
        own = s.factors(l)
        if s.places is None:
            return "A", s.entry(own[0]), [f"R{f}" for f in own]
        return "own", s.entry(own[0]) - s.start, [f"f{s.places[f]}" for f in own]

    def own(self, j: int, array: str) -> list[str]:
        """`own`: the entries of an array like A that neighbours of one species add to, of one-hot radials."""
        if self.shells[j].places is None:
            return []
        kind = "vec *const" if array == "A" else "const vec *const"
        return [f"{kind} own = {array} + {self._own_start(j)};"]

    def own_starts(self) -> list[tuple[int, str]]:
        """Where these entries start in A, of each shell that has them."""
        return [(j, self._own_start(j)) for j, s in enumerate(self.shells) if s.places is not None]

    def _own_start(self, j: int) -> str:
        s = self.shells[j]
        return f"{s.start} + pair % {self.n} * {s.width}"

    def read(self, tables: Sequence[str]) -> None:
        self.tables += [t for t in dict.fromkeys(tables) if t not in self.tables]


def kept(edges: Edges, j: int) -> list[str]:
    """What `distances` found for a shell."""
    at = 4 + edges.along + 4 * j
    return [f"const vec s{j}{part} = g[{at + i}];" for i, part in enumerate(("y", "dy", "e", "de"))]
