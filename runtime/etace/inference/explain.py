"""What the inference form of a model does, in numbers, and why it is formulated so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from etace.inference.matrices import Source
from etace.inference.polynomial import GATHER, Polynomial
from etace.inference.products import Products
from etace.inference.shells import Pair, Shell
from etace.repulsion import Zbl


def explain(pieces: Mapping[str, Any]) -> str:
    """Lines on every piece: sizes, work, and the reason of each choice."""
    lines: list[str] = []
    for name, piece in pieces.items():
        lines.append(f"{name}:")
        if isinstance(piece, Shell):
            lines += _indented(_shell(piece))
        elif isinstance(piece, Pair):
            lines += _indented(_pair(piece))
        elif isinstance(piece, Zbl):
            lines += _indented(_zbl(piece))
        elif isinstance(piece, Products):
            lines += _indented(_products(piece.polynomial))
    return "\n".join(lines)


def _indented(lines: Iterator[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _shell(s: Shell) -> Iterator[str]:
    radial, rows = s.radial, len(s.rows)
    stack = 4 * radial.columns
    mixed, pooled = rows * stack + len(s.functions), radial.count * (s.lmax + 1) ** 2
    yield f"radials: {rows} rows of {len(s.pool.channels)} factors, {stack} functions T_i T_4j"
    if rows < len(s.pool.channels):
        yield "  frozen weights are equal for several l: those rows are computed once"
    if radial.folded is not None:
        yield f"  envelope folded: a polynomial of y, of degree {radial.folded[0]}"
    else:
        yield "  envelope multiplied afterwards: no polynomial of y"
    yield f"A: {len(s.functions)} functions, l up to {s.lmax}, {s.harmonics} harmonics"
    yield (
        f"  radials mixed by one matrix product, then pooled: {mixed} multiply-adds an edge, of which "
        f"{len(s.functions)} outside it; pooling all polynomials first: {pooled} outside"
    )


def _pair(p: Pair) -> Iterator[str]:
    terms = p.radial.coefficients.shape[1]
    yield f"pair: readout and weights folded to one curve a bond, {terms} Chebyshev terms"


def _zbl(p: Zbl) -> Iterator[str]:
    low, high = float(p.outer.min()), float(p.outer.max())
    reach = f"{high:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
    yield f"zbl: four exponentials, in blocks with an edge shorter than {reach} Å only"


def _products(p: Polynomial) -> Iterator[str]:
    orders = ", ".join(f"{len(found)} of order {n}" for n, found in p.by_order.items())
    yield f"products: {len(p.monomials)} ({orders}), couplings folded into their coefficients"
    classes = len({int(c) for c in p.classes})
    yield f"  {classes} mirror classes: every matrix is block diagonal in them"
    dense = sparse = 0
    for b in p.blocks:
        for C in (b.C2, b.C3):
            if C is not None:
                dense += C.which.size
                sparse += int((C.which >= 0).sum())
    if dense:
        yield (
            f"  orders 2 and 3: gradient first, {len(p.pairs)} pairs; matrix products with {dense} "
            f"entries, {100 * sparse / dense:.0f} % filled" + _verdict(dense, sparse)
        )
    work = dense
    if p.splits:
        counts = ", ".join(f"{len(found)} of order {n}" for n, found in p.nodes.items())
        yield f"  orders 4 and up: sum U M V over shorter products ({counts})"
        for title, found in (
            ("matrix products", [b for b in p.bilinears if isinstance(b.M, Source)]),
            ("gathered sums", [b for b in p.bilinears if not isinstance(b.M, Source)]),
        ):
            if found:
                entries, full = sum(b.entries for b in found), sum(b.filled for b in found)
                yield (
                    f"    {title} for {len(found)} of {len(p.bilinears)} blocks: {entries} entries, "
                    f"{100 * full / entries:.1f} % filled" + _verdict(entries, full)
                )
        down = sum(len(v.to_left.terms) + len(v.to_right.terms) for v in p.levels)
        yield f"    adjoints down to A: {down} terms, gathered"
        work += sum(2 * (b.entries if isinstance(b.M, Source) else b.filled) for b in p.bilinears)
        work += 2 * down
    yield f"  about {2 * work / 1e3:.0f} kflop an atom"


def _verdict(dense: int, sparse: int) -> str:
    """Which formulation costs less, a term of a gathered sum counting as GATHER entries."""
    ratio = dense / (GATHER * max(sparse, 1))
    return f" (a matrix product costs {ratio:.1f} times gathering)"
