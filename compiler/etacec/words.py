"""Words of other programs, and of newcomers, for words of the language: what is meant by them."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cache

_SAME = """
species: elements element atoms atom types type kinds symbols chemical_symbols atom_types element_list
rcut: cutoff r_cut rc r_max rmax cut cutoff_radius cutoff_distance r_cutoff radial_cutoff
rin: r_in r_min rmin inner_cutoff rcut_in r_cut_in
r0: r_0 req r_eq bond_length
onebody: e0 e0s one_body atomic_energies isolated_energies reference_energies vref energies
zbl: repulsion core coulomb screened_coulomb nuclear_repulsion core_repulsion
radial: radials radial_basis rbasis radbasis bessel
angular: harmonics spherical_harmonics ylm sph
pair: pairpot pair_potential two_body pairbasis
basis: descriptor descriptors features ace functions product_basis
readout: linear potential energy site_energy term output
model: calculator total sum potential
param: parameter parameters const let var set def define constant
use: include load require
polynomials: polynomial basis orthogonal_polynomials radbase basis_functions poly
envelope: cutoff_function cutoff_fn fcut f_cut cutoff smoothing cutfunc
transform: distance_transform distance_transformation transformation trans coordinate
weights: init coefficients coeffs parameters params weight
harmonics: kind type spherical ylm
factors: product products one_particle factor
order: max_order correlation correlation_order nu body_order maxorder max_correlation rank ranks
from: basis source input of features
only: products list include specification
where: condition constraint if filter such_that restrict
inner: r_in rin rmin r_min inner_cutoff
outer: r_out rout cutoff rcut r_cut rmax r_max outer_cutoff
cutoff: rcut r_cut rc r_max rmax cutoff_radius
max_order: order correlation correlation_order nu maxorder max_correlation
max_level: degree totaldegree total_degree max_degree maxdeg level levels nmax n_max
totaldegree: degree total_degree max_degree maxdeg level max_level
max_l: lmax l_max maxl ell_max max_ell
pair_degree: pair_n
pair_n: pair_degree
legendre: legendre_polynomials
chebyshev: cheb chebpol chebexpcos tchebychev
spherical: real ylm sphericalharmonics
solid: solid_harmonics rlm
"""


@cache
def _table() -> dict[str, tuple[str, ...]]:
    out: dict[str, tuple[str, ...]] = {}
    for line in _SAME.strip().split("\n"):
        ours, theirs = line.split(": ")
        for word in theirs.split():
            out[word] = (*out.get(word, ()), ours)
    return out


def same(word: str, known: Iterable[str]) -> str | None:
    """The word of `known` that `word` stands for in other programs; None if there is none."""
    of_ours = set(known)
    return next((w for w in _table().get(word.lower(), ()) if w in of_ours), None)


def meant(word: str, known: Iterable[str]) -> str | None:
    """The same, or the word of `known` that is spelt most alike."""
    known = sorted(known)
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return same(word, known) or (close[0] if close else None)
