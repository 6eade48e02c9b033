"""The coupled functions turn as they should, are independent, and are symmetric in the factors."""

import numpy as np
import pytest
from coupling.oracle import (
    dense,
    evaluate,
    products,
    random_orthogonal,
    real_D,
    real_harmonics,
    unit_vectors,
)
from coupling.samples import REPEATED, sample
from etacec.coupling import Pattern, couple

SIZES = {1: 4, 2: 8, 3: 8, 4: 6, 5: 4}
SAMPLE = [
    p
    for L in range(4)
    for order, size in SIZES.items()
    for p in sample(order, 4 if order < 4 else 3, L, size)
]


def test_harmonics_of_the_oracle_are_the_documented_ones():
    r = unit_vectors(np.random.default_rng(0), 5)
    x, y, z = r.T
    one, two = np.sqrt(3 / (4 * np.pi)), np.sqrt(15 / (4 * np.pi))
    low = two * np.array([x * y, y * z, (3 * z**2 - 1) / np.sqrt(12), x * z, (x**2 - y**2) / 2])
    np.testing.assert_allclose(real_harmonics(1, r), one * np.array([y, z, x]).T, atol=1e-15)
    np.testing.assert_allclose(real_harmonics(2, r), low.T, atol=1e-15)
    c = np.sqrt(35 / (32 * np.pi))
    np.testing.assert_allclose(
        real_harmonics(3, r)[:, [0, 6]],
        c * np.array([y * (3 * x**2 - y**2), x * (x**2 - 3 * y**2)]).T,
        atol=1e-15,
    )


@pytest.mark.parametrize("determinant", [1, -1])
@pytest.mark.parametrize("pattern", sorted({*SAMPLE, *REPEATED}), ids=str)
def test_turns_with_the_vectors(pattern, determinant):
    rng = np.random.default_rng([pattern.L, *pattern.ls])
    Q = random_orthogonal(rng, determinant)
    r = unit_vectors(rng, 7)
    weights = rng.normal(size=(len(pattern.groups), 7))
    coupling = couple(pattern)

    def pooled(r):
        pairs = zip(pattern.groups, weights, strict=True)
        return [(w @ real_harmonics(l, r))[None] for (l, _), w in pairs]

    B, turned = evaluate(coupling, pooled(r))[0], evaluate(coupling, pooled(r @ Q.T))[0]
    terms = np.abs(dense(coupling)) @ np.abs(products(coupling, pooled(r))[0])
    assert np.abs(turned - B @ real_D(pattern.L, Q).T).max() <= 1e-12 * (1 + terms.max())


@pytest.mark.parametrize("pattern", sorted({*SAMPLE, *REPEATED}), ids=str)
def test_functions_are_independent(pattern):
    rng = np.random.default_rng(1)
    coupling = couple(pattern)
    samples = coupling.functions + 10
    A = [rng.normal(size=(samples, 2 * l + 1)) for l, _ in pattern.groups]
    for component in range(2 * pattern.L + 1):
        values = evaluate(coupling, A)[:, :, component]
        s = np.linalg.svd(values / np.linalg.norm(values, axis=0), compute_uv=False)
        assert s[-1] > 1e-6


@pytest.mark.parametrize(
    "pattern",
    [
        Pattern(((1, 1), (1, 1))),
        Pattern(((1, 1), (1, 1)), 2),
        Pattern(((1, 1), (1, 1), (2, 1), (2, 1))),
        Pattern(((2, 2), (2, 2))),
        Pattern(((1, 2), (1, 2), (2, 1)), 2),
        Pattern(((1, 1), (1, 1), (1, 1)), 1),
    ],
    ids=str,
)
def test_exchanging_two_alike_groups_mixes_the_functions_among_themselves(pattern):
    rng = np.random.default_rng(2)
    coupling = couple(pattern)
    samples = 4 * coupling.functions + 10
    A = [rng.normal(size=(samples, 2 * l + 1)) for l, _ in pattern.groups]
    exchanged = [A[1], A[0], *A[2:]]
    _assert_same_span(evaluate(coupling, A), evaluate(coupling, exchanged))


@pytest.mark.parametrize("pattern", REPEATED, ids=str)
def test_equal_factors_are_the_diagonal_of_distinct_ones(pattern):
    """B of (n,l) taken twice = what B of (n,l), (n',l) spans when both A are the same."""
    rng = np.random.default_rng(3)
    split = Pattern(tuple((l, 1) for l in pattern.ls), pattern.L)
    whole, parts = couple(pattern), couple(split)
    samples = 4 * parts.functions + 10
    A = [rng.normal(size=(samples, 2 * l + 1)) for l, _ in pattern.groups]
    repeated = [a for a, (_, count) in zip(A, pattern.groups, strict=True) for _ in range(count)]
    _assert_same_span(evaluate(whole, A), evaluate(parts, repeated))


def _assert_same_span(a, b):
    """Of functions given by their values [samples, functions, components]."""
    a, b = (np.moveaxis(v, 1, 2).reshape(-1, v.shape[1]) for v in (a, b))
    rank = np.linalg.matrix_rank(b, tol=1e-9 * np.abs(b).max())
    assert rank == a.shape[1]
    fit = b @ np.linalg.lstsq(b, a, rcond=1e-10)[0]
    np.testing.assert_allclose(fit, a, atol=1e-10 * np.abs(a).max())
