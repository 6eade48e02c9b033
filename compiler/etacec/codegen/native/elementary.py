"""exp, log, sin and cos of vectors in C: the argument is reduced (Cody and Waite 1980), a polynomial does the rest.

    exp  x = k log 2 + r, exp r = 1 + r + r^2 P(r)
    log  x = 2^k (1 + f), s = f / (2 + f), log(1 + f) = 2 artanh s = f - s (f - s^2 P(s^2))
    sin  x = k pi / 2 + r, sin r = r + r^3 P(r^2), cos r = 1 - r^2 / 2 + r^4 Q(r^2)

log 2 and pi / 2 stand in parts so short that k times a part is exact. Polynomials are Taylor's, in exact
fractions, economised on their interval (Lanczos 1938): the last term by the Chebyshev polynomial of its
degree, as long as what is lost does not count.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from etacec.codegen.native.formula import number

TERMS = 30  # of Taylor series: what is left out is far below rounding
HALF_LOG = Fraction(7, 20)  # above log(2) / 2
MOST_Z = Fraction(3, 100)  # above s^2 of all f between sqrt(1/2) - 1 and sqrt(2) - 1
MOST_RR = Fraction(62, 100)  # above (pi / 4)^2


@dataclass(frozen=True)
class Format:
    """A format of real numbers. digits: of the significand, the first one included; bias: of exponents

    code: of `struct`, of the number and of the whole number of its length; suffix: of the C library
    turns: bits of k up to which k pi / 2 is subtracted here; beyond, the C library has its say
    """

    digits: int
    bias: int
    code: tuple[str, str]
    suffix: str
    turns: int


NAMES = ("exp", "log", "sin", "cos")
FORMATS = {
    "float64": Format(53, 1023, ("<d", "<Q"), "", 17),
    "float32": Format(24, 127, ("<f", "<I"), "f", 5),
}

HEAD = """
// Elementary functions. Added to a number of moderate size, ROUND leaves it as a whole number in the last bits.
typedef u@WHOLE@ bits __attribute__((vector_size(LANES * sizeof(real))));
#define ROUND @ROUND@
"""

EXP = """
static inline vec power_of_two(vec k) { return (vec)((bits)(k + (ROUND + @BIAS@)) << @SHIFT@); }
static inline vec vec_exp(vec x) {
    x = choose(x < @LOW@, all(@LOW@), choose(x > @HIGH@, all(@HIGH@), x));  // 0 and infinite there
    const vec k = (x * @PER_LOG@ + ROUND) - ROUND, half = (k * N(0.5) + ROUND) - ROUND;
    const vec r = (x - k * @LOG1@) - k * @LOG2@;
    const vec p = @EXP@;
    return (N(1.0) + (r + r * r * p)) * power_of_two(half) * power_of_two(k - half);
}
"""

LOG = """
static inline vec vec_log(vec x) {
    const mask tiny = x < @TINY@;
    const bits b = (bits)choose(tiny, x * @SCALE@, x) + @ABOVE@;
    const vec k = (vec)(b >> @SHIFT@ | @ONES@) - choose(tiny, all(@LESS_TINY@), all(@LESS@));
    const vec f = (vec)((b & @FRACTION@) + @ROOT@) - N(1.0), s = f / (f + N(2.0)), z = s * s;
    const vec p = @LOG@;
    const vec out = k * @LOG1@ + (f - (s * (f - z * p) - k * @LOG2@));
    const vec ends = choose(x == 0, all(N(-INFINITY)), choose(x > 0, x, all(N(NAN))));
    return choose((x > 0) & (x < N(INFINITY)), out, ends);
}
"""

CIRCULAR = """
// sin(x + turns pi / 2), |x| up to FARTHEST
#define FARTHEST @FARTHEST@
static inline vec circular(vec x, unsigned turns) {
    const vec t = x * @PER_TURN@ + ROUND, k = t - ROUND;
    const vec a = x - k * @TURN1@, b = a - k * @TURN2@, c = ((a - b) - k * @TURN2@) - k * @TURN3@;
    const vec r = b + c, rest = (b - r) + c, z = r * r, h = N(0.5) * z, w = N(1.0) - h;
    const vec p = @SIN@;
    const vec q = @COS@;
    const vec sine = r + (rest + r * (z * p)), cosine = w + (((N(1.0) - w) - h) + (z * z * q - r * rest));
    const bits quarter = (bits)t + turns;
    return (vec)((bits)choose((quarter & 1) != 0, cosine, sine) ^ (quarter & 2) << @SIGN@);
}
static inline int all_near(vec x) {
    const mask near = (x >= -FARTHEST) & (x <= FARTHEST);
    whole every = -1;
    for (int l = 0; l < LANES; l++) every &= near[l];
    return every != 0;
}
"""

SIN_COS = """
static inline vec vec_@NAME@(vec x) {
    if (all_near(x)) return circular(x, @TURNS@);
    for (int l = 0; l < LANES; l++) x[l] = @NAME@@SUFFIX@(x[l]);
    return x;
}
"""


def functions(names: Sequence[str], dtype: str) -> str:
    """C of `vec_NAME` of those among exp, log, sin and cos; where operations are counted, each is a call."""
    if not names:
        return ""
    text, known = HEAD, _constants(FORMATS[dtype])
    for name, body in (("exp", EXP), ("log", LOG)):
        text += body if name in names else ""
    circular = [name for name in ("sin", "cos") if name in names]
    text += CIRCULAR if circular else ""
    for name in circular:
        text += SIN_COS.replace("@NAME@", name).replace("@TURNS@", "01"[name == "cos"])
    calls = "".join(f"LANEWISE(vec_{name}, {name}@SUFFIX@)\n" for name in names)
    text = f"\n#ifdef ETACE_COUNTED\n{calls}#else\n{text.lstrip()}#endif\n"
    return re.sub(r"@(\w+?)@", lambda m: known[m[1]], text)


@cache
def _constants(real: Format) -> dict[str, str]:
    shift, digits = real.digits - 1, real.digits
    loss = Fraction(1, 2 ** (digits + 5))  # of a number near 1: a small part of rounding
    log, turn = log_of_two(), quarter_turn()
    logs = split(log, digits - real.bias.bit_length() - 1, digits)
    turns = split(turn, digits - real.turns, digits - real.turns, digits)
    one, root = (_bits(x, real) for x in (1.0, math.sqrt(0.5)))
    tiny, scale = Fraction(2, 2**real.bias), 2**digits
    reals = {
        "ROUND": Fraction(3, 4) * 2**digits, "BIAS": real.bias,
        "LOW": -(real.bias + digits) * log, "HIGH": (real.bias + 2) * log,
        "PER_LOG": 1 / log, "LOG1": logs[0], "LOG2": logs[1],
        "TINY": tiny, "SCALE": scale, "LESS": 2**shift + real.bias,
        "LESS_TINY": 2**shift + real.bias + digits,
        "FARTHEST": 2**real.turns, "PER_TURN": 1 / turn,
        "TURN1": turns[0], "TURN2": turns[1], "TURN3": turns[2],
    }  # fmt: skip
    wholes = {
        "SHIFT": shift, "SIGN": 8 * struct.calcsize(real.code[0]) - 2,
        "ABOVE": one - root, "ROOT": root, "FRACTION": 2**shift - 1, "ONES": _bits(2.0**shift, real),
    }  # fmt: skip
    return {
        "WHOLE": {53: "int64_t", 24: "int32_t"}[digits], "SUFFIX": real.suffix,
        **{k: number(x) for k, x in reals.items()},
        **{k: str(x) for k, x in wholes.items()},
        "EXP": _horner("r", economised(exp_series, -HALF_LOG, HALF_LOG, loss / HALF_LOG**2)),
        "LOG": _horner("z", economised(log_series, Fraction(0), MOST_Z, loss / MOST_Z)),
        "SIN": _horner("z", economised(sin_series, Fraction(0), MOST_RR, loss / MOST_RR)),
        "COS": _horner("z", economised(cos_series, Fraction(0), MOST_RR, loss / MOST_RR**2)),
    }  # fmt: skip


def exp_series(k: int) -> Fraction:
    """Of (exp r - 1 - r) / r^2."""
    return Fraction(1, math.factorial(k + 2))


def log_series(k: int) -> Fraction:
    """Of (2 artanh(s) / s - 2) / z, z = s^2."""
    return Fraction(2, 2 * k + 3)


def sin_series(k: int) -> Fraction:
    """Of (sin(r) / r - 1) / z, z = r^2."""
    return Fraction((-1) ** (k + 1), math.factorial(2 * k + 3))


def cos_series(k: int) -> Fraction:
    """Of (cos r - 1 + z / 2) / z^2, z = r^2."""
    return Fraction((-1) ** k, math.factorial(2 * k + 4))


def economised(
    series: Callable[[int], Fraction], low: Fraction, high: Fraction, loss: Fraction
) -> list[Fraction]:
    """Coefficients, ascending, of a short polynomial that is off by less than `loss` from low to high."""
    c = [series(k) for k in range(TERMS)]
    T = _chebyshev(TERMS, low, high)
    while True:
        n = len(c) - 1
        times = c[n] / T[n][n]
        loss -= abs(times)
        if loss < 0:
            return c
        c = [a - times * b for a, b in zip(c[:n], T[n][:n], strict=True)]


def _chebyshev(count: int, low: Fraction, high: Fraction) -> list[list[Fraction]]:
    """Coefficients of Chebyshev's polynomials of the variable that goes from -1 at low to 1 at high."""
    a, b = 2 / (high - low), -(high + low) / (high - low)
    T = [[Fraction(1)], [b, a]]
    while len(T) < count:
        last, before = T[-1], T[-2]
        new = [2 * b * x for x in last] + [Fraction(0)]
        for k, x in enumerate(last):
            new[k + 1] += 2 * a * x
        T.append([x - (before[k] if k < len(before) else 0) for k, x in enumerate(new)])
    return T


