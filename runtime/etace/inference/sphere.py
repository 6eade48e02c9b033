"""Gradients of solid harmonics as combinations of those of one degree less.

With f_lm = Q_lm (x + iy)^m, r^l Y_lm up to its norm (see `angular`):

    d/dz f_lm             = (l + m) f_{l-1,m}
    (d/dx + i d/dy) f_lm  = -f_{l-1,m+1}
    (d/dx - i d/dy) f_lm  = (l + m)(l + m - 1) f_{l-1,m-1}

so every component of the gradient of Y_lm has at most two terms. They are applied to the adjoint of
an atom, not to its edges.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from etace.angular import _norm


@cache
def gradient(l: int) -> np.ndarray:
    """G: d/d(x, y, z) of (r^l Y_lm) = sum_m' G[:, m, m'] r^(l-1) Y_{l-1,m'}: [3, 2l + 1, 2l - 1]."""
    G = np.zeros((3, 2 * l + 1, 2 * l - 1))
    for m in range(l + 1):
        # derivative of the complex f_lm: {(m', conjugated): factor} for each of x, y, z
        up, down = -0.5, 0.5 * (l + m) * (l + m - 1)
        if m == 0:  # f_{l-1,-1} = -conj(f_{l-1,1}) / (l (l - 1))
            parts = [{1: (-1.0, 0.0)}, {1: (0.0, -1.0)}, {0: (float(l), 0.0)}]
            for d, part in enumerate(parts):
                for k, (re, im) in part.items():
                    _add(G, d, l, 0, k, re, im)
            continue
        for k, x in ((m + 1, up), (m - 1, down)):
            _add_complex(G, 0, l, m, k, complex(x))
        for k, x in ((m + 1, -up), (m - 1, down)):
            _add_complex(G, 1, l, m, k, 1j * x)
        _add_complex(G, 2, l, m, m, complex(l + m))
    return G


def _add(G: np.ndarray, d: int, l: int, m: int, k: int, re: float, im: float) -> None:
    """The real function m = 0 of degree l gains re * Re f_{l-1,k} + im * Im f_{l-1,k}."""
    if k > l - 1:
        return
    own = abs(_norm(l, 0)) * np.sqrt(0.5)
    other = abs(_norm(l - 1, k)) * (np.sqrt(0.5) if k == 0 else 1.0)
    G[d, l, l - 1 + k] += re * own / other
    if k:
        G[d, l, l - 1 - k] += im * own / other


def _add_complex(G: np.ndarray, d: int, l: int, m: int, k: int, x: complex) -> None:
    """d f_lm gains x f_{l-1,k}; its real part is the function m, its imaginary part -m."""
    if k > l - 1:
        return
    own = abs(_norm(l, m))
    other = abs(_norm(l - 1, k)) * (np.sqrt(0.5) if k == 0 else 1.0)
    c = own / other
    # (x_r + i x_i)(Re f + i Im f); Im f_{l-1,0} is zero
    G[d, l + m, l - 1 + k] += c * x.real
    G[d, l - m, l - 1 + k] += c * x.imag
    if k:
        G[d, l + m, l - 1 - k] -= c * x.imag
        G[d, l - m, l - 1 - k] += c * x.real
