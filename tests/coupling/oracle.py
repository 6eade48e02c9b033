"""What the coupling tests compare with: floating point, in other ways than the package's."""

from functools import cache
from itertools import product
from math import factorial, pi, sqrt

import numpy as np
from etacec.coupling import Coupling, Pattern


def complex_harmonics(l, points):
    """Y_l^m (Condon-Shortley) of unit vectors: [points, 2l+1], from the explicit polynomial

    Y_l^m = sqrt((2l+1)/(4 pi) (l+m)! (l-m)!) sum of (-(x+iy)/2)^p ((x-iy)/2)^q z^s / (p! q! s!)
    over p + q + s = l, p - q = m.
    """
    x, y, z = np.asarray(points, float).T
    up, down = -(x + 1j * y) / 2, (x - 1j * y) / 2
    out = np.zeros((len(z), 2 * l + 1), complex)
    for p, q in product(range(l + 1), repeat=2):
        s, m = l - p - q, p - q
        if s >= 0:
            size = factorial(p) * factorial(q) * factorial(s)
            out[:, l + m] += up**p * down**q * z**s / size
    norms = [(2 * l + 1) / (4 * pi) * factorial(l + m) * factorial(l - m) for m in range(-l, l + 1)]
    return out * np.sqrt(norms)


def real_harmonics(l, points):
    """R_m and R_-m: sqrt2 (-1)^m times the real and imaginary part of Y_l^m: [points, 2l+1]."""
    Y = complex_harmonics(l, points)
    out = np.empty(Y.shape)
    out[:, l] = Y[:, l].real
    for m in range(1, l + 1):
        out[:, l + m] = sqrt(2) * (-1) ** m * Y[:, l + m].real
        out[:, l - m] = sqrt(2) * (-1) ** m * Y[:, l + m].imag
    return out


def real_from_complex(l):
    """U with R = U Y, found from values: [2l+1, 2l+1], complex."""
    points = unit_vectors(np.random.default_rng(l), 6 * l + 6)
    return np.linalg.lstsq(complex_harmonics(l, points), real_harmonics(l, points), rcond=None)[0].T


def real_D(l, Q):
    """R(Q r) = D R(r), found from values: [2l+1, 2l+1]."""
    points = unit_vectors(np.random.default_rng(l), 8 * l + 8)
    return np.linalg.lstsq(real_harmonics(l, points), real_harmonics(l, points @ Q.T), rcond=None)[
        0
    ].T


def unit_vectors(rng, n):
    v = rng.normal(size=(n, 3))
    return v / np.linalg.norm(v, axis=1, keepdims=True)


def random_orthogonal(rng, determinant):
    """A rotation (determinant 1) or a rotation times the inversion (-1)."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * determinant * np.sign(np.linalg.det(q))


def dense(coupling: Coupling):
    """C[function, component, class] as doubles."""
    out = np.zeros((coupling.functions, 2 * coupling.pattern.L + 1, len(coupling.classes)))
    values = {}
    for q, component, c, x in coupling.entries:
        if id(x) not in values:
            values[id(x)] = float(x)
        out[q, component, c] = values[id(x)]
    return out


def products(coupling: Coupling, A):
    """The product of each class, A holding [samples, 2l+1] per group: [samples, classes]."""
    pattern = coupling.pattern
    group = [g for g, (_, count) in enumerate(pattern.groups) for _ in range(count)]
    out = np.ones((len(A[0]) if A else 1, len(coupling.classes)))
    for t, l in enumerate(pattern.ls):
        out *= A[group[t]][:, [l + c[t] for c in coupling.classes]]
    return out


def evaluate(coupling: Coupling, A):
    """B[samples, function, component]."""
    return np.einsum("qkc,sc->sqk", dense(coupling), products(coupling, A))


@cache
def clebsch_gordan(a, x, b, y, c, z):
    """<a x, b y | c z>, by Racah's sum."""
    if x + y != z or abs(x) > a or abs(y) > b or abs(z) > c or not abs(a - b) <= c <= a + b:
        return 0.0
    f = factorial
    square = (2 * c + 1) * f(a + b - c) * f(a - b + c) * f(-a + b + c) / f(a + b + c + 1)
    square *= f(a + x) * f(a - x) * f(b + y) * f(b - y) * f(c + z) * f(c - z)
    total = 0.0
    for k in range(a + b + c + 1):
        parts = (k, a + b - c - k, a - x - k, b + y - k, c - b + x + k, c - a - y + k)
        if min(parts) >= 0:
            total += (-1) ** k / np.prod([float(f(p)) for p in parts])
    return sqrt(square) * total


