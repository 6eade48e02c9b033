"""The tutorial's full model in slow, obvious numpy: no JAX, no shared code, one atom at a time.

Written for complex numbers, so that derivatives by a complex step are exact to rounding.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.polynomial.legendre import legval


def neighbours(positions, cell, rcut):
    """(i, j, shift vector) of all directed pairs within rcut, by brute force."""
    heights = 1 / np.linalg.norm(np.linalg.inv(cell), axis=0)
    reach = [math.ceil(rcut / h) + 1 for h in heights]
    out = []
    for shift in itertools.product(*(range(-k, k + 1) for k in reach)):
        t = np.array(shift) @ cell
        for i, j in itertools.product(range(len(positions)), repeat=2):
            r = np.linalg.norm(positions[j] - positions[i] + t)
            if 1e-9 < r < rcut:
                out.append((i, j, t))
    return out


def solid_harmonics(v, lmax):
    """Real r^l Y_lm at l*l + l + m, by associated Legendre functions written as polynomials."""
    x, y, z = v
    r2 = x * x + y * y + z * z
    out = np.zeros((lmax + 1) ** 2, dtype=complex)
    for m in range(lmax + 1):
        # (x + iy)^m without conjugates: cosine and sine parts as polynomials
        c = sum(
            math.comb(m, k) * x ** (m - k) * y**k * (-1) ** (k // 2) for k in range(0, m + 1, 2)
        )
        s = sum(
            math.comb(m, k) * x ** (m - k) * y**k * (-1) ** (k // 2) for k in range(1, m + 1, 2)
        )
        for l in range(m, lmax + 1):
            # r^(l-m) d^m P_l(z/r), term by term
            p = 0
            for k in range((l - m) // 2 + 1):
                d = l - 2 * k
                coefficient = (-1) ** k * math.comb(l, k) * math.comb(2 * l - 2 * k, l) / 2**l
                falling = math.factorial(d) / math.factorial(d - m)
                p = p + coefficient * falling * z ** (d - m) * r2**k
            norm = math.sqrt(
                (2 * l + 1) / (4 * math.pi) * math.factorial(l - m) / math.factorial(l + m)
            )
            if m == 0:
                out[l * l + l] = norm * p
            else:
                out[l * l + l + m] = math.sqrt(2) * norm * p * c
                out[l * l + l - m] = math.sqrt(2) * norm * p * s
    return out


def agnesi(r, p, q, r0, rcut):
    a = (-2 * q + p * (4 * q - 2)) / (p + p * p + q + q * q)

    def x(r):
        s = r / r0
        return 1 / (1 + a * s**q / (1 + s ** (q - p)))

    return -1 + 2 * (x(r) - 1) / (x(rcut) - 1)


def legendre(y, n):
    return np.array([math.sqrt((2 * k + 1) / 2) * legval(y, np.eye(n)[k]) for k in range(n)])


class Tutorial:
    """si_o: weights as the product's parameter arrays; couplings, channels as its module's tables."""

    E0 = (-0.846, -1.023)
    B0 = (2.4, 1.7)
    RCUT = 5.5

    def __init__(self, module, params):
        self.m, self.p = module, params

    def site(self, kinds, i, edges):
        """E_i from edges (j, complex vector)."""
        zi = kinds[i]
        A, pair = {}, np.zeros(10, dtype=complex)
        for j, v in edges:
            zj = kinds[j]
            r = np.sqrt(v @ v)
            r0 = (self.B0[zi] + self.B0[zj]) / 2
            y = agnesi(r, 2, 2, r0, self.RCUT)
            R = (
                np.asarray(self.p["R"]["weights"])[:, :, 2 * zi + zj]
                @ legendre(y, 15)
                * (1 - y * y) ** 2
            )
            Y = solid_harmonics(v, 2)
            for (n, l), value in zip(self.m.R_CHANNELS, R, strict=True):
                if l <= 2:
                    A[n, l] = A.get((n, l), 0) + value * Y[l * l : (l + 1) ** 2]
            y2, u = agnesi(r, 1, 4, r0, self.RCUT), r / self.RCUT
            W2 = np.asarray(self.p["R2"]["weights"])[:, :, 2 * zi + zj]
            pair += W2 @ legendre(y2, 15) * (1 / u - 1) * (1 - u)
        B = []
        for coupling in self.m.B_COUPLINGS:
            for block in coupling.blocks:
                labels = [self.m.B_FACTORS[f] for f in block]
                for row in coupling.C:
                    total = 0
                    for c, m in zip(row, coupling.m, strict=True):
                        total = total + c * math.prod(
                            A[n, l][mm + l] for (n, l), mm in zip(labels, m, strict=True)
                        )
                    B.append(total)
        V, V2 = np.asarray(self.p["V"]["weights"]), np.asarray(self.p["V2"]["weights"])
        return self.E0[zi] + V[:, zi] @ np.array(B) + V2[:, zi] @ pair

    def energy(self, positions, kinds, pairs, strain):
        deform = np.eye(3) + strain
        edges = {i: [] for i in range(len(kinds))}
        for i, j, t in pairs:
            edges[i].append((j, deform @ (positions[j] - positions[i] + t)))
        return sum(self.site(kinds, i, e) for i, e in edges.items())
