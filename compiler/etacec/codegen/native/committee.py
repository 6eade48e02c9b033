"""Forces of a committee's members from w = dE/dA of each: what is the same for all is written down once for a
chunk of rows, then summed with w, one member after the other.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from etacec.codegen.native.curves import (
    harmonic,
    harmonics_of,
    indent,
    mixed,
    recursion,
    slope_of,
    slopes,
)
from etacec.codegen.native.edges import Edges, kept
from etacec.codegen.native.formula import live
from etacec.codegen.native.gradients import sideways, unmix
from etacec.codegen.native.harmonics import gradient_of

COLUMNS = 5  # harmonics at once, each with a sum over radials and one over their slopes
SUMS = 4  # of one long sum
ROWS = 4  # written down at once: they and one member's w should fit the first cache


class _Row:
    """What is kept of a row for a shell, and where. radials: f or R by place, their slopes behind them

    An l whose radials are also those of another one, side by side, shares them.
    """

    def __init__(self, edges: Edges, j: int, start: int):
        s = self.shell = edges.shells[j]
        self.edges, self.j = edges, j
        self.across = s.lmax > 0 and s.harmonics != "none"
        self.blocks = [(l, *edges.operands(j, l)) for l in sorted(set(s.l))]
        self.radials: list[str] = []
        self.first: dict[int, int] = {}  # of each l
        for l, _, _, own in sorted(self.blocks, key=lambda b: (-len(b[3]), b[0])):
            found = range(len(self.radials) - len(own) + 1)
            same = [k for k in found if self.radials[k : k + len(own)] == own]
            self.first[l] = same[0] if same else len(self.radials)
            self.radials += [] if same else own
        self.f = start
        self.d = self.f + len(self.radials)
        self.Y = self.d + len(self.radials)
        place = itertools.count(self.Y + (s.lmax + 1) ** 2)
        # of each harmonic those of x, y and z that are not 0: where they stand, and their text
        self.gradients: dict[int, dict[str, tuple[int, str]]] = {}
        for h in s.harmonics_read if self.across else []:
            texts = zip("xyz", gradient_of(f"Y{j}_", h, s.lmax), strict=True)
            self.gradients[h] = {axis: (next(place), text) for axis, text in texts if text}
        self.end = next(place)

    def written(self) -> list[str]:
        s, name, Y = self.shell, f"s{self.j}", f"Y{self.j}_"
        read = list(dict.fromkeys(self.radials))
        out = [
            *kept(self.edges, self.j),
            *recursion(s.curves, name, f"{name}e"),
            *slopes(s.curves, name),
            *(line for what in "fd" for line in mixed(s, name, what, read)),
            *harmonics_of(s, Y),
        ]
        for k, r in enumerate(self.radials):
            out.append(f"p[{self.f + k}] = {name}{r}; p[{self.d + k}] = {slope_of(name + r)};")
        for h in s.harmonics_read:
            out.append(f"p[{self.Y + h}] = all({harmonic(s, Y, h)});")
            for at, text in self.gradients.get(h, {}).values():
                out.append(f"p[{at}] = {text};")
        return out

    def summed(self) -> list[str]:
        """slope += dA/dr u, along r, and f += what is across."""
        out = ["vec gx = all(N(0.0)), gy = gx, gz = gx;"] if self.across else []
        for l, array, at, own in self.blocks:
            source = {"A": "u", "own": f"(u + own{self.j})", "pooled": "(u + KEPT)"}[array]
            n = 2 * l + 1
            tiles = -(-n // COLUMNS)
            for k in range(tiles):
                columns = range(k * n // tiles, (k + 1) * n // tiles)
                out += ["{", *indent(self._tile(l, f"{source} + {at}", len(own), columns)), "}"]
        return [*out, *sideways(self.shell, "gx", "gy", "gz")] if self.across else out

    def _tile(self, l: int, w: str, count: int, columns: Sequence[int]) -> list[str]:
        """w: [count][2 l + 1]; count: of the radials"""
        first, across = self.first[l], self.across and l > 0
        if not across:
            terms = [(f"p[{self.d + first + q}]", f"c[{q}]") for q in range(count)]
            start = [f"const vec *const c = {w};", "vec b = all(N(0.0));"]
            return [*start, *_dot("b", terms), f"slope += b * p[{self.Y}];"]
        names = [f"{kind}{i}" for kind in "bu" for i in columns]
        out = [
            f"vec {', '.join(f'{n} = all(N(0.0))' for n in names)};",
            '_Pragma("GCC unroll 1")',  # else GCC copies w before the loop over rows
            f"for (int q = 0; q < {count}; q++) {{  // l = {l}",
            f"    const vec f = p[{self.f + first} + q], d = p[{self.d + first} + q];",
            f"    const vec *const c = {w} + q * {2 * l + 1};",
            *(
                f"    {{ vec x = c[{i}]; LOADED(x); b{i} += d * x; u{i} += f * x; }}"
                for i in columns
            ),
            "}",
        ]
        for i in columns:
            h = l * l + i
            line = f"slope += b{i} * p[{self.Y + h}];"
            for axis, (place, _) in self.gradients.get(h, {}).items():
                line += f" g{axis} += u{i} * p[{place}];"
            out.append(line)
        return out


def _dot(to: str, terms: Sequence[tuple[str, str]]) -> list[str]:
    """to += sum of products: several sums at once, since an addition waits for the one before."""
    out = []
    for first in range(min(SUMS, len(terms))):
        own = " + ".join(f"{a} * {b}" for a, b in terms[first::SUMS])
        out.append(f"{to} += {own};")
    return out


HEAD = [
    "const vec *const g = geometry + (first + k) * GEOMETRY;",
    *(f"const vec {name} = g[{k}];" for k, name in enumerate("xyzr")),
]


def backward(edges: Edges) -> list[str]:
    """`members_backward`: adds to `force`, [members][3], and to F, [rows of X][members][3]."""
    rows: list[_Row] = []
    for j in range(len(edges.shells)):
        rows.append(_Row(edges, j, rows[-1].end if rows else 0))
    return [
        "static NOINLINE void members_backward(int64_t n, int pair, const int32_t *restrict neighbour,",
        "                                      const real *restrict v, const vec *restrict geometry,",
        "                                      const vec *restrict steep, const real *restrict V,",
        "                                      int64_t members, vec *restrict w, vec *restrict force,",
        "                                      real *restrict F) {",
        *indent([f"(void){name};" for name in ("pair", "v", "V", "steep", "w")]),
        *indent([f"const int own{j} = {at};" for j, at in edges.own_starts()]),
        *indent(_start(edges)),
        "    for (int64_t first = 0; first < n; first += FEW) {",
        "        const int rows = n - first < FEW ? (int)(n - first) : FEW;",
        *indent(_chunk(rows), 8),
        "        for (int64_t m = 0; m < members; m++) {",
        "            const vec *const u = w + m * MEMBER;",
        "            vec *const net = force + 3 * m;",
        "            (void)u;",
        "            for (int k = 0; k < rows; k++) {",
        *indent(_contracted(edges, rows), 16),
        "            }",
        "        }",
        "    }",
        "}",
    ]


def _start(edges: Edges) -> list[str]:
    """What of w is the same for all rows: that of pooled sums, and coefficients of pair terms."""
    out = [
        line for j, s in enumerate(edges.shells) for line in unmix(edges, j, s, "u", "(u + KEPT)")
    ]
    for t, at in zip(edges.pairs, edges.alone, strict=True):
        Q = t.curves.count
        out += [
            f"for (int q = 0; q < {Q}; q++) {{  // beyond the mean's, whose slopes are there",
            f"    const int a = {t.weights} + pair * {2 * Q} + q;",
            f"    u[KEPT + POOLED + {at} + q] = all(*coefficient(V, m, a) - v[a]);",
            "}",
        ]
    if not out:
        return []
    each = "for (int64_t m = 0; m < members; m++) {"
    return [each, "    vec *const u = w + m * MEMBER;", *indent(out), "}"]


def _chunk(rows: Sequence[_Row]) -> list[str]:
    """What all members read of a few rows of edges, written down."""
    if not rows:
        return []
    return [
        f"vec part[FEW][{rows[-1].end}];",
        "for (int k = 0; k < rows; k++) {",
        "    vec *const p = part[k];",
        *indent(live([*HEAD, *(line for row in rows for line in row.written())])),
        "}",
    ]


def _contracted(edges: Edges, rows: Sequence[_Row]) -> list[str]:
    """Force of one row of edges on one member's atoms."""
    out = [*HEAD, f"vec slope = {'g[4]' if edges.along else 'all(N(0.0))'};"]
    if edges.pairs:
        out += [
            "const vec *const own_slopes = steep + (first + k) * PAIRS, *const c = u + KEPT + POOLED;",
            *_dot("slope", [(f"own_slopes[{q}]", f"c[{q}]") for q in range(edges.functions)]),
        ]
    out.append("vec fx = all(N(0.0)), fy = fx, fz = fx;")
    for row in rows:
        out += ["{", *indent(row.summed()), "}"]
    out += [
        "fx += slope * x; fy += slope * y; fz += slope * z;",
        "net[0] += fx; net[1] += fy; net[2] += fz;",
        "for (int l = 0; l < LANES; l++) {",
        "    real *const other = F + 3 * (neighbour[(first + k) * LANES + l] * members + m);",
        "    other[0] -= fx[l]; other[1] -= fy[l]; other[2] -= fz[l];",
        "}",
    ]
    return [*(["const vec *const p = part[k];"] if rows else []), *live(out)]