def path_table(ls, L):
    """Paths (L12, L123, ...) to L, and (m_1, ...) -> one product of Clebsch-Gordans per path."""
    paths = [(ls[0],)]
    for l in ls[1:]:
        paths = [(*p, J) for p in paths for J in range(abs(p[-1] - l), p[-1] + l + 1)]
    paths = sorted(p for p in paths if p[-1] == L)
    table = {}
    for ms in product(*(range(-l, l + 1) for l in ls)):
        if abs(sum(ms)) <= L:
            row = np.ones(len(paths))
            for i, path in enumerate(paths):
                total = ms[0]
                for k in range(1, len(ls)):
                    row[i] *= clebsch_gordan(
                        path[k - 1], total, ls[k], ms[k], path[k], total + ms[k]
                    )
                    total += ms[k]
            table[ms] = row
    return paths, table


def class_of(pattern: Pattern, ms):
    out = ()
    for _, count in pattern.groups:
        out += tuple(sorted(ms[len(out) : len(out) + count]))
    return out


def class_table(pattern: Pattern):
    """Complex class -> one class-summed coefficient per path."""
    _, table = path_table(pattern.ls, pattern.L)
    out = {}
    for ms, row in table.items():
        key = class_of(pattern, ms)
        out[key] = out.get(key, 0) + row
    return out


def to_real(pattern: Pattern, table, classes):
    """Rows on complex classes to [row, component, class]; all other real classes must cancel."""
    U = {l: real_from_complex(l) for l in {*pattern.ls, pattern.L}}
    out = {}
    for c, row in table.items():
        for mu in product(*({m, -m} for m in c)):
            factors = [U[l][n + l, m + l].conj() for l, m, n in zip(pattern.ls, c, mu, strict=True)]
            component = U[pattern.L][:, pattern.L + sum(c)]
            key = class_of(pattern, mu)
            term = np.multiply.outer(row * np.prod(factors), component)
            out[key] = out.get(key, 0) + term
    assert all(np.abs(x.imag).max() < 1e-12 for x in out.values())
    assert all(np.abs(x).max() < 1e-12 for c, x in out.items() if c not in set(classes))
    return np.stack([out[c].real for c in classes], axis=2)


def orthonormal_rows(pattern: Pattern, classes):
    """A basis with the norm of the package's gauge, mixed in some other way: as `to_real`."""
    table = class_table(pattern)
    _, s, vt = np.linalg.svd(np.array(list(table.values())).T, full_matrices=False)
    rank = int((s > 1e-9).sum())
    rows = sqrt(2 * pattern.L + 1) * vt[:rank]
    return to_real(pattern, dict(zip(table, rows.T, strict=True)), classes)


def count_by_characters(pattern: Pattern):
    """The multiplicity as an integral over the classes of SO(3), 0 if parity forbids it."""
    if (sum(pattern.ls) + pattern.L) % 2:
        return 0
    degree = sum(pattern.ls) + pattern.L + 2
    theta = 2 * pi * np.arange(degree + 1) / (degree + 1)  # exact for these trigonometric sums

    def character(l, angle):
        return 1 + 2 * sum(np.cos(m * angle) for m in range(1, l + 1))

    total = (1 - np.cos(theta)) * character(pattern.L, theta)
    for l, count in pattern.groups:
        symmetric = [
            np.ones_like(theta)
        ]  # k h_k = sum of p_j h_{k-j}, p_j the character at j theta
        for k in range(1, count + 1):
            terms = [character(l, j * theta) * symmetric[k - j] for j in range(1, k + 1)]
            symmetric.append(sum(terms) / k)
        total = total * symmetric[count]
    value = total.mean()
    assert abs(value - round(value)) < 1e-6
    return round(value)
