"""Exact coupling coefficients: products of pooled embeddings to O(3)-equivariant functions.

For a block, a multiset of (n, l), the pooled A[n, l, m] transform as real spherical harmonics, and

    B[q, M] = sum over classes of C[q, M, class] * product over factors t of A[n_t, l_t, class[t]]

transforms as B(Q .) = D^L(Q) B for every Q in O(3). The n only say which factors are equal, so what
is computed here depends on a `Pattern` alone: the (l, count) of each distinct (n, l), and L.

Conventions
-----------
Harmonics: real, orthonormal on the sphere, no Condon-Shortley sign (sphericart's); component
M = -L..L of the output uses the same ones. Parity: true tensors only, sum(l) + L even (an odd sum
couples to nothing here). Classes: swapping factors of equal (n, l) changes nothing, so m is sorted
inside each group and C is the coefficient of the monomial, counted once.

Gauge (`GAUGE_VERSION` 1). The functions of one pattern are determined up to mixing them; the mixing
and the norms are fixed like this.

1. In complex (Condon-Shortley) harmonics take the highest weights: combinations of the classes of
   sum(m) = L that J+ kills. Sort these classes by (S_1, S_2, ..., class), S_g being the sum of m
   over the groups 1..g.
2. Function q is the one that is orthogonal to the functions before it and lies in the
   (q+1)-dimensional space of this flag: combinations that vanish on all classes after a given one.
   (In words of matrices: echelon form from the right, then Gram-Schmidt.) With all counts 1 these
   are the familiar coupling paths ((l1 l2) L12 l3) L123 ..., sorted by (L12, L123, ...).
3. Norm and inner product: the sum over the 2L+1 complex components and over the complex classes of
   the products of the coefficients (of the product of Y, class-summed) is 2L+1 for q with itself,
   0 for q with another. For L = 0 these are EquivariantTensors >= 0.5's orthonormal rows.
4. Sign: the first entry of each function, in (component, class) order of the real basis, is > 0.

Every coefficient is then rational * sqrt(integer), held as a `Surd`; nothing is rounded before
`float(surd)`.

Source: reference.md 5, 7.2, 7.4-7.6; the ladder route is the one of arXiv 2604.01975.
"""

from etacec.coupling.cache import cache_folder, couple_all
from etacec.coupling.cost import TooHeavy, bound
from etacec.coupling.couple import couple
from etacec.coupling.multiplicity import multiplicity
from etacec.coupling.pattern import GAUGE_VERSION, Coupling, CouplingError, Pattern
from etacec.coupling.surd import Surd

__all__ = [
    "GAUGE_VERSION",
    "Coupling",
    "CouplingError",
    "Pattern",
    "Surd",
    "TooHeavy",
    "bound",
    "cache_folder",
    "couple",
    "couple_all",
    "multiplicity",
]
