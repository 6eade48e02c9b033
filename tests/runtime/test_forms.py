"""Polynomials as bilinear forms: the same value, every product once."""

import itertools

import numpy as np
from etace.forms import SMALL, bilinear, split


def products(order, n, rng, count=60):
    every = list(itertools.combinations_with_replacement(range(n), order))
    chosen = rng.choice(len(every), size=min(count, len(every)), replace=False)
    return [every[k] for k in sorted(chosen)]


def test_forms_have_the_value_of_their_products():
    rng = np.random.default_rng(0)
    n = 9
    some = [p for order in range(1, 7) for p in products(order, n, rng)]
    A, v = rng.normal(size=n), rng.normal(size=len(some))
    factors = np.append(A, 1.0)
    total = 0.0
    for form in bilinear(some, n):
        V = np.zeros((len(form.left), len(form.right)))
        V.ravel()[form.cells] = v[form.products]
        total += factors[form.left].prod(axis=1) @ V @ factors[form.right].prod(axis=1)
    expected = sum(c * np.prod(A[list(p)]) for c, p in zip(v, some, strict=True))
    assert abs(total - expected) < 1e-12 * np.abs(v).sum()
    assert sorted(p for f in bilinear(some, n) for p in f.products) == list(range(len(some)))
    assert all(len(set(f.cells)) == len(f.cells) for f in bilinear(some, n))


def test_a_split_shares_its_longer_parts():
    triples = [(a, 4, 5) for a in range(4)] + [(0, 1, 2)]
    parts = split(triples)
    assert parts[:4] == [((a,), (4, 5)) for a in range(4)]
    assert all(tuple(sorted(left + right)) in triples for left, right in parts)


def test_products_without_common_parts_are_blocks_of_their_own():
    one = list(itertools.combinations_with_replacement(range(40), 2))
    other = [(a + 40, b + 40) for a, b in one]
    forms = bilinear(one + other, 80)
    assert len(forms) == 2
    assert all(len(f.left) * len(f.right) > SMALL for f in forms)
