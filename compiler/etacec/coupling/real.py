"""From complex to real harmonics, exactly: Gaussian integers times a root that depends on |m|.

With R the real harmonics and m > 0 (reference.md 5),

    Y_l^m  = (-1)^m (R_m + i R_-m) / sqrt2,        Y_l^-m = (R_m - i R_-m) / sqrt2.

The flip m -> -m of all factors maps B_M to (-1)^(sum(l) - L) B_-M in the coefficients and, the R
being real, Y_l^m to (-1)^m conj(Y_l^-m). Under the parity rule therefore B_-M = (-1)^M conj(B_M),
and the real components R_L = U_L Y_L are

    B_real[M] = (-1)^M sqrt2 Re B_M,   B_real[-M] = (-1)^M sqrt2 Im B_M,   B_real[0] = B_0, real.
"""

from functools import lru_cache

from etacec.coupling.gauge import Orthogonal, scale
from etacec.coupling.pattern import Class, CouplingError, Pattern
from etacec.coupling.surd import Surd, reduced, split_square, times

Real = dict[tuple[int, Class], int]
"""(component, real class) -> integer, still to be divided by the root of `_split_scale`."""

Split = tuple[int, int]
"""(root, square-free rest) of root^2 * rest, as `split_square` gives it."""


def to_real(pattern: Pattern, functions: Orthogonal) -> list[dict[tuple[int, Class], Surd]]:
    """For each function: (component, real class) -> coefficient, zeros left out.

    Raises CouplingError if the result would not be purely real.
    """
    _check_flip(pattern, functions)
    scales: dict[tuple[int, Class], Split] = {}
    out = []
    for (p, q), sums in zip(functions.squares, _expand(pattern, functions), strict=True):
        norm = times(split_square(p), split_square(q))
        roots: dict[Split, Split] = {}
        known: dict[tuple[int, Split], Surd] = {}  # one object per value: there are few of them
        function = {}
        for key, x in sums.items():
            if x == 0:
                continue
            if key not in scales:
                scales[key] = _split_scale(pattern, *key)
            s = scales[key]
            if (x, s) not in known:
                if s not in roots:
                    roots[s] = times(norm, s)
                # x sqrt(p/q) / sqrt(s) = x sqrt(p q s) / (q s), and s = s[0]^2 s[1]
                root, radicand = roots[s]
                known[x, s] = reduced(x * root, q * s[0] ** 2 * s[1], radicand)
            function[key] = known[x, s]
        out.append(function)
    return out


def _expand(pattern: Pattern, functions: Orthogonal) -> list[Real]:
    L = pattern.L
    out: list[Real] = [{} for _ in functions.rows]
    for i, (M, c) in enumerate(functions.columns):
        users = [(row[i], sums) for row, sums in zip(functions.rows, out, strict=True) if row[i]]
        for real, odd, phase in _expand_class(pattern, c):
            if odd and M == 0:
                continue  # cancelled by the flipped class: `_check_flip`
            key = (L - M if odd else L + M, real)
            phase = -phase if M % 2 else phase
            for x, sums in users:
                sums[key] = sums.get(key, 0) + x * phase
    return out


def _expand_class(pattern: Pattern, c: Class) -> list[tuple[Class, int, int]]:
    """The product of Y over c as terms (real class, 1 if imaginary, sign and count).

    The factor 2^(-1/2) for every non-zero m is left out.
    """
    groups, start = [], 0
    for _, count in pattern.groups:
        groups.append(_expand_group(c[start : start + count]))
        start += count
    terms: list[tuple[Class, int, int]] = [((), 0, 1)]
    for group in groups:
        terms = [
            (a + b, odd ^ odd_b, -x * y if odd and odd_b else x * y)
            for a, odd, x in terms
            for b, odd_b, y in group
        ]
    return terms


@lru_cache(maxsize=65536)
def _expand_group(c: Class) -> tuple[tuple[Class, int, int], ...]:
    """`_expand_class` for one group."""
    terms: list[tuple[list[int], int]] = [([m for m in c if m == 0], 1)]  # power of i: #negative m
    for m in sorted({abs(m) for m in c} - {0}):
        plus, minus = c.count(m), c.count(-m)
        sign = -1 if m * plus % 2 else 1
        powers = _binomials(plus, minus)
        terms = [
            (ms + [m] * (plus + minus - j) + [-m] * j, sign * x * y)
            for ms, x in terms
            for j, y in enumerate(powers)
            if y
        ]
    out = []
    for ms, x in terms:
        negative = sum(m < 0 for m in ms)
        out.append((tuple(sorted(ms)), negative % 2, -x if negative % 4 >= 2 else x))
    return tuple(out)


def _binomials(plus: int, minus: int) -> list[int]:
    """Coefficients in z of (1 + z)^plus (1 - z)^minus; z stands for i R_-m / R_m."""
    out = [1]
    for sign in [1] * plus + [-1] * minus:
        out = [a + sign * b for a, b in zip([*out, 0], [0, *out], strict=True)]
    return out


def _split_scale(pattern: Pattern, component: int, c: Class) -> Split:
    """`split_square` of the square of what divides the integers of `_expand`."""
    M = abs(component - pattern.L)
    # 1/sqrt2 for each m != 0; sqrt2 for the output's M != 0, which needs a factor with m != 0
    return split_square(scale(pattern, M, c) << sum(m != 0 for m in c) - (M != 0))


def _check_flip(pattern: Pattern, functions: Orthogonal) -> None:
    """B_0 is real: the coefficients of a class and of the one with every m reversed are equal."""
    index = {c: i for i, (M, c) in enumerate(functions.columns) if M == 0}
    pairs = [(i, index.get(_flip(pattern, c))) for c, i in index.items()]
    for row in functions.rows:
        if any(row[i] != (0 if j is None else row[j]) for i, j in pairs):
            raise CouplingError(f"neither real nor imaginary: {pattern}")


def _flip(pattern: Pattern, c: Class) -> Class:
    out: Class = ()
    for _, count in pattern.groups:
        start = len(out)
        out += tuple(-m for m in reversed(c[start : start + count]))
    return out
