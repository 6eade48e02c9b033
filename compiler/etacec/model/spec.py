"""The model as numbers: everything resolved, frozen, nothing left to look up. Lengths Å, energies eV."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from etacec.diagnostics import Span
from etacec.formula.nodes import Node


@dataclass(frozen=True)
class BondLengths:
    """One unordered pair of species."""

    rin: Fraction
    r0: Fraction
    rcut: Fraction
    # Of the line that says most about this pair; no part of its value.
    span: Span = field(default=Span(), compare=False, repr=False)


@dataclass(frozen=True)
class Curve:
    """A transform or envelope: as written, and as a formula of `argument` (r or y) and bond.*."""

    text: str
    argument: str
    formula: Node


@dataclass(frozen=True)
class Polynomials:
    kind: str
    count: int
    parameters: tuple[Fraction, ...] = ()

    def __str__(self) -> str:
        extra = "".join(f", {float(p):g}" for p in self.parameters)
        return f"{self.kind}({self.count}{extra})"


CARRIED = "from the file"


@dataclass(frozen=True)
class Weights:
    """`init`: zeros, glorot_normal, one_hot, normal or load; `scale`: standard deviation of normal.

    In the picture of a model file `init` is `CARRIED`.
    """

    learnable: bool
    init: str
    scale: float = 0.0
    load: str = ""

    def __str__(self) -> str:
        start = {"normal": f"normal({self.scale:g})", "load": f'"{self.load}"'}.get(
            self.init, self.init
        )
        return f"{'learnable' if self.learnable else 'frozen'}({start})"


@dataclass(frozen=True)
class Radial:
    """R[channel](ij), channels in the declared order (first binder outermost)."""

    name: str
    binders: tuple[str, ...]
    channels: tuple[tuple[int, ...], ...]
    transform: Curve
    envelope: Curve
    polynomials: Polynomials
    weights: Weights
    doc: str = ""
    span: Span = Span()


@dataclass(frozen=True)
class Angular:
    name: str
    lmin: int
    lmax: int
    harmonics: str
    doc: str = ""
    span: Span = Span()


@dataclass(frozen=True)
class Basis:
    """Symmetric products of A = sum_j R * Y.

    factors: (channel of R, l) of every one-particle function, with its labels.
    blocks: multisets of factors (indices, ascending), by order, then lexicographically; they are
    candidates: the coupling stage drops those without a function.
    """

    name: str
    radial: str
    angular: str | None
    factors: tuple[tuple[int, int], ...]
    labels: tuple[str, ...]
    binders: tuple[str, ...]
    values: tuple[tuple[int, ...], ...]
    blocks: tuple[tuple[int, ...], ...]
    L: tuple[int, ...]
    doc: str = ""
    span: Span = Span()


@dataclass(frozen=True)
class Readout:
    """A linear map of a basis (kind readout) or of the pooled radial itself (kind pair)."""

    name: str
    kind: str
    source: str
    weights: Weights
    doc: str = ""
    span: Span = Span()


@dataclass(frozen=True)
class OneBody:
    name: str
    energies: tuple[Fraction, ...]
    learnable: bool
    doc: str = ""
    span: Span = Span()


@dataclass(frozen=True)
class Zbl:
    """Screened repulsion of the nuclei: whole up to `inner`, none from `outer` on; as `Spec.bonds`, Å."""

    name: str
    inner: tuple[Fraction, ...]
    outer: tuple[Fraction, ...]
    doc: str = ""
    span: Span = Span()


Potential: TypeAlias = Readout | OneBody | Zbl


@dataclass(frozen=True)
class Model:
    """A sum of potentials, each with its factor."""

    name: str
    terms: tuple[tuple[Fraction, str], ...]
    doc: str = ""
    span: Span = Span()


@dataclass(frozen=True)
class Spec:
    """A whole file with everything it uses. `bonds`: unordered pairs (i <= j), upper triangle by rows."""

    name: str
    doc: str
    species: tuple[str, ...]
    bonds: tuple[BondLengths, ...]
    radials: tuple[Radial, ...]
    angulars: tuple[Angular, ...]
    bases: tuple[Basis, ...]
    potentials: tuple[Potential, ...]
    models: tuple[Model, ...]

    def bond(self, i: int, j: int) -> BondLengths:
        i, j = min(i, j), max(i, j)
        n = len(self.species)
        return self.bonds[i * n - i * (i - 1) // 2 + j - i]

    def bond_names(self) -> list[str]:
        s = self.species
        return [f"{s[i]}-{s[j]}" for i in range(len(s)) for j in range(i, len(s))]
