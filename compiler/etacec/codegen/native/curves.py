"""Pieces of C that several stages of the edges share: radials by recursion, harmonics, weighted sums."""

from __future__ import annotations

from collections.abc import Sequence

from etacec.codegen.native.formula import number
from etacec.codegen.native.harmonics import harmonics
from etacec.codegen.native.terms import Curves, Shell


def recursion(c: Curves, name: str, times: str) -> list[str]:
    """f_q = P_q(y) times a factor."""
    out = [f"const vec {name}f0 = all({number(c.first)} * {times});"]
    for k, (a, b, step) in enumerate(c.steps, start=1):
        ay = f"{name}a{k}"
        text = f"{number(a)} * {name}y" + (f" + {number(b)}" if b else "")
        out.append(f"const vec {ay} = {text};")
        more = f" + {number(step)} * {name}f{k - 2}" if step and k > 1 else ""
        out.append(f"const vec {name}f{k} = {ay} * {name}f{k - 1}{more};")
    return out


def slopes(c: Curves, name: str) -> list[str]:
    """d_q = df_q/dr, after `recursion`."""
    out = [f"const vec {name}d0 = {number(c.first)} * {name}de;"]
    for k, (a, _, step) in enumerate(c.steps, start=1):
        more = f" + {number(step)} * {name}d{k - 2}" if step and k > 1 else ""
        own = f"({number(a)} * {name}dy) * {name}f{k - 1}"
        out.append(f"const vec {name}d{k} = {name}a{k} * {name}d{k - 1} + {own}{more};")
    return out


def harmonics_of(s: Shell, name: str) -> list[str]:
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


def harmonic(s: Shell, name: str, h: int) -> str:
    return number(1) if s.harmonics == "none" else f"{name}{h}"


def mixed(s: Shell, name: str, what: str, radials: Sequence[str]) -> list[str]:
    """R_f = sum over q of W[f][q] f_q, of those among the radials; what = "d": of their slopes."""
    Q, F = s.curves.count, len(s.l)
    out = []
    for r in radials:
        if r[0] == "R":
            row = f"v[{s.weights} + pair * {F * Q} + "
            to = name + r if what == "f" else slope_of(name + r)
            out.append(f"const vec {to} = {dot(row, int(r[1:]) * Q, Q, name + what)};")
    return out


def slope_of(radial: str) -> str:
    """The name of dR/dr."""
    return radial.replace("R", "D").replace("f", "d")


def dot(row: str, first: int, n: int, function: str) -> str:
    return " + ".join(f"{row}{first + q}] * {function}{q}" for q in range(n))


def indent(lines: Sequence[str], by: int = 4) -> list[str]:
    return [" " * by + line for line in lines]


def table(name: str, values: Sequence[int]) -> list[str]:
    """Whole numbers of a static array."""
    out = [f"static const int32_t {name}[] = {{"]
    for k in range(0, max(len(values), 1), 20):
        out.append("    " + ", ".join(map(str, values[k : k + 20] or [0])) + ",")
    return [*out, "};"]
