"""Random and structured starts of trainable parameters, the same on every machine and for ever.

Weights have the layout [channels, polynomials, pairs], pair = centre * n_species + neighbour
(ordered: (Si, O) is not (O, Si)); readouts [functions, species]. All are numpy float64.

Random numbers depend on the seed and on the name of the block alone, so adding a block to a model
does not change the others. numpy promises a fixed stream for the raw bits of a bit generator (not
for its distributions), so the step from bits to normal numbers is ours: see `normal`.
"""

import hashlib
import math
from collections.abc import Sequence

import numpy as np

from etace.errors import ParameterError


def normal(seed: int, block: str, shape: Sequence[int], std: float = 1.0) -> np.ndarray:
    """Normal numbers with mean 0 and the given standard deviation, of the given shape.

    Philox-4x64 keyed with the first 128 bits (little endian) of sha256(f"{seed}/{block}"). A raw
    word w gives the uniform ((w >> 11) | 1) / 2^53, strictly between 0 and 1; the first half of the
    uniforms u and the second half v give sqrt(-2 ln u) cos(2πv), then sqrt(-2 ln u) sin(2πv)
    (Box and Muller). The bits are the same everywhere, the normal numbers up to the last digit of
    the machine's ln, cos and sin.
    """
    digest = hashlib.sha256(f"{seed}/{block}".encode()).digest()
    size = math.prod(shape)
    half = (size + 1) // 2
    raw = np.random.Philox(key=int.from_bytes(digest[:16], "little")).random_raw(2 * half)
    uniform = ((raw >> np.uint64(11)) | np.uint64(1)).astype(np.float64) * 2.0**-53
    length, angle = np.sqrt(-2 * np.log(uniform[:half])), 2 * np.pi * uniform[half:]
    values = np.concatenate([length * np.cos(angle), length * np.sin(angle)])
    return std * values[:size].reshape(tuple(shape))


def glorot_normal(
    seed: int, block: str, shape: Sequence[int], fan_in: int, fan_out: int
) -> np.ndarray:
    """Normal numbers of std sqrt(2 / (fan_in + fan_out)) (Glorot and Bengio 2010)."""
    if fan_in + fan_out <= 0:
        raise ParameterError(f"fan_in + fan_out must be positive, found {fan_in} + {fan_out}")
    return normal(seed, block, shape, math.sqrt(2 / (fan_in + fan_out)))


def one_hot(n_values: Sequence[int], n_polynomials: int, n_species: int) -> np.ndarray:
    """Radial weights that select one polynomial and one neighbour species per channel.

    n_values: the radial index n >= 1 of each channel (reference §4): n = (n'-1) n_species + z' with
        z' in 1 .. n_species; the weight is 1 where the neighbour's species is z' and the polynomial
        is the n'-th, 0 elsewhere (all 0 if there is no n'-th).
    result: [channels, n_polynomials, n_species**2]
    """
    n = np.asarray(n_values, dtype=np.int64).reshape(-1)
    if len(n) and n.min() < 1:
        raise ParameterError(f"radial indices n start at 1, found {n.min()}")
    polynomial, species = np.divmod(n - 1, n_species)
    weights = np.zeros((len(n), n_polynomials, n_species, n_species))
    fits = np.flatnonzero(polynomial < n_polynomials)
    weights[fits, polynomial[fits], :, species[fits]] = 1.0
    return weights.reshape(len(n), n_polynomials, n_species**2)


def zeros(shape: Sequence[int]) -> np.ndarray:
    """Zeros of the given shape."""
    return np.zeros(tuple(shape))
