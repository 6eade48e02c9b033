"""The gauge that the package docstring defines, and nothing else, fixes the coefficients."""

import hashlib
from math import sqrt

import numpy as np
import pytest
from coupling.oracle import dense, orthonormal_rows, path_table, to_real
from coupling.samples import REPEATED, all_patterns, sample
from etacec.coupling import GAUGE_VERSION, CouplingError, Pattern, couple
from etacec.coupling.gauge import fix_gauge
from etacec.coupling.multiplets import raise_weight
from etacec.coupling.paths import equivariants

SAMPLE = [p for L in range(4) for order in (1, 2, 3, 4) for p in sample(order, 3, L, 4, 3, 700)]
KNOWN = {
    Pattern(((1, 2),)): {"-1,-1": "sqrt(5)/5", "0,0": "sqrt(5)/5", "1,1": "sqrt(5)/5"},
    Pattern(((1, 1), (1, 1))): {"-1,-1": "sqrt(3)/3", "0,0": "sqrt(3)/3", "1,1": "sqrt(3)/3"},
    Pattern(((0, 1), (0, 2))): {"0,0,0": "1"},
    Pattern(((1, 1), (1, 1), (2, 1))): {
        "-1,-1,0": "sqrt(30)/30",
        "-1,-1,2": "sqrt(10)/10",
        "-1,0,-1": "-sqrt(10)/10",
        "-1,1,-2": "-sqrt(10)/10",
        "0,-1,-1": "-sqrt(10)/10",
        "0,0,0": "-sqrt(30)/15",
        "0,1,1": "-sqrt(10)/10",
        "1,-1,-2": "-sqrt(10)/10",
        "1,0,1": "-sqrt(10)/10",
        "1,1,0": "sqrt(30)/30",
        "1,1,2": "-sqrt(10)/10",
    },
}


@pytest.mark.parametrize("pattern", list(KNOWN), ids=str)
def test_known_coefficients(pattern):
    coupling = couple(pattern)
    found = {",".join(map(str, coupling.classes[c])): str(x) for _, _, c, x in coupling.entries}
    assert found == KNOWN[pattern]


@pytest.mark.parametrize("l", range(5))
def test_one_factor_couples_to_itself(l):
    coupling = couple(Pattern(((l, 1),), l))
    np.testing.assert_array_equal(dense(coupling)[0], np.eye(2 * l + 1))


@pytest.mark.parametrize("l", range(7))
def test_two_factors_make_the_scalar_product(l):
    coupling = couple(Pattern(((l, 1), (l, 1))))
    assert coupling.classes == tuple((m, m) for m in range(-l, l + 1))
    np.testing.assert_allclose(dense(coupling), 1 / sqrt(2 * l + 1), rtol=1e-15)


@pytest.mark.parametrize("pattern", sorted({*SAMPLE, *REPEATED}), ids=str)
def test_norms_agree_with_the_floating_route(pattern):
    """C^T C knows everything but the mixing: orthonormal in complex classes, from an SVD."""
    coupling = couple(pattern)
    C, F = dense(coupling), orthonormal_rows(pattern, coupling.classes)
    C, F = C.reshape(len(C), -1), F.reshape(len(F), -1)
    np.testing.assert_allclose(C.T @ C, F.T @ F, atol=1e-10)


@pytest.mark.parametrize(
    "pattern",
    [
        Pattern(((1, 1), (1, 1), (2, 1), (2, 1))),
        Pattern(((1, 1), (2, 1), (3, 1)), 2),
        Pattern(((2, 1),) * 4),
        Pattern(((1, 1),) * 4, 2),
        Pattern(((1, 1),) * 5, 1),
    ],
    ids=str,
)
def test_distinct_factors_give_the_coupling_paths(pattern):
    """Function q is the q-th path (L12, L123, ...), up to the sign that the gauge makes."""
    coupling = couple(pattern)
    _, table = path_table(pattern.ls, pattern.L)
    paths = to_real(pattern, table, coupling.classes)
    for q, C in enumerate(dense(coupling)):
        sign = np.sign(np.sum(C * paths[q]))
        np.testing.assert_allclose(C, sign * paths[q], atol=1e-12)


@pytest.mark.parametrize("pattern", REPEATED, ids=str)
def test_any_basis_leads_to_the_same_functions(pattern):
    found = equivariants(pattern)
    k = len(found)
    rng = np.random.default_rng(0)
    mix = np.triu(rng.integers(-3, 4, size=(k, k)), 1) + np.eye(k, dtype=int)
    mixed = [_combined(row.tolist(), found) for row in mix[rng.permutation(k)]]
    a, b = fix_gauge(pattern, found), fix_gauge(pattern, mixed)
    assert (a.columns, a.squares) == (b.columns, b.squares)
    for x, y in zip(a.rows, b.rows, strict=True):
        assert x in (y, tuple(-v for v in y))


def _combined(row, functions):
    states = []
    for vectors in zip(*functions, strict=True):
        total = {}
        for a, vector in zip(row, vectors, strict=True):
            for c, x in vector.items():
                total[c] = total.get(c, 0) + a * x
        states.append({c: x for c, x in total.items() if x})
    return tuple(states)


@pytest.mark.parametrize("pattern", REPEATED, ids=str)
def test_highest_weights_are_killed_by_raising(pattern):
    for f in equivariants(pattern):
        total = {}
        for c, x in f[0].items():
            start = 0
            for l, count in pattern.groups:
                part = raise_weight(l, {c[start : start + count]: x})
                for moved, y in part.items():
                    key = c[:start] + moved + c[start + count :]
                    total[key] = total.get(key, 0) + y
                start += count
        assert not any(total.values())


def test_dependent_functions_are_a_bug():
    pattern = Pattern(((1, 1), (1, 1)))
    with pytest.raises(CouplingError, match="Pattern"):
        fix_gauge(pattern, equivariants(pattern) * 2)


@pytest.mark.parametrize("pattern", sorted({*SAMPLE, *REPEATED}), ids=str)
def test_shape_of_the_answer(pattern):
    coupling = couple(pattern)
    assert list(coupling.classes) == sorted(set(coupling.classes))
    assert {c for _, _, c, _ in coupling.entries} == set(range(len(coupling.classes)))
    places = [entry[:3] for entry in coupling.entries]
    assert places == sorted(set(places))
    assert all(x.numerator for *_, x in coupling.entries)
    firsts = {}
    for q, _, _, x in coupling.entries:
        firsts.setdefault(q, x)
    assert all(x.numerator > 0 for x in firsts.values())


def test_a_change_of_any_coefficient_raises_the_gauge_version():
    small = [p for order in (1, 2, 3, 4) for p in all_patterns(order, 2, [0, 1, 2])]
    digest = hashlib.sha256()
    for coupling in map(couple, [*small, *REPEATED]):
        digest.update(f"{coupling.pattern} {coupling.classes}\n".encode())
        for *place, x in coupling.entries:
            digest.update(f"{place} {x}\n".encode())
    assert (GAUGE_VERSION, digest.hexdigest()[:16]) == (1, "4ae1052a332a1bc6")