def log_of_two() -> Fraction:
    """2 artanh(1/3), to 2^-200."""
    return sum((Fraction(2, (2 * k + 1) * 3 ** (2 * k + 1)) for k in range(64)), Fraction(0))


def quarter_turn() -> Fraction:
    """pi / 2 = 8 arctan(1/5) - 2 arctan(1/239) (Machin 1706), to 2^-200."""

    def arctan(n: int) -> Fraction:
        terms = (Fraction((-1) ** k, (2 * k + 1) * n ** (2 * k + 1)) for k in range(48))
        return sum(terms, Fraction(0))

    return 8 * arctan(5) - 2 * arctan(239)


def split(x: Fraction, *digits: int) -> list[Fraction]:
    """Numbers of so many digits that together are x."""
    parts = []
    for d in digits:
        unit = Fraction(2) ** (math.frexp(float(x))[1] - d)
        parts.append(round(x / unit) * unit)
        x -= parts[-1]
    return parts


def _horner(x: str, c: Sequence[Fraction]) -> str:
    text = number(c[-1])
    for a in reversed(c[:-1]):
        text = f"({text}) * {x} + {number(a)}"
    return text


def _bits(x: float, real: Format) -> int:
    number, whole = real.code
    return int(struct.unpack(whole, struct.pack(number, x))[0])
