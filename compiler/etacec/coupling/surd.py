"""Numbers of the form rational * sqrt(integer), exact until the one place that rounds."""

from dataclasses import dataclass
from functools import lru_cache
from math import gcd, isqrt

TRIAL_LIMIT = 1 << 16


@dataclass(frozen=True)
class Surd:
    """numerator / denominator * sqrt(radicand): lowest terms, denominator > 0, radicand >= 1.

    The radicand is square-free (see `split_square` for the one reservation). Made by `surd`.
    """

    numerator: int
    denominator: int
    radicand: int

    def __float__(self) -> float:
        """The double nearest to the exact value, by integer arithmetic alone."""
        if self.radicand == 1:
            return self.numerator / self.denominator  # int / int rounds correctly
        square = self.numerator**2 * self.radicand
        divisor = self.denominator**2
        # Scale by 4^shift so that the root has at least 60 bits. The root is irrational, so it
        # lies strictly between two neighbouring integers, and their midpoint rounds as it does.
        shift = max(0, (121 - square.bit_length() + divisor.bit_length() + 1) // 2)
        root = isqrt((square << 2 * shift) // divisor)
        value = (2 * root + 1) / (1 << (shift + 1))
        return value if self.numerator > 0 else -value

    def __str__(self) -> str:
        """As a formula: "sqrt(3)/3", "-2*sqrt(5)/15", "1/2", "1"."""
        text = str(self.numerator)
        if self.radicand != 1:
            sign = {1: "", -1: "-"}.get(self.numerator, f"{self.numerator}*")
            text = f"{sign}sqrt({self.radicand})"
        return text if self.denominator == 1 else f"{text}/{self.denominator}"


def surd(numerator: int, denominator: int = 1, radicand: int = 1) -> Surd:
    """numerator / denominator * sqrt(radicand) in the one form that equal numbers share."""
    if radicand < 0 or denominator == 0:
        raise ValueError(f"no real surd: {numerator}/{denominator}*sqrt({radicand})")
    root, radicand = split_square(radicand) if radicand else (0, 1)
    return reduced(numerator * root, denominator, radicand)


def reduced(numerator: int, denominator: int, radicand: int) -> Surd:
    """Lowest terms, for a radicand that is square-free already."""
    if numerator == 0:
        return Surd(0, 1, 1)
    common = gcd(numerator, denominator) * (1 if denominator > 0 else -1)
    return Surd(numerator // common, denominator // common, radicand)


@lru_cache(maxsize=4096)
def split_square(n: int) -> tuple[int, int]:
    """(root, rest) with n = root^2 * rest, n > 0, rest square-free.

    Exactly square-free whenever what is left after dividing out the primes below p has at most two
    prime factors (p^3 > n): always so in patterns of distinct (n, l), whose numbers are smooth.
    Norms of high multiplicity with equal (n, l) can hold primes past `TRIAL_LIMIT`; the square of
    such a prime times another would stay under the root. The value is exact all the same.
    """
    root = rest = 1
    p = 2
    while p * p * p <= n and p < TRIAL_LIMIT:
        if n % p == 0:
            power = 0
            while n % p == 0:
                n //= p
                power += 1
            root *= p ** (power // 2)
            rest *= p ** (power % 2)
        p += 1 if p == 2 else 2
    square = isqrt(n)
    if square * square == n:
        return root * square, rest
    return root, rest * n


def times(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """`split_square` of a product, from those of its factors."""
    common = gcd(a[1], b[1])
    return a[0] * b[0] * common, (a[1] // common) * (b[1] // common)
