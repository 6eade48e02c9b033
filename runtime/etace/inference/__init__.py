"""The inference form: the same energies with all parameters frozen into tables, fast.

A generated module writes, for each model, `coefficients` (of parameters) and the functions of a block
of atoms of one species: `features` (R, Y, A), `products` (energies and w = dE/dA), `gradients` (of the
edges), and `values` (energies for every member of a committee), in terms of these kernels:

    radials        R = V T(y), dR/dr = V' T(y) dy/dr: one matrix product with T = {T_i(y) T_4j(y)}
    pool           A[n,l,m](i) = sum_j R[n,l](ij) Y[l,m](ij)
    Products       E_i = sum_a A_a (C1 + C2 A / 2 + C3 (A A) / 3)_a, w = dE_i/dA = C1 + C2 A + C3 (A A)
    edge_gradients f_ij = dE_i/dr_ij = sum w (dR/dr Y r^ + R grad Y)
    add_pair       phi(r) of a pair term, by Chebyshev coefficients
    add_zbl        the repulsion of nuclei, where a block has atoms so close

A committee shares all features. Its energies cost one product for each monomial of A and a matrix
product with the coefficients of all members; its forces are `products` of all, then `gradients` one by one.

No basis function and no per-function array is ever formed, and no derivative is taken by going
backwards through a graph: the gradient comes first, and the value from Euler's theorem. Forces are
F_i = sum_k (f_ik - f_rev(ik)), a gather by the index of the reversed edge instead of a scatter.

Atoms sorted by species stand in blocks, their neighbours in one segment for each species, so that
all coefficients of a block and segment are the same; atoms are the fast axis of all arrays. A block
is small enough for everything between positions and edge gradients to stay in the core's own cache.
"""

from etace.inference.form import Inference
from etace.inference.kernels import (
    add_gradients,
    add_pair,
    add_zbl,
    edge_gradients,
    harmonics,
    no_gradients,
    pair_values,
    pool,
    radials,
    zbl_values,
)
from etace.inference.products import Products
from etace.inference.shells import Pair, Radial, Shell

__all__ = [
    "Inference",
    "Pair",
    "Products",
    "Radial",
    "Shell",
    "add_gradients",
    "add_pair",
    "add_zbl",
    "edge_gradients",
    "harmonics",
    "no_gradients",
    "pair_values",
    "pool",
    "radials",
    "zbl_values",
]
