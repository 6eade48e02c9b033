"""Random specs: any transforms, envelopes, polynomials, orders, species and bonds the language has."""

from __future__ import annotations

import numpy as np

ELEMENTS = ("H", "C", "O", "Al", "Si", "Cu")
TRANSFORMS = (
    "transform = agnesi(p = 2, q = 4)",
    "transform = agnesi(p = 1, q = 3)",
    "transform = agnesi(p = 2, q = 2)",
    "transform(r) = 1 - 2 * r / bond.rcut",
    "transform(r) = 2 * exp(-r / bond.r0) - 1",
    "transform(r) = cos(pi * r / bond.rcut)",
)
# with transforms that reach 1 or -1 at the cutoff, and with any
END_ENVELOPES = ("envelope(y) = (1 - y^2)^2", "envelope = two_sided(p_in = 2, p_out = 2)")
ENVELOPES = (
    "envelope = inverse_power(p = 1)",
    "envelope = inverse_power_shifted(p = 2)",
    "envelope(r) = (1 - (r / bond.rcut)^2)^3",
    "envelope(r) = (1 - r / bond.rcut)^2 * exp(-r / bond.r0)",
)
POLYNOMIALS = (
    "chebyshev({n})",
    "legendre({n})",
    "jacobi({n}, alpha = 2, beta = 1)",
    "monomial({n})",
    "bernstein({n})",
)


def random_spec(seed: int) -> str:
    """The text of a spec with one model `m`: always the same for the same seed."""
    rng = np.random.default_rng([seed, 2026])
    pick = lambda items: items[rng.integers(len(items))]  # noqa: E731
    species = list(rng.choice(ELEMENTS, size=rng.integers(1, 5), replace=False))
    lines = ["etace 1", f"species {', '.join(species)}"]
    rin = pick(("0 Å", "0 Å", "0.3 Å"))
    lines.append(f"bond *-* {{ rcut = {rng.uniform(3.2, 4.6):.2f} Å, rin = {rin} }}")
    if len(species) > 1 and rng.random() < 0.7:
        a, b = species[0], species[1]
        lines.append(f"bond {a}-{b} {{ rcut = {rng.uniform(2.8, 4.4):.2f} Å, r0 = 1.6 Å }}")
    terms = []
    for k in range(rng.integers(1, 3)):
        terms.append(f"{pick(('', '0.5 * ', '2 * '))}V{k}")
        lines += _basis(rng, pick, k)
    if rng.random() < 0.7:
        lines += _radial(pick, "P", "n in 1..4", 6)
        lines += ["pair Q { from = P }"]
        terms.append("Q")
    energies = ", ".join(f"{s} = {rng.uniform(-3, 0):.2f} eV" for s in species)
    lines.append(f"{pick(('', 'learnable '))}onebody E0 {{ {energies} }}")
    order = rng.permutation(len(terms))
    return "\n".join([*lines, "model m = E0 + " + " + ".join(terms[k] for k in order)]) + "\n"


def _basis(rng, pick, k: int) -> list[str]:
    angular = rng.random() < 0.85
    l = int(rng.integers(1, 4)) if angular else 0
    order = int(rng.choice([1, 2, 3, 3, 3, 4, 5]))
    level = {1: 6, 2: 7, 3: 6, 4: 6, 5: 6}[order] + int(rng.integers(0, 2))
    binders = f"n in 1..4, l in 0..{l}" if angular else "n in 1..4"
    lines = _radial(pick, f"R{k}", binders, int(rng.integers(4, 9)))
    if angular:
        kind = pick(("spherical", "solid"))
        lines.append(f"angular Y{k}[l in 0..{l}] {{ harmonics = {kind} }}")
    factors = f"R{k} * Y{k}" if angular else f"R{k}"
    measure = "n + 1.5 * l" if angular else "n"
    lines += [
        f"basis B{k} {{ factors = {factors}, order = 1..{order}",
        f"  where sum({measure}) <= {level} }}",
        f"readout V{k} {{ from = B{k}, weights = learnable(init = normal(0.3)) per species }}",
    ]
    return lines


def _radial(pick, name: str, binders: str, n: int) -> list[str]:
    transform = pick(TRANSFORMS)
    ends = "exp" not in transform
    envelope = pick((*END_ENVELOPES, *END_ENVELOPES, *ENVELOPES) if ends else ENVELOPES)
    weights = pick(("learnable(init = glorot_normal)", "frozen(init = one_hot)"))
    return [
        f"radial {name}[{binders}] {{",
        f"  {transform}",
        f"  {envelope}",
        f"  polynomials = {pick(POLYNOMIALS).format(n=n)}",
        f"  weights = {weights} per pair",
        "}",
    ]
