"""Which patterns the tests look at."""

from itertools import combinations_with_replacement

import numpy as np
from etacec.coupling import Pattern, multiplicity


def all_patterns(order, max_l, Ls):
    """Every pattern of that order: each multiset of l split into groups in every way."""
    found = set()
    for groups in _groupings(order, max_l):
        found.update(Pattern(groups, L) for L in Ls)
    return sorted(found)


def sample(order, max_l, L, size, seed=0, max_cost=3200):
    """Some patterns with functions, of all kinds of grouping, none too large."""
    rng = np.random.default_rng([order, L, seed])
    good = [
        p
        for p in all_patterns(order, max_l, [L])
        if multiplicity(p) and np.prod([2 * l + 1 for l in p.ls]) <= max_cost
    ]
    chosen = rng.choice(len(good), size=min(size, len(good)), replace=False)
    return [good[i] for i in sorted(chosen)]


def _groupings(order, max_l):
    kinds = [(l, count) for l in range(max_l + 1) for count in range(1, order + 1)]
    for parts in range(1, order + 1):
        for groups in combinations_with_replacement(kinds, parts):
            if sum(count for _, count in groups) == order:
                yield groups


REPEATED = [
    Pattern(((1, 2), (1, 2))),
    Pattern(((2, 4),)),
    Pattern(((2, 2), (3, 2))),
    Pattern(((2, 2), (2, 3))),
    Pattern(((1, 2), (2, 2)), 2),
    Pattern(((1, 1), (2, 3)), 1),
    Pattern(((2, 1), (2, 1), (2, 2)), 2),
    Pattern(((1, 3), (2, 2)), 3),
    Pattern(((1, 1), (1, 2), (2, 2)), 3),
]
"""Equal factors and more than one function at once: where mistakes in counting show."""
