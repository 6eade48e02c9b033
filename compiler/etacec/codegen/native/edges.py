"""What is done edge by edge, in C: geometry, radials and harmonics forward; their gradients backward."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from etacec.codegen.native.formula import Duals, live, number
from etacec.codegen.native.harmonics import gradient, harmonics
from etacec.codegen.native.terms import Curves, Energy, PairTerm, Shell


class Edges:
    """The two functions of all shells and terms. `tables` are those their formulas read."""

    def __init__(
        self,
        shells: Sequence[Shell],
        pairs: Sequence[PairTerm],
        energies: Sequence[Energy],
        n_species: int,
    ):
        self.shells, self.pairs, self.energies, self.n = shells, pairs, energies, n_species
        self.along = bool(pairs or energies)
        self.base: list[dict[int, int]] = []  # of each shell: where each pooled l starts
        self.sums = 0
        for s in shells:
            own = {}
            for l in sorted(set(s.l)):
                if s.pooled(l):
                    own[l] = self.sums
                    self.sums += s.curves.count * (2 * l + 1)
            self.base.append(own)
        self.tables: list[str] = []

    @property
    def geometry(self) -> int:
        """Vectors that are kept of every row of edges."""
        return 4 + self.along + 4 * len(self.shells)

    def forward(self) -> list[str]:
        body = [
            "vec d[3] = {{0}};",
            "for (int l = 0; l < LANES; l++) {",
            "    const real *const other = X + 4 * (ptrdiff_t)neighbour[k * LANES + l];",
            "    for (int c = 0; c < 3; c++) d[c][l] = other[c];",
            "}",
            "for (int c = 0; c < 3; c++) d[c] -= at[c];",
            "const vec far = vec_sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);",
            "const mask in = far < rcut;",
            "const vec one = choose(in, all(N(1.0)), all(N(0.0)));",
            "const vec r = choose(in, far, all(rcut)), inverse = N(1.0) / r;",
            "const vec x = choose(in, d[0] * inverse, all(N(1.0)));",
            "const vec y = one * d[1] * inverse, z = one * d[2] * inverse;",
            "vec *const g = geometry + k * GEOMETRY;",
            "g[0] = x; g[1] = y; g[2] = z; g[3] = r;",
        ]
        duals = Duals()
        ends: list[str] = []
        for j, s in enumerate(self.shells):
            names = _scalars(duals, s.curves, f"s{j}")
            ends += names[1]
            at = 4 + self.along + 4 * j
            ends.append(" ".join(f"g[{at + i}] = {n};" for i, n in enumerate(names[0])))
        for j, t in enumerate(self.pairs):
            ends += _scalars(duals, t.curves, f"p{j}")[1]
        formulas = duals.lines
        self._read(duals.tables)
        if self.along:
            ends.append("vec along = all(N(0.0));")
        for j, t in enumerate(self.pairs):
            ends += self._pair(t, f"p{j}")
        for j, energy in enumerate(self.energies):
            ends += self._energy(energy, f"u{j}_")
        if self.along:
            ends.append("g[4] = along;")
        for j, s in enumerate(self.shells):
            ends += self._pool(j, s)
        start = ["const real rcut = CUTOFFS[pair];"]
        if self.sums:
            start.append(f"for (int q = 0; q < {self.sums}; q++) pooled[q] = all(N(0.0));")
        mixed = [line for j, s in enumerate(self.shells) for line in self._mix(j, s)]
        inner = live([*body, *formulas, *ends])
        unused = [] if self.sums else ["(void)pooled;"]
        unused += [] if self.shells else ["(void)A;"]
        unused += [] if self.along else ["(void)E;"]
        unused += ["(void)v;"]
        return [
            "static NOINLINE void forward(int64_t n, int pair, const int32_t *restrict neighbour,",
            "                    const real *restrict X, const vec *at, const real *restrict v,",
            "                    vec *restrict geometry, vec *restrict pooled, vec *restrict A, vec *E) {",
            *_indent([*unused, *start]),
            "    for (int64_t k = 0; k < n; k++) {",
            *_indent(inner, 8),
            "    }",
            *_indent(mixed),
            "}",
        ]

    def _read(self, tables: Sequence[str]) -> None:
        self.tables += [t for t in tables if t not in self.tables]

    def _pair(self, t: PairTerm, name: str) -> list[str]:
        out = ["// pair term: sum over q of v[q] P_q(y) e, and its slope"]
        out += _recursion(t.curves, name)
        out += _slopes(t.curves, name)
        Q = t.curves.count
        row = f"v[{t.weights} + pair * {Q} + "
        value = " + ".join(f"{row}{q}] * {name}f{q}" for q in range(Q))
        slope = " + ".join(f"{row}{q}] * {name}d{q}" for q in range(Q))
        return [*out, f"*E += {value};", f"along += {slope};"]

    def _energy(self, e: Energy, prefix: str) -> list[str]:
        duals = Duals(prefix)
        V, slope = duals.value(e.V), duals.slope(e.V)
        self._read(duals.tables)
        if e.outer not in self.tables:
            self.tables.append(e.outer)
        return [
            "{",
            f"    const mask near = in & (far < {e.outer}[pair]);",
            "    int some = 0;",
            "    for (int l = 0; l < LANES; l++) some |= near[l] != 0;",
            "    if (some) {",
            *_indent(duals.lines, 8),
            f"        *E += choose(near, {V}, all(N(0.0)));",
            f"        along += choose(near, {slope}, all(N(0.0)));",
            "    }",
            "}",
        ]

    def _pool(self, j: int, s: Shell) -> list[str]:
        out = [f"// A of shell {j}: f_q Y_lm summed over the neighbours"]
        out += _recursion(s.curves, f"s{j}")
        out += _harmonics(s, f"Y{j}_")
        for l in sorted(set(s.l)):
            Y = [_Y(s, f"Y{j}_", l * l + i) for i in range(2 * l + 1)]
            if s.pooled(l):
                for q in range(s.curves.count):
                    at = self.base[j][l] + q * (2 * l + 1)
                    out += [f"pooled[{at + i}] += s{j}f{q} * {Y[i]};" for i in range(2 * l + 1)]
                continue
            for f in s.factors(l):
                R = f"s{j}f{s.places[f]}" if s.places is not None else f"s{j}R{f}"
                if s.places is None:
                    out.append(f"const vec {R} = {self._row(s, f, f's{j}f')};")
                at = s.entry(f)
                out += [f"A[{at + i}] += {R} * {Y[i]};" for i in range(2 * l + 1)]
        return out

    def _row(self, s: Shell, factor: int, functions: str) -> str:
        Q, F = s.curves.count, len(s.l)
        row = f"v[{s.weights} + pair * {F * Q} + {factor * Q} + "
        return " + ".join(f"{row}{q}] * {functions}{q}" for q in range(Q))

    def _mix(self, j: int, s: Shell) -> list[str]:
        """A += W pooled, of every pooled l."""
        out = []
        Q, F = s.curves.count, len(s.l)
        for l, at in self.base[j].items():
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

    def _unmix(self, j: int, s: Shell) -> list[str]:
        """The adjoint: pooled = W^T w."""
        out = []
        Q, F = s.curves.count, len(s.l)
        for l, at in self.base[j].items():
            first, m = s.factors(l)[0], 2 * l + 1
            out += [
                f"for (int q = 0; q < {Q}; q++) {{  // l = {l}",
                f"    const real *const W = v + {s.weights} + pair * {F * Q} + {first * Q} + q;",
                f"    vec *const a = pooled + {at} + q * {m};",
                f"    for (int i = 0; i < {m}; i++) a[i] = all(N(0.0));",
                f"    for (int f = 0; f < {len(s.factors(l))}; f++)",
                f"        for (int i = 0; i < {m}; i++) a[i] += W[f * {Q}] * w[{s.entry(first)} + f * {m} + i];",
                "}",
            ]
        return out

    def backward(self) -> list[str]:
        body = [
            "const vec *const g = geometry + k * GEOMETRY;",
            "const vec x = g[0], y = g[1], z = g[2], r = g[3];",
            f"vec slope = {'g[4]' if self.along else 'all(N(0.0))'};",
            "vec fx = all(N(0.0)), fy = fx, fz = fx;",
        ]
        for j, s in enumerate(self.shells):
            body += ["{", *_indent(self._gradient(j, s)), "}"]
        body += [
            "fx += slope * x; fy += slope * y; fz += slope * z;",
            "force[0] += fx; force[1] += fy; force[2] += fz;",
            "const vec rx = r * x, ry = r * y, rz = r * z;",
            "virial[0] -= rx * fx; virial[1] -= ry * fy; virial[2] -= rz * fz;",
            "virial[3] -= ry * fz; virial[4] -= rx * fz; virial[5] -= rx * fy;",
            "for (int l = 0; l < LANES; l++) {",
            "    real *const other = F + 4 * (ptrdiff_t)neighbour[k * LANES + l];",
            "    other[0] -= fx[l]; other[1] -= fy[l]; other[2] -= fz[l];",
            "}",
        ]
        body = live(body)
        start = [line for j, s in enumerate(self.shells) for line in self._unmix(j, s)]
        unused = [] if self.sums else ["(void)pooled;"]
        unused += [] if self.shells else ["(void)w;"]
        return [
            "static NOINLINE void backward(int64_t n, int pair, const int32_t *restrict neighbour,",
            "                     const real *restrict v, const vec *restrict geometry,",
            "                     vec *restrict pooled, const vec *restrict w, real *restrict F,",
            "                     vec *force, vec *virial) {",
            *_indent(["(void)pair;", "(void)v;", *unused, *start]),
            "    for (int64_t k = 0; k < n; k++) {",
            *_indent(body, 8),
            "    }",
            "}",
        ]

    def _gradient(self, j: int, s: Shell) -> list[str]:
        """slope += dA/dr w along r, and f += what is across."""
        name, at = f"s{j}", 4 + self.along + 4 * j
        parts = ("y", "dy", "e", "de")
        out = [
            "const vec " + ", ".join(f"{name}{p} = g[{at + i}]" for i, p in enumerate(parts)) + ";"
        ]
        out += _recursion(s.curves, name)
        out += _slopes(s.curves, name)
        Ys = f"Y{j}_"
        out += _harmonics(s, Ys)
        by_q: dict[int, list[tuple[str, int]]] = defaultdict(list)
        U: dict[int, list[str]] = defaultdict(list)
        for l in sorted(set(s.l)):
            for i in range(2 * l + 1):
                if s.pooled(l):
                    for q in range(s.curves.count):
                        ref = f"pooled[{self.base[j][l] + q * (2 * l + 1) + i}]"
                        by_q[q].append((ref, l * l + i))
                        U[l * l + i].append(f"{name}f{q} * {ref}")
                    continue
                for f in s.factors(l) if s.places is not None else []:
                    ref = f"w[{s.entry(f) + i}]"
                    by_q[s.places[f]].append((ref, l * l + i))  # type: ignore[index]
                    U[l * l + i].append(f"{name}f{s.places[f]} * {ref}")  # type: ignore[index]
        for l in sorted(set(s.l)):
            if s.places is None and not s.pooled(l):
                for f in s.factors(l):
                    R, D = f"{name}R{f}", f"{name}D{f}"
                    out.append(f"const vec {R} = {self._row(s, f, f'{name}f')};")
                    out.append(f"const vec {D} = {self._row(s, f, f'{name}d')};")
                    terms = []
                    for i in range(2 * l + 1):
                        ref = f"w[{s.entry(f) + i}]"
                        terms.append(f"{ref} * {_Y(s, Ys, l * l + i)}")
                        U[l * l + i].append(f"{R} * {ref}")
                    out.append(f"slope += {D} * ({' + '.join(terms)});")
        for q, found in sorted(by_q.items()):
            sums = " + ".join(f"{ref} * {_Y(s, Ys, h)}" for ref, h in found)
            out.append(f"slope += {name}d{q} * ({sums});")
        if s.lmax == 0 or s.harmonics == "none":
            return out
        names = {}
        for h in sorted(U):
            if h:
                names[h] = f"{name}U{h}"
                out.append(f"const vec {names[h]} = {' + '.join(U[h])};")
        out += gradient(Ys, names, s.lmax)
        gx, gy, gz = (f"{Ys}g{a}" for a in "xyz")
        if s.harmonics == "solid":
            return [*out, f"fx += {gx}; fy += {gy}; fz += {gz};"]
        return [
            *out,
            f"const vec inverse = N(1.0) / r, across = x * {gx} + y * {gy} + z * {gz};",
            f"fx += inverse * ({gx} - across * x); fy += inverse * ({gy} - across * y);",
            f"fz += inverse * ({gz} - across * z);",
        ]


def _scalars(duals: Duals, c: Curves, name: str) -> tuple[list[str], list[str]]:
    """y, dy/dr, e and de/dr, the last two 0 beyond the cutoff: their names, and statements that make
    them of the formulas."""
    found = duals.value(c.y), duals.slope(c.y), duals.value(c.e), duals.slope(c.e)
    texts = [number(0) if t is None else t for t in found]
    names = [f"{name}{part}" for part in ("y", "dy", "e", "de")]
    texts[2:] = [f"one * {t}" for t in texts[2:]]
    return names, [f"const vec {n} = all({t});" for n, t in zip(names, texts, strict=True)]


def _recursion(c: Curves, name: str) -> list[str]:
    """f_q = P_q(y) e."""
    out = [f"const vec {name}f0 = {number(c.first)} * {name}e;"]
    for k, (a, b, step) in enumerate(c.steps, start=1):
        ay = f"{name}a{k}"
        text = f"{number(a)} * {name}y" + (f" + {number(b)}" if b else "")
        out.append(f"const vec {ay} = {text};")
        more = f" + {number(step)} * {name}f{k - 2}" if step and k > 1 else ""
        out.append(f"const vec {name}f{k} = {ay} * {name}f{k - 1}{more};")
    return out


def _slopes(c: Curves, name: str) -> list[str]:
    """d_q = df_q/dr, after `_recursion`."""
    out = [f"const vec {name}d0 = {number(c.first)} * {name}de;"]
    for k, (a, _, step) in enumerate(c.steps, start=1):
        more = f" + {number(step)} * {name}d{k - 2}" if step and k > 1 else ""
        own = f"({number(a)} * {name}dy) * {name}f{k - 1}"
        out.append(f"const vec {name}d{k} = {name}a{k} * {name}d{k - 1} + {own}{more};")
    return out


def _harmonics(s: Shell, name: str) -> list[str]:
    if s.harmonics == "none":
        return []
    if s.harmonics == "spherical":
        return harmonics(name, "x", "y", "z", None, s.lmax)
    out = [f"const vec {name}x = r * x, {name}y = r * y, {name}z = r * z, {name}rr = r * r;"]
    if s.lmax < 2:
        out.append(f"(void){name}rr;")
    if s.lmax < 1:
        out.append(f"(void){name}x; (void){name}y; (void){name}z;")
    return out + harmonics(name, f"{name}x", f"{name}y", f"{name}z", f"{name}rr", s.lmax)


def _Y(s: Shell, name: str, h: int) -> str:
    return number(1) if s.harmonics == "none" else f"{name}{h}"


def _indent(lines: Sequence[str], by: int = 4) -> list[str]:
    return [" " * by + line for line in lines]
