"""What a node of the model graph computes. Frozen data; shapes and meaning in each docstring.

E edges (atoms x neighbours), N atoms. A node's inputs are kept by the graph, in this order.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from etacec.coupling import Coupling
from etacec.model.spec import BondLengths, Curve, Polynomials, Weights


@dataclass(frozen=True)
class Distance:
    """r = |r_ij|: [E], Å."""


@dataclass(frozen=True)
class Direction:
    """r_ij = x_j - x_i: [E, 3], Å."""


@dataclass(frozen=True)
class Transform:
    """y(r) of an edge, clamped below rin: [E]. Input: distance."""

    curve: Curve
    bonds: tuple[BondLengths, ...]


@dataclass(frozen=True)
class Envelope:
    """e(y) or e(r), 0 beyond the bond's rcut: [E]. Input: transform or distance."""

    curve: Curve
    bonds: tuple[BondLengths, ...]


@dataclass(frozen=True)
class PolynomialBasis:
    """P_q(y): [E, count]. Input: transform."""

    polynomials: Polynomials


@dataclass(frozen=True)
class SelectLinear:
    """R[c](ij) = sum_q W[c, q; Z_i Z_j] P_q e: [E, channels]. Inputs: envelope, polynomials.

    kept: the channels any output needs; W keeps its declared shape.
    """

    block: str
    binders: tuple[str, ...]
    channels: tuple[tuple[int, ...], ...]
    kept: tuple[int, ...]
    polynomials: int
    weights: Weights
    doc: str = ""


@dataclass(frozen=True)
class Harmonics:
    """Y[l, m](ij), l = 0..lmax, index l*l + l + m: [E, (lmax + 1)^2]. Input: direction.

    used: the largest l any output needs.
    """

    block: str
    kind: str
    lmax: int
    used: int
    doc: str = ""


@dataclass(frozen=True)
class Pool:
    """A[c, l, m](i) = sum_j R[c](ij) Y[l, m](ij): [N, sum of 2l + 1]. Inputs: radial, harmonics.

    factors: (channel, l), sorted by (l, channel); without harmonics all l are 0 and Y is 1.
    """

    factors: tuple[tuple[int, int], ...]
    labels: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Block:
    """One product of factors (positions in Pool.factors), in the group order of its couplings.

    couplings: per output L, the index into Products.couplings, or -1 where nothing couples.
    """

    factors: tuple[int, ...]
    couplings: tuple[int, ...]


@dataclass(frozen=True)
class Products:
    """prod_t A[factor_t, m_t] for the classes m of every block: [N, products]. Input: pool."""

    L: tuple[int, ...]
    blocks: tuple[Block, ...]
    couplings: tuple[Coupling, ...]


@dataclass(frozen=True)
class Candidates:
    """Products before coupling: blocks of factor positions. Input: pool. Replaced by pass `couple`."""

    L: tuple[int, ...]
    blocks: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Couple:
    """B[f, M] = sum over classes of C * product: [N, functions] for L = 0 alone. Input: products."""

    block: str
    binders: tuple[str, ...]
    functions: tuple[int, ...]
    doc: str = ""


@dataclass(frozen=True)
class Readout:
    """E_i = sum_k W[k; Z_i] B[k](i): [N], eV. Input: couple, or pool for a pair term."""

    block: str
    kind: str
    functions: int
    weights: Weights
    doc: str = ""


@dataclass(frozen=True)
class SelectConstant:
    """E_i = E0[Z_i]: [N], eV."""

    block: str
    energies: tuple[Fraction, ...]
    learnable: bool
    doc: str = ""


@dataclass(frozen=True)
class Zbl:
    """E_i = 1/2 sum_j V(r_ij), the repulsion of screened nuclei: [N], eV. Input: distance.

    inner, outer: Å, as `bonds`, between which V is switched off
    """

    block: str
    inner: tuple[Fraction, ...]
    outer: tuple[Fraction, ...]
    bonds: tuple[BondLengths, ...]
    doc: str = ""


@dataclass(frozen=True)
class Total:
    """sum of factor * term: [N], eV. Inputs: the terms."""

    model: str
    factors: tuple[Fraction, ...]
    doc: str = ""


Op: TypeAlias = (
    Distance
    | Direction
    | Transform
    | Envelope
    | PolynomialBasis
    | SelectLinear
    | Harmonics
    | Pool
    | Candidates
    | Products
    | Couple
    | Readout
    | SelectConstant
    | Zbl
    | Total
)
