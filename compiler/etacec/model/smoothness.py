"""Smoothness, proved: the order of contact of every radial at its cutoff, at rin and at r -> 0, and
of every zbl where it begins to end and where it ends.

A radial is R(r) = e * sum_q W_q P_q(y(r)) with W free, so at the cutoff it vanishes to the order to
which the envelope does, whatever the weights. A zbl is a smooth positive function times a switch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from etacec.diagnostics import Diagnostic
from etacec.formula import curves
from etacec.formula.contact import DEEPEST, at_bond, flatness, order_of_zero, power_at_zero
from etacec.formula.nodes import Const, Node, Var, substitute
from etacec.formula.work import Undecided
from etacec.model.domain import bonds_alike
from etacec.model.spec import BondLengths, Radial, Spec, Zbl

MOST = 12  # names that a message lists


@dataclass(frozen=True)
class Contact:
    """One radial (or zbl) on the bonds that share lengths and so behave alike.

    cutoff: k of C^k at rcut (-1: the energy jumps; None: not decided); inner: the same at rin,
    if rin > 0. origin: words for r -> 0; ends: names of rcut and rin, of a zbl outer and inner.
    """

    radial: str
    bonds: tuple[str, ...]
    rcut: Fraction
    cutoff: int | None
    rin: Fraction
    inner: int | None
    origin: str
    ends: tuple[str, str] = ("r_cut", "r_in")

    def __str__(self) -> str:
        where = f"{self.radial} on {', '.join(self.bonds)}"
        out = f"{where}: {_order(self.cutoff)} at {self.ends[0]} = {float(self.rcut):.6g} Å"
        if self.rin > 0:
            out += f", {_order(self.inner)} at {self.ends[1]} = {float(self.rin):.6g} Å"
        return f"{out}; {self.origin}"


def _order(k: int | None) -> str:
    if k is None:
        return "smoothness not decided"
    if k < 0:
        return "not continuous"
    return f"C{k}" if k < DEEPEST else f"C{DEEPEST} or smoother"


def smoothness(spec: Spec) -> tuple[list[Contact], list[Diagnostic]]:
    """Contacts of all radials and zbls; a jump of the energy is an error, of the forces a warning."""
    contacts: list[Contact] = []
    found: list[Diagnostic] = []
    for radial in spec.radials:
        alike: dict[Contact, list[str]] = {}
        for bond, names in bonds_alike(spec):
            contact = _contact(radial, bond, ())
            alike.setdefault(contact, []).extend(names)
        for contact, bonds in alike.items():
            whole = replace(contact, bonds=tuple(bonds))
            contacts.append(whole)
        found += _judge(radial, [c for c in contacts if c.radial == radial.name])
    for p in spec.potentials:
        if isinstance(p, Zbl):
            contacts += _of_zbl(spec, p)
    return contacts, found


def _of_zbl(spec: Spec, p: Zbl) -> list[Contact]:
    alike: dict[tuple[Fraction, Fraction], list[str]] = {}
    for name, *lengths in zip(spec.bond_names(), p.inner, p.outer, strict=True):
        alike.setdefault((lengths[0], lengths[1]), []).append(name)
    out = []
    for (inner, outer), names in alike.items():
        s = substitute(curves.switch(), {"inner": Const(inner), "outer": Const(outer)})
        end = order_of_zero(s, outer, -1) or 0
        start = flatness(s, inner) - 1 if inner else None
        origin = "~ r^-1 for r -> 0"  # the screening is finite there, and positive
        ends = ("outer", "inner")
        out.append(Contact(p.name, tuple(names), outer, end - 1, inner, start, origin, ends))
    return out


def _contact(radial: Radial, bond: BondLengths, names: Sequence[str]) -> Contact:
    lengths = {"rin": bond.rin, "r0": bond.r0, "rcut": bond.rcut}
    y = at_bond(radial.transform.formula, lengths)
    e = substitute(at_bond(radial.envelope.formula, lengths), {"y": y})
    inner = None
    if bond.rin > 0:
        inner = _decided(lambda: _inner(y, radial.envelope.argument, e, bond.rin))
    return Contact(
        radial.name,
        tuple(names),
        bond.rcut,
        _decided(lambda: _cutoff(e, bond.rcut)),
        bond.rin,
        inner,
        _origin(e, bond.rin, radial.envelope.argument),
    )


def _decided(question: Callable[[], int]) -> int | None:
    try:
        return question()
    except Undecided:
        return None


def _cutoff(e: Node, rcut: Fraction) -> int:
    zero = order_of_zero(e, rcut, -1)
    return -1 if zero is None else zero - 1


def _inner(y: Node, argument: str, e: Node, rin: Fraction) -> int:
    """k of C^k at rin: below it y stays what it is at rin, and e(y) with it."""
    step = flatness(y, rin)
    if argument == "r":
        return step - 1  # e(r) is one formula on both sides; only y has a kink
    zero = order_of_zero(e, rin, 1)
    if zero is None:
        return -1
    if zero > 0:
        return zero - 1
    return min(step, flatness(e, rin)) - 1


def _origin(e: Node, rin: Fraction, argument: str) -> str:
    if rin > 0 and argument == "y":
        return "constant below r_in"
    found = power_at_zero(e) if e != Var("r") else (Fraction(1), True)
    if found is None:
        return "no power law for r -> 0"
    p, positive = found
    sign = "" if positive else "-"
    if p == 0:
        return "finite for r -> 0"
    return f"envelope ~ {sign}r^{p} for r -> 0"


def _judge(radial: Radial, contacts: Sequence[Contact]) -> list[Diagnostic]:
    """One finding for all bonds that end alike."""
    places: dict[tuple[str, str], list[str]] = {}
    for c in contacts:
        ends = [(c.cutoff, "cutoff", c.rcut), (c.inner, "inner radius", c.rin)]
        for order, what, at in ends if c.rin > 0 else ends[:1]:
            if order is None or order < 1:
                code = "W607" if order is None else "E413" if order < 0 else "W606"
                place = f"{float(at):.6g} Å of {_listed(c.bonds)}"
                places.setdefault((what, code), []).append(place)
    out = []
    for (what, code), where in places.items():
        at_all = f"at the {what} {_listed(where)}"
        help = "use an envelope that vanishes there with its slope: envelope(y) = (1 - y^2)^2"
        message = {
            "W606": f"`{radial.name}` has a kink {at_all}: forces jump",
            "E413": f"`{radial.name}` jumps {at_all}: so does the energy",
            "W607": f"cannot decide how smoothly `{radial.name}` ends {at_all}",
        }[code]
        out.append(Diagnostic(code, message, radial.span, help="" if code == "W607" else help))
    return out


def _listed(names: Sequence[str]) -> str:
    if len(names) > MOST:
        return ", ".join([*names[: MOST - 1], f"... ({len(names)} in all)"])
    return ", ".join(names)
