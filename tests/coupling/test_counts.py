"""As many functions as the theory of characters says."""

from collections import Counter
from itertools import combinations_with_replacement

import numpy as np
import pytest
from coupling.oracle import class_table, count_by_characters
from coupling.samples import all_patterns, sample
from etacec.coupling import Pattern, couple, multiplicity


def levels(order, level, max_l):
    """Pattern -> how many multisets of (n, l) of it have a sum of n + 1.5 l up to level."""
    pairs = [
        (n, l) for l in range(max_l + 1) for n in range(1, level + 1) if 2 * n + 3 * l <= 2 * level
    ]
    out = Counter()
    for size in range(1, order + 1):
        for block in combinations_with_replacement(pairs, size):
            if sum(2 * n + 3 * l for n, l in block) <= 2 * level:
                groups = sorted((l, count) for (_, l), count in Counter(block).items())
                out[Pattern(tuple(groups))] += 1
    return out


@pytest.mark.parametrize(("order", "level", "expected"), [(2, 8, 31), (3, 10, 110), (3, 12, 211)])
def test_sizes_of_the_tutorials_models(order, level, expected):
    patterns = levels(order, level, 6)
    assert sum(multiplicity(p) * times for p, times in patterns.items()) == expected
    assert all(couple(p).functions == multiplicity(p) for p in patterns)


@pytest.mark.slow
def test_size_of_order_4_level_16():
    assert sum(multiplicity(p) * times for p, times in levels(4, 16, 6).items()) == 1445


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5, 6])
def test_weights_and_characters_count_the_same(order):
    patterns = all_patterns(order, 4 if order < 5 else 2, range(4))
    rng = np.random.default_rng(order)
    for i in rng.permutation(len(patterns))[:300]:
        assert multiplicity(patterns[i]) == count_by_characters(patterns[i])


@pytest.mark.parametrize("L", range(4))
@pytest.mark.parametrize("order", [2, 3, 4])
def test_weights_and_ranks_count_the_same(order, L):
    for pattern in sample(order, 3, L, 6, seed=1, max_cost=700):
        table = np.array(list(class_table(pattern).values()))
        assert np.linalg.matrix_rank(table, tol=1e-9) == multiplicity(pattern), pattern


def test_as_many_functions_as_counted():
    for order in (1, 2, 3):
        for pattern in all_patterns(order, 4, [0, 1, 2]):
            assert len({q for q, *_ in couple(pattern).entries}) == multiplicity(pattern)
    for L in (0, 1, 2):
        for pattern in sample(4, 4, L, 15, seed=2):
            assert len({q for q, *_ in couple(pattern).entries}) == multiplicity(pattern)


@pytest.mark.slow
@pytest.mark.parametrize("order", [4, 5])
def test_as_many_functions_as_counted_everywhere(order):
    for pattern in all_patterns(order, 4 if order == 4 else 2, [0, 1, 2] if order == 4 else [0, 1]):
        assert len({q for q, *_ in couple(pattern).entries}) == multiplicity(pattern), pattern


@pytest.mark.slow
def test_order_5_up_to_l_4_invariants():
    for pattern in all_patterns(5, 4, [0]):
        assert len({q for q, *_ in couple(pattern).entries}) == multiplicity(pattern), pattern


def test_parity_forbids_odd_sums():
    assert multiplicity(Pattern(((1, 1), (1, 1)), 1)) == 0
    assert multiplicity(Pattern(((1, 1), (1, 1), (1, 1)))) == 0
    nothing = couple(Pattern(((1, 1), (2, 1))))
    assert (nothing.classes, nothing.entries, nothing.functions) == ((), (), 0)


def test_the_empty_product_is_the_constant():
    one = couple(Pattern(()))
    assert one.classes == ((),)
    assert [str(x) for *_, x in one.entries] == ["1"]
    assert couple(Pattern((), 2)).functions == 0


@pytest.mark.parametrize("bad", [((2, 1), (1, 1)), ((-1, 1),), ((1, 0),), [(1, 1)]])
def test_malformed_patterns_are_refused(bad):
    with pytest.raises(ValueError, match=r"groups|needs"):
        Pattern(bad)


def test_a_pattern_knows_its_factors():
    pattern = Pattern(((1, 2), (2, 1)), 1)
    assert (pattern.order, pattern.ls) == (3, (1, 1, 2))
