"""Real solid harmonics and what multiplies their gradients, written out in C."""

from __future__ import annotations

import math
from collections import defaultdict

from etace.angular import gradient_table

from etacec.codegen.native.formula import number


def harmonics(name: str, x: str, y: str, z: str, square: str | None, lmax: int) -> list[str]:
    """`name[l * l + l + m]` of the vector (x, y, z); square: of its length, None for unit vectors.

    The recursions of `etace.angular`, the norm carried along.
    """
    out = []
    for m in range(1, lmax + 1):
        if m == 1:
            out.append(f"const vec {name}c1 = {x}, {name}s1 = {y};")
        else:
            c, s = f"{name}c{m - 1}", f"{name}s{m - 1}"
            out.append(
                f"const vec {name}c{m} = {x} * {c} - {y} * {s}, {name}s{m} = {x} * {s} + {y} * {c};"
            )
    for m in range(lmax + 1):
        names: list[str] = []
        for l in range(m, lmax + 1):
            q = f"{name}q{l}_{m}"
            if l == m:
                first = float(math.prod(range(1, 2 * m, 2))) * (-1) ** m * _norm(l, m)
                names.append(number(first))
                text = number(first)
            else:
                a = (2 * l - 1) / (l - m) * _norm(l, m) / _norm(l - 1, m)
                text = f"{number(a)} * {z} * {names[-1]}"
                if l > m + 1:
                    b = (l + m - 1) / (l - m) * _norm(l, m) / _norm(l - 2, m)
                    less = "" if square is None else f"{square} * "
                    text += f" - {number(b)} * {less}{names[-2]}"
                out.append(f"const vec {q} = {text};")
                names.append(q)
            if m == 0:
                out.append(f"const vec {name}{l * l + l} = all({names[-1]});")
            else:
                out.append(f"const vec {name}{l * l + l - m} = {names[-1]} * {name}s{m};")
                out.append(f"const vec {name}{l * l + l + m} = {names[-1]} * {name}c{m};")
    return out


def gradient(name: str, U: dict[int, str], lmax: int) -> list[str]:
    """gx, gy, gz: sum over h of U[h] grad name[h]. U: C variables by place, some left out"""
    table = gradient_table(lmax)
    out = []
    for d, axis in enumerate("xyz"):
        terms: dict[int, list[str]] = defaultdict(list)
        for h in sorted(U):
            for lower in range(len(table)):
                if c := table[lower, d, h]:
                    terms[lower].append(f"{number(c)} * {U[h]}")
        sums = [f"({' + '.join(t)}) * {name}{lower}" for lower, t in sorted(terms.items())]
        out.append(f"const vec {name}g{axis} = {' + '.join(sums) if sums else 'all(N(0.0))'};")
    return out


def gradient_of(name: str, h: int, lmax: int) -> list[str]:
    """x, y and z of grad name[h], empty where it is 0."""
    table = gradient_table(lmax)
    found = [
        [f"{number(c)} * {name}{lower}" for lower in range(len(table)) if (c := table[lower, d, h])]
        for d in range(3)
    ]
    return [" + ".join(terms) for terms in found]


def _norm(l: int, m: int) -> float:
    """Of Q_lm; that of m = 0 with the sqrt(1/2) of the real functions."""
    square = (2 * l + 1) / (2 * math.pi) * (math.factorial(l - m) / math.factorial(l + m))
    return (-1) ** m * math.sqrt(square) * (math.sqrt(0.5) if m == 0 else 1.0)
