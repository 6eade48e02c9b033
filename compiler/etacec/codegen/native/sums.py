"""A: radials times harmonics, summed over the neighbours.

By chunks of rows, whose functions are written down first, so that the sums can stay in registers.
"""

from __future__ import annotations

from collections.abc import Sequence

from etacec.codegen.native.curves import harmonic, harmonics_of, indent, mixed, recursion
from etacec.codegen.native.edges import Edges, kept
from etacec.codegen.native.formula import live
from etacec.codegen.native.terms import Shell

SUMS = 12  # in registers at once


def forward(edges: Edges) -> list[str]:
    """A: radials times harmonics, summed over the neighbours; by chunks of rows, whose functions are
    written down first, so that the sums can stay in registers."""
    start = []
    if edges.sums:
        start.append(f"for (int q = 0; q < {edges.sums}; q++) pooled[q] = all(N(0.0));")
    mixed = [line for j, s in enumerate(edges.shells) for line in _mix(edges, j, s)]
    inner = [line for j, s in enumerate(edges.shells) for line in _pool(edges, j, s)]
    return [
        "static NOINLINE void forward(int64_t n, int pair, const real *restrict v,",
        "                             const vec *restrict geometry, vec *restrict pooled,",
        "                             vec *restrict A) {",
        *indent([f"(void){name};" for name in ("n", "pair", "v", "geometry", "pooled", "A")]),
        *indent(start),
        "    for (int64_t first = 0; first < n; first += ROWS) {",
        "        const int rows = n - first < ROWS ? (int)(n - first) : ROWS;",
        *indent(inner, 8),
        "    }",
        *indent(mixed),
        "}",
    ]


def _pool(edges: Edges, j: int, s: Shell) -> list[str]:
    name, Y = f"s{j}", f"Y{j}_"
    blocks = [(l, *edges.operands(j, l)) for l in sorted(set(s.l))]
    radials = list(dict.fromkeys(r for _, _, _, own in blocks for r in own))
    left = {r: k for k, r in enumerate(radials)}  # places in a row of `part`
    right = len(radials)
    body = [
        "const vec *const g = geometry + (first + k) * GEOMETRY;",
        *(f"const vec {name} = g[{k}];" for k, name in enumerate("xyzr")),
        *kept(edges, j),
        *recursion(s.curves, name, f"{name}e"),
        *mixed(s, name, "f", radials),
        *harmonics_of(s, Y),
        *(f"p[{k}] = {name}{r};" for r, k in left.items()),
    ]
    body += [f"p[{right + h}] = all({harmonic(s, Y, h)});" for h in s.harmonics_read]
    tiles = []
    for l, array, at, own in blocks:
        harmonic_places = range(right + l * l, right + (l + 1) ** 2)
        tiles += _tiles(array, at, [left[r] for r in own], harmonic_places)
    return [
        "{",
        f"    // A of shell {j}: radials and harmonics of each row, then their products",
        f"    vec part[ROWS][{right + (s.lmax + 1) ** 2}];",
        *indent(edges.own(j, "A")),
        "    for (int k = 0; k < rows; k++) {",
        "        vec *const p = part[k];",
        *indent(live(body), 8),
        "    }",
        *indent(tiles),
        "}",
    ]


def _mix(edges: Edges, j: int, s: Shell) -> list[str]:
    """A += W pooled, of every pooled l."""
    out = []
    Q, F = s.curves.count, len(s.l)
    for l, at in edges.base[j].items():
        first, m = s.factors(l)[0], 2 * l + 1
        out += [
            f"for (int f = 0; f < {len(s.factors(l))}; f++) {{  // l = {l}",
            f"    const real *const W = v + {s.weights} + pair * {F * Q} + ({first} + f) * {Q};",
            f"    vec *const a = A + {s.entry(first)} + f * {m};",
            f"    for (int q = 0; q < {Q}; q++)",
            f"        for (int i = 0; i < {m}; i++) a[i] += W[q] * pooled[{at} + q * {m} + i];",
            "}",
        ]
    return out


def _tiles(target: str, at: int, left: Sequence[int], right: Sequence[int]) -> list[str]:
    """target[at + i * len(right) + j] += sum over rows of p[left[i]] p[right[j]]: by rectangles of at most
    SUMS sums."""
    high, wide = _rectangle(len(left), len(right))
    out = []
    for i0 in range(0, len(left), high):
        for j0 in range(0, len(right), wide):
            rows, columns = left[i0 : i0 + high], right[j0 : j0 + wide]
            cells = {
                (i, j): at + (i0 + i) * len(right) + j0 + j
                for i in range(len(rows)) for j in range(len(columns))
            }  # fmt: skip
            sums = ", ".join(f"s{i}_{j} = {target}[{k}]" for (i, j), k in cells.items())
            out += [
                "{",
                f"    vec {sums};",
                "    for (int k = 0; k < rows; k++) {",
                "        const vec *const p = part[k];",
                "        const vec "
                + ", ".join(f"f{i} = p[{x}]" for i, x in enumerate(rows))
                + ";",
            ]
            for j, x in enumerate(columns):
                products = " ".join(f"s{i}_{j} += f{i} * y;" for i in range(len(rows)))
                out.append(f"        {{ const vec y = p[{x}]; {products} }}")
            back = " ".join(f"{target}[{k}] = s{i}_{j};" for (i, j), k in cells.items())
            out += ["    }", f"    {back}", "}"]
    return out


def _rectangle(n: int, m: int) -> tuple[int, int]:
    """Of the sums kept at once, the cheapest in cycles for a row: an addition waits 4 for the one before,
    two additions and two loads go in one."""
    shapes = [(i, j) for i in range(1, n + 1) for j in range(1, m + 1) if i * j <= SUMS]

    def cost(shape: tuple[int, int]) -> float:
        i, j = shape
        return -(-n // i) * -(-m // j) * max(4, i * j / 2, (i + j) / 2)

    return min(shapes, key=cost)
